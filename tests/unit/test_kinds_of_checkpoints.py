"""Checkpoints of all kinds that transformers classifies with: trained, frozen, scored, timed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from gap.data.encoding import Encoder, encode_piece, join_pieces
from gap.data.sampling import Subsample
from gap.data.vocabulary import EncodedTexts, PretrainedVocabulary
from gap.models.batching import pad
from gap.models.encoder import load_classifier, load_encoder, set_dropout
from gap.models.family import Folders, Job, family_of, load_recipe
from gap.models.network import Network
from gap.models.retention import depths_of
from gap.models.serving import TextReader
from gap.models.training import KeepCheckpoints
from gap.run.errors import Stopped, UserError
from gap.run.json import write_json
from tiny_training import spread
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedTokenizerFast

MARKS = ["<pad>", "<unk>", "<cls>", "<sep>"]
WORDS = ["a", "the", "film", "book", "plot", "good", "great", "fine", "bad", "poor", "dull", "not"]
VOCABULARY = [*MARKS, *WORDS]
SHAPE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
}
# What each calls differently, or needs beside that.
KINDS: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "albert": {"embedding_size": 8},
    "electra": {"embedding_size": 8},
    "deberta-v2": {
        "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"],
        "position_buckets": 8,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
    "xlm-roberta": {},
    "mpnet": {},
    "xlnet": {
        "max_position_embeddings": None,
        "d_model": 16,
        "n_layer": 2,
        "n_head": 2,
        "d_inner": 32,
    },
    "longformer": {"attention_window": 4},
    "bart": {
        "d_model": 16,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
    },
    "t5": {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2},
    "gpt2": {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 40},
    "qwen2": {"num_key_value_heads": 1},
    "llama": {"num_key_value_heads": 1},
    "modernbert": {"local_attention": 8, "global_attn_every_n_layers": 2},
    "esm": {"position_embedding_type": "rotary", "token_dropout": True, "mask_token_id": 1},
}
# Decoders, whose tokenizers put nothing around a text and need no padding where they write texts.
DECODERS = ("gpt2", "qwen2", "llama")
TEXTS = [" ".join(np.random.default_rng(seed).choice(WORDS, 2 + seed % 9)) for seed in range(40)]
LABELS = [int("good" in text or "fine" in text) for text in TEXTS]


def save_tokenizer(folder, kind):
    """Save a tokenizer of words with the special tokens that the kind has."""
    ids = {word: number for number, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {"unk_token": "<unk>"}
    if kind in DECODERS:
        names |= {"eos_token": "<sep>"} | ({"pad_token": "<pad>"} if kind == "qwen2" else {})
    else:
        names |= {"pad_token": "<pad>", "cls_token": "<cls>", "sep_token": "<sep>"}
        sides = {"t5": "$A <sep>", "xlnet": "$A <sep> <cls>"}.get(kind, "<cls> $A <sep>")
        tokenizer.post_processor = processors.TemplateProcessing(
            single=sides, special_tokens=[("<cls>", 2), ("<sep>", 3)]
        )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)


def make_checkpoint(folder, kind, **settings):
    """Save a tiny model of a kind with random weights, and its tokenizer."""
    padding = None if kind in DECODERS else 0
    marks = {"bos_token_id": 2, "eos_token_id": 3, "pad_token_id": padding}
    given = {**SHAPE, **marks, **KINDS[kind], **settings}
    given = {name: value for name, value in given.items() if value is not None}
    config = AutoConfig.for_model(kind, vocab_size=len(VOCABULARY), **given)
    spread(AutoModel.from_config(config)).save_pretrained(folder)
    save_tokenizer(folder, kind)
    return folder


@dataclass(frozen=True)
class Kind:
    """A checkpoint and texts that it encoded; the job works in `folder`."""

    name: str
    folder: Path
    vocabulary: PretrainedVocabulary

    @property
    def checkpoint(self):
        return self.folder / "checkpoint"

    @property
    def job(self):
        return Job(["no", "yes"], ids=self.folder / "ids", checkpoint=self.checkpoint)

    @property
    def texts(self):
        return EncodedTexts.open(self.folder / "ids" / "test")


@pytest.fixture(scope="module", params=KINDS)
def kind(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    make_checkpoint(folder / "checkpoint", request.param)
    vocabulary = PretrainedVocabulary(folder / "checkpoint")
    (folder / "ids").mkdir()
    encoder = Encoder(vocabulary, 30, "head")
    encode_piece([pa.array(TEXTS)], encoder, folder / "piece.npz")
    for part in ("pool", "test"):
        manifest = join_pieces([folder / "piece.npz"], encoder, folder / "ids" / part, None)
        write_json(folder / "ids" / f"{part}.json", manifest)
    return Kind(request.param, folder, vocabulary)


STEPS = {"batch_size": 8, "max_epochs": 1, "min_steps": 4, "evaluations": 2, "lr": 0.01}
FINE_TUNED = load_recipe({"family": "transformer", "checkpoint": "tiny", "optimisation": STEPS})
FITTED = {"inverse_regularisation": 0.1}
FEATURES: dict[str, Any] = {"family": "frozen", "checkpoint": "tiny", "optimisation": FITTED}
FROZEN = [
    load_recipe(FEATURES | layers)
    for layers in ({}, {"layers": "mix"}, {"layers": "each"}, {"layers": "mix", "pooling": "first"})
]
FROZEN += [
    load_recipe({"family": "frozen_lstm", "checkpoint": "tiny", "optimisation": STEPS, "width": 8})
]
SUBSAMPLE = Subsample(
    seed=3,
    training_rows=np.arange(32),
    training_labels=np.array(LABELS[:32]),
    validation_rows=np.arange(32, 40),
    validation_labels=np.array(LABELS[32:]),
)


def folders(path):
    return Folders(path / "shared", path / "state", path / "weights")


def test_it_is_trained_resumed_scored_and_timed(kind, tmp_path, monkeypatch):
    family = family_of(FINE_TUNED, kind.job)
    evaluations = family.train(FINE_TUNED, SUBSAMPLE, folders(tmp_path / "whole"))
    whole = family.log_scores(tmp_path / "whole" / "weights", 3)
    # One that is stopped after each of its steps that saves, and called again until it ends.
    with monkeypatch.context() as patch:
        on_save = KeepCheckpoints.on_save

        def save_and_stop(self, args, state, control, **options):
            self.stop.made |= state.global_step < 4
            on_save(self, args, state, control, **options)

        patch.setattr(KeepCheckpoints, "on_save", save_and_stop)
        with pytest.raises(Stopped):
            family.train(FINE_TUNED, SUBSAMPLE, folders(tmp_path / "broken"))
    assert family.train(FINE_TUNED, SUBSAMPLE, folders(tmp_path / "broken")) == evaluations
    broken = family.log_scores(tmp_path / "broken" / "weights", 3)
    np.testing.assert_array_equal(whole, broken)
    assert whole.std() > 1e-4
    np.testing.assert_allclose(np.exp(whole).sum(1), 1, atol=1e-5)
    served = family.serve(tmp_path / "whole" / "weights", TextReader(kind.vocabulary, 30, "head"))
    np.testing.assert_allclose(served(TEXTS[:8]), whole[:8], atol=1e-4)


@pytest.mark.parametrize("recipe", FROZEN, ids=["last", "mix", "each", "first", "lstm"])
def test_it_is_frozen(kind, recipe, tmp_path):
    family = family_of(recipe, kind.job)
    family.train(recipe, SUBSAMPLE, folders(tmp_path))
    scores = family.log_scores(tmp_path / "weights", 3)
    served = family.serve(tmp_path / "weights", TextReader(kind.vocabulary, 30, "head"))
    np.testing.assert_allclose(served(TEXTS[:8]), scores[:8], atol=1e-4)


def test_padding_changes_nothing(kind):
    classifier = spread(load_classifier(kind.checkpoint, ["no", "yes"])).eval()
    classifier.config.pad_token_id = kind.vocabulary.pad_id
    texts = [kind.texts[row] for row in range(8)]
    with torch.inference_mode():
        together = classifier(**pad(texts, kind.vocabulary.pad_id)).logits
        alone = torch.cat(
            [classifier(**pad([text], kind.vocabulary.pad_id)).logits for text in texts]
        )
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert together.std(0).min() > 1e-2


def test_its_frozen_states_have_the_texts_in_them(kind):
    encoder = load_encoder(kind.checkpoint).eval()
    texts = [kind.texts[row] for row in range(8)]
    with torch.inference_mode():
        together = encoder(**pad(texts, kind.vocabulary.pad_id)).last_hidden_state
        for text, states in zip(texts, together, strict=True):
            alone = encoder(**pad([text], kind.vocabulary.pad_id)).last_hidden_state[0]
            torch.testing.assert_close(states[: len(text)], alone, rtol=0, atol=1e-5)


def test_its_layers_lie_between_its_embeddings_and_its_head(kind):
    classifier: Any = load_classifier(kind.checkpoint, ["no", "yes"])
    depths = depths_of(classifier)
    embeddings = depths[classifier.get_input_embeddings().weight]
    # ALBERT's two layers share their weights.
    assert embeddings == max(depths.values()) >= 2 + (classifier.config.model_type != "albert")
    body = set(classifier.base_model.parameters())
    assert depths.keys() == set(classifier.parameters())
    assert {depths[weight] for weight in depths.keys() - body} == {0}
    assert {depths[weight] for weight in body} == set(range(1, embeddings + 1))


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_a_share_is_dropped_in_its_training(kind, share):
    recipe = FINE_TUNED.model_copy(update={"dropout": share})
    family = family_of(recipe, kind.job)
    assert isinstance(family, Network)
    assert f"dropout {share:g}, AdamW" in family.describe()
    model = family.build(recipe, kind.texts, 3).train()
    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Dropout)]
    assert {layer.p for layer in layers} <= {share}
    batch = pad([kind.texts[row] for row in range(8)], kind.texts.pad_id)
    with torch.no_grad():
        first, second = (model(**batch).logits for _ in range(2))
        assert torch.equal(first, second) == (share == 0)
        scored, again = (model.eval()(**batch).logits for _ in range(2))
    assert torch.equal(scored, again)


def test_a_share_of_what_drops_nothing(tmp_path):
    make_checkpoint(tmp_path, "bert")
    config = AutoConfig.from_pretrained(tmp_path)
    set_dropout(config, 0.3)
    assert (config.hidden_dropout_prob, config.attention_probs_dropout_prob) == (0.3, 0.3)
    with pytest.raises(UserError, match="dropout: lstm drops nothing; leave the key out"):
        set_dropout(PreTrainedConfig.from_dict({"model_type": "lstm"}), 0.3)


def test_a_flag_is_no_share(tmp_path):
    config = AutoConfig.from_pretrained(make_checkpoint(tmp_path, "esm"))
    set_dropout(config, 0.3)
    assert config.token_dropout is True
    assert config.hidden_dropout_prob == 0.3
