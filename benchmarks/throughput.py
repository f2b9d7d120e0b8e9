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
from gap.cluster import work as estimates
from gap.run.errors import UserError
from gap.run.json import read_json, write_json
from gap.run.program import run
from plan_study import load_study, read_yaml

if TYPE_CHECKING:
    from gap.models.batching import LabelledTexts
    from transformers import PreTrainedModel

LABELS, PIECES, BATCH = 5, 8000, 32
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
    from gap.models.batching import LabelledTexts

    random = np.random.default_rng(0)
    lengths = np.full(texts, LONGEST)
    if kind == "mixed":
        drawn = random.lognormal(math.log(MEDIAN_LENGTH), LENGTH_SPREAD, texts)
        lengths = np.clip(drawn.astype(np.int64), 8, LONGEST)
    ids = random.integers(5, vocabulary, int(lengths.sum())).astype(np.uint32)
    encoded = EncodedTexts(ids, np.cumsum([0, *lengths]), None, 1, vocabulary)
    labels = random.integers(0, LABELS, texts).astype(np.int32)
    return LabelledTexts(encoded, np.arange(texts), labels)


def build(recipe: dict[str, Any], checkpoint: dict[str, Any] | None) -> tuple[PreTrainedModel, int]:
    """Return a model of random weights and the size of its vocabulary."""
    from gap.models.hardware import attention
    from gap.models.lstm_network import LstmConfig, LstmForSequenceClassification
    from transformers import RobertaConfig, RobertaForSequenceClassification, set_seed

    set_seed(0)
    if recipe["family"] == "transformer":
        assert checkpoint is not None
        options = checkpoint | {"num_labels": LABELS, "pad_token_id": 1}
        options |= {"attn_implementation": attention()}
        config = RobertaConfig(**options)
        return RobertaForSequenceClassification(config), config.vocab_size
    sizes = {key: recipe[key] for key in ("layers", "width", "bidirectional", "dropout", "pooling")}
    rows, columns = PIECES, recipe["embedding_size"]
    if checkpoint is not None:
        rows = checkpoint["vocab_size"]
        columns = columns if recipe["embeddings"] == "learned" else checkpoint["hidden_size"]
    lstm = LstmConfig(vocab_size=rows, embedding_size=columns, num_labels=LABELS, **sizes)
    return LstmForSequenceClassification(lstm), rows


def time_steps(
    model: PreTrainedModel, texts: LabelledTexts, recipe: dict[str, Any], steps: int, folder: Path
) -> Timing:
    """Return the timing of optimisation steps, as `train` does them."""
    trainer = project_trainer(model, texts, recipe, steps, 0, folder)
    return timed(lambda: train_as_project(trainer))


def measure(
    recipe: dict[str, Any], checkpoint: dict[str, Any] | None, folder: Path, operations: float
) -> dict[str, Any]:
    """Return, for texts of full and of mixed length, what steps of a model take."""
    from gap.models.batching import POOLED_BATCHES

    model, vocabulary = build(recipe, checkpoint)
    settings = recipe["optimisation"] | {"batch_size": BATCH}
    # The first step sets up what all others use.
    small = made_up_texts("full", 2, vocabulary)
    time_steps(model, small, settings | {"batch_size": 2}, 1, folder)
    found = {}
    for name, fewest in FEWEST_STEPS.items():
        # As many as are sorted by length together, so that there is no more padding than usual.
        texts = made_up_texts(name, BATCH * POOLED_BATCHES, vocabulary)
        one = operations_of_text(recipe, checkpoint, float(texts.lengths.mean()))
        steps = min(max(round(operations / (one * BATCH)), fewest), MOST_STEPS)
        if name == "mixed" and steps * one * BATCH > MOST_OPERATIONS:
            continue
        before = peak()
        timing = time_steps(model, texts, settings, steps, folder)
        found[name] = describe_timing(timing, steps, one / float(texts.lengths.mean()))
        # Beside the steps, as other load on the machine slows both.
        found[name]["peak"] = round((before + peak()) / 2)
    return found


def operations_of_text(
    recipe: dict[str, Any], checkpoint: dict[str, Any] | None, tokens: float
) -> float:
    """Return the operations of training on one text of so many tokens once."""
    settings = recipe["optimisation"]
    if recipe["family"] != "linear":
        settings = settings | {"max_epochs": 1, "min_steps": 1, "batch_size": 1}
    once = recipe | {"optimisation": settings}
    return estimates.training_operations(once, checkpoint, 1, tokens, pieces=PIECES, labels=LABELS)


def measure_linear(recipe: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what fitting TF-IDF and its classifier takes, on labels that its words can tell."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from gap.data.sampling import Subsample
    from gap.models.old_families import Folders, Job, Tfidf
    from gap.study.tuning import trials_of

    random = np.random.default_rng(0)
    frequent = 1 / np.arange(1, DIFFERENT_WORDS + 1)
    chosen = random.choice(
        DIFFERENT_WORDS, (LINEAR_TEXTS, WORDS), p=frequent / frequent.sum()
    )  # (texts, words)
    sums = random.normal(size=DIFFERENT_WORDS)[chosen].sum(1)
    labels = np.searchsorted(np.quantile(sums, [0.2, 0.4, 0.6, 0.8]), sums).astype(np.int32)
    texts = [" ".join(f"word{one}" for one in row) for row in chosen]
    pq.write_table(pa.table({"text": texts, "label": labels}), folder / "pool.parquet")
    rows, held_out = np.arange(LINEAR_TEXTS), LINEAR_TEXTS // 10
    own = (rows[held_out:], labels[held_out:], rows[:held_out], labels[:held_out])
    names = [str(label) for label in range(LABELS)]
    job = Job(recipe, names, None, folder / "pool.parquet", None)

    def fit() -> int:
        family, folders = Tfidf(job), Folders(folder, folder, folder / "weights")
        for trial in trials_of(recipe, 0):
            family.train(trial.recipe, Subsample(0, *own), folders)
        return (LINEAR_TEXTS - held_out) * WORDS

    timing = timed(fit)
    per_token = operations_of_text(recipe, None, WORDS) / WORDS
    return {"words": describe_timing(timing, recipe["trials"], per_token)}


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
    from gap.models.hardware import device, native_bf16

    side = SIDES[device().type]
    kind = torch.bfloat16 if native_bf16() else torch.float32
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
            recipe = config["model_zoo"][model]
            if recipe["family"] == "linear":
                found["models"][model] = measure_linear(recipe, Path(name))
            else:
                checkpoint = assumptions["checkpoints"].get(recipe.get("checkpoint"))
                one = trial(recipe, 1).recipe
                found["models"][model] = measure(one, checkpoint, Path(name), given.operations)
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
    parser.add_argument("--config", type=Path, default=ROOT / "docs" / "plan.yaml", help="a study")
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
