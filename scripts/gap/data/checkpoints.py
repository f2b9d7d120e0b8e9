"""The files of a checkpoint: where they lie, which hold weights, and what is no whole one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from gap.run.errors import UserError
from gap.run.folders import files_below, link
from gap.run.json import read_json


def checkpoint_folder(manifest: str | Path) -> Path:
    """Return the folder with the checkpoint's config.json, from its source's manifest."""
    paths = [Path(file["path"]) for file in read_json(manifest)["files"]]
    folders = [path.parent for path in paths if path.name == "config.json"]
    if not folders:
        raise UserError(
            f"{manifest}: no config.json among its files; it is not a pretrained checkpoint"
        )
    return min(folders, key=lambda folder: len(folder.parts))


# What a model that was fine-tuned before is called by its config.json, and what it was tuned for.
TUNED_FOR = {
    "ForSequenceClassification": "classifying texts",
    "ForTokenClassification": "classifying tokens",
    "ForQuestionAnswering": "answering questions",
    "ForMultipleChoice": "multiple choice",
}


def tuned_for(files: Iterable[Path]) -> str | None:
    """Return what the body of a checkpoint was fine-tuned for before, by its config.json, if told.

    It is left to those that load the model to say that the config is damaged.
    """
    configs = [file for file in files if file.name == "config.json"]
    if not configs:
        return None
    try:
        config = read_json(min(configs, key=lambda file: len(file.parts)))
    except ValueError:
        return None
    names = config.get("architectures") if isinstance(config, dict) else None
    tasks = [
        task
        for name in (names if isinstance(names, list) else [])
        for suffix, task in TUNED_FOR.items()
        if str(name).endswith(suffix)
    ]
    return tasks[0] if tasks else None


def is_pickled(name: str) -> bool:
    """Return whether a file, by its path in a checkpoint, holds weights as torch pickles them."""
    return PurePosixPath(name).match("pytorch_model*.bin")


def is_weights_or_config(name: str) -> bool:
    """Return whether a file of a checkpoint, by its name, is of the model, not of its tokenizer."""
    index = name.endswith((".safetensors.index.json", ".bin.index.json"))
    return index or name == "config.json" or name.endswith((".safetensors", ".bin"))


def link_tokenizer(checkpoint: Path, folder: Path) -> None:
    """Give the files of a checkpoint's tokenizer a second name, in another folder."""
    for file in files_below(checkpoint):
        # Snakemake's own files begin with a dot.
        if not is_weights_or_config(file.name) and not file.name.startswith("."):
            link(file, folder / file.relative_to(checkpoint))


def refuse_adapter(names: Iterable[str], where: str) -> None:
    """Raise UserError if the files of a checkpoint, by their names, are those of an adapter."""
    if any(PurePosixPath(name).name == "adapter_config.json" for name in names):
        raise UserError(
            f"{where}: adapter_config.json says that this is an adapter (LoRA), which changes "
            "another model; merge the two first (peft: merge_and_unload(), then save_pretrained())"
        )


def require_weights(names: Iterable[str], where: str) -> list[str]:
    """Return the files that hold a checkpoint's weights; raise UserError where there are none."""
    weights = weights_among(names)
    if not weights:
        raise UserError(f"{where}: no .safetensors file; save the model with save_pretrained()")
    return weights


def weights_among(names: Iterable[str]) -> list[str]:
    """Return those of a checkpoint's files that hold weights: safetensors, or else pickled ones."""
    listed = list(names)
    whole = [name for name in listed if name.endswith(".safetensors")]
    return whole or [name for name in listed if is_pickled(name)]
