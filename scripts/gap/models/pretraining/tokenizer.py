"""Fit the tokenizer of a checkpoint that is pretrained from random weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import PreTrainedTokenizerFast

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
    names = [tokenizer.id_to_token(number) for number in (FittedVocabulary.pad_id, 1)]
    path.unlink()
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=names[0], unk_token=names[1], **ADDED
    )
    wrapped.save_pretrained(folder)
    return len(wrapped)


def _as_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer that does what a SentencePiece model of kind unigram or char does."""
    proto = ModelProto()
    proto.ParseFromString(path.read_bytes())
    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    tokenizer = Tokenizer(Unigram(pieces, proto.trainer_spec.unk_id))
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
    tokenizer.add_special_tokens(list(ADDED.values()))
    around = [ADDED["cls_token"], ADDED["sep_token"]]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in around],
    )
    return tokenizer
