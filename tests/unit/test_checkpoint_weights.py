"""Weights that do not fit are refused, wherever they are loaded, and heads are always new."""

import json
import shutil
from typing import Any

import numpy as np
import pytest
import torch
from gap.data.vocabulary import EncodedTexts
from gap.models.encoder import (
    fit_to_vocabulary,
    load_classifier,
    load_encoder,
    load_trained_classifier,
    most_tokens,
    token_embeddings,
)
from gap.models.families.lstm import Model as Lstm
from gap.models.families.lstm import Recipe as LstmRecipe
from gap.models.family import Job
from gap.run.errors import UserError
from gap.run.json import read_json
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    ModernBertConfig,
    ModernBertForMaskedLM,
    ModernBertForSequenceClassification,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5EncoderModel,
    set_seed,
)

LABELS = ["a", "b", "c"]
LOADERS = {
    "fine-tuned": lambda folder: load_classifier(folder, LABELS),
    "frozen": load_encoder,
    "embeddings": token_embeddings,
}


@pytest.fixture
def bert(tmp_path, tiny_bert):
    return shutil.copytree(tiny_bert, tmp_path / "bert")


def rename(folder, new_name):
    """Give each tensor of a checkpoint the name that a function returns; None leaves it out."""
    path = folder / "model.safetensors"
    renamed = {new_name(name): tensor for name, tensor in load_file(path).items()}
    save_file({name: tensor for name, tensor in renamed.items() if name}, path)


def change_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(read_json(path) | changes))


def body(model):
    return dict(model.base_model.named_parameters())


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# ---------------------------------------------------------------- names

WRAPPERS = {
    "DataParallel": lambda name: f"module.{name}",
    "torch.compile": lambda name: f"_orig_mod.{name}",
    "both": lambda name: f"module._orig_mod.{name}",
    "both, the other way": lambda name: f"_orig_mod.module.{name}",
    "twice": lambda name: f"module.module.{name}",
    "FSDP": lambda name: f"_fsdp_wrapped_module.{name}",
    "checkpointing": lambda name: name.replace("layer.0.", "layer.0._checkpoint_wrapped_module."),
    "compiled layers": lambda name: name.replace("layer.1.", "layer.1._orig_mod."),
    "below the base model": lambda name: f"module.bert.{name}",
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_what_weights_were_wrapped_in_is_taken_off(bert, tiny_bert, wrap):
    rename(bert, wrap)
    whole = body(load_encoder(tiny_bert))
    assert same(body(load_encoder(bert)), whole)
    assert same(body(load_classifier(bert, LABELS)), whole)
    assert torch.equal(token_embeddings(bert), token_embeddings(tiny_bert))


def cut(part):
    return lambda name: None if part in name else name


MISFITS = {
    "an unknown wrapper": (
        lambda folder: rename(folder, lambda name: f"student.{name}"),
        r"of \d+ tensors, 37 are missing \(first: \S*embeddings.LayerNorm.bias\)",
    ),
    "a layer too few": (lambda folder: rename(folder, cut("layer.1.")), r"16 are missing .first: "),
    "one tensor": (
        lambda folder: rename(folder, cut("layer.1.output.dense.bias")),
        r"1 are missing \(first: \S*layer.1.output.dense.bias\)",
    ),
    "a layer too many": (
        lambda folder: change_config(folder, num_hidden_layers=1),
        r"16 are unexpected \(first: encoder.layer.1.attention.output.LayerNorm.bias\)",
    ),
    "another vocabulary": (
        lambda folder: change_config(folder, vocab_size=61),
        r"1 have another shape \(first: \S*word_embeddings.weight, 60 x 32 where config.json says "
        "61 x 32",
    ),
    "another width": (lambda folder: change_config(folder, hidden_size=64), "have another shape"),
    "another kind": (
        lambda folder: change_config(folder, model_type="distilbert", dim=32, n_heads=2),
        "do not fit the distilbert of its config.json",
    ),
}


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
@pytest.mark.parametrize(("spoil", "words"), MISFITS.values(), ids=MISFITS)
def test_weights_that_do_not_fit_are_an_error(bert, spoil, words, load):
    spoil(bert)
    with pytest.raises(UserError, match=words) as error:
        load(bert)
    assert "\n" not in str(error.value)


def test_the_unexpected_is_named_beside_the_missing(bert):
    rename(bert, lambda name: name.replace("encoder.layer", "encoder.block"))
    with pytest.raises(UserError, match=r"32 are missing .*, 32 are unexpected .first: encoder.bl"):
        load_encoder(bert)


def test_a_tensor_that_is_there_twice_is_an_error(bert):
    path = bert / "model.safetensors"
    tensors = load_file(path)
    save_file(tensors | {"module.pooler.dense.bias": tensors["pooler.dense.bias"] + 1}, path)
    with pytest.raises(
        UserError, match=r"two tensors are pooler.dense.bias, one of them as module"
    ):
        load_encoder(bert)


def test_a_pooler_and_heads_of_pretraining_decide_nothing(bert, tmp_path):
    rename(bert, cut("pooler"))
    load_encoder(bert)
    load_classifier(bert, LABELS)
    BertForMaskedLM(BertConfig.from_pretrained(bert)).save_pretrained(tmp_path / "pretrained")
    load_encoder(tmp_path / "pretrained")
    load_classifier(tmp_path / "pretrained", LABELS)
    # RoBERTa's classifier has no pooler, but its checkpoints do.
    sizes: dict[str, Any] = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    RobertaModel(RobertaConfig(**sizes, vocab_size=9)).save_pretrained(tmp_path / "roberta")
    load_classifier(tmp_path / "roberta", LABELS)


def test_a_shard_that_is_missing_is_named(bert):
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (bert / "model.safetensors").unlink()
    (bert / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"model-00001-of-00002.safetensors: no such file"):
        load_encoder(bert)


def test_an_encoder_alone_is_enough_where_only_that_is_used(tmp_path):
    sizes: dict[str, Any] = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
    T5EncoderModel(T5Config(**sizes, vocab_size=9)).save_pretrained(tmp_path / "t5")
    assert load_encoder(tmp_path / "t5").config.model_type == "t5"
    with pytest.raises(UserError, match=r"are missing .first: transformer.decoder"):
        load_classifier(tmp_path / "t5", LABELS)


# ---------------------------------------------------------------- what a training wrote


def test_trained_weights_come_back_with_their_head_or_not_at_all(bert, tmp_path):
    model = load_classifier(bert, LABELS)
    model.save_pretrained(tmp_path / "weights")
    trained = dict(model.named_parameters())
    assert same(dict(load_trained_classifier(tmp_path / "weights").named_parameters()), trained)
    rename(tmp_path / "weights", cut("classifier.bias"))
    with pytest.raises(UserError, match=r"1 are missing .first: classifier.bias"):
        load_trained_classifier(tmp_path / "weights")


def test_trained_weights_of_an_lstm_come_back_as_a_whole_or_not_at_all(tmp_path):
    recipe = LstmRecipe.model_validate({"family": "lstm", "vocabulary": "few", "width": 4})
    texts = EncodedTexts(np.empty(0, np.uint16), np.zeros(1, np.int64), None, 0, 19)
    family = Lstm(recipe, Job(["a", "b"]))
    model: Any = family.build(recipe, texts, 1)
    model.save_pretrained(tmp_path)
    loaded = dict(family.load(tmp_path).named_parameters())
    assert same(loaded, dict(model.named_parameters()))
    rename(tmp_path, cut("classifier.weight"))
    with pytest.raises(UserError, match=r"1 are missing .first: classifier.weight"):
        family.load(tmp_path)


def test_what_had_older_names_is_saved_under_those_of_the_model(bert, tmp_path):
    """The Trainer reads its states back by them; else it would skip these tensors."""
    whole = body(load_encoder(bert))
    new, old = ("LayerNorm.weight", "LayerNorm.bias"), ("LayerNorm.gamma", "LayerNorm.beta")
    rename(bert, lambda name: name.replace(new[0], old[0]).replace(new[1], old[1]))
    model = load_classifier(bert, LABELS)
    assert same(body(model), whole)
    model.save_pretrained(tmp_path / "saved")
    saved = load_file(tmp_path / "saved" / "model.safetensors")
    assert saved.keys() == model.state_dict().keys()


# ---------------------------------------------------------------- heads


def save_fine_tuned(bert, folder, auto_class, count, **settings):
    """Save a checkpoint that was fine-tuned before: its head's weights are sevens."""
    config = AutoConfig.from_pretrained(bert, num_labels=count, **settings)
    model = auto_class.from_pretrained(bert, config=config)
    torch.nn.init.constant_(model.classifier.weight, 7)
    torch.nn.init.constant_(model.classifier.bias, 7)
    model.save_pretrained(folder)
    return folder


def seeded_classifier(folder, seed) -> Any:
    set_seed(seed)
    return load_classifier(folder, LABELS)


SEQUENCES, TOKENS = AutoModelForSequenceClassification, AutoModelForTokenClassification


@pytest.mark.parametrize(
    ("auto_class", "count", "problem"),
    [
        (SEQUENCES, 3, None),
        (SEQUENCES, 5, "single_label_classification"),
        (SEQUENCES, 3, "multi_label_classification"),
        (SEQUENCES, 1, "regression"),
        (SEQUENCES, 3, "regression"),
        (TOKENS, 3, None),
        (TOKENS, 5, None),
    ],
)
def test_a_head_is_new_and_drawn_by_the_seed(bert, tmp_path, auto_class, count, problem):
    folder = save_fine_tuned(bert, tmp_path / "old", auto_class, count, problem_type=problem)
    # Those that tell tokens apart have no pooler, which is then drawn before the head.
    rename(bert, cut("pooler") if auto_class is TOKENS else lambda name: name)
    model = seeded_classifier(folder, 1)
    fresh = seeded_classifier(bert, 1)
    assert same(dict(model.named_parameters()), dict(fresh.named_parameters()))
    assert not torch.equal(model.classifier.weight, seeded_classifier(folder, 2).classifier.weight)
    batch = {"input_ids": torch.tensor([[2, 5, 3]] * 2), "labels": torch.tensor([0, 2])}
    outputs = model.eval()(**batch)
    torch.testing.assert_close(
        outputs.loss, torch.nn.functional.cross_entropy(outputs.logits, batch["labels"])
    )
    assert model.config.id2label == dict(enumerate(LABELS))


def test_other_outputs_that_a_config_asks_for_are_left_out(bert):
    change_config(bert, return_dict=False, output_hidden_states=True, output_attentions=True)
    inputs = torch.tensor([[2, 5, 3]])
    assert load_classifier(bert, LABELS)(inputs).hidden_states is None
    assert load_encoder(bert)(inputs).last_hidden_state.shape == (1, 3, 32)


def test_what_was_pretrained_of_a_head_stays_unless_it_was_fine_tuned(tmp_path):
    """ModernBERT predicts words and labels through the same layer."""
    sizes: dict[str, Any] = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = ModernBertConfig(**sizes, vocab_size=9, intermediate_size=8, pad_token_id=0)
    for name, model_class in (
        ("pretrained", ModernBertForMaskedLM),
        ("fine-tuned", ModernBertForSequenceClassification),
    ):
        config.num_labels = 3
        model: Any = model_class(config)
        torch.nn.init.constant_(model.head.dense.weight, 7)
        model.save_pretrained(tmp_path / name)
    pretrained: Any = load_classifier(tmp_path / "pretrained", LABELS)
    fine_tuned: Any = load_classifier(tmp_path / "fine-tuned", LABELS)
    assert (pretrained.head.dense.weight == 7).all()
    assert (fine_tuned.head.dense.weight != 7).all()


# ---------------------------------------------------------------- vocabulary and positions


@pytest.mark.parametrize("load", [LOADERS["fine-tuned"], LOADERS["frozen"]])
def test_tokens_added_to_the_tokenizer_alone_get_the_mean(bert, tmp_path, capsys, load):
    model = load(bert)
    before = model.get_input_embeddings().weight.detach().clone()
    fit_to_vocabulary(model, 0, 60)
    assert not capsys.readouterr().out
    fit_to_vocabulary(model, 0, 63)
    assert (
        "embeddings for 3 tokens that were added to the tokenizer only" in capsys.readouterr().out
    )
    after = model.get_input_embeddings().weight
    assert torch.equal(after[:60], before)
    torch.testing.assert_close(after[60:], before.mean(0).expand(3, -1))
    model.save_pretrained(tmp_path / "saved")
    assert read_json(tmp_path / "saved" / "config.json")["vocab_size"] == 63


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        (BertConfig(max_position_embeddings=20), 20),
        (RobertaConfig(max_position_embeddings=20, pad_token_id=1), 18),
        (GPT2Config(n_positions=20), 20),
        (T5Config(), None),
    ],
    ids=lambda value: getattr(value, "model_type", None),
)
def test_positions_are_counted_as_the_kind_does(config, limit):
    from transformers import AutoModel

    with torch.device("meta"):
        assert most_tokens(AutoModel.from_config(config)) == limit
