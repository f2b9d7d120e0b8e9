"""Fit the tokenizer of a checkpoint that is pretrained from random weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE, Unigram
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import generate_merges

from gap.data.vocabulary import FittedVocabulary, fit_vocabulary
from gap.study.pretraining import TokenizerRecipe

# What stands around texts, and in the place of masked tokens, behind the pieces; named as BERT's.
ADDED = {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}


def fit_tokenizer(texts: Iterator[str], recipe: TokenizerRecipe, seed: int, folder: Path) -> int:
    """Fit a tokenizer on texts, write it into a folder, and return its number of tokens.

    The pieces are those of SentencePiece, as in vocabularies, because the trainers of tokenizers
    number and choose other ones in each process. It writes what `save_pretrained` of transformers
    does. Random: see fit_vocabulary.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pieces.model"
    fit_vocabulary(texts, recipe, seed, path)
    tokenizer = _as_tokenizer(path)
    path.unlink()
    tokenizer.add_special_tokens(list(ADDED.values()))
    around = [ADDED["cls_token"], ADDED["sep_token"]]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in around],
    )
    return _save(tokenizer, folder, ADDED)


def convert_vocabulary(path: Path, folder: Path) -> int:
    """Write a SentencePiece model into a folder, as `save_pretrained` would; return its tokens.

    The ids of texts are those of the model, and nothing stands around them.
    """
    return _save(_as_tokenizer(path), folder, {})


def _save(tokenizer: Tokenizer, folder: Path, added: Mapping[str, str]) -> int:
    """Write a tokenizer with the special tokens that it has; return its number of tokens."""
    padding, unknown = (tokenizer.id_to_token(number) for number in (FittedVocabulary.pad_id, 1))
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=padding, unk_token=unknown, **added
    )
    wrapped.save_pretrained(folder)
    return len(wrapped)


def _as_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer that does what a SentencePiece model does."""
    proto = ModelProto()
    proto.ParseFromString(path.read_bytes())
    tokenizer = Tokenizer(_model_of(proto))
    spec = proto.normalizer_spec
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(spec.precompiled_charsmap),
            normalizers.Strip(),
            normalizers.Replace(Regex(r"\s+"), " "),
        ]
    )
    scheme = "always" if spec.add_dummy_prefix else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    return tokenizer


def _model_of(proto: ModelProto) -> Unigram | BPE:
    """Return what makes ids of words; by char, each character is a piece of its own."""
    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    unknown = proto.trainer_spec.unk_id
    if proto.trainer_spec.model_type != proto.trainer_spec.BPE:
        return Unigram(pieces, unknown)
    # The scores of merged pieces tell in which order they are merged.
    numbers = {piece: number for number, (piece, _) in enumerate(pieces)}
    merges = generate_merges(numbers, pieces)
    return BPE(numbers, merges, unk_token=pieces[unknown][0], fuse_unk=True)
