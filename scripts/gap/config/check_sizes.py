"""Checks the sizes of a study against the rows that its data sets have."""

from __future__ import annotations

from pathlib import Path

from gap.config.study import Study
from gap.run.errors import UserError
from gap.run.json import read_json
from gap.study import paths
from gap.study.recipes import Validation
from gap.study.sizes import count_rows
from gap.study.sources import DataFile, Source


def check_validation(study: Study) -> None:
    """Raise UserError where the rules for validation rows contradict each other, or a size."""
    validation = study.validation
    if validation.min > validation.max:
        raise UserError(
            f"validation: min {validation.min} is more than max {validation.max}; "
            "lower the one or raise the other"
        )
    for size in study.sizes:
        if not size.endswith("%"):
            _check_split(size, int(size), validation)


def _check_split(size: str, n: int, validation: Validation) -> None:
    """Raise UserError where `min` takes more rows than are left to train on."""
    least = validation.min
    if least > max(n / 2, validation.share * n):
        spelled = f"{size} ({n:,} rows)" if size.endswith("%") else size
        raise UserError(
            f"sizes: {spelled} is too small for the {least} rows of validation.min and as many to "
            f"train on; choose {2 * least} rows or more, or lower validation.min"
        )


def rows_read_before(source: Source, name: str, results: Path) -> int | None:
    """Return the rows that the same source, fetched and pinned, had in an earlier run."""
    place = f"dataset-{name}"
    manifest = paths.located(paths.SOURCE_MANIFEST, results, source=place)
    origin = paths.located(paths.SOURCE_ORIGIN, results, source=place)
    card = paths.located(paths.CARD, results, dataset=name)
    if isinstance(source, DataFile):
        return None
    if not all(file.exists() for file in (manifest, origin, card)):
        return None
    fetched, described = read_json(manifest)["sha256"], read_json(card)
    if read_json(origin)["spec"] != source.plain() or fetched != described["source_sha256"]:
        return None
    return int(described["rows_read"]["pool"])


def check_sizes(study: Study, name: str, rows: int) -> None:
    """Check sizes against the rows of a source: a bound, as repeated rows are merged later."""
    test = study.dataset_zoo[name].test
    held_out = count_rows(test, rows) if isinstance(test, str) else 0
    pool = rows - held_out
    if pool < 1:
        raise UserError(
            f"dataset_zoo.{name}.test: {test} takes {held_out:,} rows, and there are {rows:,}; "
            "choose fewer, so that there is a pool"
        )
    for size in study.sizes_of(name):
        n = count_rows(size, pool)
        if n > pool:
            raise UserError(
                f"sizes: {size} is more than the pool of {name} holds: of {rows:,} rows, the test "
                f"set takes {held_out:,}; choose {pool:,} or less"
            )
        _check_split(size, n, study.validation)
