"""Looks through config files for what YAML allows and Snakemake reads without a word."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml

from gap.run.errors import UserError

# Values of a config file, its aliases written out; a study has some hundred.
MOST_VALUES = 100_000


def check_spelling(paths: Iterable[str | Path]) -> None:
    """Look through config files for what Snakemake reads without a word.

    Raises UserError, which names file and line, for a key that stands twice in one place (the last
    would count), a tag, aliases without end, and `__use_yte__`, which makes a program of a config.
    """
    for path in paths:
        # JSON may have tabs, where YAML may not.
        text = Path(path).read_text(encoding="utf-8-sig").expandtabs()
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError as error:
            raise UserError(f"{path}: {' '.join(str(error).split())}") from None
        if root is not None:
            _check_node(str(path), root, {})


def _check_node(path: str, node: yaml.Node, sizes: dict[int, int]) -> int:
    """Return how many values a node stands for; `sizes` has the numbers of nodes seen before."""
    if id(node) in sizes:
        return sizes[id(node)]
    # A node that is met again inside itself counts as more than any config may have.
    sizes[id(node)] = MOST_VALUES
    where = f"{path}, line {node.start_mark.line + 1}"
    if node.tag not in (*yaml.SafeLoader.yaml_constructors, "tag:yaml.org,2002:merge"):
        raise UserError(f"{where}: found the tag {node.tag}; a config has plain values: remove it")
    parts = node.value if isinstance(node, yaml.SequenceNode) else []
    if isinstance(node, yaml.MappingNode):
        _check_unique(path, [key for key, _ in node.value])
        parts = [part for pair in node.value for part in pair]
    size = 1 + sum(_check_node(path, part, sizes) for part in parts)
    if size > MOST_VALUES:
        raise UserError(f"{where}: aliases (*name) make this endless; write out what is meant")
    sizes[id(node)] = size
    return size


def _check_unique(path: str, keys: list[yaml.Node]) -> None:
    lines: dict[str, int] = {}
    for key in keys:
        name, line = str(key.value), key.start_mark.line + 1
        if name in lines:
            raise UserError(
                f"{path}, line {line}: key {name!r} is in line {lines[name]}, too; keep one of them"
            )
        if name == "__use_yte__":
            raise UserError(f"{path}, line {line}: found {name}; a config is no program: remove it")
        lines[name] = line
