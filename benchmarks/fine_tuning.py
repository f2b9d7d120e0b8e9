"""Fine-tuning on texts of mixed length, beside the Trainer's defaults and the machine's best.

The latter are constant-length batches that stand ready, and products of large matrices.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, cast

from common import (
    LONGEST,
    arguments,
    comparison,
    interleave,
    load_config,
    machine,
    mixed_texts,
    prepare_texts,
    project_trainer,
    read_rows,
    reference_checkpoint,
    train_and_count,
    train_as_project,
    use_one_core,
    write_section,
)
from gap.models.encoder_shape import BASE_SIZED
from gap.models.family import load_recipe
from gap.run.errors import UserError
from gap.run.program import run
from gap.study.recipes import GradientDescent, ModelRecipe
from throughput import build, large_product, operations_of_text

if TYPE_CHECKING:
    from common import Contestant
    from gap.data.vocabulary import Vocabulary
    from gap.models.labelled_texts import LabelledTexts
    from transformers import PreTrainedModel, Trainer

OURS, PEER = "this project", "transformers Trainer, defaults"
GOAL = 4.0
CONSTANT, PEAK = "constant-length batches, no data loading", "the peak of matrix products"
SHARES = {CONSTANT: 0.7, PEAK: 0.6}
# RoBERTa-base's, or what a test puts in its place.
SHAPE = BASE_SIZED
# Products of large matrices in a round.
PRODUCTS = 10

# Makes a trainer for texts, a number of steps, and a seed.
Maker = Callable[["LabelledTexts", int, int], "Trainer"]


def makers(
    checkpoint: Path, labels: list[str], settings: GradientDescent, folder: Path
) -> dict[str, Maker]:
    """Return what makes the two trainers."""

    def ours(texts: LabelledTexts, steps: int, seed: int) -> Trainer:
        from gap.models.encoder import load_classifier
        from transformers import set_seed

        set_seed(seed)
        model = load_classifier(checkpoint, labels)
        return project_trainer(model, texts, settings, steps, seed, folder)

    def peer(texts: LabelledTexts, steps: int, seed: int) -> Trainer:
        model = default_model(checkpoint, len(labels), seed)
        return default_trainer(model, checkpoint, texts, settings, steps, seed, folder)

    return {PEER: peer, OURS: ours}


def default_model(checkpoint: Path, labels: int, seed: int) -> PreTrainedModel:
    """Return the checkpoint with a new head, loaded as usual."""
    import torch
    from transformers import AutoModelForSequenceClassification, set_seed

    set_seed(seed)
    return AutoModelForSequenceClassification.from_pretrained(
        checkpoint, num_labels=labels, dtype=torch.float32
    )


def default_trainer(
    model: PreTrainedModel,
    checkpoint: Path,
    texts: LabelledTexts,
    settings: GradientDescent,
    steps: int,
    seed: int,
    folder: Path,
) -> Trainer:
    """Return the Trainer as its documentation has it: what computes is left at the defaults.

    The recipe's optimisation is the same as ours, so that accuracies can be compared.
    """
    from transformers import (
        AutoTokenizer,
        DataCollatorWithPadding,
        PrinterCallback,
        Trainer,
        TrainingArguments,
    )

    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.lr,
        lr_scheduler_type=settings.lr_schedule,
        warmup_steps=math.ceil(settings.warmup * steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        seed=seed,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        include_num_input_tokens_seen="non_padding",
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=[
            {"input_ids": text["input_ids"].tolist(), "labels": text["labels"]}
            for text in (texts[index] for index in range(len(texts)))
        ],
        data_collator=DataCollatorWithPadding(AutoTokenizer.from_pretrained(checkpoint)),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def accuracies(
    made: dict[str, Maker], training: LabelledTexts, test: LabelledTexts, steps: int, seeds: int
) -> dict[str, list[float]]:
    """Return the accuracy on test after `steps`, of each trainer and seed."""
    from gap.models.inference import log_scores

    found: dict[str, list[float]] = {name: [] for name in made}
    for seed in range(seeds):
        for name, make in made.items():
            trainer = make(training, steps, seed)
            trainer.train()
            scores = log_scores(cast("PreTrainedModel", trainer.model), test.texts, test.rows)
            found[name].append(float((scores.argmax(1) == test.labels).mean()))
            print(f"seed {seed}, {name}: accuracy {found[name][-1]:.4f}", flush=True)
    return found


def describe_accuracies(found: dict[str, list[float]], training: int, test: int) -> str:
    """Return a paragraph about the accuracies of both after the same number of steps."""
    differences = [100 * (a - b) for a, b in zip(found[OURS], found[PEER], strict=True)]
    each = "; ".join(
        f"{name}: {' '.join(f'{100 * value:.1f}' for value in values)}, mean "
        f"{100 * mean(values):.1f}, standard deviation {100 * stdev(values):.1f}"
        for name, values in found.items()
    )
    return (
        f"Accuracy in per cent on {test:,} test texts after the same steps, one epoch of "
        f"{training:,} texts, by seed: {each}. Ours less theirs, in points: "
        f"{' '.join(f'{difference:+.1f}' for difference in differences)}, mean "
        f"{mean(differences):+.1f}."
    )


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=6, help="of the peer in a round; ours thrice")
    parser.add_argument(
        "--shape-rounds", type=int, default=3, help="rounds of RoBERTa-base's shape that count"
    )
    parser.add_argument("--shape-steps", type=int, default=3, help="of ours in such a round")
    parser.add_argument(
        "--accuracy-seeds", type=int, default=0, help="compare accuracies too (slow)"
    )
    parser.add_argument("--accuracy-texts", type=int, default=1000, help="to train on for that")
    parser.add_argument("--test-texts", type=int, default=2000, help="to compare accuracies on")
    return parser.parse_args(argv)


def contestant(
    make: Maker, texts: LabelledTexts, steps: int, train: Callable[[Trainer], int] = train_and_count
) -> Contestant:
    """Return what trains for `steps` in each round, with the round's number as seed."""

    def make_ready(number: int) -> Callable[[], int]:
        trainer = make(texts, steps, number)
        return lambda: train(trainer)

    return make_ready


def compare_speed(
    given: argparse.Namespace, made: dict[str, Maker], texts: LabelledTexts
) -> list[str]:
    """Return the paragraphs about speed."""
    steps = {PEER: given.steps, OURS: 3 * given.steps}
    ways = {
        PEER: contestant(made[PEER], texts, steps[PEER]),
        OURS: contestant(made[OURS], texts, steps[OURS], train_as_project),
    }
    timings = interleave(ways, given.rounds)
    return [
        f"{len(texts):,} texts, {texts.lengths.mean():.0f} tokens long on average; {given.rounds} "
        f"rounds of {steps[PEER]} steps (ours {steps[OURS]}).",
        comparison(timings, OURS, {PEER: GOAL}),
    ]


def compare_with_the_best(
    given: argparse.Namespace, texts: LabelledTexts, settings: GradientDescent, folder: Path
) -> list[str]:
    """Return the paragraphs about the shares of what the machine can do, for SHAPE's products."""
    from gap.models.hardware import precision

    recipe = encoder_recipe(settings)
    model = build(recipe, SHAPE, folder / "shape")

    def ours(texts: LabelledTexts, steps: int, seed: int) -> Trainer:
        return project_trainer(model, texts, settings, steps, seed, folder)

    one_text = operations_of_text(recipe, SHAPE, float(texts.lengths.mean()))
    ways = {
        PEAK: products(one_text / float(texts.lengths.mean())),
        CONSTANT: constant_batches(model, settings),
        OURS: contestant(ours, texts, given.shape_steps, train_as_project),
    }
    timings = interleave(ways, given.shape_rounds)
    return [
        f"**Shares of the machine's best**, for a model of {SHAPE.num_hidden_layers} layers of "
        f"{SHAPE.hidden_size} units, RoBERTa-base's shape, random weights, batches of "
        f"{settings.batch_size}; {given.shape_rounds} rounds of {given.shape_steps} steps. The "
        f"peak is a product of large matrices in {precision()}, as the tokens that its operations "
        "would make; "
        f"constant-length batches have {LONGEST} tokens a text; of the mixed texts' tokens "
        f"{padding(texts, settings.batch_size):.1%} are padding, which is computed and not "
        "counted.",
        comparison(timings, OURS, SHARES),
    ]


def encoder_recipe(settings: GradientDescent) -> ModelRecipe:
    """Return the recipe of a fine-tuned encoder with these settings."""
    entry = {"family": "transformer", "checkpoint": "encoder", "optimisation": settings.plain()}
    return load_recipe(entry)


def products(operations_per_token: float) -> Contestant:
    """Return what multiplies large matrices; its tokens are those of as many operations."""
    product, operations = large_product()

    def work() -> int:
        for _ in range(PRODUCTS):
            product()
        return round(PRODUCTS * operations / operations_per_token)

    return lambda _: work


def constant_batches(model: PreTrainedModel, settings: GradientDescent) -> Contestant:
    """Return what takes one step in each round, on a batch of long texts that is there before."""
    import torch
    from gap.models.dropout import fast_dropout
    from gap.models.hardware import autocast, device

    model.train().to(device())
    ids = torch.randint(5, model.config.vocab_size, (settings.batch_size, LONGEST))
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids[:, 0] % 2}
    batch = {name: tensor.to(device()) for name, tensor in batch.items()}
    # The state of the optimiser is made in the first round, which does not count.
    optimiser = torch.optim.AdamW(
        model.parameters(), settings.lr, weight_decay=settings.weight_decay, fused=True
    )

    def step() -> int:
        with fast_dropout():
            with autocast():
                loss = model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
            optimiser.step()
            optimiser.zero_grad()
        return ids.numel()

    return lambda _: step


def padding(texts: LabelledTexts, batch_size: int) -> float:
    """Return the share of padding among all tokens of an epoch."""
    from gap.models.batching import LengthGroupedSampler

    order = list(LengthGroupedSampler(texts.lengths, batch_size, 0))
    batches = [
        texts.lengths[order[start : start + batch_size]]
        for start in range(0, len(order), batch_size)
    ]
    return float(1 - texts.lengths.sum() / sum(batch.max() * len(batch) for batch in batches))


def compare_accuracies(
    given: argparse.Namespace,
    made: dict[str, Maker],
    vocabulary: Vocabulary,
    folder: Path,
    batch_size: int,
) -> str:
    """Return the paragraph about accuracies."""
    training = mixed_texts(
        *read_rows(folder / "pool.parquet", given.accuracy_texts, 1), vocabulary, 1
    )
    test = mixed_texts(*read_rows(folder / "test.parquet", given.test_texts, 2), vocabulary, 2)
    steps = math.ceil(len(training) / batch_size)
    found = accuracies(made, training, test, steps, given.accuracy_seeds)
    return describe_accuracies(found, len(training), len(test))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    given = parse(argv)
    from gap.data.vocabulary import PretrainedVocabulary

    use_one_core()
    config = load_config(given.config)
    recipe = load_recipe(config["model_zoo"][config["reference"]])
    settings = recipe.optimisation
    if not isinstance(settings, GradientDescent):
        raise UserError(f"{given.config}: reference: found a model that has no steps to time")
    checkpoint = reference_checkpoint(config, given.results)
    vocabulary = PretrainedVocabulary(checkpoint)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        labels = prepare_texts(config, given.results, folder, given.test_texts)
        made = makers(checkpoint, labels, settings, folder)
        texts = mixed_texts(*read_rows(folder / "pool.parquet", given.texts, 0), vocabulary, 0)
        name_of_checkpoint = recipe.name_in("checkpoint_zoo")
        body = [f"Checkpoint {name_of_checkpoint}, batches of {settings.batch_size}."]
        body += compare_speed(given, made, texts)
        body += compare_with_the_best(given, texts, settings, folder)
        if given.accuracy_seeds:
            body.append(compare_accuracies(given, made, vocabulary, folder, settings.batch_size))
    write_section(given.page, "Fine-tuning", "\n\n".join([*body, f"Machine: {machine()}."]))


if __name__ == "__main__":
    run(main)
