"""Relatives: texts so alike that they may have one origin, such as homologous proteins."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gap.data.manifests import RelativesFound, RelativesShare
from gap.data.preparing.mmseqs import Mmseqs
from gap.data.preparing.roles import POOL, RELATIVE, TEST
from gap.data.preparing.shared_runs import Hashes, Numbers, SharedRuns, mix
from gap.data.preparing.store import Store

if TYPE_CHECKING:
    from gap.study.rules import PrepareRecipe

# Likenesses at which rows with a relative on the other side are counted.
LIKENESSES = (0.3, 0.5, 0.9)
# It is told where a larger share of the test rows has a relative of this likeness in the pool.
TOLD_LIKENESS, TOLD_SHARE = 0.5, 0.05


class Search(Protocol):
    """A way to find texts that are alike.

    `both_ways` says whether targets that look for seekers may find further pairs.
    """

    both_ways: ClassVar[bool]

    def find(self, seekers: str, targets: str, least: float) -> None:
        """Add to the table `alike` (seeker, target, likeness) texts that are alike by `least`."""


class RelativesSearch:
    """The relatives among the rows of a store; made when all rows are read.

    The database gets a table `texts`: the different texts, each by the position of its first row.
    """

    def __init__(self, store: Store, recipe: PrepareRecipe, threads: int) -> None:
        assert recipe.relatives is not None
        self.store, self.asked = store, recipe.relatives
        self.grouped = recipe.group is not None
        self.clusters = self.largest = 0
        store.replace_table(
            "texts",
            """SELECT text_high, text_low, min(position) AS position, bool_or(in_test) AS in_test
            FROM usable GROUP BY text_high, text_low ORDER BY position""",
        )
        store.database.execute("CREATE TABLE alike (seeker BIGINT, target BIGINT, likeness DOUBLE)")
        self.search: Search
        if self.asked.by == "mmseqs2":
            self.search = Mmseqs(store, threads, recipe.name)
        else:
            self.search = SharedRuns(store, threads)

    def group(self, has_test: bool) -> None:
        """Make clusters of relatives (single linkage) the groups of the store.

        Texts that share a group of the config are in one cluster, too. Of a given test set only its
        own texts are clustered: a pool row leaves for its own relatives, see `examine`.
        """
        table = "clustered"
        where = "WHERE in_test" if has_test else ""
        self.store.replace_table(table, f"SELECT position FROM texts {where}")
        self.search.find(table, table, self.asked.likeness)
        texts = self.store.database.execute(
            "SELECT position, text_high FROM texts ORDER BY position"
        ).fetchnumpy()
        components = self._components(texts["position"])
        chosen = self._positions(table)
        sizes = np.bincount(components[np.searchsorted(texts["position"], chosen)])
        self.clusters, self.largest = int((sizes > 0).sum()), int(sizes.max(initial=0))
        self._set_groups(texts["position"], name_components(components, texts["text_high"]))

    def _components(self, positions: Numbers) -> NDArray[np.int32]:
        """Return the number of each text's cluster, (texts,); `positions` are those of the texts.

        Texts are linked by likeness, and by the groups of the config, which are nodes as well.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        database = self.store.database
        pairs = database.execute("SELECT seeker, target FROM alike").fetchnumpy()
        first = np.searchsorted(positions, pairs["seeker"])
        second = np.searchsorted(positions, pairs["target"])
        if self.grouped:
            members = database.execute(
                """SELECT DISTINCT texts.position, belongs_to
                FROM usable JOIN texts USING (text_high, text_low)"""
            ).fetchnumpy()
            groups = np.unique(members["belongs_to"], return_inverse=True)[1]
            first = np.concatenate([first, np.searchsorted(positions, members["position"])])
            second = np.concatenate([second, len(positions) + groups])
        nodes = int(max(len(positions), second.max(initial=-1) + 1))
        links = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(nodes, nodes))
        components: NDArray[np.int32] = connected_components(links, directed=False)[1]
        return components[: len(positions)]

    def _set_groups(self, positions: Numbers, names: Hashes) -> None:
        database = self.store.database
        columns = {"position": positions, "belongs_to": names}
        database.register("named", pa.table(columns))
        other = "EXCLUDE (belongs_to)" if self.grouped else ""
        self.store.replace_table(
            "usable",
            f"""SELECT usable.* {other}, named.belongs_to FROM usable
            JOIN texts USING (text_high, text_low) JOIN named ON named.position = texts.position""",
        )
        database.unregister("named")
        self.store.grouped = True

    def examine(self) -> RelativesFound:
        """Return what the card says of relatives in pool and test.

        Where they are to stand apart, pool rows that still have a relative in test leave first:
        those of a given test set, and the few that the clusters have missed.
        """
        database, store = self.store.database, self.store
        for table, role in (("pool_texts", POOL), ("test_texts", TEST)):
            store.replace_table(
                table,
                f"""SELECT texts.position, count(*) AS rows
                FROM roles JOIN texts USING (text_high, text_low) WHERE role = {role}
                GROUP BY texts.position ORDER BY texts.position""",
            )
        database.execute("DELETE FROM alike")
        least = min(self.asked.likeness, *LIKENESSES)
        self.search.find("pool_texts", "test_texts", least)
        if self.search.both_ways:
            self.search.find("test_texts", "pool_texts", least)
        store.replace_table(
            "across",
            """SELECT pool.position AS pool, test.position AS test, max(likeness) AS likeness
            FROM alike JOIN pool_texts AS pool ON pool.position IN (seeker, target)
            JOIN test_texts AS test ON test.position = seeker + target - pool.position
            GROUP BY ALL""",
        )
        dropped = self._drop() if self.asked.apart else 0
        return {
            "apart": self.asked.apart,
            "likeness": self.asked.likeness,
            "by": self.asked.by,
            "clusters": self.clusters if self.asked.apart else None,
            "largest_cluster": self.largest if self.asked.apart else None,
            "dropped": dropped,
            "shares": [self._share(likeness) for likeness in LIKENESSES],
        }

    def _drop(self) -> int:
        """Take pool rows with a relative in test out of the pool; return how many."""
        store = self.store
        near = f"SELECT pool FROM across WHERE likeness >= {self.asked.likeness}"
        store.replace_table("leaving", f"SELECT DISTINCT pool AS position FROM ({near})")
        store.replace_table(
            "roles",
            f"""SELECT * REPLACE (CASE WHEN role = {POOL} AND (text_high, text_low) IN
                (SELECT (text_high, text_low) FROM texts SEMI JOIN leaving USING (position))
                THEN {RELATIVE} ELSE role END::TINYINT AS role)
            FROM roles ORDER BY position""",
        )
        for table, key in (("across", "pool"), ("pool_texts", "position")):
            query = f"SELECT * FROM {table} WHERE {key} NOT IN (SELECT position FROM leaving)"
            store.replace_table(table, query)
        return store.count(f"SELECT count(*) FROM roles WHERE role = {RELATIVE}")

    def _share(self, likeness: float) -> RelativesShare:
        counts = []
        for side in ("pool", "test"):
            near = f"SELECT {side} FROM across WHERE likeness >= {likeness}"
            rows = f"coalesce(sum(rows) FILTER (WHERE position IN ({near})), 0)"
            query = f"SELECT {rows}, greatest(1, coalesce(sum(rows), 0)) FROM {side}_texts"
            counts.append(self.store.database.execute(query).fetchall()[0])
        (pool, pool_rows), (test, test_rows) = counts
        return {
            "likeness": likeness,
            "pool_rows": int(pool),
            "pool_share": round(float(pool / pool_rows), 4),
            "test_rows": int(test),
            "test_share": round(float(test / test_rows), 4),
        }

    def _positions(self, table: str) -> Numbers:
        query = f"SELECT position FROM {table} ORDER BY position"
        positions: Numbers = self.store.database.execute(query).fetchnumpy()["position"]
        return positions


def relatives_warnings(related: RelativesFound | None) -> list[str]:
    """Return a sentence about relatives that left the pool, and about those on both sides."""
    if related is None:
        return []
    warnings = []
    if dropped := related["dropped"]:
        warnings.append(
            f"{dropped:,} pool rows were dropped, because they have relatives in the test set "
            f"(likeness {related['likeness']:g} or more)"
        )
    for share in related["shares"]:
        if share["likeness"] == TOLD_LIKENESS and share["test_share"] > TOLD_SHARE:
            advice = "" if related["apart"] else "; `relatives: {apart: true}` keeps them apart"
            warnings.append(
                f"{share['test_rows']:,} test rows ({share['test_share']:.1%}) have a relative of "
                f"{TOLD_LIKENESS:.0%} likeness or more in the pool, so that part of the accuracy "
                f"may be recognition of relatives{advice}"
            )
    return warnings


def name_components(components: NDArray[np.int32], text_hashes: Hashes) -> Hashes:
    """Return a hash of the component of each text, (texts,): the same in whatever order they come.

    It is a mixture of the smallest hash of its texts, which alone would put the large ones first.
    """
    smallest = np.full(int(components.max(initial=-1)) + 1, np.iinfo(np.uint64).max)
    np.minimum.at(smallest, components, text_hashes)
    return mix(smallest)[components]
