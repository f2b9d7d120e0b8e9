"""The small JSON files of a data set's way: what each says, by the step that writes it."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from gap.study.datasets import TextUnit
from gap.study.tuning import Evaluation


class FetchedFile(TypedDict):
    """A file of a source: its path from where snakemake runs, or as a person named it."""

    path: str
    bytes: int
    sha256: str


class SourceManifest(TypedDict):
    """What `download` fetched; the sha256 covers the files' contents and names."""

    files: list[FetchedFile]
    sha256: str


class CorpusManifest(TypedDict):
    """A corpus of `collect_corpus`: texts to train on, those held out, and those left out.

    `test_texts` were left out because they stand in a test set, `repeats` because they stand in the
    corpus before. `texts_of` counts those to train on by the name of what they come from. The
    sha256 is that of the file of texts, which has no labels.
    """

    texts: int
    held_out: int
    characters: int
    test_texts: int
    repeats: int
    texts_of: dict[str, int]
    sha256: str


class PretrainingOutcome(TypedDict):
    """What pretraining came to: tokens of the corpus, passes through them, processes of the end.

    `evaluations` are on the held-out texts, the first before training; the weights are those of
    `best_step`. Word vectors, which are not trained, have none.
    """

    tokens: int
    passes: float
    processes: int
    best_step: int | None
    evaluations: list[Evaluation]


class PretrainingRecord(PretrainingOutcome):
    """What `pretrain` did, and what it took.

    `seconds` are by the clock, from the fit of the tokenizer to the weights. They are those of all
    attempts, where it was killed and went on; of an attempt that was killed outright up to twenty
    seconds are missing. `core_seconds` are the same, each times the cores that worked in it, or
    where `device` is "cuda", times the GPUs.
    """

    seconds: float
    core_seconds: float
    device: str


class Origin(TypedDict):
    """Where `download` fetched it: the source's entry, and the commit of a hub's repository.

    `tuned_for` says what a checkpoint had been fine-tuned for before. One that `pretrain` made has
    `corpus` and `pretraining`.
    """

    spec: dict[str, object]
    commit: NotRequired[str]
    tuned_for: NotRequired[str]
    corpus: NotRequired[CorpusManifest]
    pretraining: NotRequired[PretrainingRecord]


class TextsManifest(TypedDict):
    """A pool or a test set of `prepare`: what later steps depend on."""

    labels: list[str]
    rows: int
    sha256: str


class Side(TypedDict):
    """The pool or the test set in a data card."""

    rows: int
    sha256: str
    label_counts: dict[str, int]


class Lengths(TypedDict):
    """Lengths of the texts of pool and test together, before they were cut.

    Words are those that a text budget counts; characters are code points, spaces included.
    """

    mean: float
    median: int
    percentile_95: int


class TextBudget(TypedDict):
    """How many words or characters of each text were kept, and which ("head" or "head_and_tail").

    `unit` says which of the two `words` counts, whatever reports call one (`called`);
    `unit_from_data` that the config did not say it.
    """

    words: int
    unit: TextUnit
    called: str
    unit_from_data: bool
    keep: str


class RowsRead(TypedDict):
    """Rows of the source and of a given test set, the rejected ones included."""

    pool: int
    test: int


class SequenceCounts(TypedDict):
    """Usable rows of FASTA files, with repeats: how many, and how often each letter stands in them.

    `proteins` hold a letter that is no code of a nucleotide, `nucleic_acids` are of ACGTUN only.
    """

    rows: int
    proteins: int
    nucleic_acids: int
    letters: dict[str, int]


class CardOfRows(TypedDict):
    """What the data card says about the rows that are left.

    `merged` rows have the text and label of an earlier one, `dropped_in_test` rows the text of a
    test row. `cut_share` is the share of texts longer than the budget.
    """

    dataset: str
    labels: list[str]
    labels_that_look_alike: list[list[str]]
    pool: Side
    test: Side
    merged: int
    dropped_in_test: int
    texts_with_several_labels: int
    words: Lengths
    characters: Lengths
    text_budget: TextBudget
    cut_share: float


class RelativesShare(TypedDict):
    """Rows of pool and test with a relative on the other side, of at least this likeness."""

    likeness: float
    pool_rows: int
    pool_share: float
    test_rows: int
    test_share: float


class RelativesFound(TypedDict):
    """What `prepare` found of relatives: likeness is the share of residues that are the same.

    `dropped` pool rows had a relative in test. Clusters are those of relatives that stand apart,
    None where they need not; the size of the largest one is in texts.
    """

    apart: bool
    likeness: float
    by: str
    clusters: int | None
    largest_cluster: int | None
    dropped: int
    shares: list[RelativesShare]


class Card(CardOfRows):
    """The data card of `prepare`.

    `rejected` counts rows by the reason why they are of no use; `warnings` are sentences that a
    person should read; `test_groups` counts the groups of the test set, None without groups.
    `near_duplicates` counts pool rows whose text is nearly a text of the test set, dropped or not;
    None where they were not looked for. So is `relatives`. `sequences` is None where no row comes
    from FASTA.
    """

    origin: str | None
    source_sha256: str
    test_source_sha256: str | None
    label_table_sha256: str | None
    rows_read: RowsRead
    rejected: dict[str, int]
    warnings: list[str]
    test_groups: int | None
    near_duplicates: int | None
    relatives: RelativesFound | None
    sequences: SequenceCounts | None


class UnlabelledManifest(TypedDict):
    """Texts without labels of `prepare_texts`: what later steps depend on."""

    rows: int
    sha256: str


class UnlabelledCard(UnlabelledManifest):
    """What `prepare_texts` made of a source, see Card; `rows_read` counts rejected ones, too.

    Without a budget, `text_budget` has more words than any text.
    """

    name: str
    origin: str | None
    source_sha256: str
    rows_read: int
    rejected: dict[str, int]
    text_budget: TextBudget
    cut_share: float
    sequences: SequenceCounts | None
    warnings: list[str]


class SubsampleManifest(TypedDict):
    """A block of subsamples of `subsample`: rows of each, and how many of them are for training."""

    n: int
    training: int
    sha256: str


class VocabularyManifest(TypedDict):
    """A vocabulary of `fit_vocabulary`; its manifest has one for each seed."""

    pieces: int
    sha256: str


# The share of unknown tokens, or of texts that are told apart no more, from which on it is told.
NOTEWORTHY = 0.05


class IdsManifest(TypedDict):
    """A file of ids of `encode`; `partial` says that it holds some rows of the data set only.

    `shortened` texts were longer than `max_tokens`, which cut `cut_tokens` off. `unknown_share` is
    the share of tokens, before cutting, that stand for what the tokenizer does not know;
    `collapsed_share` that of different texts whose ids are those of an earlier one. Behind the
    first id `pair_separator` of a pair, tokens are of a second type; None where all are of one.
    """

    partial: bool
    rows: int
    tokens: int
    shortened: int
    cut_tokens: int
    unknown_share: float
    collapsed_share: float
    pad_id: int
    vocabulary_size: int
    pair_separator: int | None
    sha256: str
