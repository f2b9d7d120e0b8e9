"""What a study costs before it runs: its cells, jobs, files, bytes and hours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from gap.cluster import work as estimates
from gap.run.errors import UserError
from gap.study.sizes import count_rows, parse_seeds, validation_rows

Config = dict[str, Any]
Key = tuple[str, ...]

# Outputs of a job of each rule, folders counted as one: Snakemake keeps a record of each.
OUTPUTS = {
    "download": 3,
    "prepare": 6,
    "subsample": 2,
    "fit_vocabulary": 2,
    "encode": 3,
    "encode_subsample": 3,
    "train": 2,
    "predict": 2,
    "score": 1,
    "gather": 5,
    "estimate_gap": 2,
    "forecast_gap": 3,
    "examine_errors": 3,
    "measure_latency": 1,
    "gather_latency": 1,
    "chart_gap": 4,
    "chart_cost": 4,
    "write_summary": 1,
    "record_provenance": 1,
    "write_report": 1,
    "export": 18,
}
# Export is not among them: it runs on demand.
ONCE = (
    *("gather", "estimate_gap", "forecast_gap", "examine_errors", "gather_latency"),
    *("chart_gap", "chart_cost", "write_summary", "record_provenance", "write_report"),
)
# config.json, weights, and a tokenizer in up to four files.
CHECKPOINT_FILES = 6
# Measured on files of this project: bytes of a subsample's row (4.1 at 2 million rows of 18, 5.1 at
# 200,000), of a test row's prediction (32 with five labels, 14.4 with two).
SUBSAMPLE_BYTES = 5.1
PREDICTION_BYTES, SCORE_BYTES = 2.8, 5.85
# A SentencePiece model without pieces, and a piece; a phrase of TF-IDF and its weight.
VOCABULARY_BYTES, PIECE_BYTES = 240_000, 20
TERM_BYTES = 24
# A record of Snakemake's; another small file (logs, manifests); both charts in all their forms.
RECORD_BYTES, SMALL_BYTES, CHART_BYTES = 3200, 500, 2_450_000
# In a checkpoint of a training: the weights and AdamW's two moments, for the last, the best one,
# and one that is being written.
CHECKPOINT_COPIES = 3 * 3


@dataclass(frozen=True)
class Cell:
    """A training job, by the names that its files have."""

    dataset: str
    model: str
    size: str
    seeds: str

    @property
    def count(self) -> int:
        """The number of seeds."""
        return len(parse_seeds(self.seeds))


def id_bytes(vocabulary: int) -> int:
    """Return the bytes of a token's id."""
    return 2 if vocabulary <= 1 << 16 else 4


def speed_of(one: Mapping[str, Any], clock: str) -> float:
    """Return the operations a second of a measurement; `clock` names the seconds that count."""
    return float(one["tokens"] * one["operations_per_token"] / one[clock])


@dataclass(frozen=True)
class Study:
    """A study: its config, what is assumed where no config tells, and what was measured.

    `assumptions` has `values` (each with a `value`) and `checkpoints` (shapes by name), `measured`
    what benchmarks/throughput.py writes.
    """

    config: Config
    assumptions: Config
    measured: Config

    def value(self, name: str) -> float:
        """Return what is assumed; raises UserError where it is missing."""
        try:
            return float(self.assumptions["values"][name]["value"])
        except KeyError:
            raise UserError(f"assumptions: values.{name}.value is missing; give it") from None

    def assuming(self, **values: float) -> Study:
        """Return the study under other assumptions."""
        known = dict(self.assumptions["values"])
        known |= {name: known[name] | {"value": value} for name, value in values.items()}
        return replace(self, assumptions=self.assumptions | {"values": known})

    def choosing(self, **lists: Any) -> Study:
        """Return the study with other keys of its config: fewer models, fewer sizes."""
        return replace(self, config=self.config | lists)

    @cached_property
    def cells(self) -> list[Cell]:
        """Every training job that the study names, as rules/common.smk does."""
        return [
            Cell(dataset, model, size, seeds)
            for dataset in self.config["datasets"]
            for model in self.config["models"]
            for size in self.config["sizes"]
            for seeds in self.recipe(model)["seeds"]
        ]

    def recipe(self, model: str) -> Config:
        """Return a model's entry."""
        found: Config = self.config["model_zoo"][model]
        return found

    def is_linear(self, model: str) -> bool:
        """Return whether a model has no use for a GPU."""
        return bool(self.recipe(model)["family"] == "linear")

    def shape(self, checkpoint: str | None) -> Config | None:
        """Return the shape of a checkpoint; None where there is none, or it is not told."""
        shapes = self.assumptions.get("checkpoints") or {}
        return shapes.get(checkpoint) if checkpoint else None

    def facts(self, model: str, dataset: str) -> dict[str, Any]:
        """Return what estimates go by: recipe, checkpoint, pieces, labels."""
        recipe = self.recipe(model)
        vocabulary = self.config["vocabulary_zoo"].get(recipe.get("vocabulary"))
        labels = self.config["dataset_zoo"][dataset].get("labels")
        return {
            "recipe": recipe,
            "checkpoint": self.shape(recipe.get("checkpoint")),
            "pieces": int(vocabulary["size"]) if vocabulary else 0,
            "labels": len(labels) if labels else int(self.value("labels")),
        }

    def rows(self, dataset: str) -> tuple[int, int]:
        """Return the rows of a data set's pool and of its test set."""
        rows, test = int(self.value("rows")), self.config["dataset_zoo"][dataset]["test"]
        if isinstance(test, dict):
            return rows, int(self.value("test_rows"))
        held_out = count_rows(test, rows)
        return rows - held_out, held_out

    def split(self, dataset: str, size: str) -> tuple[int, int]:
        """Return the rows of a size to train and to validate on."""
        n, rule = count_rows(size, self.rows(dataset)[0]), self.config["validation"]
        held_out = validation_rows(n, rule["share"], rule["min"], rule["max"])
        return n - held_out, held_out

    # ------------------------------------------------------------ hours

    def operations(self, cell: Cell) -> float:
        """Return the operations of training one seed of a cell, and of scoring its test set."""
        facts = self.facts(cell.model, cell.dataset) | {"tokens": self.value("tokens")}
        training, validation = self.split(cell.dataset, cell.size)
        return estimates.training_operations(
            rows=training, validation=validation, **facts
        ) + estimates.prediction_operations(rows=self.rows(cell.dataset)[1], **facts)

    def rate(self, model: str) -> float:
        """Return the operations a second of a model on one GPU; of a linear one on one core."""
        if self.is_linear(model) or self.measured["device"] != "cpu":
            return self.speed(model)
        full = self.value("gpu_peak") * self.share(model) * self.value("transformer_factor")
        if self.recipe(model)["family"] == "transformer":
            return full
        _, products = estimates.parameters(**self.facts(model, self.config["datasets"][0]))
        return min(estimates.lstm_rate(self.recipe(model), products, self.value("lstm_step")), full)

    def share(self, model: str) -> float:
        """Return the share of its peak that the measured machine reached in training a model.

        Of full or mixed texts, the lower. Raises UserError where the model was not measured.
        """
        return min(speed / peak for speed, peak in self._measurements(model))

    def speed(self, model: str) -> float:
        """Return the operations a second that were measured, on full or mixed texts, the fewer.

        Raises UserError where the model was not measured.
        """
        return min(speed for speed, _ in self._measurements(model))

    def _measurements(self, model: str) -> list[tuple[float, float]]:
        """Return the operations a second of each measurement, and of a large product beside it."""
        known = self.measured["models"]
        if model not in known:
            raise UserError(
                f"no throughput of {model} was measured; run benchmarks/throughput.py with "
                f"--models {model} on this study first"
            )
        on_cpu = self.is_linear(model) or self.measured["device"] == "cpu"
        clock = "cpu_seconds" if on_cpu else "wall_seconds"
        peak = self.measured["peak"]
        return [(speed_of(one, clock), one.get("peak", peak)) for one in known[model].values()]

    def seed_hours(self, cell: Cell) -> float:
        """Return the hours of one seed of a cell, on one GPU or, where it needs none, one core."""
        return self.operations(cell) / self.rate(cell.model) / 3600

    def hours(self, linear: bool = False, **names: str) -> float:
        """Return the GPU-hours of all cells with these names (model="lstm", size="10%").

        With `linear`, the core-hours of the models that need no GPU.
        """
        return sum(
            cell.count * self.seed_hours(cell)
            for cell in self.cells
            if self.is_linear(cell.model) == linear
            and all(getattr(cell, key) == name for key, name in names.items())
        )

    # ------------------------------------------------------------ jobs and files

    @cached_property
    def subsamples(self) -> list[Key]:
        """The blocks of subsamples: data set, size, seeds."""
        return sorted({(cell.dataset, cell.size, cell.seeds) for cell in self.cells})

    @cached_property
    def fitted(self) -> list[Key]:
        """The blocks of fitted vocabularies: data set, vocabulary, size, seeds."""
        named = ((cell, self.recipe(cell.model).get("vocabulary")) for cell in self.cells)
        return sorted({(one.dataset, name, one.size, one.seeds) for one, name in named if name})

    @cached_property
    def encoded(self) -> list[Key]:
        """The data sets that are encoded for a checkpoint: data set, checkpoint."""
        named = ((cell.dataset, self.recipe(cell.model).get("checkpoint")) for cell in self.cells)
        return sorted({(dataset, name) for dataset, name in named if name})

    @cached_property
    def sources(self) -> list[tuple[str, Config]]:
        """The role ("dataset", "test", "checkpoint") and spec of each source."""
        sets = [self.config["dataset_zoo"][name] for name in self.config["datasets"]]
        found = [("dataset", one["source"]) for one in sets]
        found += [("test", one["test"]) for one in sets if isinstance(one["test"], dict)]
        used = sorted({name for _, name in self.encoded})
        return found + [("checkpoint", self.config["checkpoint_zoo"][name]) for name in used]

    def jobs(self) -> dict[str, int]:
        """Return how many jobs each rule has."""
        counts = {
            "download": len(self.sources),
            "prepare": len(self.config["datasets"]),
            "subsample": len(self.subsamples),
            "fit_vocabulary": len(self.fitted),
            "encode": len(self.encoded),
            "encode_subsample": len(self.fitted),
        }
        return (
            counts
            | dict.fromkeys(("train", "predict", "score"), len(self.cells))
            | {"measure_latency": len(self.config["datasets"])}
            | dict.fromkeys(ONCE, 1)
        )

    def files(self) -> dict[str, int]:
        """Return how many files there are at the end, one of several names counted once.

        Those of results/ are by the rule that makes them. Beside its outputs, a rule has a lock,
        a list of what is kept for reruns, and an empty file in each folder that is an output.
        """
        jobs = self.jobs()
        blocks = [len(parse_seeds(seeds)) for *_, seeds in self.fitted]
        found = {
            "download": sum(_source_files(role, spec) for role, spec in self.sources),
            "prepare": 8 * jobs["prepare"],
            "subsample": 2 * jobs["subsample"],
            "fit_vocabulary": sum(4 + seeds for seeds in blocks),
            "encode": 11 * jobs["encode"],
            "encode_subsample": sum(5 + 7 * seeds for seeds in blocks),
            "train": sum(self._training_files(cell) for cell in self.cells),
            "predict": 4 * jobs["predict"],
            "score": jobs["score"],
            "measure_latency": jobs["measure_latency"],
            "tables and charts": sum(OUTPUTS[rule] for rule in ONCE),
            "logs": sum(jobs.values()),
        }
        return found | {"records": sum(OUTPUTS[rule] * count for rule, count in jobs.items())}

    def _training_files(self, cell: Cell) -> int:
        """Return the files of a training: for each seed, what is known of it, and its weights."""
        return 4 + cell.count * (5 if self.is_linear(cell.model) else 3)

    # ------------------------------------------------------------ bytes

    def disk(self) -> dict[str, float]:
        """Return the bytes of each kind of file at the end."""
        files = self.files()
        return {
            **self._text_bytes(),
            **self._id_bytes(),
            "subsamples": sum(
                SUBSAMPLE_BYTES * len(parse_seeds(seeds)) * sum(self.split(dataset, size))
                for dataset, size, seeds in self.subsamples
            ),
            "weights": sum(cell.count * self.weight_bytes(cell) for cell in self.cells),
            "predictions": sum(cell.count * self._prediction_bytes(cell) for cell in self.cells),
            "records": float(RECORD_BYTES * files["records"]),
            "charts and small files": CHART_BYTES
            + float(SMALL_BYTES * (sum(files.values()) - files["records"])),
        }

    def _text_bytes(self) -> dict[str, float]:
        """Return the bytes of the sources, and of the prepared texts."""
        zoo = self.config["dataset_zoo"]
        sources = prepared = 0.0
        for dataset in self.config["datasets"]:
            rows = sum(self.rows(dataset))
            texts = rows * self.value("characters")
            # A person's own file is read where it is.
            sources += texts if zoo[dataset]["source"]["kind"] != "file" else 0
            prepared += texts * self.value("compressed") + 8 * rows
        for name in {name for _, name in self.encoded}:
            if self.config["checkpoint_zoo"][name]["kind"] != "file":
                encoder = {"family": "transformer"}
                sources += 4 * estimates.parameters(encoder, self.shape(name))[0]
        return {"sources": sources, "pool and test": prepared}

    def _id_bytes(self) -> dict[str, float]:
        """Return the bytes of token ids, and of the vocabularies that runs have of their own."""
        tokens = self.value("tokens")
        shared = own = models = 0.0
        for dataset, name in self.encoded:
            width = id_bytes(estimates.shape_of(self.shape(name))["vocab_size"])
            # The ids of a text, and where they begin.
            shared += sum(self.rows(dataset)) * (tokens * width + 8)
        for dataset, name, size, block in self.fitted:
            pieces, seeds = self.config["vocabulary_zoo"][name]["size"], len(parse_seeds(block))
            text = tokens * id_bytes(pieces) + 8
            # Texts of the pool have their row numbers with them.
            rows = sum(self.split(dataset, size)), self.rows(dataset)[1]
            own += seeds * (rows[0] * (text + 8) + rows[1] * text)
            models += seeds * (VOCABULARY_BYTES + PIECE_BYTES * pieces)
        return {"ids, by checkpoint": shared, "ids, by own vocabulary": own, "vocabularies": models}

    def weight_bytes(self, cell: Cell) -> float:
        """Return the bytes of one seed's weights; a linear model has its phrases with them."""
        facts = self.facts(cell.model, cell.dataset)
        recipe = estimates.largest(facts["recipe"])
        phrases = recipe["max_features"] if self.is_linear(cell.model) else 0
        return 4.0 * estimates.parameters(**facts)[0] + TERM_BYTES * phrases

    def _prediction_bytes(self, cell: Cell) -> float:
        labels = self.facts(cell.model, cell.dataset)["labels"]
        return self.rows(cell.dataset)[1] * (PREDICTION_BYTES + SCORE_BYTES * labels)

    def checkpoint_bytes(self) -> float:
        """Return the bytes of the checkpoints of as many trainings as there are GPUs, at most.

        Where there are several trials, the weights of the best one so far are beside them.
        """
        sizes = [
            self.weight_bytes(one) * (CHECKPOINT_COPIES + (self.recipe(one.model)["trials"] > 1))
            for one in self.cells
            if not self.is_linear(one.model)
        ]
        return float(sum(sorted(sizes, reverse=True)[: int(self.value("gpus"))]))

    # ------------------------------------------------------------ what jobs ask for

    def request(self, cell: Cell, most: int) -> tuple[int, int, int, int]:
        """Return GPUs, minutes, MB of memory and MB of each GPU that one seed of a cell asks for.

        `most` GPUs may be asked for; see gap.cluster.work, whose rates are on the safe side.
        """
        facts, tokens = self.facts(cell.model, cell.dataset), self.value("tokens")
        training, validation = self.split(cell.dataset, cell.size)
        operations = estimates.training_operations(
            rows=training, tokens=tokens, validation=validation, **facts
        )
        gpus = estimates.gpus(facts["recipe"], operations, most)
        longest = estimates.longest_text(self.config["dataset_zoo"][cell.dataset])
        memory = estimates.memory_mb(
            rows=training, tokens=tokens, longest=longest, gpus=gpus, **facts
        )
        rate = estimates.sustained_rate(facts["recipe"], gpus)
        return gpus, estimates.runtime_minutes(operations, rate), *memory


def _source_files(role: str, spec: Mapping[str, Any]) -> int:
    """Return the files of a source: manifest, origin, mark of a folder, what is fetched or seen."""
    fetched = spec["kind"] != "file"
    return 3 + (CHECKPOINT_FILES if fetched and role == "checkpoint" else 1)


def by_family(study: Study) -> dict[str, list[str]]:
    """Return the models of each family, in the study's order."""
    found: dict[str, list[str]] = defaultdict(list)
    for model in study.config["models"]:
        found[study.recipe(model)["family"]].append(model)
    return dict(found)


def without(study: Study, key: str, name: str) -> Study:
    """Return the study with one name less in the list `key` of its config."""
    return study.choosing(**{key: [one for one in study.config[key] if one != name]})


def with_models(study: Study, changed: Iterable[tuple[str, Config]]) -> Study:
    """Return the study with other entries of some models."""
    return study.choosing(model_zoo=study.config["model_zoo"] | dict(changed))
