"""The section on metrics beside the one that gaps are of."""

from __future__ import annotations

from gap.report.sections import Paragraph, Section
from gap.report.tables import Line, by_dataset
from gap.report.wording import size_label, with_interval
from gap.results.findings import Findings
from gap.study.metrics import METRICS


def metrics(findings: Findings) -> Section | None:
    """Return means and gaps in the metrics that the config lists after the first."""
    if not findings.metrics:
        return None
    text = (
        f"Each metric is told times 100, and so that more is better. The gap is that of "
        f"{findings.reference} minus that of the model; of each metric's gaps together at most "
        f"{findings.recipe.wrong_claims} of what is called clear or none is expected "
        "to be wrong. The verdict does not use them."
    )
    header = ["Metric", "Model", "Labels", "Mean", "Gap", "Difference"]
    lines: list[Line] = [
        (
            row.dataset,
            [
                METRICS[row.metric].title,
                findings.title(row.model),
                size_label(row.size, row.n),
                with_interval(row.value, row.value_low, row.value_high),
                ""
                if row.gap is None or row.gap_low is None or row.gap_high is None
                else with_interval(row.gap, row.gap_low, row.gap_high),
                row.difference or "",
            ],
        )
        for row in findings.metrics
    ]
    tables = by_dataset(findings, header, lines, {2, 3, 4})
    return Section("metrics", "Other metrics", [Paragraph(text), *tables])
