"""Ids of texts whose tokens are single letters, such as proteins: looked up, not searched for.

ESM's tokenizer is written in Python, and looks for each of its tokens at each letter of a text.
Where no longer token begins in a text, such as <mask>, the ids follow from the letters alone, one
by one. Those texts are taken out of a table of letters; the others are left to the tokenizer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gap.run.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from transformers.tokenization_python import PythonBackend

Ids = npt.NDArray[np.uint32]
Lengths = npt.NDArray[np.int64]

# What the table has in place of ids. A run of letters without a token is one unknown token, white
# space is none, and what may be part of a longer token is left to the tokenizer.
UNKNOWN, SPACE, ELSEWHERE = -1, -2, -3
ASCII = 128


class LetterTable:
    """The tokens of a tokenizer such as EsmTokenizer, and its ids of texts, exactly.

    `size`, `unknown_id`, `prefix`, `suffix` and `separator` are as `gap.data.vocabulary.Vocabulary`
    has them. Raises UserError, which begins with `where`, for a tokenizer whose vocabulary has no
    unknown token.
    """

    def __init__(self, tokenizer: PythonBackend, where: str) -> None:
        self._tokenizer = tokenizer
        if tokenizer.unk_token not in tokenizer.get_vocab():
            raise UserError(
                f"{where}: its vocab.txt has no token {tokenizer.unk_token} for unknown letters; "
                "add it, or choose another checkpoint"
            )
        self.size = len(tokenizer)
        self.unknown_id = int(tokenizer.unk_token_id)
        unknown = self.unknown_id
        around = tokenizer.build_inputs_with_special_tokens
        self.prefix, self.suffix = self._split(around([unknown]), [unknown])
        pair = around([unknown], [unknown])
        self.separator = pair[len(self.prefix) + 1 : len(pair) - len(self.suffix) - 1]
        self._table = _make_table(tokenizer)

    def letters(self) -> dict[str, int]:
        """Return the ids of the tokens that are single letters."""
        return {
            chr(code): int(number) for code, number in enumerate(self._table[:ASCII]) if number >= 0
        }

    @staticmethod
    def _split(ids: list[int], text: list[int]) -> tuple[list[int], list[int]]:
        """Return the special ids before and after the ids of a text, which occur there once."""
        start = ids.index(text[0])
        return ids[:start], ids[start + len(text) :]

    def encode(self, texts: pa.Array) -> tuple[Ids, Lengths]:
        """Return the ids of texts, an array of strings, without prefix and suffix.

        The ids stand one after another, (tokens,), as many of each text as its length says,
        (texts,).
        """
        codes, starts = self._look_up(texts)
        kept = codes != SPACE
        # Of a run of unknown letters the first one counts; no run goes on from text to text.
        after = np.empty(len(codes), dtype=bool)
        after[:1] = False
        np.equal(codes[:-1], UNKNOWN, out=after[1:])
        after[starts[:-1][starts[:-1] < len(codes)]] = False
        kept &= ~((codes == UNKNOWN) & after)
        lengths = np.diff(np.concatenate([[0], np.cumsum(kept)])[starts])
        ids = np.where(codes == UNKNOWN, self.unknown_id, codes)[kept].astype(np.uint32)
        left = np.concatenate([[0], np.cumsum(codes == ELSEWHERE)])[starts]
        others = np.flatnonzero(np.diff(left))
        return self._replace(texts, others, ids, lengths) if len(others) else (ids, lengths)

    def _look_up(self, texts: pa.Array) -> tuple[npt.NDArray[np.int32], Lengths]:
        """Return what the table has for each byte of the texts, and where each text starts.

        The starts, (texts + 1,), end with the number of bytes.
        """
        wide = texts.cast(pa.large_string())
        _, places, data = wide.buffers()
        ends = np.frombuffer(places, np.int64)[wide.offset : wide.offset + len(wide) + 1]
        count = int(ends[-1] - ends[0])
        # There is no buffer where all texts are empty.
        letters = np.frombuffer(data if count else b"", np.uint8)[ends[0] : ends[-1]]
        return self._table[letters], ends - ends[0]

    def _replace(
        self, texts: pa.Array, places: Lengths, ids: Ids, lengths: Lengths
    ) -> tuple[Ids, Lengths]:
        """Return ids and lengths, those of the texts at these places as the tokenizer has them."""
        rows = np.split(ids, np.cumsum(lengths)[:-1])
        for place in places:
            tokens = self._tokenizer.tokenize(texts[int(place)].as_py())
            found = self._tokenizer.convert_tokens_to_ids(tokens)
            rows[place] = np.array(found, dtype=np.uint32)
        return np.concatenate(rows), np.array(list(map(len, rows)), dtype=np.int64)


def _make_table(tokenizer: PythonBackend) -> npt.NDArray[np.int32]:
    """Return for each of the 256 bytes the id of the letter that it is, or what stands for it."""
    tokens = {*tokenizer.get_vocab(), *tokenizer.all_special_tokens} - {""}
    table = np.full(256, ELSEWHERE, dtype=np.int32)
    if _is_bound(tokenizer):
        return table
    table[:ASCII] = [SPACE if chr(code).isspace() else UNKNOWN for code in range(ASCII)]
    for token in tokens:
        if len(token) == 1 and token.isascii():
            table[ord(token)] = tokenizer.convert_tokens_to_ids(token)
    for token in tokens:
        if len(token) > 1 and token[0].isascii():
            table[ord(token[0])] = ELSEWHERE
    return table


def _is_bound(tokenizer: PythonBackend) -> bool:
    """Return whether what stands beside a token may decide what it is."""
    added = tokenizer.added_tokens_decoder.values()
    sided = any(token.lstrip or token.rstrip or token.single_word for token in added)
    return sided or tokenizer.split_special_tokens


def is_of_letters(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether a tokenizer splits texts as LetterTable does: EsmTokenizer, none like it."""
    from transformers import EsmTokenizer

    return type(tokenizer) is EsmTokenizer
