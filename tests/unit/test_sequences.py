"""Sequences that are no words, such as proteins: prepared, encoded, counted, and told of."""

import random
from pathlib import Path

import numpy as np
import prepare
import pytest
from gap.data.excerpts import shorten_sequence
from gap.data.manifests import TextBudget
from gap.data.pairs import SEPARATOR
from gap.data.preparing.texts import cut_text
from gap.data.units import plural
from gap.data.vocabulary import LONGEST_WORD, FittedVocabulary, fit_vocabulary
from gap.models.families import composition, linear
from gap.models.family import family_of, load_recipe
from gap.models.workload import Workload
from gap.report.background import data as data_section
from gap.report.figures import length_figures, name_lengths
from gap.report.methods import _kept
from gap.report.mistakes import excerpt, mistakes
from gap.report.sections import Paragraph, Quotation, Table
from gap.results.findings import Findings
from gap.results.reading import ReadingRecipe
from gap.results.rows import ExampleRow, LengthRow
from gap.run.errors import UserError
from gap.run.json import read_json, write_json
from gap.study.datasets import Dataset, VocabularyRecipe
from gap.study.rules import PrepareRecipe
from table_rows import card_of, row_of
from tiny_training import as_arguments, make_data, run_prediction, run_training

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
READING = ReadingRecipe(reference="big", margin=1.0, confidence=0.9, titles={"big": "Big"})


def proteins(count: int, *lengths: int, seed: int = 1) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(AMINO_ACIDS, k=draw.choice(lengths))) for _ in range(count)]


def budget_of(words: int, keep: str = "head") -> TextBudget:
    return {
        "words": words,
        "unit": "character",
        "called": "residue",
        "unit_from_data": False,
        "keep": keep,
    }


# ---------------------------------------------------------------- what one unit is called


def prepared(folder: Path, texts: list[str], **recipe: object) -> Path:
    """Prepare texts of two labels, and return the folder."""
    folder.mkdir()
    rows = [f"{text},{'xy'[place % 2]}" for place, text in enumerate(texts)]
    (folder / "a.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    manifest = {"files": [{"path": str(folder / "a.csv")}], "sha256": "0" * 64}
    write_json(folder / "source.json", manifest)
    given = {"name": "proteins", "text": ["text"], "label": "label", "words": 300, "test": "10"}
    names = ["pool.parquet", "test.parquet", "rejects.csv", "card.json"]
    paths = {name.partition(".")[0]: folder / name for name in names}
    prepare.main(
        as_arguments(
            recipe=PrepareRecipe.model_validate(given | recipe).plain(),
            provenance="{}",
            source=folder / "source.json",
            pool_manifest=folder / "pool.json",
            test_manifest=folder / "test.json",
            **paths,
        )
    )
    return folder


def test_a_card_says_what_a_unit_is_called_and_nothing_else_changes(tmp_path):
    texts = proteins(60, 100, 400)
    plain = prepared(tmp_path / "plain", texts)
    called = prepared(tmp_path / "called", texts, called="residue")
    cards = [read_json(folder / "card.json")["text_budget"] for folder in (plain, called)]
    assert [card["called"] for card in cards] == ["character", "residue"]
    assert {card["unit"] for card in cards} == {"character"}
    # What later steps depend on.
    for name in ("pool.json", "test.json", "pool.parquet", "test.parquet"):
        assert (plain / name).read_bytes() == (called / name).read_bytes()


def test_what_is_called_residue_and_counted_as_words_is_told(tmp_path):
    texts = proteins(60, 20, 30)
    folder = prepared(tmp_path / "short", texts, called="residue")
    card = read_json(folder / "card.json")
    assert card["text_budget"]["unit"] == "word"
    assert "counts words, which reports call residues" in " ".join(card["warnings"])
    folder = prepared(tmp_path / "said", texts, called="residue", unit="character")
    assert read_json(folder / "card.json")["warnings"] == []


@pytest.mark.parametrize(
    ("noun", "several"),
    [("residue", "residues"), ("base", "bases"), ("entry", "entries"), ("class", "classes")],
)
def test_a_noun_for_several(noun, several):
    assert plural(noun) == several


@pytest.mark.parametrize("called", ["", "2mers", "a|b", "<b>", "residue\n", "x" * 50])
def test_it_is_a_noun(called):
    entry = {"source": {"kind": "file", "path": "a.csv"}, "text": "text", "label": "label"}
    assert Dataset.model_validate(entry | {"called": "amino acid"}).called == "amino acid"
    with pytest.raises(ValueError, match="called"):
        Dataset.model_validate(entry | {"called": called})


def findings(**tables) -> Findings:
    budget = budget_of(600, "head_and_tail")
    cards = [card_of("proteins", pool=100, test=50, labels=["a", "b"], text_budget=budget)]
    return Findings(READING, [], cards=cards, **tables)


def test_the_report_calls_it_so():
    lengths = [
        row_of(
            LengthRow,
            dataset="proteins",
            model="big",
            words_from=low,
            words_to=high,
            unit="character",
            called="residue",
            accuracy=80.0,
        )
        for low, high in ((1021, 3456), (3457, 35_000))
    ]
    (figure,) = length_figures(findings(lengths=lengths))
    assert figure.text.startswith("Accuracy (%) by residues of the text")
    # No label of the axis is cut off.
    assert "3,457 to 35,000 residues</text>" in figure.svg
    assert (name_lengths(1, 1, "residue"), name_lengths(9, 9, "entry")) == (
        "1 residue",
        "9 entries",
    )
    section = data_section(findings())
    assert section is not None
    tables = [part for part in section.parts if isinstance(part, Table)]
    assert "600 residues" in tables[0].rows[0]
    assert _kept(budget_of(600, "head_and_tail")) == "the first and the last residues (600 in all)"


# ---------------------------------------------------------------- examples


def test_a_long_sequence_shows_both_ends_and_counts_the_rest():
    (text,) = proteins(1, 1000)
    shown = excerpt(text, budget_of(2000))
    assert shown == f"{text[:180]} ... 640 residues ... {text[-180:]}"
    assert excerpt(text[:400], budget_of(2000)) == text[:400]
    words = " ".join(text[place : place + 5] for place in range(0, 1000, 5))
    assert excerpt(words).endswith(" ...")


@pytest.mark.parametrize("words", [420, 600, 900])
def test_dots_of_a_text_that_was_cut_are_no_residues(words):
    (text,) = proteins(1, 1000)
    cut = cut_text(text, words, "head_and_tail", "character")
    shown = shorten_sequence(cut, 400, budget_of(words, "head_and_tail"))
    between = int(shown.split(" ... ")[1].split()[0])
    letters = sum(len(part) for part in shown.split(" ... ") if "residues" not in part)
    assert letters + between == words


def test_both_sequences_of_a_pair_are_shown():
    first, second = proteins(2, 900)
    shown = excerpt(SEPARATOR.join([first, second]), budget_of(2000)).split(SEPARATOR)
    assert [part[:80] for part in shown] == [first[:80], second[:80]]
    assert [part[-80:] for part in shown] == [first[-80:], second[-80:]]


def test_the_report_shows_sequences_so():
    (text,) = proteins(1, 1000)
    row = row_of(ExampleRow, dataset="proteins", model="big", right="model", text=text)
    section = mistakes(findings(examples=[row]))
    assert section is not None
    (quotation,) = [part for part in section.parts if isinstance(part, Quotation)]
    assert " residues ... " in quotation.text
    explained = " ".join(part.text for part in section.parts if isinstance(part, Paragraph))
    assert "Of a long sequence, the beginning and the end" in explained


# ---------------------------------------------------------------- vocabularies


def pieces(algorithm: str, size: int, **others: float) -> VocabularyRecipe:
    return VocabularyRecipe.model_validate({"algorithm": algorithm, "size": size, **others})


@pytest.mark.parametrize("algorithm", ["unigram", "bpe", "char"])
def test_long_sequences_are_fitted_and_encoded_whole(algorithm, tmp_path):
    # Some are longer than what SentencePiece is given in one piece, and one letter is rare.
    texts = [*proteins(8, 300, LONGEST_WORD, LONGEST_WORD + 1), *proteins(2, 35_000), "MUUXB"]
    recipe = pieces(algorithm, 200, character_coverage=1.0)
    assert 25 < fit_vocabulary(iter(texts), recipe, 1, tmp_path / "a.model") <= 200
    vocabulary = FittedVocabulary(tmp_path / "a.model")
    encoded = vocabulary.encode(texts)
    assert [vocabulary._processor.decode(ids) for ids in encoded] == texts
    assert not any(vocabulary.unknown_id in ids for ids in encoded)


@pytest.mark.parametrize("algorithm", ["unigram", "bpe", "char"])
def test_a_rare_space_before_a_sequence_is_no_unknown_token(algorithm, tmp_path):
    # The space is one sign of 4,096, and the coverage leaves out one of 2,000.
    texts = proteins(4, 35_000)
    recipe = pieces(algorithm, 100)
    fit_vocabulary(iter(texts), recipe, 1, tmp_path / "a.model")
    vocabulary = FittedVocabulary(tmp_path / "a.model")
    assert not any(vocabulary.unknown_id in ids for ids in vocabulary.encode(texts))


def test_by_character_each_has_one_token(tmp_path):
    texts = proteins(20, 50, 300)
    recipe = pieces("char", 1000, character_coverage=1.0)
    fit_vocabulary(iter(texts), recipe, 1, tmp_path / "a.model")
    vocabulary = FittedVocabulary(tmp_path / "a.model")
    assert list(map(len, vocabulary.encode(texts))) == list(map(len, texts))
    assert len(vocabulary.encode(["AC DE"])[0]) == 5


def test_more_characters_than_pieces_are_an_error(tmp_path):
    texts = ["".join(chr(0x4E00 + place + shift) for place in range(40)) for shift in range(3)]
    recipe = pieces("char", 32, character_coverage=1.0)
    with pytest.raises(UserError, match=r"char vocabulary of 32 pieces: the texts have more"):
        fit_vocabulary(iter(texts), recipe, 1, tmp_path / "a.model")
    assert not (tmp_path / "a.model").exists()


# ---------------------------------------------------------------- models


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_bert):
    return make_data(tmp_path_factory.mktemp("data"), tiny_bert, seeds="1")


def test_sequences_of_one_letter_are_counted_saved_and_served(data, tmp_path):
    recipe = {"family": "linear", "analyser": "characters", "shortest_sequence": 1}
    recipe |= {"longest_sequence": 2, "optimisation": {"inverse_regularisation": 1.0}}
    made = load_recipe(recipe)
    run_training(data, made.deciding(), tmp_path)
    run_prediction(data, made.deciding(), tmp_path)
    weights = next((tmp_path / "weights").rglob("terms.json")).parent
    terms = read_json(weights / "terms.json")["characters"]
    assert {len(term) for term in terms["terms"]} == {1, 2}
    (vectorizer,) = linear.load_vectorizers(weights).values()
    assert vectorizer.ngram_range == (1, 2)
    assert vectorizer.transform(["q"]).nnz <= vectorizer.transform(["fad"]).nnz > 2
    served = family_of(made).serve(weights, None)
    assert np.exp(served(["a good film"])).sum() == pytest.approx(1, abs=1e-4)
    assert "sequences of 1 to 2 characters" in family_of(made).describe()


def test_shorter_sequences_take_more():
    work = Workload(tokens=300, rows=1000, validation=100)
    few, many = (
        family_of(load_recipe({"family": "linear", "analyser": "characters", **lengths}))
        for lengths in ({}, {"shortest_sequence": 1})
    )
    assert few.trial_operations(work) < many.trial_operations(work)
    assert few.shared_operations(work) < many.shared_operations(work)
    assert few.training_memory(work, 0).data < many.training_memory(work, 0).data


def test_the_longest_sequences_are_no_shorter_than_the_shortest():
    recipe = load_recipe({"family": "linear", "shortest_sequence": 5, "longest_sequence": [4, 6]})
    with pytest.raises(UserError, match=r"^m.longest_sequence: found 4; expected 5 or more"):
        recipe.check("m")
    load_recipe({"family": "linear"}).check("m")


def test_a_composition_is_shares_and_a_length():
    letters = composition.frequent_letters(["AAC", f"C{SEPARATOR}c \n"])
    assert letters == ["A", "C", "c"]
    features = composition.measure_composition(["AAC", "C C", "", "cX\N{GRINNING FACE}A"], letters)
    np.testing.assert_allclose(
        features,
        [
            [2 / 3, 1 / 3, 0, 0, np.log(4)],
            [0, 1, 0, 0, np.log(3)],
            [0, 0, 0, 0, 0],
            [0.25, 0, 0.25, 0.5, np.log(5)],
        ],
        rtol=1e-6,
    )


def test_a_composition_has_a_bound():
    texts = ["".join(map(chr, range(0x4E00, 0x4E00 + 400))), "\u4e00\u4f00"]
    letters = composition.frequent_letters(texts)
    assert len(letters) == composition.MOST_LETTERS
    assert "\u4f00" in letters
    features = composition.measure_composition(texts * 100, letters)
    np.testing.assert_allclose(features[:, :-1].sum(axis=1), 1, rtol=1e-5)
    assert (features[:2] == features[-2:]).all()


def test_a_composition_without_any_letter_is_one_share():
    assert composition.frequent_letters([" "]) == []
    assert composition.measure_composition(["ab", ""], [])[:, 0].tolist() == [1, 0]


def test_a_composition_serves_what_it_predicts(data, tmp_path):
    recipe = load_recipe({"family": "composition"})
    settings = recipe.optimisation.model_copy(update={"inverse_regularisation": 1.0})
    recipe = recipe.model_copy(update={"optimisation": settings})
    run_training(data, recipe.deciding(), tmp_path)
    run_prediction(data, recipe.deciding(), tmp_path)
    weights = next((tmp_path / "weights").rglob("letters.json")).parent
    served = family_of(recipe).serve(weights, None)
    letters = read_json(weights / "letters.json")
    assert served.parameters == (len(letters) + 3) * 2
    scores = served(["good great film", "bad poor film"])
    assert scores[0, 1] > scores[1, 1]
    files = {path.name for path in weights.iterdir()}
    assert len(files) == family_of(recipe).weight_files
