"""What a config may say of data: how rows are read, test sets drawn, and vocabularies fitted."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from gap.study.fields import Block, Omittable, Unit
from gap.study.published import PublishedFigure
from gap.study.sources import Source
from gap.study.spellings import ColumnNames, Encoding, Labels, Size, Sizes, Text

Keep = Annotated[
    Literal["head", "head_and_tail"], Field(description="What stays of a longer text.")
]
TextUnit = Literal["word", "character"]
MaxTokens = Annotated[
    int,
    Unit("tokens"),
    Field(
        ge=8, description="Tokens of each text at most, within the positions of the checkpoints."
    ),
]


MaxUnknown = Annotated[
    float,
    Unit("share"),
    Field(
        ge=0,
        le=1,
        description=(
            "Share of unknown tokens, and of different texts that become the same tokens, above "
            "which a tokenizer is an error; above 5 % it is a warning."
        ),
    ),
]


class Relatives(Block):
    """What becomes of texts that are so alike that they may have one origin (homologues)."""

    example: ClassVar[str] = "apart: false\nlikeness: 0.5\nby: mmseqs2\n"

    apart: bool = Field(
        True,
        description=(
            "Whether relatives stand on one side, pool or test; with a given test set, pool rows "
            "that have a relative in it are dropped. Otherwise they are counted only."
        ),
    )
    likeness: Annotated[float, Unit("share")] = Field(
        0.3,
        ge=0.2,
        le=1,
        description="Residues (characters without spaces) that are the same in relatives.",
    )
    by: Literal["shared_runs", "mmseqs2"] = Field(
        "shared_runs",
        description=(
            "How they are found: by runs of residues that they share, in any text; or by the "
            "program mmseqs, which must be installed, among proteins or nucleotides."
        ),
    )


class Sourced(Block):
    """Where the rows of a data set come from."""

    source: Source = Field(description="Where the rows come from.")


class TextColumns(Block):
    """Which columns are the text of a row."""

    text: ColumnNames = Field(
        description="Column of the text, or a list of columns that are joined in this order."
    )


class Labelling(Block):
    """What tells label and group of a row."""

    pair: bool = Field(
        False,
        description=(
            "Whether the two columns of text are a pair, such as a premise and a hypothesis: "
            "pretrained tokenizers read them as one, other models read them with a mark between."
        ),
    )
    label: Text = Field(
        description="Column of the label, or, in FASTA, a pattern that finds it in headers."
    )
    group: Omittable[Text] = Field(
        None,
        description=(
            "Column of what rows belong to, such as their author, or a pattern as in `label`; no "
            "group is in pool and test."
        ),
    )
    id: Omittable[Text] = Field(
        None,
        description=(
            "Column by which rows find their label in `label_table`, or a pattern as in `label`. "
            "Left out, `id` where there is such a table."
        ),
    )
    table_id: Omittable[Text] = Field(
        None,
        description=(
            "Column of the ids in `label_table`. Left out, `id` where there is such a table."
        ),
    )
    labels: Omittable[Labels] = Field(
        None,
        description="The labels to use, as the data spell them; left out, all that there are.",
    )


class FileLayout(Block):
    """How files are laid out."""

    delimiter: Omittable[str] = Field(
        None,
        pattern=r'^[^"\r\n]$',
        description=(
            'The one character between columns (a tab is "\\t"); left out, the header tells.'
        ),
    )
    quoting: Omittable[Literal["double", "backslash", "none"]] = Field(
        None,
        description=(
            "What quotation marks are in CSV and TSV: fields stand in them, and one inside a field "
            "is doubled, or has a backslash before it; or none: they are letters. Left out, each "
            "file tells."
        ),
    )
    encoding: Omittable[Encoding] = Field(
        None,
        description=(
            "Encoding of CSV, TSV and JSON, any that Python has; left out, UTF-8, or UTF-16 with "
            "its mark."
        ),
    )
    records: Omittable[Text] = Field(
        None,
        description="Keys, with dots between, that lead to the rows inside a JSON object.",
    )


class WordBudget(Block):
    """How much of each text is read."""

    words: Annotated[int, Unit("words")] = Field(
        100,
        ge=1,
        description=(
            "The text budget: so many units of each text are all that any model sees; `unit` says "
            "of what."
        ),
    )


class Cutting(Block):
    """What the text budget counts, and which part of a text it leaves."""

    unit: Omittable[TextUnit] = Field(
        None,
        description=(
            "What the text budget counts: words, which in scripts without spaces are mostly single "
            "characters; or characters, for sequences such as proteins. Left out, characters where "
            "most of the first texts are single runs of more than 50, otherwise words."
        ),
    )


class Called(Block):
    """What reports call what the text budget counts."""

    called: Omittable[str] = Field(
        None,
        pattern=r"^[^\W\d_][\w -]{0,39}$",
        description=(
            "What reports call one unit of the text budget, a noun such as residue; left out, "
            "word or character."
        ),
    )


class Cleaning(Block):
    """What becomes of a text before models read it."""

    keep: Keep = "head"
    strip_tags: bool = Field(False, description="Replace tags such as <br /> by spaces.")


class Likeness(Block):
    """What becomes of texts that are alike."""

    near_duplicates: Omittable[Literal["count", "drop"]] = Field(
        None,
        description="Count rows to train on whose text is nearly a test text, or drop them.",
    )
    relatives: Omittable[Relatives] = Field(
        None,
        description="Whether texts of one origin stand apart; left out, none are looked for.",
    )


class Acceptance(Block):
    """How many rows may be unusable, and whose all of them are."""

    max_rejected: Annotated[float, Unit("share")] = Field(
        0.05,
        ge=0,
        le=1,
        description="Share of the rows that may be unusable and set aside before it is an error.",
    )
    origin: Omittable[str] = Field(
        None, description="Whose data these are; shown in card and summary."
    )


# The keys of a class come in the order of its bases, the last one first.
class Rows(
    Acceptance,
    Likeness,
    Cleaning,
    Called,
    Cutting,
    WordBudget,
    FileLayout,
    Labelling,
    TextColumns,
):
    """How texts and labels are read from the rows of a source."""


class PlainText(Block):
    """What rows without labels have that others have not."""

    separator: Omittable[Literal["line_break", "blank_line"]] = Field(
        None,
        description=(
            "What stands between two texts of a plain text file (.txt): a line break, or a blank "
            "line between paragraphs. Left out, a line break."
        ),
    )
    words: Annotated[Omittable[int], Unit("words")] = Field(
        None,
        ge=1,
        description=(
            "The text budget: so many units of each text are read; `unit` says of what. Left out, "
            "the whole text."
        ),
    )


class UnlabelledRows(Acceptance, Cleaning, Cutting, PlainText, FileLayout, TextColumns):
    """How texts without labels are read from the rows of a source."""

    pair: ClassVar[bool] = False
    label: ClassVar[None] = None
    group: ClassVar[None] = None
    id: ClassVar[None] = None
    labels: ClassVar[None] = None

    text: ColumnNames = Field(
        ["text"],
        validate_default=True,
        description=(
            "Column of the text, or a list of columns that are joined in this order; that of plain "
            "text files (.txt) is called text."
        ),
    )


class UnlabelledTexts(UnlabelledRows, Sourced):
    """Texts without labels, to pretrain checkpoints on; they are read if a `corpus` names them."""

    example: ClassVar[str] = """\
source: {kind: file, path: mails.txt.gz}
text: text
separator: blank_line
delimiter: ";"
quoting: double
encoding: cp1252
records: export.mails
words: 400
unit: word
keep: head_and_tail
strip_tags: true
max_rejected: 0.01
origin: Mails to our help desk until 2023
"""


def _size_or_source(given: object) -> str:
    return "source" if isinstance(given, dict | Block) else "size"


class Dataset(Rows, Sourced):
    """Labelled texts."""

    example: ClassVar[str] = """\
source: {kind: file, path: tickets.csv}
text: [subject, body]
pair: false
label: queue
group: customer
id: ticket
table_id: ticket
label_table: {kind: file, path: queues.csv}
labels: [billing, delivery, other]
delimiter: ";"
quoting: double
encoding: cp1252
records: export.tickets
words: 60
unit: word
called: term
keep: head_and_tail
strip_tags: true
near_duplicates: drop
relatives: {apart: true, likeness: 0.3, by: shared_runs}
max_rejected: 0.01
origin: Tickets of our help desk, 2024
test: 10%
sizes: [250]
max_tokens: 256
max_unknown: 0.2
published: [{model: lstm, size: 1000, accuracy: 80.5, source: Our report of 2023}]
"""

    test: Annotated[
        Annotated[Size, Tag("size")] | Annotated[Source, Tag("source")],
        Discriminator(_size_or_source),
    ] = Field(
        "20%",
        validate_default=True,
        description="Size of the test set to draw, or the source of a given one.",
    )
    sizes: Omittable[Sizes] = Field(
        None,
        description="Those of the study's sizes that it is studied at; left out, all of them.",
    )
    label_table: Omittable[Source] = Field(
        None,
        description=(
            "Where a table with the labels of all rows comes from, those of a given test set, too; "
            "`label` is a column of it then. Left out, the rows have their labels."
        ),
    )
    max_tokens: MaxTokens = 512
    max_unknown: MaxUnknown = 0.95
    published: list[PublishedFigure] = Field(
        [],
        min_length=1,
        description="Figures that others published of this data, shown beside the results.",
    )

    @model_validator(mode="before")
    @classmethod
    def _name_ids(cls, given: object) -> object:
        if isinstance(given, dict) and "label_table" in given:
            return {"id": "id", "table_id": "id"} | given
        return given

    @property
    def test_source(self) -> Source | None:
        """The source of the test set; None where it is drawn from the rows."""
        return None if isinstance(self.test, str) else self.test


class VocabularyRecipe(Block):
    """A SentencePiece model, fitted on the training texts of each run."""

    example: ClassVar[str] = """\
algorithm: bpe
size: 4000
character_coverage: 0.999
sample_texts: 100000
"""

    algorithm: Literal["unigram", "bpe", "char"] = Field(
        description="How pieces are found; by char, each character is one."
    )
    size: Annotated[int, Unit("pieces")] = Field(
        8000, ge=32, description="Pieces at most, fewer where the texts support no more."
    )
    character_coverage: Annotated[float, Unit("share")] = Field(
        0.9995, gt=0, le=1, description="Share of the characters that get a piece."
    )
    sample_texts: Annotated[int, Unit("texts")] = Field(
        1_000_000, ge=100, description="The most texts that it is fitted on."
    )
