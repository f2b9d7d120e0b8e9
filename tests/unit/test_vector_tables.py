"""A table of vectors with a tokenizer becomes a checkpoint of word vectors."""

import json

import download
import numpy as np
import pytest
import torch
from gap.data.checkpoints import checkpoint_folder
from gap.data.vector_tables import vector_table
from gap.data.vocabulary import FittedVocabulary, PretrainedVocabulary, fit_vocabulary
from gap.models.bridge import Bridge
from gap.models.encoder import token_embeddings
from gap.models.pretraining.tokenizer import convert_vocabulary
from gap.run.json import read_json, write_json
from gap.study.datasets import VocabularyRecipe
from safetensors.numpy import save_file

TEXTS = ["the film was good", "a dull, dull book", "films and books were good"]


@pytest.fixture
def folder(tmp_path):
    """A folder as static embeddings are published: a bare table, and a tokenizer."""
    folder = tmp_path / "static"
    recipe = VocabularyRecipe.model_validate({"algorithm": "bpe", "size": 50})
    fit_vocabulary(iter(TEXTS * 20), recipe, 1, tmp_path / "1.model")
    pieces = convert_vocabulary(tmp_path / "1.model", tmp_path / "tokenizer")
    folder.mkdir()
    (tmp_path / "tokenizer" / "tokenizer.json").rename(folder / "tokenizer.json")
    vectors = np.random.default_rng(1).standard_normal((pieces, 6)).astype(np.float16)
    save_file({"embedding.weight": vectors}, folder / "model.safetensors")
    return folder


def fetch(folder, tmp_path):
    """Download a folder; return the folder of the checkpoint."""
    files, manifest = tmp_path / "source/files", tmp_path / "source/manifest.json"
    spec = {"kind": "file", "path": str(folder)}
    options = {"files": files, "manifest": manifest, "origin": tmp_path / "source/origin.json"}
    download.main(
        ["--role", "checkpoint", "--recipe", json.dumps(spec)]
        + [f"--{name}={path}" for name, path in options.items()]
    )
    return checkpoint_folder(manifest)


def test_its_vectors_and_ids_are_those_that_were_published(folder, tmp_path):
    checkpoint = fetch(folder, tmp_path)
    vocabulary, fitted = PretrainedVocabulary(checkpoint), FittedVocabulary(tmp_path / "1.model")
    assert vocabulary.encode(TEXTS) == fitted.encode(TEXTS)
    assert vocabulary.size == fitted.size
    table = token_embeddings(checkpoint)
    assert table.shape == (fitted.size, 6)
    published = np.random.default_rng(1).standard_normal(table.shape).astype(np.float16)
    assert torch.equal(table, torch.from_numpy(published).float())


def test_its_vectors_come_over_a_bridge(folder, tmp_path):
    bridge = Bridge.of(fetch(folder, tmp_path))
    assert bridge.table.shape[1] == 6


def test_to_fetch_it_again_changes_nothing(folder, tmp_path):
    fetch(folder, tmp_path)
    manifest = (tmp_path / "source/manifest.json").read_bytes()
    fetch(folder, tmp_path)
    assert (tmp_path / "source/manifest.json").read_bytes() == manifest
    names = {file["path"].rpartition("/")[2] for file in json.loads(manifest)["files"]}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}


def test_a_config_without_a_network_is_no_hindrance(folder):
    write_json(folder / "config.json", {"tokenizer_name": "some", "normalize": True})
    assert vector_table(sorted(folder.iterdir())) is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: write_json(folder / "config.json", {"architectures": ["BertModel"]}),
        lambda folder: (folder / "tokenizer.json").unlink(),
        lambda folder: (folder / "tokenizer.json").write_text("{"),
        lambda folder: save_file(
            {name: np.zeros((2, 2)) for name in "ab"}, folder / "model.safetensors"
        ),
        lambda folder: save_file({"a": np.zeros(2)}, folder / "model.safetensors"),
    ],
    ids=["a network", "no tokenizer", "a damaged tokenizer", "two tables", "no table"],
)
def test_what_is_no_table_of_vectors_is_left_as_it_is(folder, change):
    change(folder)
    assert vector_table(sorted(folder.iterdir())) is None


@pytest.mark.parametrize(
    ("changes", "padding"),
    [
        ({}, 0),
        ({"padding": {"pad_id": 3, "pad_token": "x"}}, 3),
        ({"added_tokens": [{"id": 7, "content": "[PAD]", "special": True}]}, 7),
        ({"added_tokens": []}, 0),
    ],
)
def test_what_pads(folder, tmp_path, changes, padding):
    tokenizer = read_json(folder / "tokenizer.json")
    write_json(folder / "tokenizer.json", tokenizer | changes)
    assert read_json(fetch(folder, tmp_path) / "config.json")["pad_token_id"] == padding
