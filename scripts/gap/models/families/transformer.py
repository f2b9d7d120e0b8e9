"""A pretrained checkpoint with a new classification head, all of its weights trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gap.models.describing import spell_optimisation
from gap.models.network import Network, NetworkRecipe
from gap.models.workload import ParameterCount, Workload
from gap.study.fields import Completed
from gap.study.recipes import GradientDescent, Weights
from gap.study.spellings import Name

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from gap.data.vocabulary import EncodedTexts

DEFAULTS = Completed(lr=5.0e-5, warmup=0.1, max_epochs=3, min_steps=100, evaluations=4, patience=4)


class Recipe(NetworkRecipe):
    """A pretrained checkpoint with a new classification head, all weights trained."""

    example: ClassVar[str] = """\
family: transformer
title: MiniLM fine-tuned
seeds: [1-3]
checkpoint: minilm
weights: pretrained
optimisation: {lr: 2.0e-5}
"""

    family: Literal["transformer"] = Field(description="The kind of model.")
    checkpoint: Name = Field(description="Name in checkpoint_zoo.")
    weights: Weights = None
    frozen: Literal[False] = Field(
        False,
        exclude=True,
        description="Whether the encoder stays as it is; true is read as family: frozen.",
    )
    optimisation: Annotated[GradientDescent, DEFAULTS] = Field(
        {}, validate_default=True, description="How the weights are trained."
    )

    @property
    def pretrained(self) -> str | None:
        """See ModelRecipe.pretrained."""
        return None if self.weights == "random" else self.checkpoint


class Model(Network[Recipe]):
    """See Family: a fine-tuned checkpoint."""

    def build(self, recipe: Recipe, texts: EncodedTexts) -> PreTrainedModel:
        """See Network.build."""
        from gap.models.encoder import check_lengths, fit_to_vocabulary, load_classifier

        assert self.job.checkpoint is not None
        drawn = recipe.weights == "random"
        model = load_classifier(self.job.checkpoint, self.job.labels, drawn)
        fit_to_vocabulary(model, texts.pad_id, texts.vocabulary_size, texts.pair_separator)
        check_lengths(model, texts)
        return model

    def load(self, weights: Path) -> PreTrainedModel:
        """See Network.load."""
        from gap.models.encoder import load_trained_classifier

        return load_trained_classifier(weights)

    def describe(self) -> str:
        """See Family.describe."""
        trained = spell_optimisation(self.recipe.optimisation)
        if self.recipe.weights == "random":
            return (
                f"the architecture and the tokenizer of {self.recipe.checkpoint} with random "
                f"weights, trained as a whole ({trained})"
            )
        return f"{self.recipe.checkpoint}, fine-tuned as a whole ({trained})"

    def count_parameters(self, workload: Workload) -> ParameterCount:
        """See Family.count_parameters."""
        encoder = workload.encoder
        head = encoder.head_parameters(workload.labels)
        return ParameterCount(encoder.parameters + head, encoder.products)

    def forward_operations(self, workload: Workload) -> float:
        """See Network.forward_operations."""
        return workload.encoder.forward_operations(workload.tokens)

    def step_bytes(self, workload: Workload, texts: int, gpus: int) -> float:
        """See Network.step_bytes."""
        encoder, longest = workload.encoder, workload.longest
        layer = encoder.layer_bytes(longest, on_gpu=gpus > 0)
        return layer * texts * longest * encoder.num_hidden_layers
