"""What pretraining asks of a cluster: more for more work, and GPUs where there are any."""

from typing import Any

import pytest
from gap.cluster.pretraining import pretraining_request
from gap.cluster.requests import Site, corpus_request
from gap.run.json import write_json
from gap.study.pretraining import LanguageModel, MaskedLm, WordVectors

ENCODER: dict[str, Any] = {
    "kind": "pretrained",
    "corpus": ["films"],
    "start": {"layers": 12, "width": 768, "heads": 12},
}
LSTM: dict[str, Any] = {
    "kind": "pretrained",
    "corpus": ["films"],
    "objective": "language_model",
    "start": {"width": 512},
}
VECTORS: dict[str, Any] = {"kind": "pretrained", "corpus": ["films"], "objective": "static"}
RECIPES = [(MaskedLm, ENCODER), (LanguageModel, LSTM), (WordVectors, VECTORS)]
WITHOUT = Site()


@pytest.fixture
def corpus(tmp_path):
    """A function that writes the manifest of a corpus of so many characters."""

    def write(characters):
        write_json(tmp_path / f"{characters}.json", {"characters": characters})
        return str(tmp_path / f"{characters}.json")

    return write


def request(kind, recipe, corpus, site=WITHOUT, start=None):
    return pretraining_request(kind.model_validate(recipe), corpus, start, site)


@pytest.mark.parametrize(("kind", "recipe"), RECIPES, ids=["encoder", "lstm", "vectors"])
def test_more_texts_take_longer_and_more_memory(kind, recipe, corpus):
    few, many = (request(kind, recipe, corpus(count)) for count in (10**7, 10**10))
    assert few.runtime < many.runtime
    assert few.mem_mb < many.mem_mb
    assert few.gpu == many.gpu == 0


@pytest.mark.parametrize(("kind", "recipe"), RECIPES[:2], ids=["encoder", "lstm"])
def test_passes_take_time_and_large_steps_memory(kind, recipe, corpus):
    texts = corpus(10**9)
    least = request(kind, recipe, texts)
    passes = request(kind, recipe | {"optimisation": {"passes": 50}}, texts)
    assert passes.runtime > 9 * (least.runtime - 15)
    large = request(kind, recipe | {"optimisation": {"batch_size": 512}}, texts)
    assert large.mem_mb > 2 * least.mem_mb
    in_turn = {"batch_size": 512, "device_batch_size": 32}
    assert request(kind, recipe | {"optimisation": in_turn}, texts).mem_mb == least.mem_mb


def test_as_many_gpus_as_keep_it_within_a_working_day(corpus):
    site = Site(most_gpus=4)
    assert request(MaskedLm, ENCODER, corpus(10**8), site).gpu == 1
    assert request(MaskedLm, ENCODER, corpus(10**12), site).gpu == 4
    assert request(WordVectors, VECTORS, corpus(10**12), site).gpu == 0


def test_a_checkpoint_that_is_pretrained_further_has_the_size_of_its_start(corpus, tmp_path):
    small, large = (
        {"hidden_size": width, "num_hidden_layers": 6, "vocab_size": 30_000} for width in (64, 1024)
    )
    texts, requests = corpus(10**8), []
    for name, config in (("small", small), ("large", large)):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "config.json", config)
        files = [{"path": str(tmp_path / name / "config.json")}]
        write_json(tmp_path / f"{name}-manifest.json", {"files": files})
        start = str(tmp_path / f"{name}-manifest.json")
        requests.append(request(MaskedLm, ENCODER | {"start": name}, texts, start=start))
    assert requests[0].runtime < requests[1].runtime
    assert requests[0].mem_mb < requests[1].mem_mb


def test_collecting_takes_longer_for_more_rows(tmp_path):
    for rows in (1000, 20_000_000):
        write_json(tmp_path / f"{rows}.json", {"rows": rows})
    few, many = (corpus_request([str(tmp_path / f"{rows}.json")]) for rows in (1000, 20_000_000))
    assert few.runtime < many.runtime
    assert few.mem_mb < many.mem_mb
