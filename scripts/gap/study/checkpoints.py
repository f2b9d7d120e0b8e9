"""What a config may say of checkpoints: fetched ones, and those that the workflow makes."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from gap.study.cells import Cell
from gap.study.fields import Block
from gap.study.pretraining import LanguageModel, MaskedLm, Seed, WordVectors, own_class
from gap.study.sizes import parse_seeds
from gap.study.sources import CheckpointOrigin, Folder, HubModel, WheelCheckpoint
from gap.study.spellings import Name, Size


class TrainedCheckpoint(Block):
    """What a run of this study was trained to: its weights with its tokenizer.

    Models begin with it on other data sets, where its labels count for nothing.
    """

    example: ClassVar[str] = """\
kind: trained
dataset: letters
model: lstm
size: 1000
seed: 2
origin: An LSTM that was trained on letters
"""

    kind: Literal["trained"] = Field(description="The kind of checkpoint.")
    dataset: Name = Field(description="The data set of the run, one of datasets.")
    model: Name = Field(
        description="The model of the run, one of models, of family transformer or lstm."
    )
    size: Size = Field(description="The size of the run, one of sizes.")
    seed: Seed = 1
    origin: CheckpointOrigin = None

    def is_of(self, cell: Cell) -> bool:
        """Return whether a block of runs has the one that the checkpoint is of."""
        run = (self.dataset, self.model, self.size)
        named = run == (cell.dataset, cell.model, cell.size)
        return named and self.seed in parse_seeds(cell.seeds)


def kind(given: object) -> str | None:
    """Return the class of a checkpoint: by its kind, and what is learned of one that is made."""
    if isinstance(given, Block):
        return type(given).__name__
    if not isinstance(given, dict):
        return None
    classes: dict[object, type[Block]] = {
        "wheel": WheelCheckpoint,
        "file": Folder,
        "hub": HubModel,
        "pretrained": own_class(given),
        "trained": TrainedCheckpoint,
    }
    chosen = classes.get(str(given.get("kind")))
    return chosen.__name__ if chosen else None


Checkpoint = Annotated[
    Annotated[WheelCheckpoint, Tag("WheelCheckpoint")]
    | Annotated[Folder, Tag("Folder")]
    | Annotated[HubModel, Tag("HubModel")]
    | Annotated[MaskedLm, Tag("MaskedLm")]
    | Annotated[LanguageModel, Tag("LanguageModel")]
    | Annotated[WordVectors, Tag("WordVectors")]
    | Annotated[TrainedCheckpoint, Tag("TrainedCheckpoint")],
    Discriminator(kind),
]
