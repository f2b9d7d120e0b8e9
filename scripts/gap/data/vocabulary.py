"""From text to token ids: pretrained tokenizers, fitted SentencePiece models, stored ids."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NotRequired, Protocol, TypedDict

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gap.data.letters import LetterTable, is_of_letters
from gap.run.errors import UserError
from gap.run.json import read_json
from gap.study.datasets import VocabularyRecipe

# A run of signs without space of this length is no word, and SentencePiece cannot score it.
LONGEST_WORD = 4096
ENDLESS_WORD = re.compile(rf"\S{{{LONGEST_WORD}}}")
# What SentencePiece writes for a space, and before the first word of a text.
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
# Pieces that no set of characters reaches.
WITHOUT_BOUND = 1 << 21


class Vocabulary(Protocol):
    """What turns texts into token ids.

    `prefix` and `suffix` are the special ids put around each text, `size` the number of ids,
    `unknown_id` stands for what it does not know; None where it knows all. `separator` are the
    special ids between the two texts of a pair; None where a pair is read as one text. `typed` says
    whether tokens of the second text have another type than those of the first.
    """

    size: int
    pad_id: int
    unknown_id: int | None
    prefix: list[int]
    suffix: list[int]
    separator: list[int] | None
    typed: bool

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text, without prefix and suffix and of any length."""
        ...


class AddedToken(TypedDict):
    """A token that is found in texts as it is; the flags say where, and which spaces it takes."""

    id: int
    content: str
    single_word: bool
    lstrip: bool
    rstrip: bool
    normalized: bool


class Normalizer(TypedDict):
    """What changes texts before they are split; of type "Sequence", several in turn."""

    type: str
    normalizers: NotRequired[list[Normalizer]]


class PreTokenizer(TypedDict):
    """What splits texts into words."""

    type: str
    use_regex: NotRequired[bool]
    pretokenizers: NotRequired[list[PreTokenizer]]


class TokenizerModel(TypedDict):
    """What makes ids of words; `dropout` is a probability to leave out merges."""

    type: NotRequired[str]
    dropout: NotRequired[float | None]
    continuing_subword_prefix: NotRequired[str | None]
    end_of_word_suffix: NotRequired[str | None]


class TokenizerParts(TypedDict):
    """What a tokenizer consists of: the keys of a tokenizer.json that are read here."""

    added_tokens: list[AddedToken]
    normalizer: Normalizer | None
    pre_tokenizer: PreTokenizer | None
    model: TokenizerModel


class PretrainedVocabulary:
    """The tokenizer of a pretrained checkpoint.

    `letters` is what makes the ids where each token is a letter; None for other tokenizers.
    """

    def __init__(self, folder: str | Path) -> None:
        tokenizer = _load_tokenizer(folder)
        self.pad_id = _padding_id(folder, tokenizer)
        self.letters = LetterTable(tokenizer, str(folder)) if is_of_letters(tokenizer) else None
        self.size = len(tokenizer)
        self.unknown_id: int | None = tokenizer.unk_token_id
        self.mask_id: int | None = tokenizer.mask_token_id
        self.separator: list[int] | None
        if self.letters:
            self.prefix, self.suffix = self.letters.prefix, self.letters.suffix
            self.separator, self.typed = self.letters.separator, False
        elif tokenizer.is_fast:
            self._take_backend(folder, tokenizer)
        else:
            raise UserError(
                f"{folder}: its tokenizer has no fast version; choose another checkpoint"
            )

    def _take_backend(self, folder: str | Path, tokenizer: Any) -> None:
        """Set what makes the ids, and the special ids that it puts around texts."""
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        probe = self._backend.encode("a")
        text_positions = [i for i, special in enumerate(probe.special_tokens_mask) if not special]
        if not text_positions:
            raise UserError(f"{folder}: its tokenizer makes nothing of 'a'; is it damaged?")
        self.prefix = probe.ids[: text_positions[0]]
        self.suffix = probe.ids[text_positions[-1] + 1 :]
        pair = self._backend.encode("a", "a")
        self.separator = self._separator(tokenizer, pair.ids)
        # RoBERTa's kind has one type, also beside a model whose embeddings have two.
        self.typed = 1 in pair.type_ids

    def _separator(self, tokenizer: Any, ids: list[int]) -> list[int]:
        """Return the special ids between the two texts "a" of a pair with these ids.

        Where it puts none, as those of most decoders, it is what separates or ends texts.
        """
        text = self._backend.encode("a", add_special_tokens=False).ids
        start = len(self.prefix) + len(text)
        between = list(ids[start : len(ids) - len(text) - len(self.suffix)])
        if between and ids == [*self.prefix, *text, *between, *text, *self.suffix]:
            return between
        marks = (tokenizer.sep_token_id, tokenizer.eos_token_id, self.pad_id)
        return [next(int(mark) for mark in marks if mark is not None)]

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text, without the special tokens."""
        if self.letters:
            ids, lengths = self.letters.encode(pa.array(texts, pa.large_string()))
            numbers, ends = ids.tolist(), np.cumsum(lengths).tolist()
            return [numbers[start:end] for start, end in pairwise([0, *ends])]
        encodings = self._backend.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def tokens(self) -> dict[str, int]:
        """Return the id of each token, as the tokenizer spells it; of letters, of these alone."""
        if self.letters:
            return self.letters.letters()
        tokens: dict[str, int] = self._backend.get_vocab()
        return tokens

    def normalise(self, text: str) -> str:
        """Return a piece of text as the tokenizer's tokens spell it, without spaces around it."""
        if self.letters or self._backend.normalizer is None:
            return text
        normal: str = self._backend.normalizer.normalize_str(text)
        return normal.replace(SPACE, " ").strip()

    def parts(self) -> TokenizerParts | None:
        """Return what the tokenizer consists of, as its tokenizer.json has it; None of letters."""
        if self.letters:
            return None
        parts: TokenizerParts = json.loads(self._backend.to_str())
        return parts


def _load_tokenizer(folder: str | Path) -> Any:
    """Return the tokenizer of a checkpoint; code that comes with it is never run."""
    # AutoTokenizer rather than tokenizer.json: it also knows the padding token, and converts
    # checkpoints that carry a SentencePiece model only.
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    # A damaged file can fail in any way; tokenizers raises bare exceptions.
    except Exception as error:
        line = " ".join(str(error).split())[:300]
        raise UserError(
            f"{folder}: its tokenizer cannot be loaded ({line}); choose another checkpoint, one "
            "whose tokenizer needs no code of its own"
        ) from error
    files = sorted(tokenizer.vocab_files_names.values())
    # Without any, transformers makes up a tokenizer that knows no word.
    if not any((Path(folder) / name).is_file() for name in files):
        raise UserError(
            f"{folder}: no tokenizer (expected {' or '.join(files)}); save it there, too, with "
            "save_pretrained()"
        )
    return tokenizer


def _padding_id(folder: str | Path, tokenizer: Any) -> int:
    """Return the id that pads texts: the model's, or the tokenizer's, or the end of a text.

    The model's comes first: some count positions, or look for the last token, by it. Decoders often
    have none, and end texts with what may pad them as well.
    """
    from transformers import AutoConfig

    try:
        of_model = AutoConfig.from_pretrained(folder, trust_remote_code=False).pad_token_id
    except Exception:
        # What is wrong with a config is told where its model is loaded.
        of_model = None
    for number in (of_model, tokenizer.pad_token_id, tokenizer.eos_token_id):
        # Llama's first configs have -1 for none.
        if number is not None and 0 <= int(number) < len(tokenizer):
            return int(number)
    raise UserError(
        f"{folder}: neither its config.json nor its tokenizer has a padding token, or one that "
        "ends texts; choose another checkpoint"
    )


class FittedVocabulary:
    """A SentencePiece model; id 0 pads, id 1 stands for what it does not know."""

    pad_id = 0
    unknown_id: int | None = 1
    prefix: list[int] = []
    suffix: list[int] = []
    separator: list[int] | None = None
    typed = False

    def __init__(self, path: str | Path) -> None:
        import sentencepiece

        self._processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        self.size = self._processor.get_piece_size()

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text; an empty list for a text without a known character."""
        return self._processor.encode(texts, num_threads=1)


def split_endless_words(text: str) -> str:
    """Return a text with a space in words such as base64, which are too long for SentencePiece."""
    return ENDLESS_WORD.sub(r"\g<0> ", text) if len(text) > LONGEST_WORD else text


def _explain(recipe: VocabularyRecipe, error: str) -> str:
    """Return what SentencePiece's error means, and what to do."""
    if match := re.search(r"smaller than required_chars\. \d+ vs (\d+)", error):
        return _too_many_characters(recipe, int(match[1]))
    return f"{_failure(recipe)}: {error}; try a smaller vocabulary or larger sizes"


def _too_many_characters(recipe: VocabularyRecipe, count: int) -> str:
    return (
        f"{_failure(recipe)}: the texts have more characters, {count:,} different ones with all "
        f"that belongs to them; set a larger `size`, or a `character_coverage` under "
        f"{recipe.character_coverage}"
    )


def _failure(recipe: VocabularyRecipe) -> str:
    return f"SentencePiece could not fit a {recipe.algorithm} vocabulary of {recipe.size:,} pieces"


def fit_vocabulary(texts: Iterator[str], recipe: VocabularyRecipe, seed: int, path: Path) -> int:
    """Fit a SentencePiece model on `texts`, write it to `path`, and return its number of pieces.

    A subsample too small for the recipe's `size` gets as many pieces as it supports: SentencePiece
    treats the size as a wish then. Random: nothing, unless there are more texts than
    `sample_texts`; those fitted on are then drawn by `seed`.
    """
    import io

    import sentencepiece

    sentencepiece.set_random_generator_seed(seed)
    model = io.BytesIO()
    by_character = recipe.algorithm == "char"
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=map(split_endless_words, texts),
            model_writer=model,
            model_type=recipe.algorithm,
            # By char, SentencePiece would leave out what is beyond the size, and say nothing.
            vocab_size=WITHOUT_BOUND if by_character else recipe.size,
            # A piece for each character, and none for a space that the text does not have.
            add_dummy_prefix=not by_character,
            # In long sequences a space before the text is so rare that it would be unknown.
            required_chars=SPACE,
            hard_vocab_limit=False,
            character_coverage=recipe.character_coverage,
            input_sentence_size=recipe.sample_texts,
            shuffle_input_sentence=True,
            max_sentence_length=1 << 20,
            pad_id=0,
            unk_id=1,
            bos_id=-1,
            eos_id=-1,
            num_threads=1,
            minloglevel=1,
        )
    except RuntimeError as error:
        raise UserError(_explain(recipe, str(error))) from None
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).get_piece_size()
    if by_character and pieces > recipe.size:
        raise UserError(_too_many_characters(recipe, pieces))
    path.write_bytes(model.getvalue())
    return int(pieces)


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as token ids in a memory-mapped file: `ids` (tokens,), `offsets` (texts + 1,).

    `rows` (texts,) are the rows of the data set that the texts are, ascending; None means all rows.
    Behind the id `pair_separator`, tokens are of the second type; None where there is one only.
    """

    ids: npt.NDArray[np.uint16 | np.uint32]
    offsets: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64] | None
    pad_id: int
    vocabulary_size: int
    pair_separator: int | None = None

    @classmethod
    def open(cls, stem: str | Path) -> EncodedTexts:
        """Open what `join_pieces` wrote; nothing is read before it is used."""
        manifest = read_json(f"{stem}.json")
        ids = np.load(f"{stem}.ids.npy", mmap_mode="r")
        offsets = np.load(f"{stem}.offsets.npy", mmap_mode="r")
        rows = np.load(f"{stem}.rows.npy") if manifest["partial"] else None
        return cls(
            ids,
            offsets,
            rows,
            manifest["pad_id"],
            manifest["vocabulary_size"],
            manifest["pair_separator"],
        )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> npt.NDArray[np.int64]:
        """Return the ids of one text, (tokens,)."""
        return self.ids[self.offsets[index] : self.offsets[index + 1]].astype(np.int64)

    def positions(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return where the texts of these rows of the data set stand here, (rows,)."""
        return rows if self.rows is None else np.searchsorted(self.rows, rows)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each text, (texts,)."""
        return np.diff(self.offsets)
