"""What single rules go by: the parts of a config that decide what one program makes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gap.study.datasets import (
    Dataset,
    Keep,
    MaxTokens,
    MaxUnknown,
    Rows,
    UnlabelledRows,
    UnlabelledTexts,
)
from gap.study.fields import Block
from gap.study.recipes import Validation
from gap.study.spellings import Name

# A size as `canonical_size` spells it.
SpelledSize = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?%$|^[0-9]+$")]


class PrepareRecipe(Rows):
    """What decides the rows of a data set; `test` is None where the test set has its own source."""

    name: Name
    test: str | None = None

    @classmethod
    def of(cls, name: str, dataset: Dataset) -> PrepareRecipe:
        """Return the recipe of a data set of this name."""
        keys = {key: getattr(dataset, key) for key in Rows.model_fields}
        size = dataset.test if isinstance(dataset.test, str) else None
        # The data set is checked already. A second check would spell its labels a second time.
        return cls.model_construct(name=name, test=size, **keys)


class TextsRecipe(UnlabelledRows):
    """What decides the texts of a source without labels."""

    name: Name

    @classmethod
    def of(cls, name: str, texts: UnlabelledTexts) -> TextsRecipe:
        """Return the recipe of texts of this name."""
        keys = {key: getattr(texts, key) for key in UnlabelledRows.model_fields}
        return cls.model_construct(name=name, **keys)


RowsRecipe = PrepareRecipe | TextsRecipe


class SubsampleRecipe(Block):
    """How many rows a subsample has, and how many of them are for validation."""

    size: SpelledSize
    validation: Validation


class EncodeRecipe(Block):
    """Which part of a text gets ids."""

    keep: Keep
    max_tokens: MaxTokens
    max_unknown: MaxUnknown = 0.95
    pair: bool = False
