"""What tokens stand for: a piece of text, and whether a word begins with it.

Tokenizers mark this in several ways, so tokens of two of them can be compared only as pieces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from gap.data.vocabulary import SPACE, PreTokenizer, PretrainedVocabulary, TokenizerParts
from gap.run.errors import UserError


class Piece(NamedTuple):
    """A piece of text without spaces, and whether a word begins with it."""

    text: str
    begins: bool


Reader = Callable[[str], Piece]


def pieces_of_checkpoint(vocabulary: PretrainedVocabulary, folder: Path) -> dict[Piece, int]:
    """Return the ids of a checkpoint's tokens by what they stand for, without special tokens.

    Of several tokens for one piece the one with the lowest id counts. Raises UserError for a
    tokenizer that does not mark where words begin.
    """
    tokens, parts = vocabulary.tokens(), vocabulary.parts()
    pieces: dict[Piece, int] = {}
    if parts is None:
        # Letters stand for themselves, wherever they stand.
        for letter, number in tokens.items():
            pieces[Piece(letter, True)] = pieces[Piece(letter, False)] = number
        return pieces
    read = _reader(parts, folder)
    special = {added["id"] for added in parts["added_tokens"]}
    for token, number in sorted(tokens.items(), key=lambda pair: pair[1]):
        piece = read(token)
        if piece.text and number not in special:
            pieces.setdefault(piece, number)
    return pieces


def _reader(parts: TokenizerParts, folder: Path) -> Reader:
    """Return what makes a piece of a token."""
    model = parts["model"]
    if prefix := model.get("continuing_subword_prefix"):
        return lambda token: Piece(token.removeprefix(prefix), not token.startswith(prefix))
    if model.get("end_of_word_suffix"):
        raise UserError(
            f"{folder}: its tokenizer marks where words end, not where they begin, so its pieces "
            "cannot be told; choose another checkpoint, or let the model learn its embeddings"
        )
    if model.get("type") == "WordLevel":
        return lambda token: Piece(token, True)
    if _has_bytes(parts["pre_tokenizer"]):
        from tokenizers.decoders import ByteLevel

        decoder = ByteLevel()
        return lambda token: _of_marked(decoder.decode([token]), " ")
    return lambda token: _of_marked(token, SPACE)


def _of_marked(token: str, mark: str) -> Piece:
    """Return the piece of a token that has the mark where a word begins."""
    return Piece(token.removeprefix(mark), token.startswith(mark))


def _has_bytes(pre_tokenizer: PreTokenizer | None) -> bool:
    """Return whether words are spelled in bytes, as GPT-2's kind does."""
    if pre_tokenizer is None:
        return False
    inner = pre_tokenizer.get("pretokenizers", [])
    return pre_tokenizer["type"] == "ByteLevel" or any(map(_has_bytes, inner))


def pieces_of_vocabulary(path: Path, vocabulary: PretrainedVocabulary) -> list[Piece | None]:
    """Return what each id of a SentencePiece model stands for, in a checkpoint's spelling.

    The checkpoint may take all letters for lower case, for example. Special ids are None, and so is
    a space alone.
    """
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    pieces: list[Piece | None] = []
    for number in range(model.get_piece_size()):
        token = model.id_to_piece(number)
        text = vocabulary.normalise(token.removeprefix(SPACE))
        usual = not (model.is_control(number) or model.is_unknown(number)) and text
        pieces.append(Piece(text, token.startswith(SPACE)) if usual else None)
    return pieces


def split(piece: Piece, pieces: Mapping[Piece, int], without: int | None = None) -> list[int]:
    """Return the ids of pieces that make up a piece, the longest first from its beginning on.

    `without` is an id that is not taken. A sign that no piece has is left out.
    """
    ids: list[int] = []
    start, begins = 0, piece.begins
    while start < len(piece.text):
        for end in range(len(piece.text), start, -1):
            number = pieces.get(Piece(piece.text[start:end], begins))
            if number is not None and number != without:
                ids.append(number)
                start = end
                break
        else:
            start += 1
        begins = False
    return ids
