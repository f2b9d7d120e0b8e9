"""The charts: what is on them, where the labels stand, and the files."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import chart_cost
import chart_gap
import pytest
from gap.report.axes import CHART_WIDTH, nice_ticks
from gap.report.cost import cost_chart
from gap.report.gap_charts import study_chart
from gap.report.labels import spread
from gap.results.reading import ReadingRecipe
from gap.results.rows import AccuracyRow, GapRow, LatencyRow
from gap.results.tables import write_rows
from gap.run.errors import UserError
from hypothesis import given
from hypothesis import strategies as st
from table_rows import row_of

RECIPE: dict[str, Any] = {
    "reference": "big",
    "margin": 1.0,
    "confidence": 0.95,
    "titles": {"big": "Big | one"},
}
MODELS = ("big", "frozen", "lstm", "lstm-pretrained", "linear")


def study(
    datasets: tuple[str, ...] = ("films",),
    sizes: tuple[int, ...] = (250, 1000, 4000),
    models: tuple[str, ...] = MODELS,
) -> tuple[list[AccuracyRow], list[GapRow]]:
    accuracies, gaps = [], []
    for dataset in datasets:
        for place, model in enumerate(models):
            for step, n in enumerate(sizes):
                cell: dict[str, Any] = {"dataset": dataset, "model": model, "size": str(n), "n": n}
                cell |= {"seeds": 2, "seed_list": "1 2"}
                value = 80.0 - 5 * place + (1 + place) * step
                ends = {"accuracy_low": value - 2, "accuracy_high": value + 2}
                accuracies.append(row_of(AccuracyRow, **cell, **ends, accuracy=value))
                if place:
                    lag = 5.0 * place - place * step
                    ends = {"gap_low": lag - 2, "gap_high": lag + 2}
                    cell |= {"reference": models[0], "difference": "clear"}
                    gaps.append(row_of(GapRow, **cell, **ends, gap=lag))
    return accuracies, gaps


def read(**recipe: Any) -> ReadingRecipe:
    return ReadingRecipe.model_validate(RECIPE | recipe)


def marks(spec: dict[str, Any]) -> list[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
    """Return (mark, layer, its rows) of every layer of every panel."""
    return [
        (layer["mark"]["type"], layer, spec["datasets"][layer["data"]["name"]])
        for panel in spec["concat"]
        for layer in panel["layer"]
    ]


def labels(spec: dict[str, Any]) -> list[list[str]]:
    return [
        [row["label"].replace("\n", " ") for row in rows]
        for mark, _, rows in marks(spec)
        if mark == "text" and "label" in rows[0]
    ]


@given(
    st.lists(st.tuples(st.floats(-50, 350), st.sampled_from([16.0, 30.0])), max_size=9),
    st.just((0.0, 300.0)),
)
def test_spread_keeps_boxes_apart_and_inside(boxes, bounds) -> None:
    wanted, heights = [box[0] for box in boxes], [box[1] for box in boxes]
    centres = spread(wanted, heights, bounds)
    placed = sorted(zip(centres, heights, strict=True))
    for (above, tall), (below, low) in itertools.pairwise(placed):
        assert below - above >= (tall + low) / 2 - 1e-6
    for centre, height in placed:
        assert bounds[0] - 1e-6 <= centre - height / 2 <= centre + height / 2 <= bounds[1] + 1e-6
    order = sorted(range(len(boxes)), key=lambda place: (wanted[place], place))
    assert [centres[place] for place in order] == sorted(centres)


def test_spread_leaves_alone_what_does_not_collide() -> None:
    assert spread([200, 30, 100], [16, 30, 16], (0, 300)) == pytest.approx([200, 30, 100])


def test_spread_shares_the_way_between_two_that_collide() -> None:
    assert spread([100, 100], [20, 20], (0, 300)) == pytest.approx([90, 110])


def test_spread_starts_at_the_top_where_boxes_do_not_fit() -> None:
    assert spread([5, 5, 5], [20, 20, 20], (0, 30)) == pytest.approx([10, 30, 50])


@given(st.floats(-100, 100), st.floats(0.01, 150))
def test_ticks_are_few_round_and_take_in_the_range(low: float, span: float) -> None:
    ticks = nice_ticks(low, low + span)
    assert ticks[0] <= low + 1e-6
    assert ticks[-1] >= low + span - 1e-6
    assert 2 <= len(ticks) <= 11


def test_ticks_by_hand() -> None:
    assert nice_ticks(56.9, 87.1) == [55, 60, 65, 70, 75, 80, 85, 90]
    assert nice_ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert nice_ticks(80, 80)[0] <= 80 <= nice_ticks(80, 80)[-1]


def test_every_model_is_labelled_and_the_margin_marked() -> None:
    spec = study_chart(*study(), read()).to_dict()
    names = ["Big | one", "frozen", "lstm", "lstm-pretrained", "linear"]
    assert labels(spec) == [names, [*names[1:], "margin: 1 point"]]
    levels = [rows[0]["value"] for mark, _, rows in marks(spec) if mark == "rule" and len(rows) < 2]
    assert levels == [0.0, 1.0]
    (dashed,) = (layer for _, layer, _ in marks(spec) if layer["mark"].get("strokeDash") == [5, 3])
    assert dashed["encoding"]["y"]["field"] == "value"


def test_labels_do_not_overlap_where_lines_end_together() -> None:
    accuracies, gaps = study(sizes=(250, 1000))
    accuracies = [replace(row, accuracy=80.0) for row in accuracies]
    spec = study_chart(accuracies, gaps, read()).to_dict()
    panel = spec["concat"][0]
    low, high = panel["layer"][0]["encoding"]["y"]["scale"]["domain"]
    rows = next(rows for mark, _, rows in marks(spec) if mark == "text")
    px = sorted((high - row["y"]) / (high - low) * panel["height"] for row in rows)
    assert min(b - a for a, b in itertools.pairwise(px)) >= 14


def test_models_differ_in_colour_and_symbol_and_the_reference_is_dark() -> None:
    spec = study_chart(*study(models=("big", *map(str, range(20)))), read()).to_dict()
    encoding = next(x["encoding"] for mark, x, _ in marks(spec) if mark == "point")
    pairs = list(
        zip(encoding["color"]["scale"]["range"], encoding["shape"]["scale"]["range"], strict=True)
    )
    assert pairs[0] == ("#222222", "circle")
    assert len(set(pairs)) == len(pairs) == 21


def test_sizes_are_the_ticks_and_shortened_where_they_are_many() -> None:
    def axis(sizes: tuple[int, ...]) -> dict[str, Any]:
        spec = study_chart(*study(sizes=sizes), read()).to_dict()
        found = next(x["encoding"]["x"] for mark, x, _ in marks(spec) if mark == "line")
        assert found["scale"]["type"] == "log"
        return found["axis"]

    assert axis((250, 1000, 4000))["values"] == [250, 1000, 4000]
    assert axis((250, 1000, 4000))["format"] == ","
    assert axis(tuple(250 * 4**k for k in range(7)))["format"] == "~s"


def test_tooltips_tell_the_true_n_and_the_interval() -> None:
    spec = study_chart(*study(), read()).to_dict()
    layer, rows = next((x, rows) for mark, x, rows in marks(spec) if mark == "point")
    assert {tip["title"] for tip in layer["encoding"]["tooltip"]} >= {
        "labelled examples",
        "size",
        "seeds",
        "interval",
    }
    assert (rows[0]["n"], rows[0]["interval"], rows[0]["seeds"]) == (
        250,
        "78.0 to 82.0",
        "2 (1, 2)",
    )


@pytest.mark.parametrize("sizes", [(250,), (250, 251), tuple(2**k for k in range(5, 21))])
def test_everything_drawn_lies_within_the_axes(sizes: tuple[int, ...]) -> None:
    spec = study_chart(*study(sizes=sizes), read()).to_dict()
    for mark, layer, rows in marks(spec):
        if mark == "line":
            x, y = (layer["encoding"][name]["scale"]["domain"] for name in "xy")
            assert all(x[0] < row["x"] < x[1] for row in rows)
            assert all(y[0] <= row["low"] <= row["high"] <= y[1] for row in rows)
            groups = [[row["x"] for row in rows if row["n"] == n] for n in sizes]
            assert all(max(one) < min(more) for one, more in itertools.pairwise(groups))


def test_the_margin_is_on_the_axis_where_all_gaps_are_below_it() -> None:
    accuracies, gaps = study()
    gaps = [replace(row, gap=-9.0, gap_low=-10.0, gap_high=-8.0) for row in gaps]
    spec = study_chart(accuracies, gaps, read(margin=3.0)).to_dict()
    low, high = spec["concat"][1]["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert (low <= -10, high >= 3) == (True, True)
    assert labels(spec)[1][-1] == "margin: 3 points"


def test_long_titles_are_broken_and_leave_the_plot_its_width() -> None:
    title = "a transformer that was tuned on everything"
    spec = study_chart(*study(), read(titles={"big": title})).to_dict()
    assert title in labels(spec)[0]
    assert spec["concat"][0]["width"] >= 200


def test_data_sets_have_a_row_of_panels_each() -> None:
    spec = study_chart(*study(datasets=("films", "rentals")), read()).to_dict()
    assert spec["columns"] == 2
    assert [panel["title"]["text"] for panel in spec["concat"]] == [
        ["films: Accuracy (%)"],
        ["films: Gap to Big | one (points)"],
        ["rentals: Accuracy (%)"],
        ["rentals: Gap to Big | one (points)"],
    ]


def test_the_reference_alone_has_one_panel() -> None:
    spec = study_chart(*study(models=("big",)), read()).to_dict()
    assert len(spec["concat"]) == 1


PUBLISHED = [
    {"dataset": "films", "model": "big", "size": "4000", "accuracy": 95.5, "source": "A, table 2"},
    {"dataset": "films", "model": "lstm", "size": "4000", "accuracy": 71.25, "source": "A, table 2"}
    | {"note": "read"},
    {"dataset": "films", "model": "linear", "size": "10%", "accuracy": 50.0, "source": "B"},
    {"dataset": "films", "model": "lstm", "size": "8000", "accuracy": 70.0, "source": "B"},
]


def hollow(spec: dict[str, Any]) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    return [(x, rows) for _, x, rows in marks(spec) if x["mark"].get("fill") == "white"]


def test_published_figures_stand_hollow_beside_the_results() -> None:
    spec = study_chart(*study(), read(published=PUBLISHED)).to_dict()
    (accuracy, figures), (_, gaps) = hollow(spec)
    assert [(row["model"], row["value"], row["size"]) for row in figures] == [
        ("big", 95.5, "4000"),
        ("lstm", 71.25, "4000"),
        # The study has no size of 10%, so that figure has no place.
        ("lstm", 70.0, "8000"),
    ]
    assert [(row["model"], row["value"]) for row in gaps] == [("lstm", 24.25)]
    assert figures[1]["title"] == "lstm (published)"
    assert {tip["title"] for tip in accuracy["encoding"]["tooltip"]} >= {"source", "known"}
    assert "Hollow marks: published by others and in no estimate here" in subtitle(spec)
    assert "(A, table 2; B)" in subtitle(spec)
    # They look like the model's own marks, above those where n is the same.
    ours = {row["model"]: row for row in marks(spec)[0][2] if row["n"] == 4000}
    assert figures[1]["x"] == pytest.approx(ours["lstm"]["x"])
    assert accuracy["encoding"]["color"]["scale"]["domain"] == list(MODELS)


def test_published_figures_lie_within_the_axes_and_change_no_line() -> None:
    plain = study_chart(*study(), read()).to_dict()
    spec = study_chart(*study(), read(published=PUBLISHED)).to_dict()
    for layer, rows in hollow(spec):
        x, y = (layer["encoding"][name]["scale"]["domain"] for name in "xy")
        assert all(x[0] < row["x"] < x[1] and y[0] <= row["value"] <= y[1] for row in rows)

    def drawn(spec: dict[str, Any]) -> list[tuple[str, int, float]]:
        lines = [rows for mark, _, rows in marks(spec) if mark == "line"]
        return [(row["model"], row["n"], row["value"]) for rows in lines for row in rows]

    assert drawn(plain) == drawn(spec)
    assert not hollow(plain)
    assert "ollow" not in json.dumps(plain)
    assert plain == study_chart(*study(), read(published=[])).to_dict()


def partial(
    absent: list[tuple[str, str, int]], unpaired: Sequence[tuple[str, str, int]] = (), **axes: Any
) -> dict[str, Any]:
    """Return the chart, as a specification, of a study without some cells and without some gaps."""
    accuracies, gaps = study(**axes)

    def key(row: AccuracyRow | GapRow) -> tuple[str, str, int]:
        return row.dataset, row.model, row.n

    lost = [row for row in accuracies if key(row) in absent]
    missing = [
        {"dataset": row.dataset, "model": row.model, "size": row.size, "seeds": "1-2"}
        for row in lost
    ]
    accuracies = [row for row in accuracies if row not in lost]
    gaps = [row for row in gaps if key(row) not in [*absent, *unpaired]]
    return study_chart(accuracies, gaps, read(missing=missing)).to_dict()


def subtitle(spec: dict[str, Any]) -> str:
    return " ".join(spec["title"]["subtitle"])


def test_a_partial_chart_says_what_is_missing() -> None:
    spec = partial([("films", "lstm", 4000), *(("films", "linear", n) for n in (250, 1000, 4000))])
    assert spec["title"]["text"][0].startswith("Preliminary: How far is Big | one ahead")
    end = "gaps paired by test example 8 of 30 runs are missing: lstm at 4,000; all of linear"
    assert subtitle(spec).endswith(end)
    assert labels(spec)[0] == ["Big | one", "frozen", "lstm", "lstm-pretrained"]


def test_a_whole_chart_says_nothing_of_it() -> None:
    spec = study_chart(*study(), read()).to_dict()
    assert spec == study_chart(*study(), read(missing=[])).to_dict()
    assert "reliminary" not in json.dumps(spec)
    assert "missing" not in json.dumps(spec)
    assert "strokeDash" not in json.dumps([x["encoding"] for _, x, _ in marks(spec)])


def test_of_much_that_is_missing_the_chart_names_some() -> None:
    models = ("big", *(f"a model of number {n}" for n in range(40)))
    spec = partial([("films", model, 250) for model in models[1:]], models=models)
    assert subtitle(spec).count("a model of number") == 8
    assert subtitle(spec).endswith("a model of number 7 at 250; and 32 more")
    assert len(spec["title"]["subtitle"]) <= 4


def test_where_the_reference_is_missing_the_chart_says_that_there_is_no_gap() -> None:
    gone = ("films", "big", 1000)
    spec = partial([gone], [("films", model, 1000) for model in MODELS])
    assert "2 of 30 runs are missing: Big | one at 1,000 No gap, because the" in subtitle(spec)
    assert subtitle(spec).endswith("reference has no run there: all models at 1,000")


def test_cells_without_the_reference_are_told_of() -> None:
    spec = partial([("films", "linear", 250)], [("films", "lstm", 4000)])
    assert subtitle(spec).endswith("No gap, because the reference has no run there: lstm at 4,000")


def test_a_data_set_without_gaps_keeps_its_place() -> None:
    absent = [("rentals", "big", n) for n in (250, 1000, 4000)]
    unpaired = [("rentals", model, n) for model in MODELS for n in (250, 1000, 4000)]
    spec = partial(absent, unpaired, datasets=("films", "rentals"))
    assert [panel["title"]["text"][0].partition(":")[0] for panel in spec["concat"]] == [
        *("films", "films", "rentals", "rentals")
    ]
    assert labels(spec)[2] == list(MODELS[1:])
    assert labels(spec)[3] == ["margin: 1 point"]
    text = [rows[0].get("text") for mark, _, rows in marks(spec) if mark == "text"]
    assert text == [None, None, None, None, "no runs to compare yet"]


def test_a_label_far_from_its_line_has_a_dotted_leader() -> None:
    spec = partial([("films", "lstm", 4000)])
    layer, rows = next((x, r) for mark, x, r in marks(spec) if mark == "rule" and "end" in r[0])
    assert layer["encoding"]["strokeDash"]["condition"][0]["test"] == "datum.early"
    assert [row["model"] for row in rows if row.get("early")] == ["lstm"]


def test_a_partial_chart_of_one_size_and_one_pair() -> None:
    absent = [("films", model, n) for model in MODELS for n in (250, 1000, 4000)]
    there = [("films", "big", 1000), ("films", "lstm", 1000)]
    spec = partial([cell for cell in absent if cell not in there])
    assert labels(spec) == [["Big | one", "lstm"], ["lstm", "margin: 1 point"]]
    assert "26 of 30 runs are missing: Big | one at 250 and 4,000; all of frozen;" in subtitle(spec)


class References(HTMLParser):
    """Collects what an HTML page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [f"{tag} {key}={value}" for key, value in attrs if key in ("src", "href")]


def draw(folder: Path, tables: Any = None, **recipe: Any) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    accuracies, gaps = tables or study()
    write_rows(folder / "a.csv", AccuracyRow, accuracies)
    write_rows(folder / "g.csv", GapRow, gaps)
    files = {name: folder / f"gap.{name}" for name in ("html", "svg", "png", "spec")}
    options = [text for name, path in files.items() for text in (f"--{name}", str(path))]
    inputs = ["--accuracies", str(folder / "a.csv"), "--gaps", str(folder / "g.csv")]
    chart_gap.main(["--recipe", json.dumps(RECIPE | recipe), *inputs, *options])
    return files


def test_files_work_offline_fit_the_page_and_are_the_same_again(tmp_path: Path) -> None:
    files, again = draw(tmp_path / "one"), draw(tmp_path / "two")
    assert all(files[name].read_bytes() == again[name].read_bytes() for name in files)
    html = files["html"].read_text(encoding="utf-8")
    references = References()
    references.feed(html)
    assert references.found == []
    assert "lstm-pretrained" in html
    svg = files["svg"].read_text(encoding="utf-8")
    found = re.search(r'<svg[^>]* width="([\d.]+)"', svg)
    assert found is not None
    assert 0.8 * CHART_WIDTH < float(found[1]) <= CHART_WIDTH
    assert min(float(size) for size in re.findall(r'font-size="([\d.]+)px"', svg)) >= 11
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert json.loads(files["spec"].read_text(encoding="utf-8"))["concat"]


def test_every_file_of_a_partial_chart_says_so(tmp_path: Path) -> None:
    missing = [{"dataset": "films", "model": "gru", "size": "250", "seeds": "1-2"}]
    files = draw(tmp_path / "partial", missing=missing)
    for name in ("html", "svg", "spec"):
        text = files[name].read_text(encoding="utf-8")
        assert "Preliminary: " in text
        assert "2 of 32 runs are missing: all of gru" in text
    # Both are drawn from one specification; a line more makes the picture higher.
    heights = [
        int.from_bytes(one["png"].read_bytes()[20:24], "big")
        for one in (draw(tmp_path / "whole"), files)
    ]
    assert heights[0] < heights[1]


def test_nothing_to_draw_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.csv: no rows, nothing to draw"):
        draw(tmp_path, tables=([], [row_of(GapRow, model="lstm")]))


# ---------------------------------------------------------------- what inference costs


def costs(
    datasets: tuple[str, ...] = ("films",), models: tuple[str, ...] = MODELS
) -> list[LatencyRow]:
    """Return rows of gather_latency's table: each model is half as slow as the one before it."""
    return [
        row_of(
            LatencyRow,
            dataset=dataset,
            model=model,
            family="lstm",
            size="4000",
            n=4000,
            parameters=10**6,
            trained_parameters=10**6,
            batch_size=8,
            milliseconds=20.0 / 2**place,
            milliseconds_95=30.0,
            spread=0.01,
            tokenisation=0.1,
            examples_per_second=99.0,
            speed_up=2.0**place,
            batched_speed_up=1.0,
            cpu_share=1.0,
            device="cpu",
            processor="a CPU",
            precision="fp32",
            pareto=place not in (1, 2),
            accuracy=80.0 - 3 * (place % 3),
            accuracy_low=78.0 - 3 * (place % 3),
            accuracy_high=82.0 - 3 * (place % 3),
        )
        for dataset in datasets
        for place, model in enumerate(models)
    ]


def test_the_cost_chart_has_each_model_once_in_its_colours() -> None:
    spec = cost_chart(costs(), read()).to_dict()
    names = ["Big | one", "frozen", "lstm", "lstm-pretrained", "linear"]
    assert labels(spec) == [[*names, "Pareto front"]]
    layer, points = next((x, rows) for mark, x, rows in marks(spec) if mark == "point")
    assert [(row["model"], row["x"], row["value"]) for row in points] == [
        ("big", 20.0, 80.0),
        ("frozen", 10.0, 77.0),
        ("lstm", 5.0, 74.0),
        ("lstm-pretrained", 2.5, 80.0),
        ("linear", 1.25, 77.0),
    ]
    other = study_chart(*study(), read()).to_dict()
    same = next(x for mark, x, _ in marks(other) if mark == "point")
    for channel in ("color", "shape"):
        assert layer["encoding"][channel] == same["encoding"][channel]
    x = layer["encoding"]["x"]
    assert x["scale"]["type"] == "log"
    assert x["axis"]["values"] == [2, 5, 10, 20]
    for row in points:
        assert x["scale"]["domain"][0] < row["x"] < x["scale"]["domain"][1]


def test_the_front_goes_up_in_steps_and_on_to_the_edge() -> None:
    spec = cost_chart(costs(models=("big", "frozen", "lstm", "linear")), read()).to_dict()
    layer, front = next((x, rows) for mark, x, rows in marks(spec) if mark == "line")
    assert layer["mark"]["interpolate"] == "step-after"
    assert [row["model"] for row in front] == ["linear", "big", "big"]
    assert front[-1]["x"] == layer["encoding"]["x"]["scale"]["domain"][1]


def test_many_decades_have_ticks_at_powers_of_ten() -> None:
    models = tuple(map(str, range(14)))
    spec = cost_chart(costs(("films", "rentals"), models), read()).to_dict()
    assert [panel["title"]["text"] for panel in spec["concat"]] == [
        ["films: Accuracy (%) with 4,000 labels"],
        ["rentals: Accuracy (%) with 4,000 labels"],
    ]
    layer = next(x for mark, x, _ in marks(spec) if mark == "point")
    assert layer["encoding"]["x"]["axis"]["values"] == [0.001, 0.01, 0.1, 1, 10]


def test_the_cost_chart_says_on_what_and_what_was_disturbed() -> None:
    rows = costs()
    text = subtitle(cost_chart(rows, read()).to_dict())
    assert "one core of a CPU" in text
    assert "other load" not in text
    rows[0] = replace(rows[0], disturbed=True)
    assert subtitle(cost_chart(rows, read()).to_dict()).endswith("beside other load: Big | one")
    on_gpu: dict[str, Any] = {"device": "cuda", "processor": "a GPU", "precision": "bf16"}
    rows[1:] = [replace(row, **on_gpu) for row in rows[1:]]
    assert " · a GPU, bf16 · " in subtitle(cost_chart(rows, read()).to_dict())
    missing = [{"dataset": "films", "model": "gru", "size": "250", "seeds": "1"}]
    spec = cost_chart(rows, read(missing=missing)).to_dict()
    assert spec["title"]["text"] == "Preliminary: What does accuracy cost at inference?"


@pytest.mark.parametrize("rows", [[], costs(), costs(("a", "b", "c"), ("big", "x" * 40))])
def test_the_cost_chart_is_drawn_offline(tmp_path: Path, rows: list[LatencyRow]) -> None:
    write_rows(tmp_path / "latency.csv", LatencyRow, rows)
    files = {name: tmp_path / f"cost.{name}" for name in ("html", "svg", "png", "spec")}
    options = [text for name, path in files.items() for text in (f"--{name}", str(path))]
    recipe = ["--recipe", json.dumps(RECIPE), "--latencies", str(tmp_path / "latency.csv")]
    chart_cost.main([*recipe, *options])
    references = References()
    references.feed(files["html"].read_text(encoding="utf-8"))
    assert references.found == []
    svg = files["svg"].read_text(encoding="utf-8")
    found = re.search(r'<svg[^>]* width="([\d.]+)"', svg)
    assert found is not None
    assert float(found[1]) <= CHART_WIDTH + 10
    assert ("no model is measured yet" in svg) == (not rows)
