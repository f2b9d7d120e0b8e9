"""A study of sequences whose labels stand in a table: what its changes make run again."""

import copy
import random
import re
from typing import Any

import pytest
from gap.run.json import read_json

pytestmark = pytest.mark.workflow

CONFIG: dict[str, Any] = {
    "datasets": ["proteins"],
    "models": ["lstm", "tfidf"],
    "reference": "tfidf",
    "sizes": [40],
    "dataset_zoo": {
        "proteins": {
            "source": {"kind": "file", "path": "proteins.fasta"},
            "text": "sequence",
            "label": "place",
            "label_table": {"kind": "file", "path": "places.tsv"},
            "test": 20,
        }
    },
}
CARD = "results/datasets/proteins/card.json"


def write_table(folder, last="nucleus"):
    places = [("membrane", "nucleus")[number % 2] for number in range(120)]
    lines = [f"P{number}\t{place}\n" for number, place in enumerate([*places[:-1], last])]
    (folder / "places.tsv").write_text("id\tplace\n" + "".join(lines))


def jobs(call):
    assert call.rc == 0, call.output
    return set(re.findall(r"^Job \d+: (\S+ \S+)", call.output, re.MULTILINE))


def test_a_changed_table_is_read_again(study):
    generator = random.Random(0)
    sequences = ["M" + "".join(generator.choices("ACDEFGHIKL", k=60)) for _ in range(120)]
    records = [f">P{number} protein\n{sequence}\n" for number, sequence in enumerate(sequences)]
    (study.folder / "proteins.fasta").write_text("".join(records))
    write_table(study.folder)
    call = study.snakemake("--cores", "1", CARD, config=CONFIG)
    assert jobs(call) >= {"Fetching dataset-proteins", "Fetching table-proteins"}
    card = read_json(study.folder / CARD)
    table = read_json(study.folder / "results/sources/table-proteins/manifest.json")
    assert card["label_table_sha256"] == table["sha256"]
    assert card["labels"] == ["membrane", "nucleus"]
    # Written again with the same content, the table makes nothing run again.
    write_table(study.folder)
    assert jobs(study.snakemake("-n", CARD, config=CONFIG)) == set()
    write_table(study.folder, "membrane")
    call = study.snakemake("--cores", "1", CARD, config=CONFIG)
    assert jobs(call) == {"Fetching table-proteins", "Preparing the"}
    counts = read_json(study.folder / CARD)
    sides = [counts[side]["label_counts"] for side in ("pool", "test")]
    assert sum(side["membrane"] for side in sides) == 61
    # A table that its config pins must be the one that it names.
    config = copy.deepcopy(CONFIG)
    config["dataset_zoo"]["proteins"]["label_table"]["sha256"] = "0" * 64
    call = study.snakemake("--cores", "1", CARD, config=config)
    assert call.rc == 1
    (line,) = call.errors
    assert line.startswith("error: places.tsv: sha256 is ")
