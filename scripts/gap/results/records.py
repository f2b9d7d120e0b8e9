"""What JSON files hold: training.json, scores.json, predictions.json, latency, provenance.json."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from gap.data.manifests import CorpusManifest, PretrainingRecord
from gap.models.measurements import Cosines, Forgetting, Hardware, Times
from gap.study.tuning import Evaluation, Value


class TrialReport(TypedDict):
    """One trial of a run: its tuned values, its best evaluation, all of them, and its seconds."""

    trial: int
    settings: dict[str, Value]
    loss: float | None
    accuracy: float
    evaluations: list[Evaluation]
    seconds: float


class FinishedTrial(TrialReport):
    """A trial as `train` keeps it until all trials are finished: with its weights' digests."""

    sha256: dict[str, str]


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


class RunLayers(TypedDict):
    """The accuracy of each layer, 0 to 1, from the embeddings on, by seed."""

    dataset: str
    model: str
    size: str
    n: int
    accuracies: dict[str, list[float]]


class PredictionsManifest(TypedDict):
    """predictions.json: the seeds of a file of predictions, and the file's digest.

    `layers` is there where a model has a classifier on each layer of a checkpoint.
    """

    seeds: list[int]
    sha256: str
    layers: NotRequired[RunLayers]


class Latency(Times):
    """What inference costs with one model."""

    family: str
    size: str
    n: int
    hardware: Hardware


class Latencies(TypedDict):
    """A file of measure_latency: the models of a data set by name."""

    dataset: str
    models: dict[str, Latency]


class Bins(TypedDict):
    """Counts by the probability of the top label, in bins of equal width from 0 to 1.

    `rows` counts the test rows, `confidence` sums that probability, `correct` counts what is right.
    """

    rows: list[int]
    confidence: list[float]
    correct: list[int]


class Scores(TypedDict):
    """Scores on a test set; as in ScoreRow, and the counts behind them.

    `confusion` counts test rows by true label (rows) and top label (columns).
    """

    rows: int
    accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float
    confusion: list[list[int]]
    bins: Bins


class RunScores(Scores):
    """One run in scores.json."""

    dataset: str
    model: str
    size: str
    n: int
    seed: int


class RunForgetting(Forgetting):
    """A file of measure_forgetting.py."""

    dataset: str
    model: str
    size: str
    n: int


class BridgeRecord(Cosines):
    """A file of fit_bridge.py; `sha256` is that of the generator's weights.

    `by` says whose loss the generator was taught by.
    """

    checkpoint: str
    by: Literal["hidden tokens", "masked tokens"]
    sha256: str


class TextSimilarity(TypedDict):
    """How alike texts are, each from 0 to 1: `coverage` of words, `divergence` of letters."""

    coverage: float
    divergence: float


class ModelSimilarity(TypedDict):
    """How alike two models see the same texts, see gap.models.similarity.Rotation."""

    turn: float
    misfit: float


class SimilarityRecord(TextSimilarity, ModelSimilarity):
    """A file of measure_similarity.py: a data set, and the one that a checkpoint is from.

    `model` begins with the checkpoint, which was trained on `source_n` examples of `source`, and
    is trained on `n` of the data set; `labels` counts the labels that each of the two has.
    """

    dataset: str
    model: str
    size: str
    source: str
    n: int
    source_n: int
    labels: int
    source_labels: int


class SourceRecord(TypedDict):
    """A source as the config has it, a hub's commit, and the sha256 of its files by name.

    `tuned_for` says what a checkpoint had been fine-tuned for before; `corpus` and `pretraining`
    are those of one that the workflow pretrained.
    """

    spec: dict[str, Any]
    commit: NotRequired[str]
    tuned_for: NotRequired[str]
    corpus: NotRequired[CorpusManifest]
    pretraining: NotRequired[PretrainingRecord]
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
