"""A large CSV of made-up reviews with the statistics of real ones, the same for the same seed.

Each review is a row of sentences out of real reviews of one label, each drawn by itself, up to a
length that is drawn from those of real reviews. One word in a hundred is misspelt, so that new
words keep coming as they do in real texts, and a few rows are the same as an earlier one.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from common import ROOT, load_config, source_manifest
from gap.run.errors import UserError
from gap.run.json import read_json
from gap.run.program import run
from gap.run.progress import progress

SENTENCE = re.compile(r"(?<=[.!?])\s+|(?:<br\s*/?>\s*)+")
BLOCK = 10_000
# Texts of film reviews are twice as long; those of products are about so long.
MEAN_WORDS = 100
LENGTH_SPREAD = 0.7
MISSPELT = 0.01
REPEATED = 0.005
MOST_SENTENCES = 40
HALF_A_SENTENCE = 10


def real_sentences(manifest: Path, text: str, label: str) -> dict[str, list[str]]:
    """Return the sentences of a CSV source by label, in the order of the file."""
    (path,) = (Path(file["path"]) for file in read_json(manifest)["files"])
    sentences: dict[str, list[str]] = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found = (part.strip() for part in SENTENCE.split(row[text]))
            sentences[row[label]] += [part for part in found if part]
    return sentences


def reviews(sentences: dict[str, list[str]], rows: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield text and label of made-up reviews."""
    counted = [
        (label, [(sentence, len(sentence.split())) for sentence in sentences[label]])
        for label in sorted(sentences)
    ]
    for block in range(0, rows, BLOCK):
        random = np.random.default_rng([seed, block])
        spread = random.lognormal(-(LENGTH_SPREAD**2) / 2, LENGTH_SPREAD, BLOCK)
        lengths = (MEAN_WORDS * spread).tolist()
        shares = random.random((BLOCK, MOST_SENTENCES + 2)).tolist()
        misspelt = random.poisson(MISSPELT * MEAN_WORDS * spread).tolist()
        repeated = (random.random(BLOCK) < REPEATED).tolist()
        letters = random.integers(97, 123, 2 * sum(misspelt), dtype=np.uint8).tobytes().decode()
        made: list[tuple[str, str]] = []
        used = 0
        for row in range(min(BLOCK, rows - block)):
            which, place, *draws = shares[row]
            if made and repeated[row]:
                made.append(made[int(which * len(made))])
                continue
            label, known = counted[int(which * len(counted))]
            text = _some_of(known, draws, lengths[row])
            for _ in range(misspelt[row]):
                middle = int(place * len(text))
                text = f"{text[:middle]}{letters[used : used + 2]}{text[middle:]}"
                place, used = (place + 0.618) % 1, used + 2
            made.append((text, label))
        yield from made


def _some_of(known: list[tuple[str, int]], draws: list[float], length: float) -> str:
    """Return sentences of about so many words together; a text ends with a whole sentence."""
    parts, words = [], 0
    for draw in draws:
        sentence, count = known[int(draw * len(known))]
        parts.append(sentence)
        words += count
        # Half a sentence too many, on average, as much as is missing otherwise.
        if words >= length - HALF_A_SENTENCE:
            break
    return " ".join(parts)


def write_corpus(
    path: Path, sentences: dict[str, list[str]], rows: int, seed: int, columns: tuple[str, str]
) -> None:
    """Write the reviews as a CSV, in one step."""
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(progress(reviews(sentences, rows, seed), "rows", rows))
    partial.rename(path)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, default=ROOT / "config.yaml", help="of the study")
    parser.add_argument("--results", type=Path, default=Path("results"), help="of the study")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, required=True, help="CSV file to write")
    given = parser.parse_args(argv)
    config = load_config(given.config)
    name = config["datasets"][0]
    dataset = config["dataset_zoo"][name]
    manifest = source_manifest(given.results, "dataset", name, dataset["source"])
    (text,) = dataset["text"]
    sentences = real_sentences(manifest, text, dataset["label"])
    if not sentences:
        raise UserError(f"{manifest}: no reviews")
    given.corpus.parent.mkdir(parents=True, exist_ok=True)
    columns = text, dataset["label"]
    write_corpus(given.corpus, sentences, given.rows, given.seed, columns)


if __name__ == "__main__":
    run(main)
