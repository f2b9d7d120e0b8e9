"""Print what differs between two studies: config, code, packages, sources, data, hardware, runs.

Exits as diff does: with 0 where nothing differs, 1 where something does, 2 where a file is missing
or broken.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gap.run.json import read_json
from gap.run.program import run

# A part of the record, as JSON has it.
Entries = dict[str, Any]
# The keys to a value, and what it is in the two records.
Difference = tuple[tuple[str, ...], object, object]

PARTS = ("config", "rules", "sources", "datasets", "runs")
MISSING = object()
DIGEST = re.compile("[0-9a-f]{16}|[0-9a-f]{64}")
# The rules, beside train, that decide what a run's weights and predictions are.
RULES = ("subsample", "fit_vocabulary", "encode", "predict")


@dataclass(frozen=True)
class Record:
    """A study's provenance; each run holds its environment in place of that one's number."""

    version: str
    config: Entries
    rules: Entries
    sources: Entries
    datasets: Entries
    runs: Entries


def read_record(text: str) -> Record:
    """Return a study's provenance from its file, or from the folder of the study's results.

    Raises ArgumentTypeError where there is no such file.
    """
    path = Path(text, "provenance.json") if Path(text).is_dir() else Path(text)
    try:
        content = read_json(path)
        for details in content["runs"].values():
            details.update(content["environments"][details.pop("environment")])
        # Records of the first versions do not name their version.
        return Record(
            version=content.get("version", "before 0.2.0"),
            **{part: dict(content[part]) for part in PARTS},
        )
    except OSError as error:
        problem = f"{error.strerror}; expected a finished study's results or provenance.json"
    except (ValueError, KeyError, TypeError, AttributeError):
        problem = "no whole record of provenance; make it again by running the study's workflow"
    raise argparse.ArgumentTypeError(f"{path}: {problem}")


def differences(old: object, new: object, keys: tuple[str, ...] = ()) -> Iterator[Difference]:
    """Yield (keys, old value, new value) for all that differs; a value may be MISSING."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key, MISSING), new.get(key, MISSING), (*keys, key))
    elif old != new:
        yield keys, old, new


def describe(keys: Sequence[str], old: object, new: object) -> str:
    """Return a difference in words, in which digests are not spelled out."""
    if old is MISSING:
        words = f"only in B{_value(new)}"
    elif new is MISSING:
        words = f"only in A{_value(old)}"
    elif _is_digest(old) and _is_digest(new):
        words = "differs"
    else:
        words = f"{_show(old)} -> {_show(new)}"
    return f"{'.'.join(keys)}: {words}" if keys else words


def _value(value: object) -> str:
    return "" if isinstance(value, dict) or _is_digest(value) else f": {_show(value)}"


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and DIGEST.fullmatch(value) is not None


def _show(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def compare(old: Record, new: Record) -> dict[str, list[str]]:
    """Return lines about what differs, by part of the record; parts that are the same are left out.

    What differs in the same way stands in one line.
    """
    lines = {
        "version": [describe((), *values) for _, *values in differences(old.version, new.version)],
        "config": [describe(*difference) for difference in differences(old.config, new.config)],
        "rules": grouped(old.rules, new.rules),
        "sources": grouped(old.sources, new.sources),
        "datasets": grouped(old.datasets, new.datasets),
        "runs": compare_runs(old, new),
    }
    return {part: part_lines for part, part_lines in lines.items() if part_lines}


def grouped(old: Entries, new: Entries) -> list[str]:
    """Return lines about entries that differ, those that differ in the same way in one."""
    groups = defaultdict(list)
    for (name, *keys), *values in differences(old, new):
        groups[describe(keys, *values)].append(name)
    return [f"{', '.join(names)}: {words}" for words, names in groups.items()]


def compare_runs(old: Record, new: Record) -> list[str]:
    """Return lines about runs; where weights or predictions differ, with what may be the cause."""
    groups = defaultdict(list)
    for (name, *keys), *values in differences(old.runs, new.runs):
        words = describe(keys, *values)
        if keys and keys[0] in ("weights", "predictions"):
            words += f", {_cause(made_from(old, name), made_from(new, name))}"
        groups[words].append(name)
    in_both = old.runs.keys() & new.runs.keys()
    return [f"{words} ({name_runs(names, in_both)})" for words, names in groups.items()]


def made_from(record: Record, name: str) -> dict[str, object]:
    """Return what decides the weights and predictions of a run, beside its seed."""
    config, run_record, (dataset, model, *_) = record.config, record.runs[name], name.split("/")
    recipe = config["model_zoo"][model]
    checkpoint = record.sources.get(f"checkpoint-{recipe.get('checkpoint')}", {})
    return {
        "recipe": [
            {key: value for key, value in recipe.items() if key not in ("seeds", "title")},
            config["dataset_zoo"][dataset],
            config.get("vocabulary_zoo", {}).get(recipe.get("vocabulary")),
            config.get("validation"),
        ],
        "data": record.datasets[dataset],
        "checkpoint": checkpoint.get("files"),
        "code": [run_record["code"], *(record.rules.get(rule, {}).get("code") for rule in RULES)],
        "packages": run_record["packages"],
        "hardware": run_record["hardware"],
    }


def _cause(old: dict[str, object], new: dict[str, object]) -> str:
    changed = [key for key in old if old[key] != new[key]]
    return f"made with {'other' if changed else 'the same'} {', '.join(changed or old)}"


def name_runs(names: Sequence[str], in_both: Set[str]) -> str:
    """Return three runs by name, and more as how many there are of each data set and model."""
    if len(names) <= 3:
        return ", ".join(names)
    if set(names) == in_both:
        return f"all {len(names)} runs in both"
    models = Counter("/".join(name.split("/")[:2]) for name in names)
    return f"{len(names)} runs: " + ", ".join(f"{model} {count}" for model, count in models.items())


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    record = "provenance.json, or the folder of results in which it stands"
    parser.add_argument("A", type=read_record, help=record)
    parser.add_argument("B", type=read_record, help=record)
    arguments = parser.parse_args(argv)
    lines_by_part = compare(arguments.A, arguments.B)
    for part, lines in lines_by_part.items():
        print(part, *lines, sep="\n  ")
    if lines_by_part:
        sys.exit(1)
    runs = len(arguments.A.runs)
    print(f"the same: config, code, packages, sources, data, hardware, and the {runs} runs")


if __name__ == "__main__":
    run(main)
