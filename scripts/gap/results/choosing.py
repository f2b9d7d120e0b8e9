"""What starts on other data sets gained, what was foretold, and rules that choose a source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from gap.results.foretelling import foretell
from gap.results.records import SimilarityRecord
from gap.results.rows import GapRow
from gap.results.transfer import ChoiceRow, Outcome, TransferRow


def outcome_of(gain: float, margin: float) -> Outcome:
    """Return what a gain in points comes to."""
    return "helps" if gain > margin else "harms" if gain < -margin else "nothing"


def transfer_rows(
    records: Sequence[SimilarityRecord], gaps: Sequence[GapRow], margin: float
) -> list[TransferRow]:
    """Return a row for each pair of data sets and size, from the gaps to the model from scratch."""
    named = {(row.dataset, row.model, row.size): row for row in gaps}
    pairs = [named[record["dataset"], record["model"], record["size"]] for record in records]
    # A gap is the reference less the model.
    foretold = foretell(records, [-row.gap for row in pairs])
    return [
        TransferRow(
            dataset=record["dataset"],
            model=record["model"],
            source=record["source"],
            size=record["size"],
            n=record["n"],
            source_n=record["source_n"],
            labels=record["labels"],
            source_labels=record["source_labels"],
            coverage=record["coverage"],
            divergence=record["divergence"],
            turn=record["turn"],
            misfit=record["misfit"],
            gain=-gap.gap,
            gain_low=-gap.gap_high,
            gain_high=-gap.gap_low,
            outcome=outcome_of(-gap.gap, margin),
            difference=gap.difference,
            foretold=gain,
        )
        for record, gap, gain in zip(records, pairs, foretold, strict=True)
    ]


class Rule(NamedTuple):
    """A rule that chooses a source: that whose pair has the highest value.

    Where `threshold` is given, it takes none unless the value is above, and says that those which
    are above help.
    """

    name: str
    value: Callable[[TransferRow], float]
    threshold: float | None = None


def rules_of(margin: float) -> list[Rule]:
    """Return the rules that are compared; `none` takes no source, `best` knows the gains."""
    return [
        Rule("foretold", lambda row: row.foretold or 0.0, margin),
        Rule("largest", lambda row: float(row.source_n)),
        Rule("nearest by words", lambda row: row.coverage),
        Rule("least turned", lambda row: -row.turn),
        Rule("none", lambda row: 0.0, 0.0),
        Rule("best", lambda row: row.gain, 0.0),
    ]


def choice_rows(rows: Sequence[TransferRow], margin: float, confidence: float) -> list[ChoiceRow]:
    """Return what each rule gives at each size, where gains are foretold."""
    sizes: dict[str, dict[str, list[TransferRow]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        if row.foretold is not None:
            sizes[row.size][row.dataset].append(row)
    return [
        _choice_row(rule, size, list(targets.values()), margin, confidence)
        for size, targets in sizes.items()
        for rule in rules_of(margin)
    ]


def _choice_row(
    rule: Rule,
    size: str,
    targets: Sequence[Sequence[TransferRow]],
    margin: float,
    confidence: float,
) -> ChoiceRow:
    gains = np.array([_gain(rule, pairs) for pairs in targets])
    best = np.array([max(0.0, *(row.gain for row in pairs)) for pairs in targets])
    mean, reach = float(gains.mean()), None
    if len(gains) > 1:
        quantile = float(stats.t.ppf(0.5 + confidence / 2, len(gains) - 1))
        reach = quantile * float(gains.std(ddof=1)) / len(gains) ** 0.5
    # What is the same for all pairs, or was measured itself, orders nothing.
    ranks = rule.name not in ("none", "best")
    return ChoiceRow(
        rule=rule.name,
        size=size,
        n=max(row.n for pairs in targets for row in pairs),
        targets=len(targets),
        gain=mean,
        gain_low=None if reach is None else mean - reach,
        gain_high=None if reach is None else mean + reach,
        lost=float((best - gains).mean()),
        rank_correlation=_mean(_rank_correlation(rule, pairs) for pairs in targets)
        if ranks
        else None,
        ndcg=_mean(_ndcg(rule, pairs) for pairs in targets) if ranks else None,
        f1=_f1(rule, targets, margin) if ranks else None,
    )


def _gain(rule: Rule, pairs: Sequence[TransferRow]) -> float:
    """Return the gain of the source that a rule chooses; of several alike, their mean."""
    values = [rule.value(row) for row in pairs]
    if rule.threshold is not None and max(values) <= rule.threshold:
        return 0.0
    chosen = [row.gain for row, value in zip(pairs, values, strict=True) if value == max(values)]
    return sum(chosen) / len(chosen)


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of those values that there are."""
    there = [value for value in values if value is not None]
    return sum(there) / len(there) if there else None


def _rank_correlation(rule: Rule, pairs: Sequence[TransferRow]) -> float | None:
    """Return Spearman's correlation of a rule's values with the gains; None if one is constant."""
    values, gains = [rule.value(row) for row in pairs], [row.gain for row in pairs]
    if len(set(values)) < 2 or len(set(gains)) < 2:
        return None
    return float(stats.spearmanr(values, gains).statistic)


def _ndcg(rule: Rule, pairs: Sequence[TransferRow]) -> float | None:
    """Return the normalised discounted cumulative gain of a rule's order; harm counts as nothing.

    Järvelin and Kekäläinen 2002, Cumulated Gain-based Evaluation of IR Techniques. None where there
    is nothing to order.
    """
    from sklearn.metrics import ndcg_score

    relevances = [max(0.0, row.gain) for row in pairs]
    if len(pairs) < 2 or not any(relevances):
        return None
    return float(ndcg_score([relevances], [[rule.value(row) for row in pairs]]))


def _f1(rule: Rule, targets: Sequence[Sequence[TransferRow]], margin: float) -> float | None:
    """Return how well a rule tells the sources that help, over all pairs; None if it does not."""
    from sklearn.metrics import f1_score

    if rule.threshold is None:
        return None
    pairs = [row for target in targets for row in target]
    helps = [row.gain > margin for row in pairs]
    told = [rule.value(row) > rule.threshold for row in pairs]
    return float(f1_score(helps, told)) if any(helps) or any(told) else None
