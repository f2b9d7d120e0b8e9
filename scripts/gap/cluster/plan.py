"""What a study costs before it runs: its cells, jobs, files, bytes and hours."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import cached_property

from gap.cluster import work
from gap.cluster.basis import Basis, Key
from gap.models.family import family_of
from gap.run.errors import UserError
from gap.study.cells import Cell
from gap.study.sizes import parse_seeds
from gap.study.tuning import largest

# Outputs of a job of each rule, folders counted as one: Snakemake keeps a record of each.
OUTPUTS = {
    "download": 3,
    "prepare": 6,
    "prepare_texts": 4,
    "collect_corpus": 2,
    "pretrain": 4,
    "make_checkpoint": 3,
    "fit_bridge": 2,
    "subsample": 2,
    "fit_vocabulary": 2,
    "encode": 3,
    "encode_subsample": 3,
    "train": 2,
    "predict": 2,
    "score": 1,
    "gather": 5,
    "estimate_gap": 3,
    "forecast_gap": 3,
    "price_target": 1,
    "examine_errors": 3,
    "measure_latency": 1,
    "gather_latency": 1,
    "measure_forgetting": 1,
    "gather_forgetting": 3,
    "chart_forgetting": 4,
    "chart_layers": 5,
    "measure_similarity": 1,
    "foretell_transfer": 2,
    "chart_transfer": 4,
    "chart_gap": 4,
    "chart_cost": 4,
    "write_summary": 1,
    "record_provenance": 1,
    "write_report": 1,
    "export": 19,
}
# Export is not among them: it runs on demand.
ONCE = (
    *("gather", "estimate_gap", "forecast_gap", "examine_errors", "gather_latency"),
    *("chart_gap", "chart_cost", "write_summary", "record_provenance", "write_report"),
)
# config.json, weights, and a tokenizer in up to four files.
CHECKPOINT_FILES = 6
# Measured on files of this project. A row of a subsample takes 4.1 bytes (2 of 18 million rows) or
# 5.1 bytes (200,000 rows). The prediction of a test row takes 32 bytes with five labels, 14.4 with
# two.
SUBSAMPLE_BYTES = 5.1
PREDICTION_BYTES, SCORE_BYTES = 2.8, 5.85
# Bytes of a SentencePiece model without its pieces, and of each piece.
VOCABULARY_BYTES, PIECE_BYTES = 240_000, 20
# Bytes of a record of Snakemake, of another small file (logs, manifests), and of all chart files.
RECORD_BYTES, SMALL_BYTES, CHART_BYTES = 3200, 500, 2_450_000
# The states of a training that are saved: the last, the best, and one that is being written. Each
# has the weights and AdamW's two moments.
CHECKPOINT_COPIES = 3 * 3


def id_bytes(vocabulary: int) -> int:
    """Return the bytes of a token's id."""
    return 2 if vocabulary <= 1 << 16 else 4


def speed_of(timing: Mapping[str, float], clock: str) -> float:
    """Return the operations a second of a measurement; `clock` names the seconds that count."""
    return float(timing["tokens"] * timing["operations_per_token"] / timing[clock])


class Plan(Basis):
    """A study's costs: hours, jobs, files, bytes, and what its jobs ask for."""

    # ------------------------------------------------------------ hours

    def operations(self, cell: Cell) -> float:
        """Return the operations of training one seed of a cell, and of scoring its test set."""
        family = self.family(cell.model)
        training = self.workload(cell.model, cell.dataset, *self.split(cell.dataset, cell.size))
        test = self.workload(cell.model, cell.dataset, self.rows(cell.dataset)[1])
        return work.training_operations(family, training) + work.prediction_operations(family, test)

    def rate(self, model: str) -> float:
        """Return the operations a second of a model on one GPU, or on one core if it needs none."""
        if not self.uses_gpu(model) or self.measured["device"] != "cpu":
            return self.speed(model)
        family = self.family(model)
        full = self.value("gpu_peak") * self.share(model) * self.value("transformer_factor")
        assumption = family.assumption()
        assumed = self.value(assumption.value) if assumption else None
        workload = self.workload(model, self.config["datasets"][0])
        return family.gpu_rate(workload, full, assumed)

    def share(self, model: str) -> float:
        """Return the share of its peak that the measured machine reached in training a model.

        It is the lower of the shares with full and with mixed texts. Raises UserError where the
        model was not measured.
        """
        return min(speed / peak for speed, peak in self._measurements(model))

    def speed(self, model: str) -> float:
        """Return the operations a second that were measured, on full or mixed texts, the fewer.

        Raises UserError where the model was not measured.
        """
        return min(speed for speed, _ in self._measurements(model))

    def _measurements(self, model: str) -> list[tuple[float, float]]:
        """Return the operations a second of each measurement, and of a large product beside it."""
        models = self.measured["models"]
        if model not in models:
            raise UserError(
                f"no throughput of {model} was measured; run benchmarks/throughput.py with "
                f"--models {model} on this study first"
            )
        on_cpu = not self.uses_gpu(model) or self.measured["device"] == "cpu"
        clock = "cpu_seconds" if on_cpu else "wall_seconds"
        peak = self.measured["peak"]
        timings = models[model].values()
        return [(speed_of(timing, clock), timing.get("peak", peak)) for timing in timings]

    def seed_hours(self, cell: Cell) -> float:
        """Return the hours of one seed of a cell, on one GPU or, where it needs none, one core."""
        same = cell.dataset, cell.model, cell.size
        if same not in self._seed_hours:
            hours = self.operations(cell) / self.rate(cell.model) / 3600
            self._seed_hours[same] = hours
        return self._seed_hours[same]

    @cached_property
    def _seed_hours(self) -> dict[Key, float]:
        """What was found by `seed_hours`, by data set, model and size."""
        return {}

    def hours(self, on_gpu: bool = True, **names: str) -> float:
        """Return the GPU-hours of all cells with these names (model="lstm", size="10%").

        Without `on_gpu`, the core-hours of the models that need no GPU.
        """
        return sum(
            cell.count * self.seed_hours(cell)
            for cell in self.cells
            if self.uses_gpu(cell.model) == on_gpu
            and all(getattr(cell, key) == name for key, name in names.items())
        )

    # ------------------------------------------------------------ jobs and files

    def jobs(self) -> dict[str, int]:
        """Return how many jobs each rule has."""
        kinds = Counter(spec["kind"] for _, spec in self.sources)
        pretrained, trained = kinds["pretrained"], kinds["trained"]
        texts = sum(role == "text" for role, _ in self.sources)
        counts = {
            "download": len(self.sources) - pretrained - trained,
            "prepare": len(self.config["datasets"]),
            **({"prepare_texts": texts} if texts else {}),
            **(dict.fromkeys(("collect_corpus", "pretrain"), pretrained) if pretrained else {}),
            **({"make_checkpoint": trained} if trained else {}),
            **({"fit_bridge": len(self.bridged)} if self.bridged else {}),
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

        Files of results/ are counted by the rule that makes them. Beside its outputs, a rule has a
        lock, a list of what is kept for reruns, and an empty file in each folder that is an output.
        """
        jobs = self.jobs()
        blocks = [len(parse_seeds(seeds)) for *_, seeds in self.fitted]
        files = {
            "download": sum(_source_files(role, spec) for role, spec in self.sources),
            "prepare": 8 * jobs["prepare"],
            **({"prepare_texts": 6 * jobs["prepare_texts"]} if "prepare_texts" in jobs else {}),
            **({"fit_bridge": 2 * jobs["fit_bridge"]} if self.bridged else {}),
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
        return files | {"records": sum(OUTPUTS[rule] * count for rule, count in jobs.items())}

    def _training_files(self, cell: Cell) -> int:
        """Return the files of a training: for each seed, what is known of it, and its weights."""
        return 4 + cell.count * (2 + self.family(cell.model).weight_files)

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
        for name in {self._name(cell, "checkpoint_zoo") for cell in self.cells} - {None}:
            if self.config["checkpoint_zoo"][name]["kind"] != "file":
                sources += 4 * self.shape(name).parameters
        return {"sources": sources, "pool and test": prepared}

    def _id_bytes(self) -> dict[str, float]:
        """Return the bytes of token ids, and of the vocabularies that runs have of their own."""
        tokens = self.value("tokens")
        shared = fitted = models = 0.0
        for dataset, name in self.encoded:
            width = id_bytes(self.shape(name).vocab_size)
            # The ids of a text, and where they begin.
            shared += sum(self.rows(dataset)) * (tokens * width + 8)
        for dataset, name, size, block in self.fitted:
            pieces, seeds = self.config["vocabulary_zoo"][name]["size"], len(parse_seeds(block))
            text = tokens * id_bytes(pieces) + 8
            # Texts of the pool have their row numbers with them.
            rows = sum(self.split(dataset, size)), self.rows(dataset)[1]
            fitted += seeds * (rows[0] * (text + 8) + rows[1] * text)
            models += seeds * (VOCABULARY_BYTES + PIECE_BYTES * pieces)
        return {
            "ids, by checkpoint": shared,
            "ids, by own vocabulary": fitted,
            "vocabularies": models,
        }

    def weight_bytes(self, cell: Cell) -> float:
        """Return the bytes of one seed's weights; of values that are listed, of the largest."""
        family = family_of(largest(self.family(cell.model).recipe))
        return family.weight_bytes(self.workload(cell.model, cell.dataset))

    def _prediction_bytes(self, cell: Cell) -> float:
        labels = self.workload(cell.model, cell.dataset).labels
        return self.rows(cell.dataset)[1] * (PREDICTION_BYTES + SCORE_BYTES * labels)

    def work_bytes(self) -> float:
        """Return the bytes that as many trainings as there are GPUs keep while they run, at most.

        These are the checkpoints of a seed and, where there are several trials, the weights of the
        best one so far; and what all trials share, such as states of texts.
        """
        sizes = sorted(map(self._work_bytes, self.cells), reverse=True)
        return float(sum(sizes[: int(self.value("gpus"))]))

    def _work_bytes(self, cell: Cell) -> float:
        family, split = self.family(cell.model), self.split(cell.dataset, cell.size)
        shared = family.work_bytes(self.workload(cell.model, cell.dataset, *split))
        if not family.recipe.by_gradient_descent:
            return shared
        copies = CHECKPOINT_COPIES + (family.recipe.trials > 1)
        return shared + copies * self.weight_bytes(cell)

    # ------------------------------------------------------------ what jobs ask for

    def request(self, cell: Cell, most: int) -> tuple[int, int, int, int]:
        """Return GPUs, minutes, MB of memory and MB of each GPU that one seed of a cell asks for.

        `most` GPUs may be asked for; see gap.cluster.work, whose rates are on the safe side.
        """
        family = self.family(cell.model)
        workload = self.workload(cell.model, cell.dataset, *self.split(cell.dataset, cell.size))
        operations = work.training_operations(family, workload)
        gpus = work.gpus_for(family, workload, operations, most)
        memory = work.memory_mb(family, workload, gpus)
        rate = work.sustained_rate(family, workload, gpus)
        return gpus, work.runtime_minutes(operations, rate), *memory


def _source_files(role: str, spec: Mapping[str, object]) -> int:
    """Return the files of a source: manifest, origin, mark of a folder, what is fetched or seen.

    A checkpoint that the workflow pretrains has the texts of its corpus and their manifest, too.
    """
    fetched = spec["kind"] != "file"
    return (
        3
        + 2 * (spec["kind"] == "pretrained")
        + (CHECKPOINT_FILES if fetched and role == "checkpoint" else 1)
    )


def by_family(study: Plan) -> dict[str, list[str]]:
    """Return the models of each family, in the study's order."""
    models: dict[str, list[str]] = defaultdict(list)
    for model in study.config["models"]:
        models[study.family(model).recipe.family].append(model)
    return dict(models)


def without(study: Plan, key: str, name: str) -> Plan:
    """Return the study with one name less in the list `key` of its config."""
    return study.choosing(**{key: [kept for kept in study.config[key] if kept != name]})
