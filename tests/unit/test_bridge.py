"""Embeddings of a checkpoint, brought to the pieces of another vocabulary."""

from functools import partial
from typing import Any

import fit_bridge
import numpy as np
import pretrain
import pytest
import sentencepiece
import torch
from gap.data.checkpoints import checkpoint_folder
from gap.data.pieces import Piece, pieces_of_checkpoint, pieces_of_vocabulary, split
from gap.data.vocabulary import PretrainedVocabulary
from gap.models import bridge as bridges
from gap.models.bridge import (
    AROUND,
    BEGINNING,
    END,
    MIDDLE,
    OF_PIECE,
    Bridge,
    Generator,
    bridged_table,
    fit_generator,
    load_generator,
    save_generator,
)
from gap.models.bridge_teaching import MaskedLesson
from gap.models.bridge_work import BLOCKS
from gap.models.encoder import token_embeddings
from gap.models.family import family_of, load_recipe
from gap.report.bridges import bridges as section_of
from gap.report.sections import Table
from gap.results.bridges import bridge_row
from gap.results.findings import Findings
from gap.results.predictions import read_predictions
from gap.results.reading import ReadingRecipe
from gap.run.errors import UserError
from gap.run.json import read_json, write_json
from safetensors.torch import load_file
from tiny_esm import make_tiny_esm
from tiny_pretraining import RECIPE, collect, pretraining_arguments
from tiny_training import make_data, make_recipes, run_prediction, run_training
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

MARKS = ["<pad>", "<unk>"]
NAMES = {"pad_token": "<pad>", "unk_token": "<unk>"}


def save_checkpoint(folder, tokenizer, names=NAMES, width=32):
    """Save a BERT of random weights with a tokenizer, and return the folder."""
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    torch.manual_seed(1)
    shape: dict[str, Any] = {"num_hidden_layers": 1, "num_attention_heads": 2}
    size = tokenizer.get_vocab_size()
    BertModel(
        BertConfig(vocab_size=size, hidden_size=width, intermediate_size=32, **shape)
    ).save_pretrained(folder)
    return folder


def word_pieces(folder, words, lowercase=False, **options):
    """Save a checkpoint with these word pieces."""
    ids = {word: number for number, word in enumerate([*MARKS, *words])}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if lowercase:
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    return save_checkpoint(folder, tokenizer, **options)


def fit_pieces(path, texts, size):
    """Fit a SentencePiece model on texts, as fit_vocabulary does, and return the path."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_prefix=str(path.with_suffix("")),
        vocab_size=size,
        model_type="bpe",
        hard_vocab_limit=False,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        minloglevel=1,
    )
    return path


def pieces_in(folder):
    return pieces_of_checkpoint(PretrainedVocabulary(folder), folder)


# ---------------------------------------------------------------- what tokens stand for


def test_pieces_of_words(tmp_path):
    pieces = pieces_in(word_pieces(tmp_path, ["film", "##ing", "##s", "s"]))
    assert pieces == {
        Piece("film", True): 2,
        Piece("ing", False): 3,
        Piece("s", False): 4,
        Piece("s", True): 5,
    }


def test_pieces_in_bytes(tmp_path):
    tokens = [*MARKS, "Ġfilm", "s", "ÃŃ", "Ġ", "a"]
    ids = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(ids, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    pieces = pieces_in(save_checkpoint(tmp_path, tokenizer))
    # A space alone is no piece.
    assert pieces == {
        Piece("film", True): 2,
        Piece("s", False): 3,
        Piece("í", False): 4,
        Piece("a", False): 6,
    }


def test_pieces_of_sentencepiece(tmp_path):
    tokens = [(token, -1.0) for token in [*MARKS, "\u2581film", "s", "\u2581"]]
    tokenizer = Tokenizer(models.Unigram(tokens, 1))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    pieces = pieces_in(save_checkpoint(tmp_path, tokenizer))
    assert pieces == {Piece("film", True): 2, Piece("s", False): 3}


def test_pieces_that_end_words_are_refused(tmp_path):
    ids = {token: number for number, token in enumerate([*MARKS, "film</w>", "a</w>"])}
    tokenizer = Tokenizer(models.BPE(ids, [], end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = save_checkpoint(tmp_path, tokenizer)
    with pytest.raises(UserError, match="its tokenizer marks where words end"):
        pieces_in(folder)


def test_letters_stand_for_themselves(tmp_path):
    pieces = pieces_in(make_tiny_esm(tmp_path / "esm"))
    tokens = PretrainedVocabulary(tmp_path / "esm").tokens()
    assert pieces[Piece("A", True)] == pieces[Piece("A", False)] == tokens["A"]
    assert len(tokens) == 27


def test_pieces_of_a_vocabulary_are_spelled_as_the_checkpoint_spells(tmp_path):
    texts = ["The Films film THE Film"] * 50
    model = fit_pieces(tmp_path / "pieces.model", texts, 40)
    folder = word_pieces(tmp_path / "bert", ["the", "film"], lowercase=True)
    pieces = pieces_of_vocabulary(model, PretrainedVocabulary(folder))
    assert pieces[:2] == [None, None]
    named = [piece for piece in pieces if piece]
    assert all(piece.text == piece.text.lower() for piece in named)
    assert Piece("the", True) in named
    plain = word_pieces(tmp_path / "cased", ["the", "film"])
    assert Piece("The", True) in pieces_of_vocabulary(model, PretrainedVocabulary(plain))


def test_a_piece_is_split_into_the_longest_ones():
    pieces = {
        Piece("film", True): 1,
        Piece("fi", True): 2,
        Piece("lm", False): 3,
        Piece("s", False): 4,
        Piece("films", True): 5,
    }
    assert split(Piece("films", True), pieces) == [5]
    assert split(Piece("films", True), pieces, without=5) == [1, 4]
    # Within a word, no piece that begins one.
    assert split(Piece("films", False), pieces) == [3, 4]
    assert split(Piece("xyz", True), pieces) == []


# ---------------------------------------------------------------- neighbours and vectors


def test_neighbours_and_their_places(tmp_path):
    words = ["un", "##film", "##able", "unfilmable", "film", "filmable", "##x"]
    bridge = Bridge.of(word_pieces(tmp_path, words))
    near = bridge.neighbours([Piece("unfilmable", True), Piece("film", True), Piece("x", True)])
    # Ids begin with those of the two marks.
    assert near[Piece("unfilmable", True)] == [
        (2, OF_PIECE + BEGINNING),
        (3, OF_PIECE + MIDDLE),
        (4, OF_PIECE + END),
    ]
    assert near[Piece("film", True)] == [
        (3, AROUND + BEGINNING),
        (7, AROUND + BEGINNING),
        (5, AROUND + MIDDLE),
    ]
    assert near[Piece("x", True)] == []
    assert len(bridge.neighbours([Piece("a", True)])[Piece("a", True)]) == 0


def test_a_generator_weighs_neighbours_by_what_they_say_and_where_they_stand():
    generator = Generator(3)
    vectors = torch.tensor([[[1.0, 0, 0], [0, 2.0, 0], [9.0, 9, 9]]])
    places = torch.tensor([[OF_PIECE + BEGINNING, OF_PIECE + END, bridges.UNUSED]])
    made = generator(vectors, places)
    torch.testing.assert_close(made, torch.tensor([[0.5, 1.0, 0]]))
    generator.places.data[OF_PIECE + END] = torch.tensor([0.0, 1.0, 0.0])
    share = np.exp(2) / (np.exp(2) + 1)
    expected = [[1 - share, 2 * share, 0]]
    torch.testing.assert_close(generator(vectors, places), torch.tensor(expected).float())


def planted(tmp_path):
    """Words of a beginning, which decides their vector, and an end, which says nothing."""
    stems = [f"{a}{b}o" for a in "bdfgklmnprstvz" for b in "aeiu"]
    ends = ["##ing", "##ed", "##ness"]
    words = [stem + end.removeprefix("##") for stem in stems for end in ends]
    folder = word_pieces(tmp_path, [*stems, *ends, *words], width=16)
    bridge = Bridge.of(folder)
    bridge.table.normal_(generator=torch.Generator().manual_seed(0))
    for stem in stems:
        for end in ends:
            word = bridge.pieces[Piece(stem + end.removeprefix("##"), True)]
            bridge.table[word] = bridge.table[bridge.pieces[Piece(stem, True)]]
    return bridge


def test_a_generator_learns_which_neighbour_tells(tmp_path):
    bridge = planted(tmp_path)
    generator, cosines = fit_generator(bridge, 1)
    assert cosines["generator"] > cosines["mean"] + 0.1
    assert cosines["mean"] > cosines["drawn"] + 0.3
    again, same = fit_generator(bridge, 1)
    assert same == cosines
    assert torch.equal(again.places, generator.places)
    save_generator(generator, tmp_path / "generator.safetensors")
    assert torch.equal(load_generator(tmp_path / "generator.safetensors").places, generator.places)


def test_a_hidden_token_is_no_neighbour_of_its_own(tmp_path):
    bridge = planted(tmp_path)
    for piece, near in bridge.neighbours(bridge.pieces).items():
        assert bridge.pieces[piece] not in {neighbour.token for neighbour in near}


def test_too_few_tokens_to_learn_from(tmp_path):
    bridge = Bridge.of(word_pieces(tmp_path, ["film", "plot", "##x"]))
    with pytest.raises(UserError, match="only 0 tokens of the checkpoint are made of others"):
        fit_generator(bridge, 1)


@pytest.mark.parametrize("by", ["copy", "mean", "generator"])
def test_each_piece_gets_its_vector(tmp_path, by):
    bridge = planted(tmp_path / "bert")
    texts = ["bao baoing baoxed duo duoed q" for _ in range(50)]
    model = fit_pieces(tmp_path / "pieces.model", texts, 60)
    pieces = pieces_of_vocabulary(model, bridge.vocabulary)
    generator = Generator(16)
    torch.manual_seed(3)
    table = bridged_table(bridge, model, by, generator)
    assert table.shape == (len(pieces), 16)
    drawn = bridges._drawn(bridge, len(pieces), torch.Generator().manual_seed(3))
    kinds = {"own": 0, "made": 0, "drawn": 0}
    for row, piece in enumerate(pieces):
        if piece and piece in bridge.pieces:
            kinds["own"] += 1
            assert torch.equal(table[row], bridge.table[bridge.pieces[piece]])
        elif by != "copy" and piece and (ids := split(piece, bridge.pieces)):
            kinds["made"] += 1
            if by == "mean":
                torch.testing.assert_close(table[row], bridge.table[ids].mean(0))
            else:
                vectors, places = bridges._gather(bridge, [bridge.neighbours([piece])[piece]])
                torch.testing.assert_close(table[row], generator(vectors, places)[0])
        elif by != "generator":
            kinds["drawn"] += 1
            torch.testing.assert_close(table[row], drawn[row])
    assert kinds["own"] >= 2
    assert (kinds["made"] > 0) == (by != "copy")
    assert float(drawn.std()) == pytest.approx(float(bridge.table.std()), rel=0.2)


def test_vocabularies_that_share_nothing(tmp_path):
    bridge = Bridge.of(word_pieces(tmp_path / "bert", ["film", "plot"]))
    model = fit_pieces(tmp_path / "pieces.model", ["абв где абв"] * 30, 20)
    with pytest.raises(UserError, match="bridge: no piece of the vocabulary is a token of the ch"):
        bridged_table(bridge, model, "mean", None)


# ---------------------------------------------------------------- taught by masked tokens


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A masked language model of the workflow's own, whose tokens share parts, and its ids."""
    folder = tmp_path_factory.mktemp("own")
    ends = ("", "s", "ed", "ing", "er")
    words = [stem + end for stem in ("film", "book", "plot", "show", "watch") for end in ends]
    # A word tells the next one.
    texts = [" ".join(words[(first + place) % 25] for place in range(12)) for first in range(25)]
    texts = [f"{text} {number}" for number, text in enumerate(8 * texts)]
    collect(folder, {"films": texts}, {"films": ["film"]})
    recipe = RECIPE | {"block": 40, "tokenizer": {"size": 200}}
    pretrain.main(pretraining_arguments(folder, recipe, folder / "own"))
    return folder / "own" / "files", folder / "own" / "ids"


def lesson_on(own, bridge):
    near = bridge.neighbours(bridge.pieces)
    taught = [piece for piece in bridge.pieces if near[piece]]
    return MaskedLesson(bridge, taught, near, *own)


def test_a_generator_is_taught_by_telling_masked_tokens(own, monkeypatch):
    bridge = Bridge.of(own[0])
    lesson = lesson_on(own, bridge)
    before = {name: value.clone() for name, value in lesson.model.state_dict().items()}
    monkeypatch.setattr(MaskedLesson, "steps", 30)
    lesson_of = partial(MaskedLesson, checkpoint=own[0], corpus=own[1])
    generator, cosines = fit_generator(bridge, 1, lesson_of)
    assert float(generator.places.detach().abs().max()) > 0.01
    again, same = fit_generator(bridge, 1, lesson_of)
    assert torch.equal(again.places, generator.places)
    assert same == cosines
    after = lesson.model.state_dict()
    assert all(torch.equal(before[name], value) for name, value in after.items())
    # What it learned helps to tell masked tokens.
    untaught, taught = (
        mean_loss(lesson, each) for each in (Generator(bridge.table.shape[1]), generator)
    )
    assert taught < untaught


def mean_loss(lesson, generator):
    with torch.no_grad():
        draws = (torch.Generator().manual_seed(seed) for seed in range(40))
        return np.mean([float(lesson.loss(generator, draw)) for draw in draws])


def test_vectors_are_made_of_taught_tokens_only(own):
    bridge = Bridge.of(own[0])
    lesson = lesson_on(own, bridge)
    taught = {int(number) for number in (lesson.rows >= 0).nonzero()}
    special = set(lesson.blocks.signs.special)
    assert taught and not taught & special
    seen: list[torch.Tensor] = []

    class Marker(Generator):
        def forward(self, vectors, places):
            seen.append(places)
            return super().forward(vectors, places)

    random = torch.Generator().manual_seed(1)
    loss = lesson.loss(Marker(bridge.table.shape[1]), random)
    assert 0 < len(seen[0]) < BLOCKS * 40
    assert loss.requires_grad


def test_the_program_takes_the_ids_of_the_corpus(own, tmp_path, monkeypatch):
    monkeypatch.setattr(MaskedLesson, "steps", 2)
    manifest = {"files": [{"path": str(path)} for path in own[0].iterdir()]}
    write_json(tmp_path / "own.json", manifest)
    fit_bridge.main(
        [
            *("--name", "own", "--checkpoint", str(tmp_path / "own.json")),
            *("--corpus-ids", str(own[1]), "--bridge", str(tmp_path / "generator.safetensors")),
            *("--manifest", str(tmp_path / "bridge.json")),
        ]
    )
    record = read_json(tmp_path / "bridge.json")
    assert (record["checkpoint"], record["by"]) == ("own", "masked tokens")
    assert (tmp_path / "generator.safetensors").exists()


# ---------------------------------------------------------------- models that begin with them


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_bert):
    folder = make_data(tmp_path_factory.mktemp("bridge"), tiny_bert)
    words = ["a", "the", "is", "was", "film", "book", "good", "great", "bad", "poor", "##o", "##l"]
    checkpoint = planted_checkpoint(folder / "bert", words)
    write_json(folder / "tiny.json", {"files": [{"path": str(p)} for p in checkpoint.iterdir()]})
    fit_bridge.main(
        [
            *("--name", "tiny", "--checkpoint", str(folder / "tiny.json")),
            *("--bridge", str(folder / "bridge" / "generator.safetensors")),
            *("--manifest", str(folder / "bridge" / "bridge.json")),
        ]
    )
    return folder


def planted_checkpoint(folder, words):
    """A checkpoint with these words, and with many that are made of others."""
    made = [f"{first}{second}" for first in ("bo", "fa", "gu", "mi", "ne") for second in "klmnrs"]
    parts = ["bo", "fa", "gu", "mi", "ne", *(f"##{letter}" for letter in "kmnrs")]
    return word_pieces(folder, [*words, *parts, *made])


@pytest.mark.parametrize("by", ["copy", "mean", "generator"])
def test_an_lstm_begins_with_them(data, by, tmp_path):
    recipe = make_recipes()["lstm"] | {"checkpoint": "tiny", "bridge": by, "embeddings": "frozen"}
    run_training(data, recipe, tmp_path)
    run_prediction(data, recipe, tmp_path)
    assert {block.seed for block in read_predictions(tmp_path / "predictions.parquet")} == {1, 2}
    bridge = Bridge.of(checkpoint_folder(data / "tiny.json"))
    own = 0
    for seed in (1, 2):
        model = data / "vocabulary" / f"{seed}.model"
        weights = load_file(tmp_path / "weights" / str(seed) / "model.safetensors")
        table = weights["embeddings.weight"]
        for row, piece in enumerate(pieces_of_vocabulary(model, bridge.vocabulary)):
            if piece and piece in bridge.pieces:
                own += 1
                assert torch.equal(table[row], bridge.table[bridge.pieces[piece]])
    assert own > 10
    before = (tmp_path / "predictions.parquet").read_bytes()
    run_training(data, recipe, tmp_path / "again")
    assert run_prediction(data, recipe, tmp_path / "again") == before


def test_the_record_of_a_generator(data):
    record = read_json(data / "bridge" / "bridge.json")
    assert record["checkpoint"] == "tiny"
    assert record["held_out"] == round(0.1 * (record["tokens"] + record["held_out"]))
    assert record["tokens"] > 20
    places = load_file(data / "bridge" / "generator.safetensors")["places"]
    table = token_embeddings(checkpoint_folder(data / "tiny.json"))
    assert places.shape == (7, table.shape[1])
    findings = Findings(ReadingRecipe(reference="m", margin=1, confidence=0.95), [])
    assert section_of(findings) is None
    section = section_of(
        Findings(findings.recipe, [], bridges=[bridge_row(record | {"generator": 0.51239})])
    )
    assert section is not None
    (tabulated,) = [part for part in section.parts if isinstance(part, Table)]
    assert tabulated.rows[0][0] == "tiny"
    assert tabulated.rows[0][4] == "0.512"


ENTRY = {"family": "lstm", "vocabulary": "pieces", "checkpoint": "tiny", "bridge": "mean"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"checkpoint": None}, "where.bridge: found 'mean', but a bridge leads from a checkpoint"),
        ({"vocabulary": None}, "where.bridge: found 'mean', but a bridge leads from a checkpoint"),
        ({"bridge": None}, "found both of vocabulary and checkpoint; give it one of them, or say"),
        ({"embeddings": "learned"}, "where.embeddings: found 'learned', but a bridge gives vecto"),
    ],
)
def test_what_does_not_go_together(change, message):
    entry = {key: value for key, value in (ENTRY | change).items() if value is not None}
    with pytest.raises(UserError, match=message):
        load_recipe(entry).check("where")


def test_a_bridged_lstm_is_told():
    recipe = load_recipe(ENTRY)
    recipe.check("where")
    assert (recipe.bridges, recipe.pretrained) == ("mean", "tiny")
    text = family_of(recipe).describe()
    assert "vocabulary (pieces) fitted on its own examples, embeddings from tiny by mean" in text
