"""A pretrained checkpoint with a new classification head, all of its weights trained."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gap.models.describing import spell_optimisation, spell_retention, spell_values
from gap.models.network import Network, NetworkRecipe
from gap.models.workload import ParameterCount, Workload
from gap.run.errors import UserError
from gap.study.fields import Completed, Omittable, Tuned, Unit
from gap.study.recipes import Architecture, FineTuning, Weights
from gap.study.schedule import per_epoch, schedule
from gap.study.spellings import Name

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from gap.data.sampling import Subsample
    from gap.data.vocabulary import EncodedTexts
    from gap.models.retention import Retention

# Tokens of a block of a corpus, for plans: those of the default.
REVIEWED_TOKENS = 128

DEFAULTS = Completed(lr=5.0e-5, warmup=0.1, max_epochs=3, min_steps=100, evaluations=4, patience=4)


class Recipe(NetworkRecipe):
    """A pretrained checkpoint with a new classification head, all weights trained."""

    example: ClassVar[str] = """\
family: transformer
title: MiniLM fine-tuned
seeds: [1-3]
datasets: [tickets]
sizes: [250]
checkpoint: minilm
weights: pretrained
dropout: [0.1, 0.3]
optimisation: {lr: 2.0e-5}
"""

    becomes: ClassVar[Architecture | None] = "encoder"

    family: Literal["transformer"] = Field(description="The kind of model.")
    checkpoint: Name = Field(description="Name in checkpoint_zoo.")
    weights: Weights = None
    frozen: Literal[False] = Field(
        False,
        exclude=True,
        description="Whether the encoder stays as it is; true is read as family: frozen.",
    )
    dropout: Annotated[Omittable[float], Tuned(), Unit("share")] = Field(
        None,
        ge=0,
        lt=1,
        description=(
            "Share dropped of states and of attention while it is trained; left out, what the "
            "checkpoint was written with."
        ),
    )
    optimisation: Annotated[FineTuning, DEFAULTS] = Field(
        {}, validate_default=True, description="How the weights are trained."
    )

    @property
    def pretrained(self) -> str | None:
        """See ModelRecipe.pretrained."""
        return None if self.weights == "random" else self.checkpoint

    @property
    def fine_tunes(self) -> bool:
        """See ModelRecipe.fine_tunes."""
        return self.weights != "random"

    @property
    def reviews(self) -> bool:
        """See ModelRecipe.reviews."""
        return self.optimisation.mix is not None

    def check(self, where: str) -> None:
        """See ModelRecipe.check."""
        if self.weights == "random" and (key := self.optimisation.keeps):
            raise UserError(
                f"{where}.optimisation.{key}: random weights have nothing to keep; leave it out, "
                "or begin with the checkpoint's weights"
            )


class Model(Network[Recipe]):
    """See Family: a fine-tuned checkpoint."""

    def build(self, recipe: Recipe, texts: EncodedTexts, seed: int) -> PreTrainedModel:
        """See Network.build."""
        from gap.models.encoder import check_lengths, fit_to_vocabulary, load_classifier

        assert self.job.checkpoint is not None
        drawn = recipe.weights == "random"
        model = load_classifier(self.job.checkpoint, self.job.labels, drawn, recipe.dropout)
        fit_to_vocabulary(model, texts.pad_id, texts.vocabulary_size, texts.pair_separator)
        check_lengths(model, texts)
        return model

    def retain(self, recipe: Recipe, model: PreTrainedModel, subsample: Subsample) -> Retention:
        """See Network.retain."""
        from gap.models.pretraining.masked_lm import masked_lm_over
        from gap.models.pretraining.networks import open_blocks
        from gap.models.retention import (
            GradualUnfreezing,
            LayerDecay,
            Pace,
            Retention,
            Review,
            StayNear,
            depths_of,
        )
        from gap.models.weights import POOLER

        settings, review = recipe.optimisation, None
        if settings.mix:
            assert self.job.checkpoint is not None
            assert self.job.corpus is not None
            model_of_corpus = masked_lm_over(model, self.job.checkpoint)
            blocks = open_blocks(self.job.checkpoint, self.job.corpus, "training", subsample.seed)
            pace = Pace.of(settings, len(subsample.training_rows))
            review = Review(model_of_corpus, blocks, pace, subsample.seed)
        # A pooler may be new: many checkpoints have none.
        body = [
            parameter
            for name, parameter in model.base_model.named_parameters()
            if not POOLER.search(name)
        ]
        decay, share, depths = settings.layer_decay, settings.unfreezing, depths_of(model)
        return Retention(
            review,
            StayNear(body, settings.stay) if settings.stay else None,
            LayerDecay(decay, depths) if decay < 1 else None,
            GradualUnfreezing(share, depths) if share else None,
        )

    def load(self, weights: Path) -> PreTrainedModel:
        """See Network.load."""
        from gap.models.encoder import load_trained_classifier

        return load_trained_classifier(weights)

    def describe(self) -> str:
        """See Family.describe."""
        settings = self.recipe.optimisation
        trained = spell_optimisation(settings) + spell_retention(settings)
        if self.recipe.dropout is not None:
            trained = f"dropout {spell_values(self.recipe.dropout)}, {trained}"
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

    @property
    def costly(self) -> tuple[str, ...]:
        """See Family.costly."""
        return (*super().costly, "ratio", "decay")

    def trial_operations(self, workload: Workload) -> float:
        """See Family.trial_operations."""
        settings, rows = self.recipe.optimisation, workload.rows
        blocks = 0.0
        if mix := settings.mix:
            epochs = math.ceil(schedule(rows, settings)[0] / per_epoch(rows, settings))
            blocks = sum(mix.blocks(epoch, rows) for epoch in range(epochs))
        reviewed = 3 * blocks * workload.encoder.forward_operations(REVIEWED_TOKENS)
        return super().trial_operations(workload) + reviewed

    def step_bytes(self, workload: Workload, texts: int, gpus: int) -> float:
        """See Network.step_bytes."""
        encoder, mix = workload.encoder, self.recipe.optimisation.mix

        def layer_bytes(rows: float, tokens: int) -> float:
            return encoder.layer_bytes(tokens, on_gpu=gpus > 0) * rows * tokens

        layer = layer_bytes(texts, workload.longest)
        if mix:
            layer += layer_bytes(texts * mix.ratio, REVIEWED_TOKENS)
        return layer * encoder.num_hidden_layers
