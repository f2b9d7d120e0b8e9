"""Checks a study's config, fills in defaults, and says in plain words what is wrong with it."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

from gap.data.readers import (
    EXTENSIONS,
    AbsentError,
    Columns,
    check_name,
    describe_local_source,
    extension,
)
from gap.models.family import load_recipe
from gap.run.errors import UserError
from gap.run.json import read_json
from gap.study.sizes import canonical_size, count_rows, parse_seeds
from gap.study.tuning import grid_size, tuned_values

SCHEMA = Path(__file__).resolve().parents[3] / "schemas" / "config.schema.yaml"

# Values of a config file, its aliases written out; a study has some hundred.
MOST_VALUES = 100_000
# Beyond it, numpy, torch or the database overflow.
LARGEST_WHOLE = 2**31 - 1

Config = dict[str, Any]


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
    """Return how many values a node stands for; `sizes` holds those of the nodes seen before."""
    if id(node) in sizes:
        return sizes[id(node)]
    # That of a node that is met again inside itself.
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


def complete(config: Config) -> None:
    """Fill in the schema's defaults, in place, and spell sizes and seeds as file names do.

    A list of values to try is sorted, one of a single value becomes that value, and each model gets
    its number of `trials`.
    Raises UserError for the first thing that the schema forbids, in the order of the schema.
    """
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    # Snakemake's own validate() would do, but its message for a wrong key is a page long.
    for error in _filling_validator(schema).iter_errors(config):
        raise UserError(_explain(error))
    config["sizes"] = _canonical_sizes(config["sizes"])
    for model in config["model_zoo"].values():
        model["seeds"] = [str(block) for block in model.get("seeds", config["seeds"])]
        _spell_values(model)
        recipe = load_recipe(model)
        drawn = config["tuning"].get("trials") if recipe.by_gradient_descent else None
        model["trials"] = min(drawn or math.inf, grid_size(recipe))
    for name, dataset in config["dataset_zoo"].items():
        if not isinstance(dataset["test"], dict):
            dataset["test"] = canonical_size(dataset["test"], f"dataset_zoo.{name}.test")
        for place, figure in enumerate(dataset.get("published", []), start=1):
            key = f"dataset_zoo.{name}.published, item {place}.size"
            figure["size"] = canonical_size(figure["size"], key)


def _canonical_sizes(sizes: list[Any]) -> list[str]:
    spelled: dict[str, Any] = {}
    for size in sizes:
        canonical = canonical_size(size)
        if canonical in spelled:
            raise UserError(
                f"sizes: {spelled[canonical]} and {size} are the same size, {canonical}; keep one"
            )
        spelled[canonical] = size
    return list(spelled)


def _spell_values(model: Config) -> None:
    """Sort the values to try of each key; one value alone is no list."""
    for key, values in tuned_values(load_recipe(model)).items():
        part = model if key in model else model["optimisation"]
        part[key] = sorted(part[key]) if len(values) > 1 else part[key][0]


# ---------------------------------------------------------------- what a schema cannot say


def check(config: Config, results: Path) -> list[str]:
    """Check that names exist, that seeds pair, and that local files hold what they should.

    `results` is the folder of results; what earlier runs found out about a source is used, too.
    Only what the study names is looked at. Takes about a second per local data set at most.
    Returns a line for each data file that is not there: a study may be planned before its data are
    fetched. Raises UserError for the first other problem found.
    """
    _check_names("datasets", config["datasets"], config["dataset_zoo"], "dataset_zoo")
    _check_names("models", config["models"], config["model_zoo"], "model_zoo")
    _check_names("reference", [config["reference"]], config["models"], "models")
    for name in config["models"]:
        _check_model(config, name)
        _check_seeds(config, name)
    _check_trials(config)
    _check_titles(config)
    _check_folders(config["pathvars"])
    _check_validation(config)
    return [line for name in config["datasets"] for line in _check_dataset(config, name, results)]


def _check_names(key: str, names: list[str], known: Iterable[str], where: str) -> None:
    for name in names:
        if name not in known:
            raise UserError(f"{key}: {name!r} is not in {where}{_suggest(name, known)}")


def _check_model(config: Config, name: str) -> None:
    model, where = config["model_zoo"][name], f"model_zoo.{name}"
    sources = [key for key in ("vocabulary", "checkpoint") if key in model]
    if model["family"] == "lstm" and len(sources) != 1:
        found = "both" if sources else "neither"
        raise UserError(f"{where}: found {found} of vocabulary and checkpoint; give it one of them")
    if sources == ["vocabulary"] and model["embeddings"] == "frozen":
        raise UserError(
            f"{where}.embeddings: found 'frozen', but a vocabulary's embeddings are learned; leave "
            "it out, or give a checkpoint in place of the vocabulary"
        )
    for key in sources:
        _check_names(f"{where}.{key}", [model[key]], config[f"{key}_zoo"], f"{key}_zoo")
    # Both name folders of token ids.
    if sources == ["vocabulary"] and model["vocabulary"] in config["checkpoint_zoo"]:
        raise UserError(
            f"vocabulary_zoo.{model['vocabulary']}: checkpoint_zoo has the same name; rename one"
        )
    if sources == ["checkpoint"]:
        _check_checkpoint(model["checkpoint"], config["checkpoint_zoo"][model["checkpoint"]])


def _check_checkpoint(name: str, spec: Config) -> None:
    if spec["kind"] != "file":
        return
    try:
        check_name(spec["path"])
    except UserError as error:
        raise UserError(f"checkpoint_zoo.{name}.path: {error}") from None
    if not _holds_weights(Path(spec["path"])):
        raise UserError(
            f"checkpoint_zoo.{name}.path: {spec['path']} is no folder with a .safetensors file; "
            "expected one such as save_pretrained writes, with config.json and tokenizer"
        )


def _holds_weights(folder: Path) -> bool:
    try:
        return folder.is_dir() and any(folder.glob("*.safetensors"))
    except OSError:
        return False


def _check_seeds(config: Config, name: str) -> None:
    model, reference = config["model_zoo"][name], config["reference"]
    where, blocks = f"model_zoo.{name}.seeds", ", ".join(model["seeds"])
    for block in model["seeds"]:
        if not parse_seeds(block):
            raise UserError(f"{where}: {block} runs backwards; write the lower seed first")
    seeds = seeds_of(model)
    if len(seeds) != len(set(seeds)):
        raise UserError(f"{where}: a seed stands in two blocks of {blocks}; keep it in one")
    theirs = config["model_zoo"][reference]
    if not set(seeds) & set(seeds_of(theirs)):
        raise UserError(
            f"{where}: found {blocks}, none of which the reference {reference} has "
            f"({', '.join(theirs['seeds'])}); gaps pair seeds, so give it one of those"
        )


def seeds_of(model: Config) -> list[int]:
    """Return all seeds of a model's blocks."""
    return [seed for block in model["seeds"] for seed in parse_seeds(block)]


def _check_trials(config: Config) -> None:
    """Raise UserError unless all models trained by gradient descent have as many trials."""
    zoo = {name: load_recipe(config["model_zoo"][name]) for name in config["models"]}
    sizes = {name: grid_size(recipe) for name, recipe in zoo.items() if recipe.by_gradient_descent}
    asked = config["tuning"].get("trials")
    for name, size in sizes.items():
        if asked and size < asked:
            raise UserError(
                f"tuning.trials: {asked} is more than the {size} that the lists of "
                f"model_zoo.{name} make; lower it, or let {name} list more values"
            )
    if not asked and len(set(sizes.values())) > 1:
        counts = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise UserError(
            f"model_zoo: unequal numbers of trials: {counts}; expected one for all models trained "
            "by gradient descent: let their lists make as many, or draw as many of each with "
            "tuning: {trials: n}"
        )


def _check_titles(config: Config) -> None:
    owners: dict[str, str] = {}
    for name in config["models"]:
        title = config["model_zoo"][name].get("title", name)
        if title in owners:
            raise UserError(
                f"model_zoo.{name}.title: {title!r} is the title of {owners[title]}, too; "
                "charts need one for each"
            )
        if not title.isprintable():
            raise UserError(f"model_zoo.{name}.title: {title!r}; expected one line of text")
        owners[title] = name


def _check_folders(folders: Config) -> None:
    """Raise UserError for a folder whose name a shell or Snakemake would take for more."""
    for key, folder in folders.items():
        if not re.fullmatch(r"[\w./][\w.,@+=/-]*", folder):
            raise UserError(
                f"pathvars.{key}: found {folder!r}; expected a path of letters, digits and "
                "./_-+=,@ (no spaces, no ~)"
            )


def _check_validation(config: Config) -> None:
    validation = config["validation"]
    if validation["min"] > validation["max"]:
        raise UserError(
            f"validation: min {validation['min']} is more than max {validation['max']}; "
            "lower the one or raise the other"
        )
    for size in config["sizes"]:
        if not size.endswith("%"):
            _check_split(size, int(size), validation)


def _check_split(size: str, n: int, validation: Config) -> None:
    """Raise UserError where `min` takes more rows than are left to train on."""
    least = validation["min"]
    if least > max(n / 2, validation["share"] * n):
        spelled = f"{size} ({n:,} rows)" if size.endswith("%") else size
        raise UserError(
            f"sizes: {spelled} is too small for the {least} rows of validation.min and as many to "
            f"train on; choose {2 * least} rows or more, or lower validation.min"
        )


def _check_dataset(config: Config, name: str, results: Path) -> list[str]:
    """Return a line for each file that is not there."""
    dataset, where = config["dataset_zoo"][name], f"dataset_zoo.{name}"
    if dataset["text"] == dataset["label"]:
        raise UserError(f"{where}: text and label are both {dataset['text']!r}; name two columns")
    _check_published(f"{where}.published", dataset.get("published", []), config["model_zoo"])
    sources = [key for key in ("source", "test") if isinstance(dataset[key], dict)]
    rows, absent = None, []
    for key in sources:
        try:
            found = _check_source(f"{where}.{key}", dataset[key], dataset)
        except AbsentError as error:
            absent.append(str(error))
        else:
            rows = found if key == "source" else rows
    if rows is None:
        rows = _rows_read_before(dataset["source"], name, results)
    if rows is not None:
        _check_sizes(config, name, rows)
    return absent


def _check_published(where: str, figures: list[Config], models: Config) -> None:
    seen: set[tuple[str, ...]] = set()
    for place, figure in enumerate(figures, start=1):
        key = f"{where}, item {place}"
        _check_names(f"{key}.model", [figure["model"]], models, "model_zoo")
        setting = (figure["model"], figure["size"], figure["source"])
        if setting in seen:
            raise UserError(
                f"{key}: there is another figure of {figure['model']} at {figure['size']} from "
                "this source; keep one"
            )
        seen.add(setting)


def _check_source(where: str, spec: Config, dataset: Config) -> int | None:
    """Check a source of rows; return how many it has where that is quickly told."""
    file = spec["member"] if "member" in spec else urlparse(spec.get("url", "")).path
    if file and not file.endswith("/") and extension(Path(file)) is None:
        raise UserError(f"{where}: {file} must end in one of {', '.join(EXTENSIONS)}")
    if spec["kind"] != "file":
        return None
    columns = Columns(dataset["text"], dataset["label"], dataset.get("delimiter"))
    try:
        return describe_local_source(spec["path"], columns)
    except UserError as error:
        raise type(error)(f"{where}: {error}") from None
    except OSError as error:
        raise UserError(f"{where}: {spec['path']} cannot be read: {error.strerror}") from None


def _rows_read_before(spec: Config, name: str, results: Path) -> int | None:
    """Return the rows that the same source, fetched and pinned, had in an earlier run."""
    source = results / "sources" / f"dataset-{name}"
    manifest, origin = source / "manifest.json", source / "origin.json"
    card = results / "datasets" / name / "card.json"
    if spec["kind"] == "file" or not all(file.exists() for file in (manifest, origin, card)):
        return None
    fetched, described = read_json(manifest)["sha256"], read_json(card)
    if read_json(origin)["spec"] != spec or fetched != described["source_sha256"]:
        return None
    return int(described["rows_read"]["pool"])


def _check_sizes(config: Config, name: str, rows: int) -> None:
    """Check sizes against the rows of a source: a bound, as repeated rows are merged later."""
    test = config["dataset_zoo"][name]["test"]
    held_out = 0 if isinstance(test, dict) else count_rows(test, rows)
    pool = rows - held_out
    if pool < 1:
        raise UserError(
            f"dataset_zoo.{name}.test: {test} takes {held_out:,} rows, and there are {rows:,}; "
            "choose fewer, so that there is a pool"
        )
    for size in config["sizes"]:
        n = count_rows(size, pool)
        if n > pool:
            raise UserError(
                f"sizes: {size} is more than the pool of {name} holds: of {rows:,} rows, the test "
                f"set takes {held_out:,}; choose {pool:,} or less"
            )
        _check_split(size, n, config["validation"])


# ---------------------------------------------------------------- the schema, in plain words


def _filling_validator(schema: Config) -> Any:
    """Return a validator that also sets defaults, as the jsonschema documentation describes.

    A default that is a mapping completes one that is given. Numbers are finite, and whole ones
    have no dot: 32.0 would fail where a program counts to it. Patterns end where the text ends.
    """
    check_properties = Draft202012Validator.VALIDATORS["properties"]
    check_pattern = Draft202012Validator.VALIDATORS["pattern"]

    def fill(validator: Any, properties: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, dict):
            for key, subschema in properties.items():
                if "default" in subschema:
                    _set_default(instance, key, subschema["default"])
        yield from check_properties(validator, properties, instance, schema)

    def match(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
        # Python's $ matches before a last line break, too.
        yield from check_pattern(validator, re.sub(r"\$$", r"\\Z", pattern), instance, schema)

    rules = {"properties": fill, "pattern": match}
    types = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"number": lambda _, value: _is_number(value), "integer": lambda _, value: _is_whole(value)}
    )
    return validators.extend(Draft202012Validator, rules, type_checker=types)(schema)


def _set_default(instance: Config, key: str, default: Any) -> None:
    given = instance.setdefault(key, default)
    if isinstance(default, dict) and isinstance(given, dict):
        instance[key] = default | given


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_WHOLE


def _is_number(value: object) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _explain(error: ValidationError) -> str:
    """Return one line: which key, what was found, what was expected, what to do."""
    where, found = _where(error), error.instance
    if error.validator == "additionalProperties":
        return where + _unknown_key(found, error.schema)
    if error.validator == "required":
        return where + _missing_key(found, error.schema)
    kinds = str(error.validator_value)
    if ("number" in kinds or "integer" in kinds) and _spells_number(found):
        return where + _text_for_number(found)
    spelled = "nothing" if found is None else _show(found)
    return f"{where}found {spelled}; expected {_expected(error)}{_advice(error)}"


def _where(error: ValidationError) -> str:
    """Return the key, as in "model_zoo.lstm.seeds, item 2: "; nothing for the config as a whole."""
    path = ""
    for part in error.absolute_path:
        path += f", item {part + 1}" if isinstance(part, int) else f".{part}"
    if "propertyNames" in error.absolute_schema_path:
        path += ", a name"
    return f"{path.lstrip('.')}: " if path else ""


def _unknown_key(found: Config, schema: Config) -> str:
    known = schema["properties"]
    wrong = next(key for key in found if key not in known)
    chosen = next((f" with {key}: {found[key]}" for key in ("kind", "family") if key in found), "")
    suggestion = _suggest(str(wrong), known)
    if chosen and "did you mean" not in suggestion:
        suggestion += " (if config.yaml has an entry of this name, it is merged with yours: rename)"
    return f"unknown key {str(wrong)!r}{chosen}{suggestion}"


def _missing_key(found: Config, schema: Config) -> str:
    known = schema["properties"]
    missing = next(key for key in schema["required"] if key not in found)
    others = [str(key) for key in found if key not in known]
    close = difflib.get_close_matches(missing, others, n=1)
    advice = f"is {close[0]!r} meant to be it?" if close else "add it"
    return f"{missing!r} is missing; {advice}{_in_brackets(known[missing].get('description', ''))}"


TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "keys with values",
}


def _expected(error: ValidationError) -> str:
    value, description = error.validator_value, error.schema.get("description", "")
    bounds = {
        "minimum": f"{value} or more",
        "maximum": f"{value} or less",
        "exclusiveMinimum": f"more than {value}",
        "exclusiveMaximum": f"less than {value}",
        "minItems": f"a list of {value} or more",
        "minProperties": f"{value} key or more",
        "minLength": "some text",
        "maxLength": f"{value} characters or fewer",
        "uniqueItems": "each only once",
    }
    if error.validator == "type":
        names = [value] if isinstance(value, str) else value
        expected = " or ".join(TYPES[name] for name in names)
    elif error.validator == "enum":
        expected = "one of " + ", ".join(value)
    elif error.validator in bounds:
        expected = bounds[error.validator]
    else:
        # Patterns and alternatives: the description says it better.
        return _phrase(description)
    return expected + _in_brackets(description)


def _advice(error: ValidationError) -> str:
    """Return what to write instead, where YAML has read something other than was meant."""
    found, kinds = error.instance, error.validator_value
    if isinstance(found, list) and error.validator in ("type", "enum", "const"):
        return "; write one value: only what is tuned may be a list"
    if error.validator != "type" or found is None or isinstance(found, list | dict):
        return ""
    if "string" in kinds and isinstance(found, bool):
        return "; YAML takes yes, no, on and off for truth values: put the word in quotes"
    if "string" in kinds:
        return "; put it in quotes"
    if isinstance(found, int) and abs(found) > LARGEST_WHOLE:
        return f"; at most {LARGEST_WHOLE:,}"
    return f"; put it in brackets: [{found}]" if kinds == "array" else ""


def _spells_number(found: object) -> bool:
    try:
        return isinstance(found, str) and math.isfinite(float(found))
    except ValueError:
        return False


def _text_for_number(found: str) -> str:
    if _is_number(yaml.safe_load(found)):
        return (
            f"{found!r} is text, where a number is expected; write it without quotes, and in a "
            "config file (what follows --config is text)"
        )
    # YAML 1.1, which Snakemake reads, wants both a dot and the exponent's sign.
    spelled = yaml.safe_dump(float(found)).splitlines()[0]
    spelled = spelled.replace("e-0", "e-").replace("e+0", "e+")
    return f"{found} is text to YAML, where a number is expected; write {spelled}"


def _suggest(wrong: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(wrong, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are: {', '.join(names)}" if names else ", which is empty"


def _phrase(description: str) -> str:
    """Return a description as part of a sentence."""
    text = description.removesuffix(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def _in_brackets(description: str) -> str:
    return f" ({_phrase(description)})" if description else ""


def _show(found: object) -> str:
    if isinstance(found, str):
        text = repr(found)
    else:
        # Its beginning only: what is found may be of any length.
        encoder = json.JSONEncoder(default=str, skipkeys=True)
        text = "".join(islice(encoder.iterencode(found), 100))
    return text if len(text) <= 80 else text[:80] + "..."
