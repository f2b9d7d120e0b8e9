"""What each job asks of a cluster: memory, minutes, GPUs. None of it decides a result.

What is asked follows from recipes and from the manifests that are there before a job runs. Where
one is missing yet, FileNotFoundError leaves the question open until the job that makes it is done.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from gap.cluster import work
from gap.data.checkpoints import checkpoint_folder
from gap.models.bridge_work import lesson_products
from gap.models.encoder_shape import EncoderShape
from gap.models.family import ModelFamily
from gap.models.network import CORE_RATE, GPU_RATE
from gap.models.workload import Workload
from gap.run.json import read_json
from gap.study.datasets import Dataset, VocabularyRecipe
from gap.study.recipes import Validation
from gap.study.sizes import count_rows, longest_text, parse_seeds, validation_rows

# What steps of the data path ask for: MB and minutes for any data; MB and seconds for each million
# rows. They are two to three times what was measured, because they are limits. A vocabulary is
# fitted in memory.
DATA_STEPS = {
    "subsample": (1000, 3, 300, 20),
    "fit_vocabulary": (1500, 5, 12_000, 1800),
    "encode": (2500, 5, 100, 1200),
    "collect_corpus": (1000, 5, 200, 300),
}
# How many texts each model scores while it is timed, alone and in batches, roughly.
TIMED_TEXTS = 2000
# Tokens that a network is asked about where its forgetting is measured: 256 blocks of 512 at most,
# as a rule; and what their logits and states take.
ASKED_TOKENS = 256 * 512
ASKED_MB = 2000
# The neighbours of all tokens of a large vocabulary, and a step of the generator; minutes to spare.
BRIDGE_MB, BRIDGE_MINUTES = 2000, 20
# Of a parameter, as checkpoints have it.
WEIGHT_BYTES = 4
# Rows of a pool that is not prepared yet, where trainings of different sizes are compared.
NOMINAL_POOL = 100_000
# MB a second at which prepare reads a source, at least.
PREPARED = 2


@dataclass(frozen=True)
class Request:
    """What a job asks for: memory in MB, a time limit in minutes, GPUs."""

    mem_mb: int
    runtime: int
    gpu: int = 0


@dataclass(frozen=True)
class Site:
    """What the profile's default-resources say of the cluster; nothing, where there is none."""

    slurm_partition: str | None = None
    gpu_partition: str | None = None
    gpu_type: str | None = None
    most_gpus: int = 0
    most_minutes: int | None = None

    @classmethod
    def of(cls, resources: Mapping[str, Any]) -> Site:
        """Return the site that default resources, by name, describe; empty ones are not set."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: resources[name] for name in names if resources.get(name)})

    def partition(self, gpus: int) -> str | None:
        """Return the partition for a job with or without GPUs; None leaves it to SLURM."""
        return (self.gpu_partition if gpus else None) or self.slurm_partition

    def minutes(self, request: Request, attempt: int, share: float = 1.0) -> int:
        """Return the time limit of a job's `attempt`, the first being 1.

        It is within a share of the site's limit, since the times of steps that are one job add up.
        """
        wanted = request.runtime * attempt
        return min(wanted, max(1, int(self.most_minutes * share))) if self.most_minutes else wanted


def prepare_request(sources: Iterable[str]) -> Request:
    """Return what preparing a data set asks for, from the manifests of its sources."""
    files = [file for source in sources for file in read_json(source)["files"]]
    megabytes = sum(file["bytes"] for file in files) / 1e6
    # The database spills to disk beyond 1 GB; the rest is for the processes.
    return Request(4000, math.ceil(15 + megabytes / PREPARED / 60))


def data_request(step: str, pool: str, size: str = "100%", most: float = math.inf) -> Request:
    """Return what a step of the data path asks for, see DATA_STEPS.

    The step reads `size` of the rows of a pool, a share or a number, but `most` rows at most;
    `pool` is the pool's manifest.
    """
    return _step_request(step, min(count_rows(size, read_json(pool)["rows"]), most))


def gap_request(predictions: Iterable[str]) -> Request:
    """Return what estimating gaps from these files of predictions asks for."""
    megabytes = sum(Path(path).stat().st_size for path in predictions) / 1e6
    return Request(math.ceil(2000 + 6 * megabytes), math.ceil(15 + megabytes / 10))


def corpus_request(manifests: Iterable[str]) -> Request:
    """Return what collecting a corpus asks for, from the manifests of its texts."""
    return _step_request("collect_corpus", sum(read_json(path)["rows"] for path in manifests))


def _step_request(step: str, rows: float) -> Request:
    """Return what a step asks for that reads so many rows, see DATA_STEPS."""
    megabytes, minutes, more_megabytes, more_seconds = DATA_STEPS[step]
    return Request(
        math.ceil(megabytes + more_megabytes * rows / 1e6),
        math.ceil(minutes + more_seconds * rows / 1e6 / 60),
    )


@dataclass(frozen=True)
class Inputs:
    """What is known of a training or prediction before it runs.

    `manifest` is that of the rows (pool.json or test.json), `texts` that of the texts in the form
    that the model reads, `pretrained` that of the pretrained checkpoint's files, `vocabulary` the
    recipe of a vocabulary that is fitted; the last two where the model has one.
    """

    family: ModelFamily
    dataset: Dataset
    manifest: str
    texts: str
    pretrained: str | None = None
    vocabulary: VocabularyRecipe | None = None

    @property
    def rows(self) -> int:
        """The rows of the pool, or of the test set."""
        return int(read_json(self.manifest)["rows"])

    def workload(self, rows: int, validation: int = 0) -> Workload:
        """Return what estimates go by for so many rows to train on, or to score."""
        folder = self.pretrained and checkpoint_folder(self.pretrained)
        config = read_json(Path(folder) / "config.json") if folder else None
        return Workload(
            tokens=self._tokens(),
            rows=rows,
            validation=validation,
            longest=longest_text(self.dataset.words, self.dataset.max_tokens),
            labels=len(read_json(self.manifest)["labels"]),
            pieces=self.vocabulary.size if self.vocabulary else 0,
            encoder=EncoderShape.of(config),
        )

    def _tokens(self) -> float:
        manifest = read_json(self.texts)
        # Where seeds have vocabularies of their own, there is one file for each seed.
        counts = [manifest] if "rows" in manifest else list(manifest.values())
        if "tokens" in counts[0]:
            return float(max(count["tokens"] / max(count["rows"], 1) for count in counts))
        return float(self.dataset.words)


def training_request(
    inputs: Inputs, size: str, seeds: str, validation: Validation, site: Site
) -> Request:
    """Return what training a block of seeds on `size` rows asks for."""
    n = count_rows(size, inputs.rows)
    held_out = validation_rows(n, validation.share, validation.min, validation.max)
    workload = inputs.workload(n - held_out, held_out)
    operations = work.training_operations(inputs.family, workload)
    gpus = work.gpus_for(inputs.family, workload, operations, site.most_gpus)
    everything = replace(workload, rows=n)
    return _run_request(inputs.family, everything, operations * len(parse_seeds(seeds)), gpus)


def expected_seconds(
    family: ModelFamily, dataset: Dataset, size: str, validation: Validation
) -> float:
    """Return the seconds of training one seed on one core, before anything is known of the data.

    They only compare: texts have as many tokens as the text budget has words or characters, a share
    of a pool is one of NOMINAL_POOL rows, and checkpoints and vocabularies are of the usual sizes.
    """
    n = count_rows(size, NOMINAL_POOL)
    held_out = validation_rows(n, validation.share, validation.min, validation.max)
    workload = Workload(tokens=dataset.words, rows=n - held_out, validation=held_out)
    return work.training_operations(family, workload) / family.core_rate(1)


def prediction_request(inputs: Inputs, seeds: str, site: Site) -> Request:
    """Return what scoring the test texts with the models of a block of seeds asks for."""
    workload = inputs.workload(inputs.rows)
    operations = work.prediction_operations(inputs.family, workload) * len(parse_seeds(seeds))
    gpus = work.gpus_for(inputs.family, workload, 0, min(site.most_gpus, 1))
    return _run_request(inputs.family, workload, operations, gpus)


def latency_request(
    weights: Iterable[str], checkpoints: Iterable[str], dataset: Dataset, gpus: int
) -> Request:
    """Return what timing the models of a data set asks for, from their weights' folders.

    All of them are in memory at once, frozen encoders from the manifests of their checkpoints.
    """
    files = [file.stat().st_size for folder in weights for file in Path(folder).rglob("*.*")]
    files += [file["bytes"] for manifest in checkpoints for file in read_json(manifest)["files"]]
    parameters = sum(files) / 4
    operations = 2 * parameters * longest_text(dataset.words, dataset.max_tokens) * TIMED_TEXTS
    rate = GPU_RATE if gpus else CORE_RATE
    memory = work.IMPORTS_MB + work.CUDA_HOST_MB + 2 * sum(files) / 1e6
    return Request(math.ceil(memory), work.runtime_minutes(operations, rate), gpus)


def forgetting_request(weights: str, seeds: str, gpus: int) -> Request:
    """Return what asking fine-tuned networks of a block of seeds for what they forgot asks for.

    Two networks are in memory at once, and each goes five times through the blocks: as they are,
    disturbed in two ways, and for its states.
    """
    files = [file.stat().st_size for file in Path(weights).rglob("*.safetensors")]
    parameters = max(files) / 4
    operations = 2 * 5 * 2 * parameters * ASKED_TOKENS * (1 + len(parse_seeds(seeds)))
    rate = GPU_RATE if gpus else CORE_RATE
    memory = work.IMPORTS_MB + (work.CUDA_HOST_MB if gpus else 0) + 4 * max(files) / 1e6 + ASKED_MB
    return Request(math.ceil(memory), work.runtime_minutes(operations, rate), gpus)


def bridge_request(checkpoint: str, block: int) -> Request:
    """Return what training a generator of vectors asks for, from the checkpoint's manifest.

    The checkpoint is read once; what is kept beside it are neighbours of all of its tokens. Where
    it is asked for masked tokens of blocks of so many, that takes its time on a core; otherwise
    `block` is 0.
    """
    files = sum(file["bytes"] for file in read_json(checkpoint)["files"])
    operations = 2 * lesson_products(files / WEIGHT_BYTES, block)
    minutes = BRIDGE_MINUTES + math.ceil(operations / CORE_RATE / 60)
    return Request(math.ceil(work.IMPORTS_MB + 2 * files / 1e6 + BRIDGE_MB), minutes)


def _run_request(family: ModelFamily, workload: Workload, operations: float, gpus: int) -> Request:
    memory, _ = work.memory_mb(family, workload, gpus)
    rate = work.sustained_rate(family, workload, gpus)
    return Request(memory, work.runtime_minutes(operations, rate), gpus)
