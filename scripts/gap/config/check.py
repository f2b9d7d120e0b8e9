"""Checks a study's config, fills in defaults, and says in plain words what is wrong with it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from urllib.parse import urlparse

from pydantic import ValidationError

from gap.config.check_checkpoints import check_begun, check_checkpoint, check_transfer
from gap.config.check_runs import check_runs, check_seeds
from gap.config.check_sizes import check_sizes, check_validation, rows_read_before
from gap.config.explain import check_names, explain
from gap.config.study import Study
from gap.data.readers import (
    AbsentError,
    Columns,
    check_patterns,
    describe_local_source,
    extension,
    known_extensions,
)
from gap.run.errors import UserError
from gap.study.datasets import Dataset
from gap.study.pretraining import MaskedLm
from gap.study.published import PublishedFigure
from gap.study.recipes import Folders, ModelRecipe
from gap.study.sizes import FEWEST_SIZES
from gap.study.sources import DataFile, DataUrl, Source, Wheel, WheelFolder
from gap.study.tuning import grid_size


def complete(config: dict[str, object]) -> Study:
    """Return the study of a config; fill in the config's defaults and spellings, in place.

    Each model gets its seeds and its number of `trials`.
    Raises UserError for the first thing that no config may say, in the order of the schema.
    """
    try:
        study = Study.model_validate(config)
    except ValidationError as error:
        raise UserError(explain(error, config)) from None
    models = {name: _complete_model(model, study) for name, model in study.model_zoo.items()}
    study = study.model_copy(update={"model_zoo": models})
    config.update(study.plain())
    return study


def _complete_model(model: ModelRecipe, study: Study) -> ModelRecipe:
    drawn = study.tuning.trials if model.by_gradient_descent else None
    trials = min(drawn or math.inf, grid_size(model))
    return model.model_copy(update={"seeds": model.seeds or study.seeds, "trials": trials})


# ---------------------------------------------------------------- what no single key can say


def check(study: Study, results: Path) -> list[str]:
    """Check that names exist, that seeds pair, and that local files hold what they should.

    `results` is the folder of results; what earlier runs found out about a source is used, too.
    Only what the study names is looked at. Takes about a second per local data set at most.
    Returns a line for each data file that is not there: a study may be planned before its data are
    fetched. Raises UserError for the first other problem found.
    """
    check_names("datasets", study.datasets, study.dataset_zoo, "dataset_zoo")
    check_names("models", study.models, study.model_zoo, "model_zoo")
    check_names("reference", [study.reference], study.models, "models")
    for name in study.models:
        _check_model(study, name)
        check_seeds(study, name)
    check_runs(study)
    check_begun(study)
    check_transfer(study)
    _check_target(study)
    check_names("forgetting", study.forgetting, study.models, "models")
    for name in study.forgetting:
        _check_forgetting(study, name)
    _check_trials(study)
    _check_titles(study)
    _check_folders(study.pathvars)
    check_validation(study)
    absent = [line for name in study.prepared for line in _check_dataset(study, name, results)]
    return absent + [line for name in study.unlabelled for line in _check_texts(study, name)]


def cautions(study: Study) -> list[str]:
    """Return a line for each thing that a config may say, but that is seldom meant."""
    return [*_caution_on_target(study), *_caution_on_reference(study)]


def _caution_on_target(study: Study) -> list[str]:
    measured = Counter((cell.dataset, cell.model, cell.size) for cell in study.cells)
    sizes = Counter((dataset, model) for dataset, model, _ in measured)
    most = max(sizes.values())
    if study.target is None or most >= FEWEST_SIZES:
        return []
    return [
        f"target: what it takes is told by curves, which take {FEWEST_SIZES} sizes or more; no "
        f"model has more than {most} here, so nothing will be told; add to `sizes`"
    ]


def _caution_on_reference(study: Study) -> list[str]:
    reference = study.model_zoo[study.reference]
    checkpoint = reference.name_in("checkpoint_zoo")
    others = [name for name in study.models if study.model_zoo[name].pretrained]
    if checkpoint is None or reference.pretrained or not others:
        return []
    return [
        f"reference: {study.reference} does not begin with the weights of {checkpoint}, so gaps do "
        f"not say what pretraining adds; if they should, let {others[0]} be the reference"
    ]


def _check_model(study: Study, name: str) -> None:
    model, where = study.model_zoo[name], f"model_zoo.{name}"
    model.check(where)
    vocabulary, checkpoint = model.name_in("vocabulary_zoo"), model.name_in("checkpoint_zoo")
    if vocabulary is not None:
        check_names(f"{where}.vocabulary", [vocabulary], study.vocabulary_zoo, "vocabulary_zoo")
        # Both name folders of token ids.
        if vocabulary in study.checkpoint_zoo:
            raise UserError(
                f"vocabulary_zoo.{vocabulary}: checkpoint_zoo has the same name; rename one"
            )
    if checkpoint is not None:
        check_checkpoint(study, name)


def _check_target(study: Study) -> None:
    """Raise UserError unless a target names one metric, and where prices have no target."""
    if study.target and len(study.target.aims) != 1:
        named = ", ".join(study.target.aims) or "none"
        raise UserError(
            f"target: found {named}; expected one metric with what is to be reached, such as "
            "accuracy: 85"
        )
    if study.costs and not study.target:
        raise UserError(
            "costs: prices are told of what it takes to reach a target, and there is none; add "
            "`target`, or take `costs` out"
        )


def _check_forgetting(study: Study, name: str) -> None:
    model = study.model_zoo[name]
    source = study.checkpoint_zoo.get(model.pretrained or "")
    if not model.fine_tunes or not isinstance(source, MaskedLm):
        raise UserError(
            f"forgetting: {name} is not a fine-tuned checkpoint that this study pretrains; choose "
            "models of family transformer with a checkpoint of kind pretrained and objective "
            "masked_lm"
        )


def _check_trials(study: Study) -> None:
    """Raise UserError unless all models trained by gradient descent have as many trials."""
    models = {name: study.model_zoo[name] for name in study.models}
    sizes = {name: grid_size(model) for name, model in models.items() if model.by_gradient_descent}
    asked = study.tuning.trials
    for name, size in sizes.items():
        if asked and size < asked:
            raise UserError(
                f"tuning.trials: {asked} is more than the {size} that the lists of "
                f"model_zoo.{name} make; lower it, or let {name} list more values"
            )
    if not asked and len(set(sizes.values())) > 1:
        counts = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise UserError(
            f"model_zoo: unequal numbers of trials: {counts}; expected one for all models trained "
            "by gradient descent: let their lists make as many, or draw as many of each with "
            "tuning: {trials: n}"
        )


def _check_titles(study: Study) -> None:
    owners: dict[str, str] = {}
    for name in study.models:
        title = study.model_zoo[name].title or name
        if title in owners:
            raise UserError(
                f"model_zoo.{name}.title: {title!r} is the title of {owners[title]}, too; "
                "charts need one for each"
            )
        if not title.isprintable():
            raise UserError(f"model_zoo.{name}.title: {title!r}; expected one line of text")
        owners[title] = name


def _check_folders(folders: Folders) -> None:
    """Raise UserError for a folder whose name a shell or Snakemake would take for more."""
    for key, folder in (("results", folders.results), ("logs", folders.logs)):
        if not re.fullmatch(r"[\w./][\w.,@+=/-]*", folder):
            raise UserError(
                f"pathvars.{key}: found {folder!r}; expected a path of letters, digits and "
                "./_-+=,@ (no spaces, no ~)"
            )


# ---------------------------------------------------------------- data sets and their files


def _check_pair(where: str, dataset: Dataset) -> None:
    """Raise UserError where the texts of a pair are not two, or one of them gets no words."""
    if not dataset.pair:
        return
    if len(dataset.text) != 2:
        raise UserError(
            f"{where}.text: {len(dataset.text)} column{'s' * (len(dataset.text) > 1)}; a `pair` is "
            "of two: name both, as in text: [premise, hypothesis]"
        )
    if dataset.words < 2:
        raise UserError(
            f"{where}.words: 1, which leaves one text of a `pair` nothing; write 2 or more"
        )


def _check_dataset(study: Study, name: str, results: Path) -> list[str]:
    """Return a line for each file that is not there."""
    dataset, where = study.dataset_zoo[name], f"dataset_zoo.{name}"
    _check_table(where, dataset)
    for key, column in (("label", dataset.label), ("group", dataset.group), ("id", dataset.id)):
        if column in dataset.text and not (key == "label" and dataset.label_table):
            raise UserError(f"{where}: text and {key} are both {column!r}; name two columns")
    _check_pair(where, dataset)
    _check_published(f"{where}.published", dataset.published, study.model_zoo)
    rows, absent = None, []
    for key in ("source", "test", "label_table"):
        source = getattr(dataset, key)
        if source is None or isinstance(source, str):
            continue
        columns = Columns.of_table(dataset) if key == "label_table" else Columns.of(dataset)
        try:
            count = _check_source(f"{where}.{key}", source, columns)
        except AbsentError as error:
            absent.append(str(error))
        else:
            rows = count if key == "source" else rows
    if rows is None:
        rows = rows_read_before(dataset.source, name, results)
    if rows is not None and name in study.datasets:
        check_sizes(study, name, rows)
    return absent


def _check_texts(study: Study, name: str) -> list[str]:
    """Check texts without labels; return a line for each file that is not there."""
    texts = study.text_zoo[name]
    try:
        _check_source(f"text_zoo.{name}.source", texts.source, Columns.of_texts(texts))
    except AbsentError as error:
        return [str(error)]
    return []


def _check_published(
    where: str, figures: Sequence[PublishedFigure], models: Collection[str]
) -> None:
    seen: set[tuple[str, ...]] = set()
    for place, figure in enumerate(figures, start=1):
        key = f"{where}, item {place}"
        check_names(f"{key}.model", [figure.model], models, "model_zoo")
        setting = (figure.model, figure.size, figure.source)
        if setting in seen:
            raise UserError(
                f"{key}: there is another figure of {figure.model} at {figure.size} from "
                "this source; keep one"
            )
        seen.add(setting)


def _check_table(where: str, dataset: Dataset) -> None:
    """Raise UserError for a key of a table of labels where there is none."""
    for key in ("id", "table_id"):
        if getattr(dataset, key) is not None and dataset.label_table is None:
            raise UserError(
                f"{where}.{key}: there is no `label_table`, which it is for; name that, too, or "
                "leave it out"
            )


def _check_source(where: str, source: Source, columns: Columns) -> int | None:
    """Check a source of rows; return how many it has where that is quickly told."""
    file = ""
    if isinstance(source, Wheel | WheelFolder):
        file = source.member
    elif isinstance(source, DataUrl):
        file = urlparse(source.url).path
    plain = columns.label is None
    if file and not file.endswith("/") and extension(Path(file), plain) is None:
        endings = ", ".join(known_extensions(plain))
        raise UserError(f"{where}: {file} must end in one of {endings}")
    path = source.path if isinstance(source, DataFile) else None
    try:
        check_patterns(Path(file), columns)
        return describe_local_source(path, columns) if path else None
    except UserError as error:
        raise type(error)(f"{where}: {error}") from None
    except OSError as error:
        raise UserError(f"{where}: {path} cannot be read: {error.strerror}") from None
