"""What the benchmarks share: real texts, interleaved rounds, ratios, and the page of results."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
# Before any import of `gap`: the project is run from its folder, not installed.
sys.path.insert(0, str(ROOT / "scripts"))

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from gap.data.vocabulary import Vocabulary
    from gap.models.batching import Examples
    from gap.models.labelled_texts import LabelledTexts
    from gap.study.recipes import GradientDescent
    from transformers import PreTrainedModel, Trainer

PAGE = ROOT / "benchmarks" / "RESULTS.md"
INTRODUCTION = """# Results of the benchmarks

Each section is written by one run of a program in this folder; README.md tells what they measure.
Where three numbers stand together, they are the lowest, the median and the highest of the rounds;
a ratio is of two measurements of the same round.
"""
LONGEST = 128  # tokens
# Lengths are log-normal, as those of reviews are. Cut at LONGEST, their mean is about 62 tokens.
MEDIAN_LENGTH, LENGTH_SPREAD = 57, 0.7

# ---------------------------------------------------------------- rounds


@dataclass(frozen=True)
class Timing:
    """Real tokens (padding left out), and the seconds that they took."""

    tokens: int
    cpu_seconds: float
    wall_seconds: float


# Makes a round's work ready, untimed; the work returns its tokens.
Contestant = Callable[[int], Callable[[], int]]


def timed(work: Callable[[], int]) -> Timing:
    """Do the work and return its timing: seconds of this process's CPU time and of the clock."""
    import torch

    cpu, wall = time.process_time(), time.perf_counter()
    tokens = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return Timing(tokens, time.process_time() - cpu, time.perf_counter() - wall)


def interleave(contestants: dict[str, Contestant], rounds: int) -> dict[str, list[Timing]]:
    """Time all contestants in every round, so that other load on the machine meets each of them.

    A first round warms up and does not count; every other round goes through them backwards.
    """
    timings: dict[str, list[Timing]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name in list(contestants)[:: -1 if number % 2 else 1]:
            timing = timed(contestants[name](number))
            print(
                f"round {number}, {name}: {timing.tokens:,} tokens, {timing.cpu_seconds:.1f} s "
                f"of CPU time, {timing.wall_seconds:.1f} s",
                flush=True,
            )
            if number > 0:
                timings[name].append(timing)
    return timings


# ---------------------------------------------------------------- real texts


def load_config(path: Path) -> dict[str, Any]:
    """Return a study's config with its defaults filled in."""
    import yaml
    from gap.config.check import complete

    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    complete(config)
    return config


def source_manifest(results: Path, role: str, name: str, spec: dict[str, Any]) -> Path:
    """Return the manifest of a study's source, which is fetched if the study has not done so."""
    import download

    folder = results / "sources" / f"{role}-{name}"
    manifest = folder / "manifest.json"
    if not manifest.exists():
        fetched = {key: value for key, value in spec.items() if key != "origin"}
        options = {"role": role, "recipe": json.dumps(fetched)}
        options |= {"files": str(folder / "files"), "manifest": str(manifest)}
        options |= {"origin": str(folder / "origin.json")}
        download.main([f"--{key}={value}" for key, value in options.items()])
    return manifest


def reference_manifest(config: dict[str, Any], results: Path) -> Path:
    """Return the manifest of the checkpoint that the study's reference model starts from."""
    name = config["model_zoo"][config["reference"]]["checkpoint"]
    return source_manifest(results, "checkpoint", name, config["checkpoint_zoo"][name])


def reference_checkpoint(config: dict[str, Any], results: Path) -> Path:
    """Return the folder of that checkpoint."""
    from gap.data.checkpoints import checkpoint_folder

    return checkpoint_folder(reference_manifest(config, results))


def prepare_texts(
    config: dict[str, Any], results: Path, folder: Path, test: int, words: int = LONGEST
) -> list[str]:
    """Write pool.parquet and test.parquet of the study's first data set, and return its labels."""
    import prepare
    from gap.run.json import read_json

    name = config["datasets"][0]
    dataset = config["dataset_zoo"][name]
    source = source_manifest(results, "dataset", name, dataset["source"])
    elsewhere = ("source", "max_tokens", "max_unknown", "published")
    spec = {key: value for key, value in dataset.items() if key not in elsewhere}
    spec |= {"name": name, "words": words, "test": str(test)}
    options = {"recipe": json.dumps(spec), "source": str(source), "provenance": "{}"}
    for part in ("pool", "test"):
        options[part] = str(folder / f"{part}.parquet")
        options[f"{part}-manifest"] = str(folder / f"{part}.json")
    options |= {"rejects": str(folder / "rejects.csv"), "card": str(folder / "card.json")}
    prepare.main([f"--{key}={value}" for key, value in options.items()])
    return list(read_json(options["card"])["labels"])


def read_rows(path: Path, n: int, seed: int) -> tuple[list[str], npt.NDArray[np.int32]]:
    """Return `n` texts and labels, drawn with `seed` from a prepared Parquet file."""
    import numpy as np
    from gap.data.prepared import iterate_texts, load_labels

    labels = load_labels(path)
    rows = np.sort(np.random.default_rng(seed).permutation(len(labels))[:n])
    return [text for texts in iterate_texts(path, rows) for text in texts], labels[rows]


def mixed_texts(
    texts: list[str], labels: npt.NDArray[np.int32], vocabulary: Vocabulary, seed: int
) -> LabelledTexts:
    """Return encoded prefixes of the texts, their lengths in tokens drawn with `seed`."""
    import numpy as np
    from gap.data.vocabulary import EncodedTexts
    from gap.models.labelled_texts import LabelledTexts

    random = np.random.default_rng([seed, 1])
    around = vocabulary.prefix, vocabulary.suffix
    drawn = random.lognormal(math.log(MEDIAN_LENGTH), LENGTH_SPREAD, len(texts))
    rooms = np.clip(drawn.astype(np.int64), 8, LONGEST) - sum(map(len, around))
    rows = [
        around[0] + ids[:room] + around[1]
        for ids, room in zip(vocabulary.encode(texts), rooms, strict=True)
    ]
    ids = np.concatenate([np.asarray(row, dtype=np.uint32) for row in rows])
    offsets = np.cumsum([0, *map(len, rows)])
    encoded = EncodedTexts(ids, offsets, None, vocabulary.pad_id, vocabulary.size)
    return LabelledTexts(encoded, np.arange(len(rows)), labels)


# ---------------------------------------------------------------- this project's training


def project_trainer(
    model: PreTrainedModel,
    texts: Examples[Any],
    settings: GradientDescent,
    steps: int,
    seed: int,
    folder: Path,
) -> Trainer:
    """Return the Trainer of `train_network`, without evaluations and checkpoints.

    Those are the same work for any training; how many there are is the recipe's choice.
    """
    from gap.models.batching import LengthGroupedSampler
    from gap.models.trainers import GroupedTrainer
    from gap.models.training import training_arguments
    from transformers import PrinterCallback

    arguments = training_arguments(settings, steps, steps, seed, folder)
    arguments.load_best_model_at_end = False
    arguments.include_num_input_tokens_seen = "non_padding"
    trainer = GroupedTrainer(
        sampler=LengthGroupedSampler(texts.lengths, settings.batch_size, seed, texts),
        model=model,
        args=arguments.set_evaluate(strategy="no").set_save(strategy="no"),
        train_dataset=texts,
        data_collator=texts.collate,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def train_and_count(trainer: Trainer) -> int:
    """Train, and return how many real tokens were read."""
    trainer.train()
    return int(trainer.state.num_input_tokens_seen)


def train_as_project(trainer: Trainer) -> int:
    """Train with this project's dropout, and return how many real tokens were read."""
    from gap.models.dropout import fast_dropout

    with fast_dropout():
        return train_and_count(trainer)


# ---------------------------------------------------------------- the page of results


def spread(values: Iterable[float], form: str = ".2f") -> str:
    """Return "min / median / max" of the values."""
    known = sorted(values)
    return " / ".join(format(value, form) for value in (known[0], median(known), known[-1]))


def comparison(timings: dict[str, list[Timing]], ours: str, goals: dict[str, float]) -> str:
    """Return a Markdown table of all rates and of the ratios of `ours` to each peer.

    A peer that is not among `goals` is compared without one.
    """
    lines = [
        "| | tokens / CPU s | tokens / s | ours to it, CPU time | ours to it, clock | goal |",
        "|---|---|---|---|---|---|",
    ]
    for name, measured in timings.items():
        by_cpu = [timing.tokens / timing.cpu_seconds for timing in measured]
        by_clock = [timing.tokens / timing.wall_seconds for timing in measured]
        cells = [name, f"{median(by_cpu):,.0f}", f"{median(by_clock):,.0f}", "", "", ""]
        if name != ours:
            pairs = list(zip(timings[ours], measured, strict=True))
            cpu_ratios = [ratio(one, other, "cpu_seconds") for one, other in pairs]
            cells[3] = spread(cpu_ratios)
            cells[4] = spread(ratio(one, other, "wall_seconds") for one, other in pairs)
            if name in goals:
                cells[5] = f"≥ {goals[name]:g}: {verdict(median(cpu_ratios) >= goals[name])}"
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def ratio(one: Timing, other: Timing, seconds: str) -> float:
    """Return how many times as many tokens `one` does in a second of this kind as `other`."""
    return (one.tokens / getattr(one, seconds)) / (other.tokens / getattr(other, seconds))


def verdict(reached: bool) -> str:
    """Return "reached" or "missed"."""
    return "reached" if reached else "**missed**"


def machine(threads: int | None = 1) -> str:
    """Return what the measurements were made on; `threads` of torch, None if it was not used."""
    model = platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        model = found[1] if found else model
    facts = [model, f"{os.cpu_count()} cores", f"Python {platform.python_version()}"]
    if threads is not None:
        import torch
        import transformers
        from gap.models.hardware import device, precision

        facts += [f"torch {torch.__version__}", f"transformers {transformers.__version__}"]
        facts += [f"on {device()}", f"products in {precision()}", f"{threads} thread(s)"]
    return (
        f"{', '.join(facts)}; load {os.getloadavg()[0]:.1f} at the end; {time.strftime('%Y-%m-%d')}"
    )


def write_section(page: Path, title: str, body: str) -> None:
    """Write a section of the page, in the place of an earlier one of the same title."""
    text = page.read_text(encoding="utf-8") if page.exists() else INTRODUCTION
    section = f"## {title}\n\n{body.strip()}\n"
    old = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    if old.search(text):
        text = old.sub(lambda _: section + "\n", text).rstrip() + "\n"
    else:
        text = f"{text.rstrip()}\n\n{section}"
    page.write_text(text, encoding="utf-8")
    print(f"\n{section}")


def use_one_core() -> None:
    """Let torch compute on one core, and transformers say nothing but errors."""
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)


# ---------------------------------------------------------------- command line


def simulation_arguments(description: str | None, studies: int) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks of simulated studies have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--studies", type=int, default=studies, help="simulated, of each kind")
    parser.add_argument("--rows", type=int, default=2000, help="test rows")
    parser.add_argument("--seed", type=int, default=1, help="of the simulations")
    parser.add_argument("--page", type=Path, default=PAGE, help="Markdown page to write to")
    return parser


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks of training have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, default=ROOT / "config.yaml", help="of the study")
    parser.add_argument("--results", type=Path, default=Path("results"), help="of the study")
    parser.add_argument("--page", type=Path, default=PAGE, help="Markdown page to write to")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count")
    parser.add_argument("--texts", type=int, default=1600, help="texts that batches are drawn from")
    return parser
