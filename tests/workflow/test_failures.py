"""What a person sees and has when some runs of a study fail, and afterwards."""

import copy
import re

import pytest
from tiny_study import TINY_STUDY

pytestmark = pytest.mark.workflow

WORDS = {"family": "linear", "seeds": ["1-2"]}
CONFIG = {
    "datasets": ["tickets"],
    "models": ["tfidf", "words", "rare"],
    "reference": "tfidf",
    "sizes": [40],
    "dataset_zoo": TINY_STUDY["dataset_zoo"],
    "model_zoo": {
        "tfidf": WORDS,
        "words": WORDS | {"longest_phrase": 1, "title": "Single words"},
        # No word is in so many texts.
        "rare": WORDS | {"min_texts": 1000, "title": "Rare words"},
    },
}


@pytest.fixture
def config():
    return copy.deepcopy(CONFIG)


def test_one_failing_run_stops_no_other_and_is_told_at_the_end(study, tickets, config):
    call = study.snakemake("--cores", "2", config=config)
    assert call.rc == 1
    told = re.search(r"^1 of (\d+) jobs failed, (\d+) were not begun$", call.output, re.MULTILINE)
    assert told, call.output
    done = re.findall(r"^(\d+) of (\d+) steps", call.output, re.MULTILINE)[-1]
    assert int(done[1]) == int(told[1]) == int(done[0]) + 1 + int(told[2])
    summary = call.output[told.start() :].splitlines()
    assert summary[2] == "Training rare on 40 of tickets, seeds 1-2"
    assert summary[3].startswith("    error: seed 1: TF-IDF has nothing to count: of 20 training")
    assert summary[4].endswith("logs/train/tickets/rare/40/1-2.log")
    assert "the same command goes on:" in summary[6]
    assert summary[7].endswith("snakemake --cores 2 --configfile study.yaml")
    assert "Traceback" not in call.output

    results = study.folder / "results"
    finished = {path.parent.name for path in results.glob("runs/tickets/*/40")}
    scored = {path.parts[-4] for path in results.glob("runs/tickets/*/40/1-2/predictions.parquet")}
    assert scored == {"tfidf", "words"}
    assert finished >= scored
    assert not list(results.glob("gap.*"))
    assert not list(results.glob("*.csv"))

    # What there is, on demand, and with a word on what is not.
    call = study.snakemake("--cores", "2", "--config", "partial=true", config=config)
    assert call.rc == 0, call.output
    summary = (results / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("Preliminary: 2 of 6 runs are missing")
    assert "Preliminary" in (results / "gap.svg").read_text(encoding="utf-8")
    assert "Rare words" in (results / "gap.svg").read_text(encoding="utf-8")

    # Mended, the same command goes on; what was finished is not done again.
    config["model_zoo"]["rare"]["min_texts"] = 1
    kept = results / "runs/tickets/words/40/1-2/predictions.parquet"
    before = kept.stat().st_mtime_ns
    call = study.snakemake("--cores", "2", config=config)
    assert call.rc == 0, call.output
    assert kept.stat().st_mtime_ns == before
    for name in ("summary.md", "gap.svg"):
        assert "Preliminary" not in (results / name).read_text(encoding="utf-8")


def test_without_any_finished_run_there_is_nothing_partial(study, tickets, config):
    call = study.snakemake("-n", "--config", "partial=true", config=config)
    assert call.rc == 1
    assert call.errors == [
        "error: config: partial: no run of the study is finished yet; call snakemake without it"
    ]
