"""The paper's study as it is shipped, on a stand-in: tiny reviews, and narrow RoBERTas of a hub."""

import json
import random

import pytest
import yaml
from gap.results.rows import GapRow
from gap.results.tables import read_rows
from gap.run.json import read_json
from hub_server import HubServer
from tiny_study import ROOT, Study, copy_workflow

pytestmark = pytest.mark.workflow

PAPER = yaml.safe_load((ROOT / "studies" / "paper.yaml").read_text(encoding="utf-8"))
MODELS = ["roberta-large", "lstm-4-256", "lstm-4-256-large", "tfidf"]
FEW = {"max_epochs": 1, "min_steps": 4, "evaluations": 2, "batch_size": 16}
# Sources, families, layers, widths and what is tuned stay those of the paper's study.
SMALL = {
    "datasets": ["yelp", "sports"],
    "models": MODELS,
    "sizes": ["100%"],
    "seeds": [1],
    "validation": {"min": 10, "max": 20},
    "dataset_zoo": {name: {"test": 40} for name in ("yelp", "sports")},
    "model_zoo": {name: {"optimisation": FEW} for name in MODELS[:3]}
    | {"tfidf": {"seeds": [1], "min_texts": 1}},
}
# What the data set's card says at the revision of the study.
CARD = """---
configs:
  - config_name: raw_review_Sports_and_Outdoors
    data_files:
      - split: full
        path: raw/review_categories/Sports_and_Outdoors.jsonl
  - config_name: raw_review_Electronics
    data_files:
      - split: full
        path: raw/review_categories/Electronics.jsonl
---
"""


def reviews(label, seed):
    """Return 200 reviews as JSON Lines, 40 of each of five stars, which some words tell."""
    generator = random.Random(seed)
    words = {1: "awful", 2: "poor", 3: "fair", 4: "good", 5: "great"}
    fillers = [f"word{number}" for number in range(40)]
    lines = [
        {
            "id": number,
            label: float(1 + number % 5),
            "text": " ".join([words[1 + number % 5], *generator.choices(fillers, k=9)]),
        }
        for number in range(200)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def make_narrow_roberta(folder, width, texts):
    """Save a RoBERTa of two narrow layers, its weights random, with a byte-level BPE of texts."""
    import torch
    from tokenizers import ByteLevelBPETokenizer, processors
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

    tokenizer = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer.train_from_iterator(texts, vocab_size=400, special_tokens=special)
    backend = tokenizer._tokenizer
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    names |= {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    PreTrainedTokenizerFast(tokenizer_object=backend, **names).save_pretrained(folder)
    torch.manual_seed(1)
    config = RobertaConfig(
        vocab_size=400,
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=66,
    )
    RobertaModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub with what the study fetches, at the revisions that it names."""
    folder = tmp_path_factory.mktemp("hub")
    sports, checkpoints = PAPER["dataset_zoo"]["sports"]["source"], PAPER["checkpoint_zoo"]
    text = reviews("rating", 1)
    with HubServer() as hub:
        files = {"README.md": CARD.encode(), "Amazon-Reviews-2023.py": b"raise SystemExit\n"}
        names = [f"raw/review_categories/{name}.jsonl" for name in ("Sports_and_Outdoors", "Books")]
        files |= dict(zip(names, (text, b"no table"), strict=True))
        hub.push(f"datasets/{sports['id']}", files, branch=sports["revision"])
        for width, spec in zip((16, 32), checkpoints.values(), strict=True):
            roberta = make_narrow_roberta(folder / spec["id"], width, text.decode().splitlines())
            hub.push(f"models/{spec['id']}", roberta, branch=spec["revision"])
        yield hub


@pytest.fixture(scope="module")
def paper(tmp_path_factory, hub):
    """The results of the finished study."""
    folder = tmp_path_factory.mktemp("paper")
    study = Study(copy_workflow(folder / "study").folder, hub.environment(folder / "home"))
    (study.folder / "studies").mkdir()
    text = (ROOT / "studies" / "paper.yaml").read_text(encoding="utf-8")
    (study.folder / "studies" / "paper.yaml").write_text(text, encoding="utf-8")
    (study.folder / "small.yaml").write_text(yaml.safe_dump(SMALL), encoding="utf-8")
    yelp = study.folder / PAPER["dataset_zoo"]["yelp"]["source"]["path"]
    yelp.parent.mkdir()
    yelp.write_bytes(reviews("stars", 2))
    files = ["--configfile", "studies/paper.yaml", "small.yaml"]
    call = study.snakemake("--cores", "2", *files, timeout=3000)
    assert call.rc == 0, call.output
    return study.folder / "results" / "paper"


def test_every_cell_has_its_gap_and_every_network_as_many_trials(paper):
    gaps = read_rows(paper / "gaps.csv", GapRow)
    assert {(row.dataset, row.model, row.size) for row in gaps} == {
        (dataset, model, "100%") for dataset in ("yelp", "sports") for model in MODELS[1:]
    }
    trained = [read_json(path) for path in paper.glob("runs/*/[rl]*/*/*/training.json")]
    assert len(trained) == 2 * 3
    assert {len(one["seeds"]["1"]["trials"]) for one in trained} == {2}


def test_models_from_scratch_have_roberta_s_tokens_and_none_of_its_embeddings(paper):
    from safetensors import safe_open

    shapes = {}
    for model in ("lstm-4-256", "lstm-4-256-large"):
        (path,) = (paper / "runs" / "yelp" / model / "100%").glob("1/weights/1/*.safetensors")
        with safe_open(path, "numpy") as file:
            shapes[model] = file.get_slice("embeddings.weight").get_shape()
    assert shapes["lstm-4-256"][1] == 256
    assert shapes["lstm-4-256-large"] == [400, 32]


def test_published_figures_stand_beside_the_results(paper):
    spec = read_json(paper / "gap.vl.json")
    layers = [layer for panel in spec["concat"] for layer in panel["layer"]]
    hollow = [layer for layer in layers if layer["mark"].get("fill") == "white"]
    values = [[row["value"] for row in spec["datasets"][x["data"]["name"]]] for x in hollow]
    assert values == [[78.85, 76.37], [2.48], [79.65, 78.38], [1.27]]
    summary = (paper / "summary.md").read_text(encoding="utf-8")
    assert "## Published figures" in summary
    assert "derived: LSTM-4-256's accuracy" in summary
    assert "78.85" not in summary.partition("## Published figures")[0]


def test_the_commits_of_the_hub_are_recorded(paper, hub):
    sources = read_json(paper / "provenance.json")["sources"]
    commits = {commit for one in hub.repositories.values() for commit in one.commits}
    named = {name: one.get("commit") for name, one in sources.items()}
    assert named.pop("dataset-yelp") is None
    assert named.keys() == {
        *("dataset-sports", "checkpoint-roberta-base", "checkpoint-roberta-large")
    }
    assert set(named.values()) == commits


def test_labels_are_the_five_stars(paper):
    for dataset in ("yelp", "sports"):
        card = read_json(paper / "datasets" / dataset / "card.json")
        assert card["labels"] == ["1", "2", "3", "4", "5"]
        assert card["pool"]["rows"] == 160
