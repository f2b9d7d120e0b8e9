"""Padding changes no result, batches of like length cover each text once, weights come back."""

from typing import Any

import numpy as np
import pytest
import torch
from gap.data.vocabulary import EncodedTexts
from gap.models.batching import LengthGroupedSampler, batches_by_tokens, pad
from gap.models.encoder import load_classifier, load_encoder, token_embeddings
from gap.models.families.lstm import Model as Lstm
from gap.models.families.lstm import Recipe as LstmRecipe
from gap.models.family import Job
from gap.models.linear_head import LinearConfig, LinearForSequenceClassification
from gap.models.lstm_network import LstmConfig, LstmForSequenceClassification, flip, pool
from gap.models.regression import fit_logistic_regression, load_regression
from gap.study.recipes import LogisticRegression
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array

LENGTHS = [3, 17, 9, 1, 12]
TEXTS = [np.random.default_rng(length).integers(5, 60, length) for length in LENGTHS]


def lstm(**sizes):
    torch.manual_seed(1)
    config = LstmConfig(vocab_size=60, embedding_size=8, width=16, num_labels=3, **sizes)
    return LstmForSequenceClassification(config).eval()


def networks(tiny_bert):
    yield "lstm", lstm()
    yield "deep lstm", lstm(layers=3, pooling="max")
    yield "forward lstm", lstm(bidirectional=False)
    yield "transformer", load_classifier(tiny_bert, ["a", "b", "c"]).eval()


def test_padding_changes_no_result(tiny_bert):
    for name, model in networks(tiny_bert):
        with torch.inference_mode():
            together = model(**pad(TEXTS, 0)).logits
            alone = torch.cat([model(**pad([text], 0)).logits for text in TEXTS])
        assert together.std() > 1e-3, name
        torch.testing.assert_close(together, alone, rtol=0, atol=1e-5, msg=name)


def test_padding_changes_no_frozen_state(tiny_bert):
    encoder = load_encoder(tiny_bert).eval()
    for pooling in ("mean", "max", "first"):
        with torch.inference_mode():
            batches = [pad(TEXTS, 0), *(pad([text], 0) for text in TEXTS)]
            states = [
                pool(encoder(**batch).last_hidden_state, batch["attention_mask"], pooling)
                for batch in batches
            ]
        torch.testing.assert_close(states[0], torch.cat(states[1:]), rtol=0, atol=1e-5)


def test_the_plain_bidirectional_lstm_would_fail_that():
    # What the flipping is for: nn.LSTM's own backward direction starts in the padding.
    torch.manual_seed(1)
    plain = torch.nn.LSTM(8, 16, batch_first=True, bidirectional=True)
    text = torch.randn(1, 4, 8)
    padded = torch.cat([text, torch.zeros(1, 6, 8)], dim=1)
    assert (plain(text)[0] - plain(padded)[0][:, :4]).abs().max() > 0.01


def test_the_backward_direction_equals_that_of_torch_without_padding():
    model = lstm()
    layer = model.layers[0]
    plain = torch.nn.LSTM(8, 16, batch_first=True, bidirectional=True)
    weights = dict(layer.forwards.named_parameters())
    weights |= {f"{name}_reverse": value for name, value in layer.backwards.named_parameters()}
    plain.load_state_dict(weights)
    states = torch.randn(2, 7, 8)
    torch.testing.assert_close(layer(states, torch.tensor([7, 7])), plain(states)[0])


@given(st.lists(st.integers(1, 8), min_size=1, max_size=6))
def test_flipping_twice_changes_nothing(lengths):
    states = torch.randn(len(lengths), max(lengths), 2)
    once = flip(states, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        assert (once[row, :length] == states[row, :length].flip(0)).all()
    assert (flip(once, torch.tensor(lengths)) == states).all()


def test_gradients_do_not_come_from_padding(tiny_bert):
    model = lstm()
    batch = pad(TEXTS, 0)
    model(**batch, labels=torch.tensor([0, 1, 2, 0, 1])).loss.backward()
    assert model.embeddings.weight.grad[0].abs().max() == 0
    assert model.embeddings.weight.grad[int(TEXTS[0][0])].abs().max() > 0


@given(st.lists(st.integers(1, 50), min_size=1, max_size=300), st.integers(1, 16))
def test_grouped_batches_cover_each_text_once_in_every_epoch(lengths, batch_size):
    sampler = LengthGroupedSampler(np.array(lengths), batch_size, seed=1)
    first = list(sampler)
    assert sorted(first) == list(range(len(lengths)))
    assert first == list(sampler)
    sampler.set_epoch(1)
    assert sorted(sampler) == list(range(len(lengths)))


def test_grouped_batches_hold_little_padding_and_are_shuffled():
    lengths = np.random.default_rng(0).integers(1, 200, 3200)
    sampler = LengthGroupedSampler(lengths, 32, seed=1)
    batches = lengths[np.array(list(sampler))].reshape(-1, 32)
    assert batches.sum() / (batches.max(axis=1).sum() * 32) > 0.9
    trend = np.corrcoef(np.arange(len(batches)), batches.mean(axis=1))[0, 1]
    assert abs(trend) < 0.3


@given(st.lists(st.integers(1, 50), min_size=1, max_size=100), st.integers(1, 200))
def test_token_batches_cover_each_text_once_within_their_budget(lengths, tokens):
    lengths = np.array(lengths)
    batches = list(batches_by_tokens(lengths, tokens))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or lengths[batch].max() * len(batch) <= tokens


def test_weights_come_back_from_safetensors(tmp_path):
    model = lstm(layers=2)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    loaded = LstmForSequenceClassification.from_pretrained(tmp_path).eval()
    batch = pad(TEXTS, 0)
    assert torch.equal(model(**batch).logits, loaded(**batch).logits)
    linear = LinearForSequenceClassification(LinearConfig(num_features=4, num_labels=3))
    linear.save_pretrained(tmp_path)
    loaded = LinearForSequenceClassification.from_pretrained(tmp_path)
    features = torch.randn(2, 4)
    logits = loaded(features).logits
    assert torch.equal(linear(features).logits, logits)
    for form in (features.numpy(), csr_array(features.numpy())):
        scores = torch.from_numpy(load_regression(tmp_path)(form))
        torch.testing.assert_close(scores, torch.log_softmax(logits, dim=-1))


@pytest.mark.parametrize("embeddings", ["tuned", "frozen", "learned"])
def test_an_lstm_on_a_checkpoints_tokens_has_its_table_unless_it_learns_one(tiny_bert, embeddings):
    keys = {"family": "lstm", "checkpoint": "tiny", "width": 4, "embedding_size": 8}
    recipe = LstmRecipe.model_validate(keys | {"embeddings": embeddings})
    texts = EncodedTexts(np.empty(0, np.uint16), np.zeros(1, np.int64), None, 0, 19)
    model: Any = Lstm(recipe, Job(["a", "b"], checkpoint=tiny_bert)).build(recipe, texts, 1)
    table = token_embeddings(tiny_bert)
    if embeddings == "learned":
        assert model.embeddings.weight.shape == (19, 8)
    else:
        assert torch.equal(model.embeddings.weight, table)
    assert model.embeddings.weight.requires_grad == (embeddings != "frozen")


RECIPE = LogisticRegression(standardise=True, inverse_regularisation=1.0, max_iterations=500)


@pytest.mark.parametrize("num_labels", [2, 3])
def test_logistic_regression_finds_labels_and_knows_absent_ones(num_labels):
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 200).astype(np.int32)
    features = (labels[:, None] * 2 + random.normal(5, 1, (200, 4))).astype(np.float32)
    weights, bias, scores = fit_logistic_regression(
        (features[:150], labels[:150]), (features[150:], labels[150:]), RECIPE, num_labels
    )
    logits = features[150:] @ weights.T + bias
    assert weights.shape == (num_labels, 4)
    right = (logits.argmax(1) == labels[150:]).mean()
    assert right > 0.9
    assert scores["accuracy"] == right
    if num_labels == 3:
        assert (logits[:, 2] < logits[:, :2].max(1) - 5).all()


def test_logistic_regression_equals_scikit_learn_on_scaled_features():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    random = np.random.default_rng(0)
    features = random.normal(3, 2, (90, 5))
    labels = random.integers(0, 3, 90).astype(np.int32)
    weights, bias, _ = fit_logistic_regression((features, labels), (features, labels), RECIPE, 3)
    logits = features @ weights.T + bias
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    peer = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=500))
    np.testing.assert_allclose(
        scores, peer.fit(features, labels).predict_proba(features), atol=1e-5
    )
