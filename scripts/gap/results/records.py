"""What JSON files hold: training.json, scores.json, predictions.json, latency, provenance.json."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Evaluation(TypedDict):
    """What a training came to on the validation rows: loss in nats, accuracy as a share (0..1).

    The loss is None where it is not finite; a training that is looked at once has no `step`.
    """

    step: NotRequired[int]
    loss: float | None
    accuracy: float


class TrialReport(TypedDict):
    """One trial of a run: its tuned values, its best evaluation, all of them, and its seconds."""

    trial: int
    settings: dict[str, str | float]
    loss: float | None
    accuracy: float
    evaluations: list[Evaluation]
    seconds: float


class SeedReport(TypedDict):
    """The training of one run; `sha256` has those of the weights' files, by name."""

    training_rows: int
    validation_rows: int
    trials: list[TrialReport]
    chosen: int
    sha256: dict[str, str]


class Provenance(TypedDict):
    """What makes a program's results, apart from recipe and inputs."""

    code: str
    packages: dict[str, str]


class Hardware(TypedDict):
    """What a model was trained or timed on."""

    device: str
    processor: str
    precision: str
    threads: int
    processes: int


class MadeWith(TypedDict):
    """What besides recipe and data the weights of a training came from."""

    packages: dict[str, str]
    hardware: Hardware
    provenance: Provenance


class Training(TypedDict):
    """training.json: the runs of a block of seeds, by seed, at `n` labelled examples."""

    dataset: str
    model: str
    size: str
    n: int
    seeds: dict[str, SeedReport]
    made_with: MadeWith


class PredictionsManifest(TypedDict):
    """predictions.json: the seeds of a file of predictions, and the file's digest."""

    seeds: list[int]
    sha256: str


class Single(TypedDict):
    """What one text takes, in milliseconds; `range` over the rounds; shares (0..1) of the time."""

    milliseconds: float
    milliseconds_95: float
    range: list[float]
    tokenisation: float
    cpu_share: float


class Batched(TypedDict):
    """Texts per second in batches; `range` over the rounds; shares (0..1) of the time."""

    batch_size: int
    examples_per_second: float
    range: list[float]
    tokenisation: float
    cpu_share: float


class Latency(TypedDict):
    """What inference costs with one model."""

    family: str
    n: int
    parameters: int
    trained_parameters: int
    hardware: Hardware
    single: Single
    batched: Batched


class Latencies(TypedDict):
    """A file of measure_latency: the models of a data set by name, all at one size."""

    dataset: str
    size: str
    models: dict[str, Latency]


class Bins(TypedDict):
    """Counts by the probability of the top label, in bins of equal width from 0 to 1.

    `rows` counts the test rows, `confidence` sums that probability, `correct` counts what is right.
    """

    rows: list[int]
    confidence: list[float]
    correct: list[int]


class RunScores(TypedDict):
    """One run in scores.json; as in ScoreRow, and the counts behind it.

    `confusion` counts test rows by true label (rows) and top label (columns).
    """

    dataset: str
    model: str
    size: str
    n: int
    seed: int
    rows: int
    accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float
    confusion: list[list[int]]
    bins: Bins


class SourceRecord(TypedDict):
    """A source as the config has it, a hub's commit, and the sha256 of its files by name."""

    spec: dict[str, str]
    commit: NotRequired[str]
    files: dict[str, str]


class SideRecord(TypedDict):
    """Rows and sha256 of a pool or a test set."""

    rows: int
    sha256: str


class DatasetRecord(TypedDict):
    """What a study knows of a data set."""

    pool: SideRecord
    test: SideRecord


class Environment(TypedDict):
    """What trained a run: digest of the code, packages, hardware."""

    code: str
    hardware: Hardware
    packages: dict[str, str]


class RunRecord(TypedDict):
    """A run: rows, sha256 of the weights' files and of the predictions, number of environment."""

    n: int
    training_rows: int
    validation_rows: int
    weights: dict[str, str]
    environment: str
    predictions: str


class StudyRecord(TypedDict):
    """provenance.json: what a study was made from; runs are named "dataset/model/size/seed"."""

    version: str
    config: dict[str, Any]
    rules: dict[str, Provenance]
    sources: dict[str, SourceRecord]
    datasets: dict[str, DatasetRecord]
    environments: dict[str, Environment]
    runs: dict[str, RunRecord]
