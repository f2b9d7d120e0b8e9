"""How fast the models of a plan train on this machine, beside its peak of matrix products."""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from common import (
    LENGTH_SPREAD,
    LONGEST,
    MEDIAN_LENGTH,
    PAGE,
    ROOT,
    Timing,
    machine,
    project_trainer,
    timed,
    train_as_project,
    write_section,
)
from gap.cluster import work
from gap.models.encoder_shape import BASE_SIZED, EncoderShape
from gap.models.family import Folders, Job, family_of, load_recipe
from gap.models.workload import Workload
from gap.run.errors import UserError
from gap.run.json import read_json, write_json
from gap.run.program import run
from gap.study.recipes import GradientDescent, ModelRecipe
from plan_study import load_study, read_yaml

if TYPE_CHECKING:
    from gap.models.labelled_texts import LabelledTexts
    from transformers import PreTrainedModel

LABELS, PIECES, BATCH = ["1", "2", "3", "4", "5"], 8000, 32
# Steps that are timed are as many as take about this many operations, within limits; of texts of
# mixed length two at least, as batches are grouped by length: one would be short or long.
OPERATIONS = 5e11
FEWEST_STEPS = {"full": 1, "mixed": 2}
MOST_STEPS = 12
# Models whose two steps take more operations are measured on full texts only: it takes minutes.
MOST_OPERATIONS = 5e12
# A linear model reads texts of words that are as frequent as those of a language, by Zipf's law.
LINEAR_TEXTS, WORDS, DIFFERENT_WORDS = 8000, 100, 50_000
# Sides of the matrices whose product is the peak: large enough to fill the device.
SIDES = {"cpu": 2048, "cuda": 8192}


def made_up_texts(kind: str, texts: int, vocabulary: int) -> LabelledTexts:
    """Return texts of random tokens, all as long as may be ("full") or of "mixed" lengths."""
    import numpy as np
    from gap.data.vocabulary import EncodedTexts
    from gap.models.labelled_texts import LabelledTexts

    random = np.random.default_rng(0)
    lengths = np.full(texts, LONGEST)
    if kind == "mixed":
        drawn = random.lognormal(math.log(MEDIAN_LENGTH), LENGTH_SPREAD, texts)
        lengths = np.clip(drawn.astype(np.int64), 8, LONGEST)
    ids = random.integers(5, vocabulary, int(lengths.sum())).astype(np.uint32)
    encoded = EncodedTexts(ids, np.cumsum([0, *lengths]), None, 1, vocabulary)
    labels = random.integers(0, len(LABELS), texts).astype(np.int32)
    return LabelledTexts(encoded, np.arange(texts), labels)


def build(recipe: ModelRecipe, shape: EncoderShape, folder: Path) -> PreTrainedModel:
    """Return the network of a recipe before training; an encoder's weights are random, too.

    An encoder of that shape is written to the folder, in the place of a pretrained checkpoint.
    """
    from gap.models.network import Network
    from transformers import RobertaConfig, RobertaModel, set_seed

    set_seed(0)
    checkpoint = None
    if recipe.name_in("checkpoint_zoo"):
        checkpoint = folder
        config = RobertaConfig.from_dict(shape.as_config() | {"pad_token_id": 1})
        RobertaModel(config).save_pretrained(folder)
    family = family_of(recipe, Job(LABELS, checkpoint=checkpoint))
    assert isinstance(family, Network)
    return family.build(recipe, made_up_texts("full", 2, vocabulary_of(recipe, shape)).texts, 1)


def vocabulary_of(recipe: ModelRecipe, shape: EncoderShape) -> int:
    """Return how many different tokens a model reads."""
    return shape.vocab_size if recipe.name_in("checkpoint_zoo") else PIECES


def time_steps(
    model: PreTrainedModel,
    texts: LabelledTexts,
    settings: GradientDescent,
    steps: int,
    folder: Path,
) -> Timing:
    """Return the timing of optimisation steps, as `train` does them."""
    trainer = project_trainer(model, texts, settings, steps, 0, folder)
    return timed(lambda: train_as_project(trainer))


def measure_steps(
    recipe: ModelRecipe, shape: EncoderShape, folder: Path, operations: float
) -> dict[str, Any]:
    """Return, for texts of full and of mixed length, what steps of a network take."""
    from gap.models.batching import POOLED_BATCHES

    model, vocabulary = build(recipe, shape, folder / "encoder"), vocabulary_of(recipe, shape)
    settings = recipe.optimisation.model_copy(update={"batch_size": BATCH})
    assert isinstance(settings, GradientDescent)
    # The first step sets up what all others use.
    small = made_up_texts("full", 2, vocabulary)
    time_steps(model, small, settings.model_copy(update={"batch_size": 2}), 1, folder)
    measured = {}
    for name, fewest in FEWEST_STEPS.items():
        # As many as are sorted by length together, so that there is no more padding than usual.
        texts = made_up_texts(name, BATCH * POOLED_BATCHES, vocabulary)
        text = operations_of_text(recipe, shape, float(texts.lengths.mean()))
        steps = min(max(round(operations / (text * BATCH)), fewest), MOST_STEPS)
        if name == "mixed" and steps * text * BATCH > MOST_OPERATIONS:
            continue
        before = peak()
        timing = time_steps(model, texts, settings, steps, folder)
        measured[name] = describe_timing(timing, steps, text / float(texts.lengths.mean()))
        # Beside the steps, as other load on the machine slows both.
        measured[name]["peak"] = round((before + peak()) / 2)
    return measured


def operations_of_text(recipe: ModelRecipe, shape: EncoderShape, tokens: float) -> float:
    """Return the operations of training on one text of so many tokens once."""
    settings = recipe.optimisation
    if isinstance(settings, GradientDescent):
        once = {"max_epochs": 1.0, "min_steps": 1, "batch_size": 1}
        settings = settings.model_copy(update=once)
    family = family_of(recipe.model_copy(update={"optimisation": settings}))
    workload = Workload(tokens, rows=1, labels=len(LABELS), pieces=PIECES, encoder=shape)
    return work.training_operations(family, workload)


def measure_fits(recipe: ModelRecipe, folder: Path) -> dict[str, Any]:
    """Return what fitting a model that reads texts takes, on labels that its words can tell."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from gap.data.sampling import Subsample
    from gap.study.tuning import trials_of

    random = np.random.default_rng(0)
    frequent = 1 / np.arange(1, DIFFERENT_WORDS + 1)
    chosen = random.choice(
        DIFFERENT_WORDS, (LINEAR_TEXTS, WORDS), p=frequent / frequent.sum()
    )  # (texts, words)
    sums = random.normal(size=DIFFERENT_WORDS)[chosen].sum(1)
    labels = np.searchsorted(np.quantile(sums, [0.2, 0.4, 0.6, 0.8]), sums).astype(np.int32)
    texts = [" ".join(f"word{word}" for word in row) for row in chosen]
    pq.write_table(pa.table({"text": texts, "label": labels}), folder / "pool.parquet")
    rows, held_out = np.arange(LINEAR_TEXTS), LINEAR_TEXTS // 10
    parts = (rows[held_out:], labels[held_out:], rows[:held_out], labels[:held_out])
    job = Job(LABELS, texts=folder / "pool.parquet")

    def fit() -> int:
        family, folders = family_of(recipe, job), Folders(folder, folder, folder / "weights")
        for trial in trials_of(recipe, 0):
            family.train(trial.recipe, Subsample(0, *parts), folders)
        return (LINEAR_TEXTS - held_out) * WORDS

    timing = timed(fit)
    per_token = operations_of_text(recipe, BASE_SIZED, WORDS) / WORDS
    return {"words": describe_timing(timing, recipe.trials, per_token)}


def describe_timing(timing: Timing, steps: int, operations_per_token: float) -> dict[str, Any]:
    """Return a timing as it stands in the file."""
    return {
        "steps": steps,
        "tokens": timing.tokens,
        "cpu_seconds": round(timing.cpu_seconds, 3),
        "wall_seconds": round(timing.wall_seconds, 3),
        "operations_per_token": round(operations_per_token),
    }


def peak() -> float:
    """Return the operations a second of products of large matrices, in training's precision."""
    product, operations = large_product()
    product()
    timings = [timed(product) for _ in range(5)]
    return operations / median(seconds(timing) for timing in timings)


def large_product() -> tuple[Callable[[], int], int]:
    """Return what multiplies two large matrices in training's precision, and its operations."""
    import torch
    from gap.models.hardware import device, fast_bf16

    side = SIDES[device().type]
    kind = torch.bfloat16 if fast_bf16() else torch.float32
    one, other = (torch.randn(side, side).to(device(), kind) for _ in range(2))

    def product() -> int:
        torch.mm(one, other)
        return 0

    return product, 2 * side**3


def seconds(timing: Timing) -> float:
    """Return the seconds that count: of the clock on a GPU, else of one core."""
    from gap.models.hardware import device

    return timing.wall_seconds if device().type == "cuda" else timing.cpu_seconds


def describe(found: dict[str, Any]) -> str:
    """Return the section of the page."""
    on_cpu = found["device"] == "cpu"
    unit = "CPU s" if on_cpu else "s"
    lines = [
        f"Training steps on batches of {BATCH} texts of random tokens, all of {LONGEST} (full) or "
        f"mixed up to {LONGEST}; random weights; a linear model: all of its fits, on "
        f"{LINEAR_TEXTS:,} texts of {WORDS} made-up words. A product of large matrices in "
        f"{found['precision']}: {found['peak'] / 1e9:,.0f} x 10^9 operations a second; shares are "
        "of the same product, timed before and after a model's steps, and count real tokens only. "
        "docs/plan.md is made from these numbers.",
        "",
        f"| model | texts | steps or fits | tokens / {unit} | share of the peak |",
        "|---|---|---|---|---|",
    ]
    for name, kinds in found["models"].items():
        for texts, one in kinds.items():
            seconds = one["cpu_seconds" if on_cpu or texts == "words" else "wall_seconds"]
            rate = one["tokens"] / seconds
            share = rate * one["operations_per_token"] / one["peak"] if "peak" in one else None
            cells = [name, texts, str(one["steps"]), f"{rate:,.0f}"]
            cells.append("" if share is None else f"{share:.0%}")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def measure_all(given: argparse.Namespace) -> dict[str, Any]:
    """Return what is measured of the models that are asked for, with what the file has of others.

    Raises UserError where the file is of another machine.
    """
    from gap.models.hardware import describe_hardware, device
    from gap.study.tuning import trial

    config, assumptions = load_study(given.config), read_yaml(given.assumptions)
    hardware = describe_hardware()
    found: dict[str, Any] = {
        "device": device().type,
        "processor": hardware["processor"],
        "precision": hardware["precision"],
    }
    if given.models and given.json.exists():
        known = read_json(given.json)
        if any(known.get(key) != value for key, value in found.items()):
            raise UserError(f"{given.json} is of another machine; measure all models, or move it")
        found = known
    else:
        found |= {"date": time.strftime("%Y-%m-%d"), "peak": round(peak()), "models": {}}
    with tempfile.TemporaryDirectory() as name:
        for model in given.models or config["models"]:
            recipe = load_recipe(config["model_zoo"][model])
            if recipe.by_gradient_descent:
                shapes = assumptions["checkpoints"]
                shape = EncoderShape.of(shapes.get(recipe.name_in("checkpoint_zoo")))
                single = trial(recipe, 1).recipe
                timings = measure_steps(single, shape, Path(name), given.operations)
            else:
                timings = measure_fits(recipe, Path(name))
            found["models"][model] = timings
            print(model, found["models"][model], flush=True)
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    import torch

    given = parse(argv)
    torch.set_num_threads(1)
    found = measure_all(given)
    write_json(given.json, found)
    write_section(given.page, "Throughput", f"{describe(found)}\n\nMachine: {machine()}.")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--config", type=Path, default=ROOT / "studies" / "paper.yaml", help="a study"
    )
    parser.add_argument(
        "--assumptions",
        type=Path,
        default=ROOT / "docs" / "assumptions.yaml",
        help="shapes of its checkpoints",
    )
    parser.add_argument("--models", nargs="+", help="of the study; left out, all")
    parser.add_argument("--page", type=Path, default=PAGE, help="Markdown page to write to")
    parser.add_argument(
        "--json", type=Path, default=ROOT / "benchmarks" / "throughput.json", help="file to write"
    )
    parser.add_argument(
        "--operations", type=float, default=OPERATIONS, help="of the steps of a model, about"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    run(main)
