"""An LSTM language model of random weights."""

from __future__ import annotations

from gap.data.vocabulary import PretrainedVocabulary
from gap.models.own_networks import LstmLanguageConfig, LstmLanguageModel
from gap.study.pretraining import LanguageModel


def draw_language_model(
    recipe: LanguageModel, vocabulary: PretrainedVocabulary
) -> LstmLanguageModel:
    """Return an LSTM language model; random: its weights, from torch's generator."""
    config = LstmLanguageConfig(
        vocab_size=vocabulary.size,
        pad_token_id=vocabulary.pad_id,
        dropout=recipe.dropout,
        **recipe.start.model_dump(exclude={"embeddings"}),
    )
    return LstmLanguageModel(config)
