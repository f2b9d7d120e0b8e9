"""Checks the checkpoints that a study's models begin with: fetched, pretrained, or trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gap.config.explain import check_names
from gap.config.study import Study
from gap.data.checkpoints import refuse_adapter, weights_among
from gap.data.readers import check_name
from gap.run.errors import UserError
from gap.study.checkpoints import TrainedCheckpoint
from gap.study.pretraining import MaskedLm, PretrainedCheckpoint
from gap.study.recipes import Architecture
from gap.study.sources import Folder

# What error lines call the architectures.
SPELLED = {"encoder": "an encoder", "lstm": "an LSTM", "vectors": "word vectors"}


def check_checkpoint(study: Study, model: str) -> None:
    """Raise UserError for a checkpoint of a model that is not there, or that it cannot use."""
    recipe, where = study.model_zoo[model], f"model_zoo.{model}"
    checkpoint = str(recipe.name_in("checkpoint_zoo"))
    check_names(f"{where}.checkpoint", [checkpoint], study.checkpoint_zoo, "checkpoint_zoo")
    _check_source(study, checkpoint, [])
    source = study.checkpoint_zoo[checkpoint]
    architecture = _architecture(study, checkpoint)
    if architecture not in {None, *recipe.begins_with}:
        expected = " or ".join(SPELLED[name] for name in sorted(recipe.begins_with))
        raise UserError(
            f"{where}.checkpoint: {checkpoint} is {SPELLED[str(architecture)]}, and a model of "
            f"family {recipe.family} begins with {expected}; choose another checkpoint or family"
        )
    if recipe.reviews and not isinstance(source, MaskedLm):
        raise UserError(
            f"{where}.optimisation.mix: {checkpoint} was not pretrained by this study, so "
            "there is no corpus to mix in; leave it out, or choose a checkpoint of kind "
            "pretrained and objective masked_lm"
        )


def _architecture(study: Study, checkpoint: str) -> Architecture | None:
    """Return what a checkpoint is that the workflow makes; None of one that is fetched."""
    source = study.checkpoint_zoo[checkpoint]
    if isinstance(source, PretrainedCheckpoint):
        return source.architecture
    return study.model_zoo[source.model].becomes if isinstance(source, TrainedCheckpoint) else None


def _check_source(study: Study, name: str, further: list[str]) -> None:
    """Check a checkpoint; `further` are those that are made from it, one from the other."""
    source, where = study.checkpoint_zoo[name], f"checkpoint_zoo.{name}"
    if name in further:
        raise UserError(
            f"{where}: it would be made from itself, by way of {', '.join(further[::-1])}; let one "
            "of them begin with another checkpoint"
        )
    if isinstance(source, Folder):
        _check_folder(name, source)
    if isinstance(source, PretrainedCheckpoint):
        source.check(where)
        _check_corpus(study, f"{where}.corpus", source.corpus)
        if source.continued:
            names = [source.continued]
            check_names(f"{where}.start", names, study.checkpoint_zoo, "checkpoint_zoo")
    if isinstance(source, TrainedCheckpoint):
        _check_run(study, where, source)
    if start := study.start_of(name):
        check_names(f"{where}: its start", [start], study.checkpoint_zoo, "checkpoint_zoo")
        _check_source(study, start, [*further, name])


def _check_run(study: Study, where: str, source: TrainedCheckpoint) -> None:
    """Raise UserError unless a checkpoint is of a run of this study, which makes one."""
    check_names(f"{where}.dataset", [source.dataset], study.datasets, "datasets")
    check_names(f"{where}.model", [source.model], study.models, "models")
    check_names(f"{where}.size", [source.size], study.sizes, "sizes")
    recipe = study.model_zoo[source.model]
    if recipe.becomes is None:
        raise UserError(
            f"{where}.model: {source.model} is of family {recipe.family}, whose training makes no "
            "checkpoint; choose a model of family transformer or lstm"
        )
    if not any(map(source.is_of, study.cells)):
        raise UserError(
            f"{where}: {source.model} has no run on {source.dataset} at {source.size} with seed "
            f"{source.seed}; choose one that it has (its seeds are {', '.join(recipe.seeds)}), or "
            "let its `datasets`, `sizes` and `seeds` have this one"
        )


def check_begun(study: Study) -> None:
    """Raise UserError where a model is run on data that its checkpoint was trained on."""
    for cell in study.cells:
        checkpoint = study.model_zoo[cell.model].name_in("checkpoint_zoo")
        if checkpoint and cell.dataset in study.trained_on(checkpoint):
            raise UserError(
                f"model_zoo.{cell.model}: {checkpoint} was trained on {cell.dataset}, and the "
                f"model that begins with it would be run there again; give it `datasets` without "
                f"{cell.dataset}"
            )


def _check_corpus(study: Study, where: str, names: Sequence[str]) -> None:
    """Raise UserError for a name that is in no zoo, or in both."""
    entries = [*study.dataset_zoo, *study.text_zoo]
    check_names(where, names, entries, "dataset_zoo or text_zoo")
    for name in names:
        if name in study.dataset_zoo and name in study.text_zoo:
            raise UserError(
                f"{where}: {name!r} is in dataset_zoo and in text_zoo; rename one of them"
            )


def _check_folder(name: str, source: Folder) -> None:
    try:
        check_name(source.path)
    except UserError as error:
        raise UserError(f"checkpoint_zoo.{name}.path: {error}") from None
    where = f"checkpoint_zoo.{name}.path: {source.path}"
    names = _names_in(Path(source.path))
    if not weights_among(names):
        raise UserError(
            f"{where} is no folder with a .safetensors file; expected one such as "
            "save_pretrained writes, with config.json and tokenizer"
        )
    refuse_adapter(names, where)


def _names_in(folder: Path) -> list[str]:
    """Return the names of a folder's files; none where it cannot be read."""
    try:
        return sorted(path.name for path in folder.iterdir() if path.is_file())
    except OSError:
        return []


def check_transfer(study: Study) -> None:
    """Raise UserError for a model whose gain over the reference is not that of a run."""
    check_names("transfer", study.transfer, study.models, "models")
    for name in study.transfer:
        source = study.checkpoint_zoo.get(study.model_zoo[name].pretrained or "")
        if not isinstance(source, TrainedCheckpoint):
            raise UserError(
                f"transfer: {name} does not begin with what a run of this study was trained to; "
                "choose models with a checkpoint of kind trained"
            )
        if source.model != study.reference:
            raise UserError(
                f"transfer: {name} begins with a run of {source.model}, which its gain is over, "
                f"but the reference is {study.reference}; let {source.model} be the reference"
            )
