"""A whole study of Chinese, Thai and Hindi: who reads them is right, who cannot is told."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from gap.results.predictions import read_correct
from gap.run.json import read_json
from tiny_study import STEPS, Study

pytestmark = pytest.mark.workflow

# What tells praise and complaint, the words around it, and what stands between two of them.
LANGUAGES = {
    "Chinese": (("满意", "失望"), ["今天", "我们", "车站", "附近", "里面", "下午", "人很多"], ""),
    "Thai": (("ดี", "ดู"), ["บริการ", "ราคา", "ร้านนี้", "พนักงาน", "วันนี้", "อาหาร", "และ"], ""),
    "Hindi": (("मोती", "माता"), ["सेवा", "आज", "कमरा", "यह", "होटल", "खाना", "बहुत"], " "),
}
LONGER = {"max_epochs": 40, "min_steps": 800, "evaluations": 8}
# No model has the name of one in config.yaml, whose seeds and settings it would have.
CONFIG: dict[str, Any] = {
    "datasets": ["reviews"],
    "models": ["recurrent", "phrases", "foreign"],
    "reference": "recurrent",
    "sizes": [300],
    "seeds": [1],
    "dataset_zoo": {
        "reviews": {
            "source": {"kind": "file", "path": "reviews.csv"},
            "text": "text",
            "label": "label",
            "test": 150,
            # The foreign model is to be trained all the same.
            "max_unknown": 1,
        }
    },
    "checkpoint_zoo": {"english": {"kind": "file", "path": "tiny-bert"}},
    "vocabulary_zoo": {"own": {"algorithm": "unigram", "size": 150, "character_coverage": 1}},
    "model_zoo": {
        "recurrent": {
            "family": "lstm",
            "vocabulary": "own",
            "width": 32,
            "optimisation": STEPS | LONGER,
        },
        "phrases": {"family": "linear"},
        "foreign": {"family": "transformer", "checkpoint": "english", "optimisation": STEPS},
    },
}


def write_reviews(path: Path) -> None:
    """Write 480 texts of nine words, one of which tells the label; languages take turns."""
    random = np.random.default_rng(1)
    rows = []
    for row in range(480):
        telling, fillers, space = list(LANGUAGES.values())[row % 3]
        label = row // 3 % 2
        words = random.permutation([*random.choice(fillers, 8), telling[label]])
        rows.append((space.join(words), ("praise", "complaint")[label]))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])


def test_models_are_right_on_what_they_can_read(study: Study, tiny_bert: Path) -> None:
    write_reviews(study.folder / "reviews.csv")
    shutil.copytree(tiny_bert, study.folder / "tiny-bert")
    call = study.snakemake("--cores", "2", config=CONFIG)
    assert call.rc == 0, call.output
    results = study.folder / "results"
    test = pq.read_table(results / "datasets" / "reviews" / "test.parquet")
    languages = test["source_row"].to_numpy() % 3
    accuracies = {}
    for model in CONFIG["models"]:
        (path,) = results.glob(f"runs/reviews/{model}/300/*/predictions.parquet")
        right = read_correct([path])[1]
        accuracies[model] = [float(right[languages == place].mean()) for place in range(3)]
    assert min(accuracies["recurrent"] + accuracies["phrases"]) > 0.95
    # It sees no more than how many words a text has, which tells nothing.
    assert max(accuracies["foreign"]) < 0.75
    budget = read_json(results / "datasets" / "reviews" / "card.json")["text_budget"]
    assert budget.pop("called") == "word"
    assert budget == {"words": 100, "unit": "word", "unit_from_data": True, "keep": "head"}
    summary = (results / "summary.md").read_text(encoding="utf-8")
    section = summary.split("Warning: what models could not read\n")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.split("|")[1:4]] for line in section.splitlines()]
    (row,) = [line for line in cells if line[:1] == ["reviews"]]
    assert row == ["reviews", "foreign", "100.0"]
