"""From text to token ids: pretrained tokenizers, fitted SentencePiece models, stored ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gap.cli import UserError, read_json, sha256_file, write_json


class Vocabulary(Protocol):
    """What turns texts into token ids.

    `prefix` and `suffix` are the special ids put around each text, `size` the number of ids.
    """

    size: int
    pad_id: int
    prefix: list[int]
    suffix: list[int]

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text, without prefix and suffix and of any length."""
        ...


class PretrainedVocabulary:
    """The tokenizer of a pretrained checkpoint."""

    def __init__(self, folder: str | Path) -> None:
        # AutoTokenizer rather than tokenizer.json: it also knows the padding token, and converts
        # checkpoints that carry a SentencePiece model only.
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        if not tokenizer.is_fast:
            raise UserError(
                f"{folder}: its tokenizer has no fast version; choose another checkpoint"
            )
        if tokenizer.pad_token_id is None:
            raise UserError(
                f"{folder}: its tokenizer has no padding token; choose another checkpoint"
            )
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self.size = len(tokenizer)
        self.pad_id = int(tokenizer.pad_token_id)
        probe = self._backend.encode("a")
        text_positions = [i for i, special in enumerate(probe.special_tokens_mask) if not special]
        self.prefix = probe.ids[: text_positions[0]]
        self.suffix = probe.ids[text_positions[-1] + 1 :]

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text, without the special tokens."""
        encodings = self._backend.encode_batch_fast(texts, add_special_tokens=False)
        return [encoding.ids for encoding in encodings]


class FittedVocabulary:
    """A SentencePiece model; id 0 pads, id 1 stands for what it does not know."""

    pad_id = 0
    prefix: list[int] = []
    suffix: list[int] = []

    def __init__(self, path: str | Path) -> None:
        import sentencepiece

        self._processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        self.size = self._processor.get_piece_size()

    def encode(self, texts: list[str]) -> list[list[int]]:
        """Return the ids of each text; an empty list for a text without a known character."""
        return self._processor.encode(texts, num_threads=1)


def fit_vocabulary(texts: Iterator[str], recipe: dict[str, Any], seed: int, path: Path) -> int:
    """Fit a SentencePiece model on `texts`, write it to `path`, and return its number of pieces.

    A subsample too small for the recipe's `size` gets as many pieces as it supports: SentencePiece
    treats the size as a wish then. Random: nothing, unless there are more texts than
    `sample_texts`; those fitted on are then drawn by `seed`.
    """
    import io

    import sentencepiece

    sentencepiece.set_random_generator_seed(seed)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=texts,
            model_writer=model,
            model_type=recipe["algorithm"],
            vocab_size=recipe["size"],
            hard_vocab_limit=False,
            character_coverage=recipe["character_coverage"],
            input_sentence_size=recipe["sample_texts"],
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
        raise UserError(
            f"SentencePiece could not fit a {recipe['algorithm']} vocabulary of {recipe['size']:,} "
            f"pieces: {error}; try a smaller vocabulary or larger sizes"
        ) from None
    path.write_bytes(model.getvalue())
    return FittedVocabulary(path).size


def cut(ids: list[int], room: int, keep: str) -> list[int]:
    """Return at most `room` ids: the head, or the first three quarters of room and the tail."""
    if len(ids) <= room:
        return ids
    head = room if keep == "head" else (3 * room + 3) // 4
    return ids[:head] + ids[len(ids) - (room - head) :]


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as token ids in a memory-mapped file: `ids` (tokens,), `offsets` (texts + 1,).

    `rows` (texts,) are the rows of the data set that the texts are, ascending; None means all rows.
    """

    ids: npt.NDArray[np.unsignedinteger[Any]]
    offsets: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64] | None
    pad_id: int
    vocabulary_size: int

    @classmethod
    def open(cls, stem: str | Path) -> EncodedTexts:
        """Open what `write_encoded` wrote; nothing is read before it is used."""
        manifest = read_json(f"{stem}.json")
        ids = np.load(f"{stem}.ids.npy", mmap_mode="r")
        offsets = np.load(f"{stem}.offsets.npy", mmap_mode="r")
        rows = np.load(f"{stem}.rows.npy") if manifest["partial"] else None
        return cls(ids, offsets, rows, manifest["pad_id"], manifest["vocabulary_size"])

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


def write_encoded(
    batches: Iterable[list[str]],
    vocabulary: Vocabulary,
    max_tokens: int,
    keep: str,
    stem: Path,
    rows: npt.NDArray[np.int64] | None = None,
) -> dict[str, Any]:
    """Encode texts into `stem`.ids.npy and .offsets.npy, and return the manifest in `stem`.json.

    `rows`, ascending, says which rows of the data set the texts are, where they are not all.

    A text of no tokens gets the padding id once, so that no model meets an empty row. Memory holds
    one batch and the offsets.
    """
    dtype = np.uint16 if vocabulary.size <= 1 << 16 else np.uint32
    room = max_tokens - len(vocabulary.prefix) - len(vocabulary.suffix)
    lengths: list[npt.NDArray[np.int64]] = []
    shortened = 0
    raw = stem.with_name(stem.name + ".ids.raw")
    with open(raw, "wb") as file:
        for texts in batches:
            encoded = vocabulary.encode(texts)
            shortened += sum(len(ids) > room for ids in encoded)
            encoded = [
                vocabulary.prefix + cut(ids, room, keep) + vocabulary.suffix for ids in encoded
            ]
            encoded = [ids or [vocabulary.pad_id] for ids in encoded]
            np.concatenate([np.asarray(ids, dtype=dtype) for ids in encoded]).tofile(file)
            lengths.append(np.fromiter(map(len, encoded), dtype=np.int64, count=len(encoded)))
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    _finish_npy(raw, Path(f"{stem}.ids.npy"), dtype, int(offsets[-1]))
    np.save(f"{stem}.offsets.npy", offsets)
    if rows is not None:
        np.save(f"{stem}.rows.npy", rows)
    manifest = {
        "partial": rows is not None,
        "rows": len(offsets) - 1,
        "tokens": int(offsets[-1]),
        "shortened": shortened,
        "pad_id": vocabulary.pad_id,
        "vocabulary_size": vocabulary.size,
        "sha256": sha256_file(f"{stem}.ids.npy"),
    }
    write_json(f"{stem}.json", manifest)
    return manifest


def _finish_npy(raw: Path, target: Path, dtype: type, count: int) -> None:
    """Turn a raw file of `count` numbers into a .npy file, a piece at a time."""
    with open(raw, "rb") as source, open(target, "wb") as file:
        header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (count,)}
        np.lib.format.write_array_header_1_0(file, header)
        while piece := source.read(1 << 24):
            file.write(piece)
    raw.unlink()
