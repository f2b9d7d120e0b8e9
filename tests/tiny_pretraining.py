"""A made-up corpus, a tiny recipe, and calls of the program that pretrains."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import collect_corpus
import pretrain
import pyarrow as pa
import pyarrow.parquet as pq
from gap.run.json import write_json
from tiny_training import FILLER, WORDS

Texts = dict[str, list[str]]

PROVENANCE = {"code": "0123456789abcdef", "packages": {"torch": "2.13"}}
RECIPE: dict[str, Any] = {
    "kind": "pretrained",
    "corpus": ["films"],
    "start": {"layers": 2, "width": 32, "heads": 2},
    "tokenizer": {"size": 100},
    "block": 16,
    "held_out": 0.1,
    "optimisation": {"passes": 3, "batch_size": 8, "lr": 0.005, "evaluations": 3},
}
BUDGET: dict[str, Any] = {"words": 100, "unit": "word", "keep": "head"}


def sentences(count: int, start: int = 0) -> list[str]:
    """Return different sentences in which a word tells the next one: what can be learned."""
    words = [*FILLER, *WORDS["pos"], *WORDS["neg"]]
    size = len(words)
    return [
        " ".join(words[(first + step * place) % size] for place in range(10 + first % 7))
        for first, step in (divmod(number, size - 1) for number in range(start, start + count))
    ]


def write_side(
    folder: Path, name: str, side: str, texts: Sequence[str], labels: Sequence[int] | None = None
) -> str:
    """Write the pool or the test set of a data set of this name; return "NAME=PATH"."""
    path = folder / name / f"{side}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"row": range(len(texts)), "text": texts, "label": labels or [0] * len(texts)}
    pq.write_table(pa.table({key: list(values) for key, values in columns.items()}), path)
    return f"{name}={path}"


def collect(
    folder: Path,
    pools: Texts,
    tests: Texts,
    budgets: dict[str, dict[str, Any]] | None = None,
    held_out: float = 0.1,
) -> tuple[Any, list[str], list[str]]:
    """Collect a corpus of {name: texts}; return the manifest, kept texts and those held out."""
    budgets = budgets or {}
    names = {*pools, *tests}
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        card = {"text_budget": BUDGET | budgets.get(name, {})}
        write_json(folder / name / "card.json", card)
    arguments = ["--held-out", str(held_out)]
    for side, sets in (("pool", pools), ("test", tests)):
        written = [write_side(folder, name, side, texts) for name, texts in sets.items()]
        arguments += [f"--{side}s", *written]
    arguments += ["--cards", *(f"{name}={folder / name / 'card.json'}" for name in names)]
    files = {"texts": folder / "texts.parquet", "manifest": folder / "texts.json"}
    for name, path in files.items():
        arguments += [f"--{name}", str(path)]
    collect_corpus.main(arguments)
    table = pq.read_table(files["texts"])
    rows = list(zip(table["text"].to_pylist(), table["held_out"].to_pylist(), strict=True))
    manifest = json.loads(files["manifest"].read_text())
    return manifest, [text for text, _ in rows], [text for text, apart in rows if apart]


def pretraining_arguments(
    corpus: Path,
    recipe: dict[str, Any],
    folder: Path,
    start: Path | None = None,
    processes: int = 1,
) -> list[str]:
    """Return what pretrain.py is called with for a corpus that `collect` wrote into a folder."""
    files = {
        "texts": corpus / "texts.parquet",
        "corpus": corpus / "texts.json",
        "files": folder / "files",
        "ids": folder / "ids",
        "manifest": folder / "manifest.json",
        "origin": folder / "origin.json",
    }
    if start is not None:
        files["start"] = start
    arguments = ["--recipe", json.dumps(recipe), "--provenance", json.dumps(PROVENANCE)]
    for name, path in files.items():
        arguments += [f"--{name}", str(path)]
    return [*arguments, "--processes", str(processes)]


def own_checkpoint(folder: Path, block: int = 40) -> Path:
    """Pretrain a masked language model on made-up sentences; return the folder of its files."""
    collect(folder, {"films": sentences(200)}, {"films": sentences(20, start=300)})
    pretrain.main(pretraining_arguments(folder, RECIPE | {"block": block}, folder / "own"))
    return folder / "own"


def weights(folder: Path) -> bytes:
    """Return the bytes of the weights that were pretrained into a folder."""
    return (folder / "files" / "model.safetensors").read_bytes()
