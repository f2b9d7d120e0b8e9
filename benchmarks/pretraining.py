"""Pretraining a masked language model: this project beside transformers' own recipe."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import (
    Contestant,
    arguments,
    comparison,
    interleave,
    load_config,
    machine,
    prepare_texts,
    project_trainer,
    read_rows,
    train_and_count,
    train_as_project,
    use_one_core,
    write_section,
)
from fine_tuning import PEAK, products
from gap.cluster.pretraining import Network, new_shape
from gap.data.vocabulary import PretrainedVocabulary
from gap.run.program import run
from gap.study.pretraining import MaskedLm

OURS, PEER = "this project", "Trainer and collator of transformers, defaults"
GOALS = {PEER: 3.0}
RECIPE = {
    "kind": "pretrained",
    "corpus": ["reviews"],
    "start": {"layers": 4, "width": 256, "heads": 4},
}

# The shape of BERT-base; it is compared with what the machine can do.
LARGE = RECIPE | {"start": {"layers": 12, "width": 768, "heads": 12}}
SHARES = {PEAK: 0.6}

Ids = npt.NDArray[np.uint16]


def encode(texts: list[str], recipe: MaskedLm, folder: Path) -> tuple[PretrainedVocabulary, Ids]:
    """Fit the recipe's tokenizer, and return it and the texts' ids, one behind the other."""
    from gap.models.pretraining.tokenizer import fit_tokenizer

    fit_tokenizer(iter(texts), recipe.fitted_tokenizer, recipe.seed, folder)
    vocabulary = PretrainedVocabulary(folder)
    rows = [[*ids, *vocabulary.suffix] for ids in vocabulary.encode(texts)]
    return vocabulary, np.concatenate(rows).astype(np.uint16)


def pretrain_as_project(
    vocabulary: PretrainedVocabulary, ids: Ids, recipe: MaskedLm, steps: int, folder: Path
) -> Contestant:
    """Return what does so many steps on masked blocks."""
    from gap.models.pretraining.masked_lm import draw_masked_lm
    from gap.models.pretraining.networks import blocks_of, signs_of

    blocks = blocks_of(recipe, ids, signs_of(vocabulary, folder))
    settings = recipe.optimisation.descent

    def make_ready(number: int) -> Callable[[], int]:
        model = draw_masked_lm(recipe.size, recipe.block, vocabulary)
        trainer = project_trainer(model, blocks, settings, steps, number, folder / "ours")
        return lambda: train_as_project(trainer)

    return make_ready


def pretrain_as_peer(
    vocabulary: PretrainedVocabulary, ids: Ids, recipe: MaskedLm, steps: int, folder: Path
) -> Contestant:
    """Return what does as many steps on blocks of as many tokens as the documentation does it."""
    from gap.models.pretraining.masked_lm import draw_masked_lm
    from transformers import (
        AutoModelForMaskedLM,
        AutoTokenizer,
        DataCollatorForLanguageModeling,
        PrinterCallback,
        Trainer,
        TrainingArguments,
    )

    tokenizer = AutoTokenizer.from_pretrained(folder)
    count = len(ids) // recipe.block
    rows = ids[: count * recipe.block].reshape(count, recipe.block).astype(np.int64)
    blocks = [{"input_ids": row.tolist()} for row in rows]
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=recipe.masked)

    def make_ready(number: int) -> Callable[[], int]:
        config = draw_masked_lm(recipe.size, recipe.block, vocabulary).config
        config._attn_implementation = None
        options = TrainingArguments(
            output_dir=str(folder / "peer"),
            max_steps=steps,
            per_device_train_batch_size=recipe.optimisation.batch_size,
            learning_rate=recipe.optimisation.lr,
            seed=number,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            include_num_input_tokens_seen="all",
        )
        model = AutoModelForMaskedLM.from_config(config)
        trainer = Trainer(model, options, data_collator=collator, train_dataset=blocks)
        trainer.remove_callback(PrinterCallback)
        return lambda: train_and_count(trainer)

    return make_ready


def compare_with_the_peak(
    given: argparse.Namespace, vocabulary: PretrainedVocabulary, ids: Ids, folder: Path
) -> list[str]:
    """Return the paragraphs about the share of the machine's peak that a large model reaches."""
    recipe = MaskedLm.model_validate(LARGE)
    operations = Network.masked_lm(recipe, new_shape(recipe)).training_operations(1)
    ways = {
        PEAK: products(operations),
        OURS: pretrain_as_project(vocabulary, ids, recipe, given.large_steps, folder),
    }
    timings = interleave(ways, given.large_rounds)
    size = recipe.size
    return [
        f"**Share of the machine's best**, for {size.layers} layers, {size.width} wide; "
        f"{given.large_rounds} rounds of {given.large_steps} steps. The peak is a product of large "
        "matrices, as the tokens that its operations would make.",
        comparison(timings, OURS, SHARES),
    ]


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = arguments(__doc__)
    parser.set_defaults(texts=8000)
    parser.add_argument("--steps", type=int, default=15, help="of both in a round")
    parser.add_argument("--large-steps", type=int, default=2, help="of the large model in a round")
    parser.add_argument("--large-rounds", type=int, default=3, help="rounds of the large model")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    given = parse(argv)
    use_one_core()
    recipe = MaskedLm.model_validate(RECIPE)
    config = load_config(given.config)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare_texts(config, given.results, folder, test=100)
        texts, _ = read_rows(folder / "pool.parquet", given.texts, seed=1)
        vocabulary, ids = encode(texts, recipe, folder / "tokenizer")
        work = vocabulary, ids, recipe, given.steps, folder / "tokenizer"
        ways = {PEER: pretrain_as_peer(*work), OURS: pretrain_as_project(*work)}
        timings = interleave(ways, given.rounds)
        large = compare_with_the_peak(given, vocabulary, ids, folder / "tokenizer")
    size = recipe.size
    body = [
        f"**Masked language model** of {size.layers} layers, {size.width} wide, random weights, "
        f"{vocabulary.size:,} tokens; batches of {recipe.optimisation.batch_size} blocks of "
        f"{recipe.block} tokens, {given.rounds} rounds of {given.steps} steps.",
        comparison(timings, OURS, GOALS),
        *large,
        f"Machine: {machine()}.",
    ]
    write_section(given.page, "Pretraining", "\n\n".join(body))


if __name__ == "__main__":
    run(main)
