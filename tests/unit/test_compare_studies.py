"""Several studies in one chart: who is drawn how, what is told of differences, and mistakes."""

import csv
import dataclasses
import itertools
import json
import re
import shlex
from pathlib import Path

import compare_studies
import pytest
from compare_studies import claims, compare, difference, name_studies, notes, read_study, report
from gap.report.gap_charts import comparison_chart
from gap.report.styles import INK
from gap.results.rows import AccuracyRow, GapRow
from gap.results.tables import columns, write_rows
from gap.run.errors import UserError
from gap.run.json import read_json, write_json
from pages import ROOT
from table_rows import row_of

PAGE = ROOT / "docs" / "reports.md"
TITLES = {"big": "Big one", "lstm": "LSTM", "linear": "TF-IDF, linear"}
CHART = ("gap.html", "gap.svg", "gap.png", "gap.vl.json")


def write_study(folder, datasets=("films",), sizes=(250, 1000), lag=5.0, test="a" * 64, **config):
    """Write what a finished study leaves behind, as far as a comparison reads it."""
    models = config.get("models", list(TITLES))
    reference = config.setdefault("reference", models[0])
    config = {
        "datasets": list(datasets),
        "dataset_zoo": {name: {} for name in datasets},
        "models": models,
        "sizes": [str(n) for n in sizes],
        "gap": {"margin": 1.0, "confidence": 0.95},
        "model_zoo": {
            model: {"family": "linear", "title": TITLES[model], "seeds": ["1-2"]}
            for model in models
        },
    } | config
    cells = [
        {"dataset": dataset, "model": model, "size": str(n), "n": n}
        | {"seeds": 2, "seed_list": "1 2"}
        for dataset in datasets
        for model in models
        for n in sizes
    ]
    accuracies, gaps = [], []
    for cell in cells:
        gap = 0 if cell["model"] == reference else lag + models.index(cell["model"])
        accuracies.append(row_of(AccuracyRow, **cell, **estimate("accuracy", 80.0 - gap, 2)))
        if gap:
            cell |= {"reference": reference, "difference": "clear"}
            gaps.append(row_of(GapRow, **cell, **estimate("gap", float(gap), 3)))
    write_rows(folder / "accuracies.csv", AccuracyRow, accuracies)
    write_rows(folder / "gaps.csv", GapRow, gaps)
    parts = {"pool": {"rows": 9, "sha256": "p" * 64}, "test": {"rows": 3, "sha256": test}}
    runs = {
        f"{cell['dataset']}/{cell['model']}/{cell['size']}/{seed}": {"environment": "1"}
        for cell in cells
        for seed in (1, 2)
    }
    content = {"config": config, "rules": {}, "sources": {}, "environments": {"1": {}}}
    datasets = dict.fromkeys(datasets, parts)
    write_json(folder / "provenance.json", content | {"runs": runs, "datasets": datasets})
    return folder


def estimate(name, value, half_width):
    ends = {f"{name}_low": value - half_width, f"{name}_high": value + half_width}
    return {name: value} | ends


@pytest.fixture
def two(tmp_path):
    """Two studies of the same design."""
    return [
        read_study(write_study(tmp_path / name / "results", lag=lag), name)
        for name, lag in (("laptop", 5.0), ("cluster", 9.0))
    ]


def draw(studies):
    return comparison_chart({study.name: study for study in studies}, notes(studies)).to_dict()


def layer(spec, mark, panel=0):
    """Return the first layer of a mark in a panel, and its rows."""
    found = next(one for one in spec["concat"][panel]["layer"] if one["mark"]["type"] == mark)
    return found, spec["datasets"][found["data"]["name"]]


def looks(spec, panel=0):
    """Return {(model, study): (colour, symbol, dash)} of a panel's lines."""
    symbols, lines = (layer(spec, mark, panel)[0]["encoding"] for mark in ("point", "line"))
    channels = (symbols["color"], symbols["shape"], lines["strokeDash"])
    names = [tuple(name.split()) for name in channels[0]["scale"]["domain"]]
    ranges = [one["scale"]["range"] for one in channels]
    return dict(zip(names, zip(*ranges[:2], map(tuple, ranges[2]), strict=True), strict=True))


# ---------------------------------------------------------------- the chart


def test_a_model_has_one_colour_and_symbol_and_a_study_one_dash(two):
    spec = draw(two)
    found = looks(spec)
    assert set(found) == {(model, study) for model in TITLES for study in ("laptop", "cluster")}
    for model in TITLES:
        assert found[model, "laptop"][:2] == found[model, "cluster"][:2]
    dashes = {
        study: {look[2] for (_, one), look in found.items() if one == study}
        for study in ("laptop", "cluster")
    }
    assert all(len(one) == 1 for one in dashes.values())
    assert dashes["laptop"] != dashes["cluster"]
    assert found["big", "laptop"][:2] == (INK, "circle")
    assert spec["title"]["subtitle"][0] == "solid: laptop, dashed: cluster"
    # Data sets need not have the same lines, so their scales are their own.
    assert set(spec["resolve"]["scale"].values()) == {"independent"}


def test_a_label_at_the_end_of_each_line_names_model_and_study(two):
    spec = draw(two)
    for panel, models in ((0, TITLES), (1, ["lstm", "linear"])):
        rows = layer(spec, "text", panel)[1]
        labels = [row["label"].replace("\n", " ") for row in rows if row["model"]]
        assert sorted(labels) == sorted(
            f"{TITLES[model]} ·\u00a0{study}" for model in models for study in ("laptop", "cluster")
        )
        low, high = spec["concat"][panel]["layer"][0]["encoding"]["y"]["scale"]["domain"]
        scale = spec["concat"][panel]["height"] / (high - low)
        boxes = sorted((row["y"] * scale, 14 * (row["label"].count("\n") + 1)) for row in rows)
        for (below, short), (above, tall) in itertools.pairwise(boxes):
            assert above - below >= (short + tall) / 2


def test_all_that_is_drawn_of_many_studies_lies_within_the_axes(tmp_path):
    studies = [read_study(write_study(tmp_path / name, sizes=(250, 4000)), name) for name in "abcd"]
    encoding, rows = layer(draw(studies), "line")
    low, high = encoding["encoding"]["x"]["scale"]["domain"]
    assert len({row["x"] for row in rows}) == 2 * 3 * 4
    assert all(low < row["x"] < high for row in rows)


def test_references_are_dark_in_all_studies_and_the_chart_says_whose_the_gaps_are(tmp_path):
    first = read_study(write_study(tmp_path / "a"), "a")
    second = read_study(write_study(tmp_path / "b", reference="lstm"), "b")
    spec = draw([first, second])
    found = looks(spec)
    assert {found[model, study][0] for model in ("big", "lstm") for study in "ab"} == {INK}
    assert found["big", "a"][1] == found["big", "b"][1] != found["lstm", "a"][1]
    assert spec["concat"][1]["title"]["text"] == ["Gap to the study's reference (points)"]
    text = " ".join(spec["title"]["subtitle"])
    assert "Each gap is to the reference of its own study: Big one (a), LSTM (b)." in text


def test_data_sets_of_one_study_alone_have_panels_of_their_own(tmp_path):
    first = read_study(write_study(tmp_path / "a", datasets=("films",)), "a")
    second = read_study(write_study(tmp_path / "b", datasets=("books",)), "b")
    spec = draw([first, second])
    titles = [panel["title"]["text"][0] for panel in spec["concat"]]
    assert titles == [
        *("films: Accuracy (%)", "films: Gap to Big one (points)"),
        *("books: Accuracy (%)", "books: Gap to Big one (points)"),
    ]
    assert {study for _, study in looks(spec, 2)} == {"b"}
    assert "No two of the studies have a gap of the same data set" in report([first, second])


# ---------------------------------------------------------------- what is told


def test_a_difference_adds_half_widths_in_squares_on_the_side_where_they_lie():
    first = row_of(GapRow, gap=10.0, gap_low=7.0, gap_high=12.0)
    second = row_of(GapRow, gap=4.0, gap_low=2.5, gap_high=8.0)
    assert difference(first, second) == (6.0, 6.0 - 5.0, 6.0 + 2.5)


def test_gaps_of_both_studies_are_compared(two):
    first, *rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in compare(*two).splitlines()
    ]
    assert first[3:] == ["laptop", "cluster", "Difference", "Told"]
    expected = ["films", "LSTM", "250", "6.0 (3.0 to 9.0)", "10.0 (7.0 to 13.0)"]
    # 3 and 3 in squares are 4.2.
    assert rows[1] == [*expected, "-4.0 (-8.2 to 0.2)", "unclear"]
    assert len(rows) == 1 + 2 * 2
    assert "The studies are not paired" in report(two)


def test_which_gap_is_larger_is_told(tmp_path):
    first, second = (read_study(write_study(tmp_path / str(lag), lag=lag), "a") for lag in (1, 9))
    for one, other, word in ((first, second, "smaller"), (second, first, "larger")):
        rows = compare(one, other).splitlines()[2:]
        assert [line.split("|")[-2].strip() for line in rows] == [word] * 4


def test_of_many_differences_fewer_are_told():
    def pair(gap):
        ends = {"gap_low": gap - 1.0, "gap_high": gap + 1.0}
        return row_of(GapRow, gap=gap, **ends), row_of(GapRow, gap=0.0, gap_low=-1, gap_high=1)

    # The interval of a difference of 1.5 is 0.1 to 2.9: enough alone, not among many.
    assert claims([pair(1.5)], 0.95) == ["larger"]
    assert claims([pair(-1.5)], 0.95) == ["smaller"]
    assert claims([pair(1.5), *[pair(0.2)] * 9], 0.95) == ["unclear"] * 10
    assert claims([pair(1.4)], 0.95) == ["unclear"]
    assert claims([], 0.95) == []


def test_sizes_are_matched_by_their_number_of_labels(tmp_path):
    first = read_study(write_study(tmp_path / "a", sizes=(250,)), "a")
    second = read_study(write_study(tmp_path / "b", sizes=(250, 1000)), "b")
    shares = [dataclasses.replace(row, size="10%") for row in second.gaps]
    second = dataclasses.replace(second, gaps=shares)
    assert len(compare(first, second).splitlines()) == 2 + 2


def test_what_differs_between_studies_is_told(tmp_path):
    first = read_study(write_study(tmp_path / "a"), "a")
    gap = {"margin": 2.0, "confidence": 0.9}
    second = read_study(write_study(tmp_path / "b", test="b" * 64, gap=gap), "b")
    lines = [
        "films: the studies were not tested on the same texts (their test sets differ).",
        "The studies differ in margin: 1 point (a), 2 points (b).",
        "The studies differ in confidence: 95 % interval (a), 90 % interval (b).",
    ]
    assert notes([first, second]) == lines
    spec = draw([first, second])
    text = " ".join(spec["title"]["subtitle"])
    assert all(line in text for line in lines)
    assert "bars: 95 % or 90 % intervals" in text
    margins = [row["label"] for row in layer(spec, "text", 1)[1] if not row["model"]]
    assert margins == ["margin: 1 point", "margin: 2 points"]
    told = report([first, second])
    assert all(line in told for line in lines)
    # Two intervals with different confidence give no interval of their difference.
    assert "| 0.0 |" in re.sub(" +", " ", told)


def test_a_reference_made_in_another_way_is_told(tmp_path):
    checkpoints = []
    for name in "ab":
        zoo = {model: {"title": TITLES[model], "seeds": ["1-2"]} for model in TITLES}
        zoo["big"]["checkpoint"] = "it"
        path = write_study(
            tmp_path / name, model_zoo=zoo, checkpoint_zoo={"it": {"kind": "hub", "id": name}}
        )
        checkpoints.append(read_study(path, name))
    (text,) = notes(checkpoints)
    assert text.endswith("own study; Big one differs between them in recipe or checkpoint.")
    assert notes([checkpoints[0], checkpoints[0]]) == []


def test_an_unfinished_study_is_told(tmp_path):
    write_study(tmp_path / "a")
    record = read_json(tmp_path / "a" / "provenance.json")
    del record["runs"]["films/lstm/250/1"]
    write_json(tmp_path / "a" / "provenance.json", record)
    (text,) = notes([read_study(tmp_path / "a", "a")])
    assert text == "Preliminary: 1 of 12 runs of a is missing."


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["x/results", "y/results"], ["x", "y"]),
        (["x/results/tickets", "y"], ["tickets", "y"]),
        (["p/x/results", "q/x"], ["p/x", "q/x"]),
    ],
)
def test_studies_are_called_by_their_folders(tmp_path, folders, names):
    assert name_studies([tmp_path / folder for folder in folders], None) == names


def test_names_are_unique_even_of_a_folder_inside_another(tmp_path):
    found = name_studies([tmp_path / "x", tmp_path / "x" / "results"], None)
    assert len(set(found)) == 2


# ---------------------------------------------------------------- the program


def test_it_writes_chart_and_tables_and_tells_where(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = re.search(r"^python scripts/compare_studies\.py (.*)$", PAGE.read_text(), re.M)
    assert command
    words = shlex.split(command[1])
    place = words.index("--compare")
    for folder in words[place + 1 : place + 3]:
        write_study(Path(folder), lag=len(folder))
    compare_studies.main(words)
    target = Path(words[words.index("--folder") + 1])
    for name in CHART:
        assert (target / name).stat().st_size > 500, name
    told = capsys.readouterr().out
    assert told.startswith(f"The chart is {target}/gap.html")
    assert "Difference" in told
    for name in ("accuracies", "gaps"):
        with (target / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        assert header[:2] == ["study", "dataset"]
        assert len({row[0] for row in rows}) == 2
        assert len(rows) == 2 * (6 if name == "accuracies" else 4)
    text = json.dumps(read_json(target / "gap.vl.json"))
    assert "in each of 2 studies" in text


def test_given_names_take_the_place_of_the_folders(tmp_path, capsys):
    folders = [str(write_study(tmp_path / name)) for name in "ab"]
    target = tmp_path / "both"
    names = ["--names", "32 words", "64 words"]
    compare_studies.main(["--compare", *folders, "--folder", str(target), *names])
    assert "64 words" in capsys.readouterr().out
    assert (target / "gaps.csv").read_text().splitlines()[1].startswith("32 words,films,lstm")


def error_of(*argv):
    with pytest.raises(UserError) as caught:
        compare_studies.main([str(word) for word in argv])
    return str(caught.value)


@pytest.mark.parametrize("file", ["gaps.csv", "accuracies.csv", "provenance.json"])
def test_a_folder_without_a_finished_study_is_told(tmp_path, file):
    studies = [write_study(tmp_path / name) for name in "ab"]
    (studies[1] / file).unlink()
    text = error_of("--compare", *studies, "--folder", tmp_path / "out")
    assert text.startswith(f"{studies[1] / file}: no such file; expected the results of a finished")
    assert "finish it first" in text
    assert not (tmp_path / "out").exists()


def test_the_folder_above_the_results_is_told_where_they_are(tmp_path):
    studies = [write_study(tmp_path / name / "results") for name in "ab"]
    text = error_of("--compare", studies[0], tmp_path / "b", "--folder", tmp_path / "out")
    assert text.endswith(f"name {studies[1]}")


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        (
            "gaps.csv",
            "a,b\n1,2\n",
            "gaps.csv: no table of estimate_gap; expected dataset,",
        ),
        ("gaps.csv", "", "gaps.csv: no table of estimate_gap"),
        ("gaps.csv", b"\xff\xfe\x00", "gaps.csv: no table of estimate_gap"),
        ("accuracies.csv", ",".join(columns(AccuracyRow)) + "\n", "accuracies.csv: no rows"),
        ("provenance.json", "{", "no whole record of provenance"),
        ("provenance.json", '{"config": 1}', "no whole record of provenance"),
    ],
)
def test_files_of_another_kind_are_told(tmp_path, file, content, told):
    studies = [write_study(tmp_path / name) for name in "ab"]
    (studies[0] / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert told in error_of("--compare", *studies, "--folder", tmp_path / "out")


def test_a_config_that_is_none_is_told(tmp_path):
    studies = [write_study(tmp_path / name) for name in "ab"]
    record = read_json(studies[0] / "provenance.json")
    del record["config"]["gap"]
    write_json(studies[0] / "provenance.json", record)
    text = error_of("--compare", *studies, "--folder", tmp_path / "out")
    assert "its config is not that of a study" in text


def test_mistakes_on_the_command_line_are_told(tmp_path):
    a, b = (write_study(tmp_path / name) for name in "ab")
    out = ["--folder", tmp_path / "out"]
    assert "name each once" in error_of("--compare", a, tmp_path / "b" / ".." / "a", *out)
    assert "1 study; expected 2 to 4" in error_of("--compare", a, *out)
    assert "5 studies; expected 2 to 4" in error_of("--compare", a, b, a, b, a, *out)
    assert "would be overwritten" in error_of("--compare", a, b, "--folder", a)
    assert "is a file; name a folder" in error_of("--compare", a, b, "--folder", a / "gaps.csv")
    assert "give one for each" in error_of("--compare", a, b, *out, "--names", "x")
    assert "names that differ" in error_of("--compare", a, b, *out, "--names", "x", "x")
    assert not (tmp_path / "out").exists()
