"""Networks trained by gradient descent: what a family of them need not write itself."""

from __future__ import annotations

import math
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gap.models.family import Family, Folders
from gap.models.workload import Assumption, Memory, Workload
from gap.study.recipes import GradientDescent, ModelRecipe
from gap.study.schedule import per_epoch, schedule
from gap.study.tuning import Evaluation

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from transformers import PreTrainedModel

    from gap.data.sampling import Subsample
    from gap.data.vocabulary import EncodedTexts
    from gap.models.retention import Retention
    from gap.models.serving import ServedModel, TextReader

    Matrix = npt.NDArray[np.float32]
    Rows = npt.NDArray[np.int64]

# Operations a second that a training sustains, per GPU and per CPU core. No GPU was measured: a
# batch of 32 short texts leaves most of an A100's 312e12 (dense bf16) unused, and older cards are
# slower. Cores: 31e9 to 49e9 were measured in whole trainings of the default study, in fp32 with
# AVX2.
GPU_RATE = 20e12
CORE_RATE = 20e9
# Weights, gradients and AdamW's two moments in fp32 (Rajbhandari et al. 2020, ZeRO, section 3.1,
# count 16 bytes, too), and a bf16 copy of the weights for the products.
WEIGHT_BYTES = 16 + 2
# Gradients in transit where several GPUs train together.
BUCKET_BYTES = 4
# How much of a GPU encoders keep busy, in training as in computing their states.
ENCODER_ASSUMPTION = Assumption(
    value="transformer_factor",
    slower=0.5,
    models="transformers",
    origin="measured share, assumed factor",
    text=(
        "A transformer is assumed to reach on a GPU the share of the peak that it reached here, "
        "times `transformer_factor`."
    ),
)


class NetworkRecipe(ModelRecipe):
    """A recipe with settings of gradient descent."""

    if TYPE_CHECKING:
        # Each family declares the field itself, with its own defaults, after its other keys.
        optimisation: GradientDescent


R = TypeVar("R", bound=NetworkRecipe)


class Network(Family[R]):
    """A network trained by gradient descent.

    A family of networks writes `build`, `load`, `describe`, `count_parameters` and `step_bytes`.
    """

    uses_gpu = True
    divisible = True

    @abstractmethod
    def build(self, recipe: R, texts: EncodedTexts, seed: int) -> PreTrainedModel:
        """Return the network before training, for ids of these texts, which a seed trains on.

        It maps `input_ids` and `attention_mask` (batch, tokens) to an object with `logits` (batch,
        labels), and `labels` (batch,) on top of them to one with `loss`. Random: its weights, from
        torch's generator, which the seed has set.
        """

    @abstractmethod
    def load(self, weights: Path) -> PreTrainedModel:
        """Return the trained network that `save_pretrained` wrote."""

    def training_texts(self, subsample: Subsample, folders: Folders) -> EncodedTexts:
        """Return the ids of the texts of the pool, at least those of the subsample."""
        return self.job.encoded("pool", subsample.seed)

    def retain(self, recipe: R, model: PreTrainedModel, subsample: Subsample) -> Retention:
        """Return what keeps the network near the weights that it begins with: nothing."""
        from gap.models.retention import Retention

        return Retention()

    def train(self, recipe: R, subsample: Subsample, folders: Folders) -> list[Evaluation]:
        """See Family.train."""
        from transformers import set_seed

        from gap.models.labelled_texts import LabelledTexts
        from gap.models.training import train_network
        from gap.run.processes import is_first

        texts = self.training_texts(subsample, folders)
        # The weights before training depend on the seed alone.
        set_seed(subsample.seed)
        model = self.build(recipe, texts, subsample.seed)
        evaluations = train_network(
            model,
            LabelledTexts(
                texts, texts.positions(subsample.training_rows), subsample.training_labels
            ),
            LabelledTexts(
                texts, texts.positions(subsample.validation_rows), subsample.validation_labels
            ),
            recipe.optimisation,
            subsample.seed,
            folders.state,
            self.retain(recipe, model, subsample),
        )
        if is_first():
            model.save_pretrained(folders.weights)
        return evaluations

    def chosen_by(self, recipe: R) -> str:
        """See Family.chosen_by."""
        return recipe.optimisation.metric

    def log_scores(self, weights: Path, seed: int) -> Matrix:
        """See Family.log_scores."""
        import numpy as np

        from gap.models.inference import log_scores

        texts = self.job.encoded("test", seed)
        return log_scores(self.load(weights), texts, np.arange(len(texts)))

    def head_inputs(self, weights: Path, texts: EncodedTexts, rows: Rows) -> Matrix:
        """See Family.head_inputs."""
        from gap.models.similarity import head_inputs

        return head_inputs(self.load(weights), texts, rows)

    def serve(self, weights: Path, reader: TextReader | None) -> ServedModel:
        """See Family.serve."""
        from gap.models.serving import serve_network

        assert reader is not None
        return serve_network(self.load(weights), reader)

    # ------------------------------------------------------------ what it takes

    @property
    def costly(self) -> tuple[str, ...]:
        """See Family.costly."""
        return ("batch_size", "max_epochs")

    def forward_operations(self, workload: Workload) -> float:
        """Return the floating-point operations of one text's way through the network."""
        return 2.0 * self.count_parameters(workload).products * workload.tokens

    def trial_operations(self, workload: Workload) -> float:
        """See Family.trial_operations.

        Going backward costs twice as much as forward (Kaplan et al. 2020, Scaling Laws for Neural
        Language Models, section 2.1); validation goes forward only. That training stops early is
        not counted on. Optimiser, normalisations and dropout are left out: they are less than the
        rates leave room for.
        """
        settings, rows = self.recipe.optimisation, workload.rows
        texts = rows * schedule(rows, settings)[0] / per_epoch(rows, settings)
        evaluated = workload.validation * settings.evaluations
        return self.forward_operations(workload) * (3 * texts + evaluated)

    def prediction_operations(self, workload: Workload) -> float:
        """See Family.prediction_operations."""
        return self.forward_operations(workload) * workload.rows

    @abstractmethod
    def step_bytes(self, workload: Workload, texts: int, gpus: int) -> float:
        """Return the bytes that a step on so many of the longest texts keeps for its way back."""

    def training_memory(self, workload: Workload, gpus: int) -> Memory:
        """See Family.training_memory."""
        weights = self.count_parameters(workload).everything
        state = WEIGHT_BYTES + (BUCKET_BYTES if gpus > 1 else 0)
        return Memory(
            # They stay on disk, but what was read of them counts as memory.
            ids=workload.id_bytes,
            # On the CPU, the best weights are read while the last ones are there.
            model=(state + (0 if gpus else 4)) * weights,
            batch=self.step_bytes(workload, self._texts_at_once(gpus), gpus),
            # While a state is written or read, weights and moments are on the host, too.
            saved=WEIGHT_BYTES * weights,
        )

    def _texts_at_once(self, gpus: int) -> int:
        """Return the texts that a device takes at once: its share of a batch, or fewer if asked."""
        settings = self.recipe.optimisation
        share = math.ceil(settings.batch_size / max(gpus, 1))
        return min(share, settings.device_batch_size or share)

    @property
    def speed_up(self) -> float:
        """See Family.speed_up: GPUs wait for each other's gradients."""
        return 0.9

    def assumption(self) -> Assumption:
        """See Family.assumption."""
        return ENCODER_ASSUMPTION

    def core_rate(self, cores: int) -> float:
        """See Family.core_rate. Threads of one network wait for each other: two did 1.5's work."""
        return CORE_RATE * float(cores**0.5)
