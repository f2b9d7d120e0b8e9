"""Puts a checkpoint's tensors into a model, and refuses those that do not fit it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from transformers import PreTrainedConfig, PreTrainedModel

from gap.models.attention import attention
from gap.run.errors import UserError
from gap.run.json import read_json

if TYPE_CHECKING:
    from transformers.models.auto.auto_factory import _BaseAutoModelClass

Tensors = dict[str, torch.Tensor]

# What torch.compile, FSDP and activation checkpointing put anywhere into the names of tensors, and
# what DataParallel puts before them.
INNER_WRAPPERS = re.compile(
    r"(?<![^.])(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
)
OUTER_WRAPPERS = re.compile(r"^(?:module\.)+")
# A layer on top of the body that many checkpoints lack, or have where the model has none.
POOLER = re.compile(r"(?<![^.])pooler\.")


@dataclass(frozen=True)
class Layout:
    """The names of a model's tensors: those of the body, without `prefix`, and the head's in order.

    `unused` begins the names of a part that is not made use of; nothing of it needs to be there.
    """

    prefix: str
    body: frozenset[str]
    head: tuple[str, ...]
    unused: str | None = None

    @classmethod
    def of(cls, model: PreTrainedModel, unused: str | None = None) -> Layout:
        """Return the layout of a model; one without a head is all body."""
        names, prefix = list(model.state_dict()), f"{model.base_model_prefix}."
        below = [name for name in names if name.startswith(prefix)] or names
        body = frozenset(name.removeprefix(prefix) for name in below)
        head = tuple(name for name in names if name not in set(below))
        return cls(prefix, body, head, unused)

    def needs(self, name: str) -> bool:
        """Return whether a checkpoint must have the model's tensor of this name."""
        if name in self.head or POOLER.search(name):
            return False
        return self.unused is None or not name.startswith(self.unused)

    def takes(self, name: str) -> bool:
        """Return whether a tensor of this name, which the model lacks, would be one of its body."""
        rooms = {room.partition(".")[0] for room in self.body}
        inside = name.removeprefix(self.prefix).partition(".")[0] in rooms
        return inside and not POOLER.search(name)

    def without_old_head(self, tensors: Tensors) -> Tensors:
        """Return a checkpoint's tensors without the head of another classification.

        Its last layer tells one: what else is there of a head, as in ModernBERT's, was pretrained.
        """
        if not self.head or self.head[-1] not in tensors:
            return tensors
        return {name: tensor for name, tensor in tensors.items() if name not in self.head}


@dataclass(frozen=True)
class Misfits:
    """What did not fit: missing tensors, those left over, and (name, shape, expected shape)."""

    missing: frozenset[str]
    left_over: frozenset[str]
    reshaped: frozenset[tuple[str, tuple[int, ...], tuple[int, ...]]]

    def phrases(self) -> list[str]:
        """Return how many there are of each kind, and the first."""
        phrases = [
            f"{len(names)} {what} (first: {min(names)})"
            for what, names in (("are missing", self.missing), ("are unexpected", self.left_over))
            if names
        ]
        if self.reshaped:
            name, shape, expected = min(self.reshaped)
            phrases.append(
                f"{len(self.reshaped)} have another shape (first: {name}, {spell(shape)} where "
                f"config.json says {spell(expected)})"
            )
        return phrases

    def refuse(self, folder: str | Path, model: PreTrainedModel) -> None:
        """Raise UserError if there are any."""
        if phrases := self.phrases():
            raise UserError(
                f"{folder}: its weights do not fit the {model.config.model_type} of its "
                f"config.json: of {len(model.state_dict())} tensors, {', '.join(phrases)}; save "
                "the model itself with save_pretrained(), without what it was wrapped in"
            )


def spell(shape: Iterable[int]) -> str:
    """Return a shape as text: "60 x 32"."""
    return " x ".join(map(str, shape))


def load_pretrained(
    auto_class: type[_BaseAutoModelClass],
    folder: str | Path,
    config: PreTrainedConfig,
    encoder_only: bool = False,
    head_kept: bool = False,
) -> PreTrainedModel:
    """Return the model of a checkpoint, in fp32; what it lacks of head and pooler is new.

    A head is not taken over, as it may be that of another classification, unless `head_kept`.
    Where `encoder_only`, a decoder beside an encoder need not be there. Random: the new weights,
    from torch's generator. Raises UserError where a tensor of the body is missing, left over or of
    another shape.
    """
    with torch.device("meta"):
        empty = auto_class.from_config(config, trust_remote_code=False)
    layout = Layout.of(empty, "decoder." if encoder_only and has_decoder(empty) else None)
    tensors = unwrap(read_tensors(Path(folder)), folder)
    if not head_kept:
        tensors = layout.without_old_head(tensors)
    model, misfits = _fill(type(empty), config, tensors)
    Misfits(
        frozenset(filter(layout.needs, misfits.missing)),
        frozenset(filter(layout.takes, misfits.left_over)),
        misfits.reshaped,
    ).refuse(folder, model)
    return model


def draw_weights(
    auto_class: type[_BaseAutoModelClass], config: PreTrainedConfig
) -> PreTrainedModel:
    """Return a model of this config, in fp32, with the weights that its architecture begins with.

    Random: all weights, from torch's generator of the CPU, whatever the device.
    """
    kinds = {"attn_implementation": attention(config), "dtype": torch.float32}
    with torch.device("cpu"):
        drawn: PreTrainedModel = auto_class.from_config(config, trust_remote_code=False, **kinds)
    return _under_its_names(drawn.eval())


def _under_its_names(model: PreTrainedModel) -> PreTrainedModel:
    """Return the model, made to be saved under the names that its tensors have in memory.

    Else it would be saved under the names that checkpoints of its kind have, such as
    LayerNorm.gamma, and the Trainer, which reads its own files back by the model's names, would
    skip those.
    """
    # Its annotations have no list.
    conversions: Any = []
    model._weight_conversions = conversions
    return model


def has_decoder(model: PreTrainedModel) -> bool:
    """Return whether a model without a head has a decoder beside an encoder."""
    return {"encoder", "decoder"} <= dict(model.named_children()).keys()


def load_trained(
    model_class: type[PreTrainedModel], folder: Path, config: PreTrainedConfig
) -> PreTrainedModel:
    """Return a model that a training wrote; raises UserError unless just its weights are there."""
    model, misfits = _fill(model_class, config, read_tensors(folder))
    misfits.refuse(folder, model)
    return model


def read_tensors(folder: Path) -> Tensors:
    """Return all tensors of a folder's safetensors files, by name; they are mapped into memory."""
    tensors: Tensors = {}
    for path in weight_files(folder):
        with safe_open(path, "pt") as file:
            tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return tensors


def weight_files(folder: Path) -> list[Path]:
    """Return the files that hold a checkpoint's weights: one, or those that its index names."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if not index.is_file():
        raise UserError(
            f"{folder}: no {single.name}; expected a checkpoint as save_pretrained() writes it"
        )
    files = [folder / name for name in sorted(set(read_json(index)["weight_map"].values()))]
    absent = [file for file in files if not file.is_file()]
    if absent:
        raise UserError(f"{absent[0]}: no such file, but {index.name} names it; fetch it, too")
    return files


def unwrap(tensors: Tensors, folder: str | Path) -> Tensors:
    """Return the tensors by the names that they have without what a training wrapped them in.

    Raises UserError where two get the same name.
    """
    names = {name: OUTER_WRAPPERS.sub("", INNER_WRAPPERS.sub("", name)) for name in tensors}
    if len(set(names.values())) < len(names):
        plain = {old: new for old, new in names.items() if old != new and new in names}
        example = next(iter(plain), next(iter(names)))
        raise UserError(
            f"{folder}: two tensors are {names[example]}, one of them as {example}; keep one of "
            "them, and save the model with save_pretrained()"
        )
    return {names[name]: tensor for name, tensor in tensors.items()}


def _fill(
    model_class: type[PreTrainedModel], config: PreTrainedConfig, tensors: Tensors
) -> tuple[PreTrainedModel, Misfits]:
    """Return a model with these tensors, and what did not fit."""
    # Its annotations do not know of the second value.
    filled: Any = model_class.from_pretrained(
        None,
        config=config,
        state_dict=tensors,
        attn_implementation=attention(config),
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    model, loading = filled
    return _under_its_names(model), Misfits(
        frozenset(loading["missing_keys"]),
        frozenset(loading["unexpected_keys"]),
        frozenset(
            (name, tuple(shape), tuple(expected))
            for name, shape, expected in loading["mismatched_keys"]
        ),
    )
