"""The way from a large CSV to token ids, beside the same steps done with `datasets`.

Ours are prepare, subsample and encode, called as the rules call them; the peer is one program that
loads the CSV, cuts texts to the word budget, removes duplicates by hash, tokenises in batches with
a process for each core, and splits. Each part runs in processes of its own and is written down when
it is done, so that the same command goes on after a break.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from common import (
    PAGE,
    ROOT,
    load_config,
    machine,
    reference_checkpoint,
    reference_manifest,
    verdict,
    write_section,
)
from gap.run.errors import UserError
from gap.run.json import read_json, write_json
from gap.run.program import run

STEPS = ("prepare", "subsample", "encode")
PEER = ROOT / "benchmarks" / "datasets_peer.py"
MEBIBYTE = 1 << 20
SAMPLE = 1000
# What is to be reached: times the peer's rows per second, MiB, bytes per token, growth of the time
# per row from a tenth of the rows, seconds of the subsample.
FASTER, MEMORY, DISK, GROWTH, SUBSAMPLE = 3.0, 2048, 2.5, 1.15, 10.0


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock, CPU seconds and peak memory (MiB) of a process and its descendants.

    Memory is resident; pages that several processes share count once (PSS).
    """

    wall: float
    cpu: float
    memory: float


def measure(command: Sequence[str], log: Path) -> Cost:
    """Run a command to its end and return its cost. Raises UserError if it fails."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    peak = 0
    with log.open("w") as file:
        process = psutil.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, memory_of(process))
            time.sleep(0.2)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise UserError(f"exit status {process.returncode}; see {log}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu, peak / MEBIBYTE)


def memory_of(process: psutil.Process) -> int:
    """Return the bytes that a process and its descendants have in memory."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def ours(given: argparse.Namespace, corpus: Path, folder: Path, cores: int) -> dict[str, list[str]]:
    """Return the commands of this project's steps."""
    config = load_config(given.config)
    dataset = config["dataset_zoo"][config["datasets"][0]]
    recipe = {"name": "corpus", "text": dataset["text"], "label": dataset["label"]}
    recipe |= {"test": str(given.test), "words": given.words, "keep": "head"}
    recipe |= {"strip_tags": False, "max_rejected": 0.05}
    write_json(folder / "source.json", {"files": [{"path": str(corpus)}], "sha256": "0" * 64})
    parts = {part: folder / f"{part}.parquet" for part in ("pool", "test")}
    parts |= {f"{part}-manifest": folder / f"{part}.json" for part in ("pool", "test")}
    commands = {
        "prepare": {
            "recipe": json.dumps(recipe),
            "source": folder / "source.json",
            **parts,
            "rejects": folder / "rejects.csv",
            "card": folder / "card.json",
        },
        "subsample": {
            "recipe": json.dumps({"size": "10%", "validation": config["validation"]}),
            "seeds": "1",
            "pool": parts["pool"],
            "subsample": folder / "subsample.parquet",
            "manifest": folder / "subsample.json",
        },
        "encode": {
            "recipe": json.dumps({"max_tokens": given.tokens, "keep": "head"}),
            "checkpoint": reference_manifest(config, given.results),
            **parts,
            "ids": folder / "ids",
            "encoded-pool": folder / "ids.pool.json",
            "encoded-test": folder / "ids.test.json",
        },
    }
    for step in ("prepare", "encode"):
        commands[step] |= {"provenance": "{}", "threads": cores}
    return {
        step: [
            sys.executable,
            str(ROOT / "scripts" / f"{step}.py"),
            *(f"--{key}={value}" for key, value in options.items()),
        ]
        for step, options in commands.items()
    }


def theirs(given: argparse.Namespace, corpus: Path, folder: Path, cores: int) -> list[str]:
    """Return the peer's command."""
    config = load_config(given.config)
    dataset = config["dataset_zoo"][config["datasets"][0]]
    checkpoint = reference_checkpoint(config, given.results)
    options = {"corpus": corpus, "folder": folder, "checkpoint": checkpoint, "cores": cores}
    options |= {"words": given.words, "tokens": given.tokens, "test": given.test}
    (text,) = dataset["text"]
    options |= {"text": text, "label": dataset["label"]}
    return [sys.executable, str(PEER), *(f"--{key}={value}" for key, value in options.items())]


def part(folder: Path, name: str, command: list[str]) -> Cost:
    """Return the cost of a part: as it was written down, or measured now."""
    record = folder / f"{name}.cost.json"
    if not record.exists():
        print(f"{folder.name} rows: {name}", flush=True)
        write_json(record, asdict(measure(command, folder / f"{name}.log")))
    return Cost(**read_json(record))


def make_corpus(given: argparse.Namespace, rows: int) -> Path:
    """Return the CSV of so many rows, which is made if it is not there."""
    path: Path = given.scratch / f"corpus-{rows}-{given.seed}.csv"
    if not path.exists():
        options = {"config": given.config, "results": given.results, "rows": rows}
        options |= {"seed": given.seed, "corpus": path}
        program = str(ROOT / "benchmarks" / "corpus.py")
        command = [sys.executable, program, *(f"--{k}={v}" for k, v in options.items())]
        subprocess.run(command, check=True)
    return path


def compare(folder: Path, corpus: Path) -> dict[str, Any]:
    """See that both kept the same rows and made the same ids of them, and return some facts.

    Raises UserError where they did not.
    """
    import numpy as np
    import pyarrow.parquet as pq
    from gap.data.vocabulary import EncodedTexts

    card, peer = read_json(folder / "card.json"), read_json(folder / "peer" / "kept.json")
    kept = sum(card[side]["rows"] for side in ("pool", "test")) + card["dropped_in_test"]
    if kept != peer["rows"]:
        raise UserError(f"{folder}: {kept:,} rows kept, by the peer {peer['rows']:,}")
    sample = pq.read_table(folder / "peer" / "sample.parquet")
    theirs = dict(zip(sample["row"].to_pylist(), sample["ids"].to_pylist(), strict=True))
    seen, tokens = 0, 0
    for side in ("pool", "test"):
        texts = EncodedTexts.open(folder / "ids" / side)
        tokens += int(texts.offsets[-1])
        rows = pq.read_table(folder / f"{side}.parquet", columns=["source_row"])["source_row"]
        for place in np.flatnonzero(np.isin(rows.to_numpy(), list(theirs))).tolist():
            seen += 1
            if texts[place].tolist() != theirs[rows[place].as_py()]:
                raise UserError(f"{folder}: other ids than the peer's for row {rows[place]}")
    if seen < len(theirs) - card["dropped_in_test"]:
        raise UserError(f"{folder}: {seen:,} of the peer's {len(theirs):,} rows are there")
    ids = sum(file.stat().st_size for file in (folder / "ids").iterdir())
    texts_size = sum((folder / f"{side}.parquet").stat().st_size for side in ("pool", "test"))
    return {
        "kept": kept,
        "merged": card["merged"],
        "compared": seen,
        "bytes_per_token": ids / tokens,
        "tokens": tokens,
        "texts_mb": texts_size / 1e6,
        "corpus_mb": corpus.stat().st_size / 1e6,
    }


def study(given: argparse.Namespace, rows: int, cores: int, peer: bool) -> dict[str, Any]:
    """Measure all parts at a number of rows; return their costs, and facts where both ran."""
    folder = given.scratch / str(rows)
    folder.mkdir(parents=True, exist_ok=True)
    corpus = make_corpus(given, rows)
    costs = {
        step: part(folder, step, command)
        for step, command in ours(given, corpus, folder, cores).items()
    }
    if not peer:
        return {"rows": rows, "costs": costs}
    command = theirs(given, corpus, folder / "peer", cores)
    peer_cost = part(folder, "datasets", command)
    if not (folder / "facts.json").exists():
        write_json(folder / "facts.json", compare(folder, corpus))
    # The peer's caches are some three times the corpus.
    shutil.rmtree(folder / "peer", ignore_errors=True)
    facts = read_json(folder / "facts.json")
    return {"rows": rows, "costs": costs, "peer": peer_cost, "facts": facts}


def together(costs: dict[str, Cost]) -> Cost:
    """Return what steps cost one after another."""
    every = costs.values()
    return Cost(
        sum(one.wall for one in every),
        sum(one.cpu for one in every),
        max(one.memory for one in every),
    )


def describe(small: dict[str, Any], large: dict[str, Any], cores: int) -> str:
    """Return the section's text."""
    whole, tenth = together(large["costs"]), together(small["costs"])
    rows, facts, peer = large["rows"], large["facts"], large["peer"]
    lines = [
        f"{rows:,} made-up reviews, {facts['corpus_mb']:,.0f} MB of CSV, on {cores} processes. "
        f"Both kept the same {facts['kept']:,} rows ({facts['merged']:,} repeats) and made the "
        f"same ids of {facts['compared']:,} rows that were compared. Memory is that of all "
        "processes of a part together, pages they share counted once.",
        "",
        "| | s | CPU s | rows / s | peak MiB |",
        "|---|---|---|---|---|",
    ]
    named = [*large["costs"].items(), ("this project, all", whole), ("`datasets`", peer)]
    lines += [
        f"| {name} | {one.wall:,.1f} | {one.cpu:,.1f} | {rows / one.wall:,.0f} "
        f"| {one.memory:,.0f} |"
        for name, one in named
    ]
    faster = peer.wall / whole.wall
    growth = (whole.wall / rows) / (tenth.wall / small["rows"])
    subsample = large["costs"]["subsample"].wall
    goals = [
        (f"{faster:.2f} times as many rows per second", f"≥ {FASTER:g}", faster >= FASTER),
        (f"peak memory {whole.memory:,.0f} MiB", f"≤ {MEMORY:,}", whole.memory <= MEMORY),
        (
            f"time per row {growth:.2f} times that of {small['rows']:,} rows",
            f"≤ {GROWTH:g}",
            growth <= GROWTH,
        ),
        (
            f"{facts['bytes_per_token']:.2f} bytes per token",
            f"≤ {DISK:g}",
            facts["bytes_per_token"] <= DISK,
        ),
        (f"a subsample of 10% in {subsample:.1f} s", f"≤ {SUBSAMPLE:g}", subsample <= SUBSAMPLE),
    ]
    lines += ["", *(f"- {found}; goal {goal}: {verdict(ok)}" for found, goal, ok in goals)]
    lines += [
        "",
        f"Texts take {facts['texts_mb']:,.0f} MB after prepare, cut and compressed, and are "
        "stored there only.",
        "",
        f"Machine: {machine(None)}.",
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=ROOT / "config.yaml", help="of the study")
    parser.add_argument("--results", type=Path, default=Path("results"), help="of the study")
    parser.add_argument("--page", type=Path, default=PAGE, help="Markdown page to write to")
    parser.add_argument("--scratch", type=Path, required=True, help="folder for some 20 GB")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--test", type=int, default=5_000, help="rows of the test set")
    parser.add_argument("--words", type=int, default=100, help="text budget")
    parser.add_argument("--tokens", type=int, default=128, help="of a text at most")
    parser.add_argument("--seed", type=int, default=1, help="of the made-up reviews")
    given = parser.parse_args(argv)
    cores = os.cpu_count() or 1
    given.scratch.mkdir(parents=True, exist_ok=True)
    small = study(given, given.rows // 10, cores, peer=False)
    large = study(given, given.rows, cores, peer=True)
    write_section(given.page, "Data path", describe(small, large, cores))


if __name__ == "__main__":
    run(main)
