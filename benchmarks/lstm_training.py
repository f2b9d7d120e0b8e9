"""LSTM training on texts of mixed length: this project beside `nn.LSTM`, padded and packed."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from common import (
    Contestant,
    arguments,
    comparison,
    interleave,
    load_config,
    machine,
    mixed_texts,
    prepare_texts,
    project_trainer,
    read_rows,
    train_and_count,
    write_section,
)
from gap.data.vocabulary import FittedVocabulary, fit_vocabulary
from gap.models.families.lstm import Recipe
from gap.models.labelled_texts import LabelledTexts
from gap.models.lstm_network import LstmConfig, LstmForSequenceClassification, pool
from gap.run.program import run
from gap.study.datasets import VocabularyRecipe
from gap.study.recipes import GradientDescent
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader
from transformers import set_seed

OURS, PADDED, PACKED = "this project", "`nn.LSTM`, padded", "`nn.LSTM`, `pack_padded_sequence`"
GOALS = {PADDED: 2.5, PACKED: 4.0}
TEST_TEXTS = 20  # not read here, but a data set has some


class PlainLstm(nn.Module):
    """The same classifier as one writes it with `nn.LSTM`, the batch padded or packed."""

    def __init__(self, sizes: LstmConfig, packed: bool) -> None:
        super().__init__()
        self.packed = packed
        self.embeddings = nn.Embedding(sizes.vocab_size, sizes.embedding_size)
        self.dropout = nn.Dropout(sizes.dropout)
        self.lstm = nn.LSTM(
            sizes.embedding_size,
            sizes.width,
            num_layers=sizes.layers,
            dropout=sizes.dropout if sizes.layers > 1 else 0.0,
            bidirectional=True,
            batch_first=True,
        )
        self.classifier = nn.Linear(2 * sizes.width, int(sizes.num_labels or 0))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return logits (batch, labels) for ids and mask (batch, tokens)."""
        states = self.dropout(self.embeddings(input_ids))
        if self.packed:
            packed = pack_padded_sequence(
                states, attention_mask.sum(1).cpu(), batch_first=True, enforce_sorted=False
            )
            states = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]
        else:
            states = self.lstm(states)[0]
        return self.classifier(self.dropout(pool(states, attention_mask, "mean")))


def train_plainly(
    model: nn.Module, texts: LabelledTexts, settings: GradientDescent, steps: int
) -> int:
    """Train on batches in random order in fp32, and return how many real tokens were read."""
    device = next(model.parameters()).device
    # Fused, as that of the Trainer: the optimiser is not what is compared here.
    optimiser = torch.optim.AdamW(
        model.parameters(), settings.lr, weight_decay=settings.weight_decay, fused=True
    )
    batches = DataLoader(texts, settings.batch_size, shuffle=True, collate_fn=texts.collate)
    tokens = 0
    for _, batch in zip(range(steps), batches, strict=False):
        tokens += int(batch["attention_mask"].sum())
        ids, mask, labels = (
            batch[name].to(device) for name in ("input_ids", "attention_mask", "labels")
        )
        nn.functional.cross_entropy(model(ids, mask), labels).backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
        optimiser.step()
        optimiser.zero_grad()
    return tokens


def contestants(
    sizes: LstmConfig, texts: LabelledTexts, settings: GradientDescent, steps: int, folder: Path
) -> dict[str, Contestant]:
    """Return what trains `sizes` in three ways; ours does four times the steps of the peers."""
    from gap.models.hardware import device

    def plain(packed: bool) -> Contestant:
        def make_ready(number: int) -> Callable[[], int]:
            set_seed(number)
            model = PlainLstm(sizes, packed).to(device())
            return lambda: train_plainly(model, texts, settings, steps)

        return make_ready

    def ours(number: int) -> Callable[[], int]:
        set_seed(number)
        model = LstmForSequenceClassification(sizes)
        trainer = project_trainer(model, texts, settings, 4 * steps, number, folder)
        return lambda: train_and_count(trainer)

    return {PADDED: plain(False), PACKED: plain(True), OURS: ours}


def fitted_texts(config: dict[str, Any], pool_file: Path, n: int, folder: Path) -> LabelledTexts:
    """Return texts of mixed length in the ids of a vocabulary fitted on them."""
    texts, labels = read_rows(pool_file, n, 0)
    recipe = VocabularyRecipe.model_validate(next(iter(config["vocabulary_zoo"].values())))
    fit_vocabulary(iter(texts), recipe, 0, folder / "pieces.model")
    return mixed_texts(texts, labels, FittedVocabulary(folder / "pieces.model"), 0)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = arguments(__doc__)
    parser.add_argument("--sizes", nargs="+", default=["1x128", "2x256"], help="LAYERSxWIDTH")
    parser.add_argument("--steps", type=int, default=8, help="of a peer in a round; ours 4 times")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    given = parse(argv)
    torch.set_num_threads(1)
    config = load_config(given.config)
    entries = (entry for entry in config["model_zoo"].values() if "vocabulary" in entry)
    recipe = Recipe.model_validate(next(entries))
    settings = recipe.optimisation
    body = [
        f"Batches of {settings.batch_size}; {given.rounds} rounds of {given.steps} steps (ours "
        f"{4 * given.steps}). The peers run in a plain loop, ours in the Trainer."
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labels = prepare_texts(config, given.results, folder, TEST_TEXTS)
        texts = fitted_texts(config, folder / "pool.parquet", given.texts, folder)
        body.append(
            f"{len(texts):,} texts, {texts.lengths.mean():.0f} tokens long on average, in "
            f"{texts.texts.vocabulary_size:,} pieces; embeddings of {recipe.embedding_size}, "
            f"dropout {recipe.dropout}."
        )
        for size in given.sizes:
            layers, width = map(int, size.split("x"))
            sizes = LstmConfig(
                vocab_size=texts.texts.vocabulary_size,
                embedding_size=recipe.embedding_size,
                layers=layers,
                width=width,
                dropout=recipe.dropout,
                num_labels=len(labels),
            )
            timings = interleave(
                contestants(sizes, texts, settings, given.steps, folder), given.rounds
            )
            body.append(f"**{layers} layer(s) of {width} units a direction**")
            body.append(comparison(timings, OURS, GOALS))
    write_section(given.page, "LSTM training", "\n\n".join([*body, f"Machine: {machine()}."]))


if __name__ == "__main__":
    run(main)
