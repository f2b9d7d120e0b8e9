"""Which rows are pool or test: duplicates merged, a test set drawn, no text of it in the pool."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gap.data.excerpts import shorten
from gap.data.preparing.labels import Labels, numeric
from gap.data.preparing.store import Store
from gap.run.errors import UserError
from gap.study.rules import PrepareRecipe
from gap.study.sizes import canonical_size, count_rows

POOL, TEST, MERGED, DROPPED, NEAR, RELATIVE = range(6)
# Up to so many labels are classes, however few the rows; measured numbers have fewer rows than
# FEW_ROWS of each.
MANY_LABELS, FEW_ROWS = 20, 20


def assign_roles(store: Store, recipe: PrepareRecipe, labels: Labels, has_test: bool) -> None:
    """Make the table `roles`: label, lengths and role of each row of the store, by position.

    Exact duplicates are judged on the text within its budget: rows that differ only beyond it are
    one and the same example to every model. A given test set is taken as it is, with its repeats,
    so that scores on it can be compared with published ones. No group is in pool and test.
    """
    same = "PARTITION BY in_test, label, text_high, text_low ORDER BY position"
    store.replace_table(
        "usable",
        f"""SELECT * EXCLUDE in_test, CASE WHEN in_test THEN {TEST}
        WHEN row_number() OVER ({same}) = 1 THEN {POOL} ELSE {MERGED} END::TINYINT AS role
        FROM usable""",
    )
    if not has_test and store.grouped:
        draw_groups(store, recipe)
    elif not has_test:
        draw_test(store, recipe, labels)
    in_test = f"SELECT DISTINCT belongs_to FROM usable WHERE role = {TEST}"
    of_test_group = f"OR belongs_to IN ({in_test})" if store.grouped else ""
    # Ordered, so that the roles of a stretch of positions are found without reading all.
    store.replace_table(
        "roles",
        f"""SELECT * REPLACE (CASE WHEN role = {POOL} AND ((plain_high, plain_low) IN
            (SELECT (plain_high, plain_low) FROM usable WHERE role = {TEST}) {of_test_group})
            THEN {DROPPED} ELSE role END::TINYINT AS role)
        FROM usable ORDER BY position""",
    )


def draw_test(store: Store, recipe: PrepareRecipe, labels: Labels) -> None:
    """Turn a stratified part of the pool into the test set.

    Within a label, rows are drawn in the order of their texts' hashes, which is as good as random:
    neither the order of the rows nor the number of threads matters.
    """
    counts = count_labels(store, "usable", POOL, labels)
    total = count_test_rows(recipe.name, recipe.test, sum(counts))
    quotas = share_out(recipe.name, total, counts)
    pairs = ", ".join(
        f"({number}, {quota})" for number, quota in zip(labels.numbers(), quotas, strict=True)
    )
    place = "row_number() OVER (PARTITION BY role, label ORDER BY text_high, text_low)"
    store.replace_table(
        "usable",
        f"""SELECT usable.* REPLACE (CASE WHEN role = {POOL} AND {place} <= quota
            THEN {TEST} ELSE role END::TINYINT AS role)
        FROM usable JOIN (VALUES {pairs}) AS quotas(number, quota) ON label = number""",
    )


def draw_groups(store: Store, recipe: PrepareRecipe) -> None:
    """Turn whole groups of the pool into the test set, of about as many rows as are asked for.

    They are taken in the order of their hashes, which is as good as random, each that still fits.
    Raises UserError where none does.
    """
    groups = store.database.execute(
        f"SELECT belongs_to, count(*) AS rows FROM usable WHERE role = {POOL} "
        "GROUP BY belongs_to ORDER BY belongs_to"
    ).fetchnumpy()
    counts: NDArray[np.int64] = groups["rows"]
    total = room = count_test_rows(recipe.name, recipe.test, int(counts.sum()))
    taken = np.zeros(len(counts), dtype=bool)
    for place, count in enumerate(counts.tolist()):
        if count <= room:
            taken[place], room = True, room - count
    if room == total or taken.all():
        apart = recipe.relatives is not None and recipe.relatives.apart
        raise UserError(
            f"{recipe.name}: test takes {total:,} rows, and the {len(counts):,} groups of "
            f"{_name_groups(recipe)} have {counts.min():,} to {counts.max():,} rows, so that none "
            "is left for one side; choose another `test`, or "
            f"{'another `likeness` of relatives' if apart else 'another column as `group`'}"
        )
    chosen = pa.table({"belongs_to": groups["belongs_to"][taken]})
    store.database.register("chosen", chosen)
    store.replace_table(
        "usable",
        f"""SELECT * REPLACE (CASE WHEN role = {POOL} AND belongs_to IN
            (SELECT belongs_to FROM chosen) THEN {TEST} ELSE role END::TINYINT AS role)
        FROM usable""",
    )
    store.database.unregister("chosen")


def _name_groups(recipe: PrepareRecipe) -> str:
    names = [] if recipe.group is None else [repr(recipe.group)]
    if recipe.relatives is not None and recipe.relatives.apart:
        names.append("relatives")
    return " and ".join(names)


def count_test_rows(name: str, test: str | float | None, rows: int) -> int:
    """Return the number of test rows that `test` (5000, 0.1 or "10%") means, of `rows` rows.

    Raises UserError when it is neither, or leaves no row for either side.
    """
    try:
        count = count_rows(canonical_size(test or "", f"{name}: test"), rows)
    except ValueError:
        raise UserError(
            f"{name}: test is {test!r}; expected a number of rows (5000) or a share (0.1, '10%')"
        ) from None
    if not 0 < count < rows:
        raise UserError(
            f"{name}: test is {test}, which means {count:,} of {rows:,} usable, different rows; "
            "it must leave rows for both pool and test: choose another number"
        )
    return count


def share_out(name: str, total: int, counts: Sequence[int]) -> list[int]:
    """Return how many of `total` rows each label gives, by largest remainder.

    Ties go to the earlier label. A label's last row stays in the pool. Raises UserError when
    `total` cannot be reached so.
    """
    rows = sum(counts)
    quotas = [total * count // rows for count in counts]
    remainders = [(-(total * count % rows), place) for place, count in enumerate(counts)]
    for _, place in sorted(remainders):
        if sum(quotas) < total and quotas[place] + 1 < counts[place]:
            quotas[place] += 1
    if sum(quotas) < total:
        raise UserError(
            f"{name}: test takes {total:,} of {rows:,} usable, different rows, which would leave "
            "a label without a row in the pool: choose a smaller number"
        )
    return quotas


def count_labels(store: Store, table: str, role: int, labels: Labels) -> list[int]:
    """Return the rows of one role for each label, in the order of the labels, zeros included."""
    query = f"SELECT label, count(*) FROM {table} WHERE role = {role} GROUP BY label"
    counts: dict[int, int] = dict(store.database.execute(query).fetchall())
    return [counts.get(number, 0) for number in labels.numbers()]


def check_labels(store: Store, recipe: PrepareRecipe, labels: Labels) -> None:
    """Raise UserError for fewer than two labels, or one that has no row in the pool."""
    names = labels.ordered()
    if len(names) < 2:
        raise UserError(
            f"{recipe.name}: found {len(names)} label ({', '.join(map(shorten, names))}), "
            f"need 2 or more; is {recipe.label!r} the column of the labels?"
        )
    pool, test = (count_labels(store, "roles", role, labels) for role in (POOL, TEST))
    roles = (DROPPED, NEAR, RELATIVE)
    dropped, near, related = (count_labels(store, "roles", role, labels) for role in roles)
    if not sum(pool) and not sum(related):
        raise UserError(
            f"{recipe.name}: no row is left in the pool, because all {sum(dropped):,} have a text "
            "that stands in the test set, too; is the test set the same file as the source? Then "
            "leave `test` out, and one is drawn"
        )
    counts = zip(names, pool, test, dropped, near, related, strict=True)
    for label, pool_rows, test_rows, lost, alike, relatives in counts:
        if not pool_rows:
            reason = f", {lost:,} were dropped from the pool as texts of the test set" * bool(lost)
            reason += f", {alike:,} as near duplicates of test texts" * bool(alike)
            reason += f", {relatives:,} as relatives of test texts" * bool(relatives)
            raise UserError(
                f"{recipe.name}: label {shorten(label)!r} has no row in the pool (test has "
                f"{test_rows:,}{reason}); add rows of it, or list the labels to use under `labels`"
            )


def check_classes(store: Store, recipe: PrepareRecipe, labels: Labels) -> None:
    """Raise UserError where labels are no classes: nearly as many as rows, or measured numbers.

    Whoever lists the labels has looked at them.
    """
    if recipe.labels is not None:
        return
    rows, names = store.rows, labels.ordered()
    fractions = all(map(numeric, names)) and not all(label.lstrip("-").isdigit() for label in names)
    measured = fractions and len(names) > MANY_LABELS and len(names) > rows / FEW_ROWS
    many = len(names) > rows / 2 and len(names) > MANY_LABELS
    if not (measured or many or 2 < len(names) == rows):
        return
    texts = store.count("SELECT count(DISTINCT (text_high, text_low)) FROM usable")
    kind = "measured numbers" if fractions else "different ones"
    advice = "classes are needed"
    if texts < len(names) / 2:
        advice = f"and {texts:,} different texts: are text and label swapped?"
    raise UserError(
        f"{recipe.name}: {len(names):,} labels for {rows:,} rows, {kind} ({_examples(names)}); "
        f"{advice}; is {recipe.label!r} the column of the labels? If so, list them under `labels`"
    )


def _examples(names: Sequence[str]) -> str:
    return ", ".join([*map(shorten, names[:3]), "..."])


def read_column(store: Store, column: str, start: int, stop: int) -> NDArray[np.generic]:
    """Return a column of `roles` at the positions from `start` up to `stop`, (stop - start,)."""
    query = f"SELECT {column} FROM roles WHERE position >= ? AND position < ? ORDER BY position"
    values: NDArray[np.generic] = store.database.execute(query, [start, stop]).fetchnumpy()[column]
    return values
