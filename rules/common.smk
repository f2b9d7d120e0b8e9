"""Helpers: the checked config, the cells that it names, and what each rule's recipe is."""

import os
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from gap import config as study
from gap.cli import UserError, canonical_json
from gap.provenance import code_digest

# `python` in the rules is the one that runs Snakemake, also when .venv is not activated; an
# environment that Snakemake activates for a rule still comes before it.
os.environ |= {"PATH": os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])}

try:
    study.complete(config)
    RESULTS = config["pathvars"]["results"]
    # Jobs on other machines need not read people's files again.
    if workflow.is_main_process:
        study.check(config, Path(RESULTS))
except UserError as error:
    # A WorkflowError would come with lines of the Snakefile, which are not at fault.
    sys.exit(f"error: config: {error}")


wildcard_constraints:
    dataset=r"[\w.-]+",
    model=r"[\w.-]+",
    checkpoint=r"[\w.-]+",
    vocabulary=r"[\w.-]+",
    size=r"[\d.]+%?",
    seeds=r"\d+(-\d+)?",
    source=r"(dataset|test|checkpoint)-[\w.-]+",


def script(name):
    """The program of a rule, as an input that never triggers; its digest, a param, does."""
    return ancient(str(Path("scripts") / name))


def source_spec(wildcards):
    """The config's source behind dataset-NAME, test-NAME or checkpoint-NAME."""
    role, _, name = wildcards.source.partition("-")
    if role == "checkpoint":
        return config["checkpoint_zoo"][name]
    return config["dataset_zoo"][name]["source" if role == "dataset" else "test"]


def dataset_of(wildcards):
    return config["dataset_zoo"][wildcards.dataset]


def model_of(wildcards):
    return config["model_zoo"][wildcards.model]


def cells():
    """Every training that the study names, as the wildcards of its files."""
    return [
        {"dataset": dataset, "model": model, "size": size, "seeds": seeds}
        for dataset in config["datasets"]
        for model in config["models"]
        for size in config["sizes"]
        for seeds in config["model_zoo"][model]["seeds"]
    ]


def for_each_cell(pattern):
    """The files of a pattern with wildcards dataset, model, size and seeds, for the whole study."""
    return [pattern.format(**cell) for cell in cells()]


def pick(mapping, *keys):
    """The named keys of a mapping, those that it has."""
    return {key: mapping[key] for key in keys if key in mapping}


def options(files):
    """Command-line options for named files: "--ids results/... --pool ..."."""
    return " ".join(f"--{name} {shlex.quote(str(path))}" for name, path in files.items())


def local_files(wildcards):
    """The user's own files, so that a change of them is noticed."""
    spec = source_spec(wildcards)
    if spec["kind"] != "file":
        return []
    path = Path(spec["path"])
    return sorted(map(str, path.iterdir())) if path.is_dir() else [str(path)]


def prepare_inputs(wildcards):
    files = {"source": f"<results>/sources/dataset-{wildcards.dataset}/manifest.json"}
    if isinstance(dataset_of(wildcards)["test"], dict):
        files["test_source"] = f"<results>/sources/test-{wildcards.dataset}/manifest.json"
    return files


def prepare_recipe(wildcards):
    """What of a data set's entry decides its rows; where they come from is an input."""
    recipe = {"name": wildcards.dataset} | dataset_of(wildcards)
    elsewhere = ["source", "max_tokens"]
    if isinstance(recipe["test"], dict):
        elsewhere.append("test")
    return {key: value for key, value in recipe.items() if key not in elsewhere}


def ids_folder(wildcards):
    """The folder of ids that a model reads; none for a model that reads words."""
    model = model_of(wildcards)
    ids = f"<results>/datasets/{wildcards.dataset}/ids"
    if "checkpoint" in model:
        return f"{ids}/{model['checkpoint']}"
    if "vocabulary" in model:
        return f"{ids}/{model['vocabulary']}/{wildcards.size}/{wildcards.seeds}"
    return None


def text_inputs(wildcards, part):
    """The texts of "pool" or "test" in the form that the model reads, with their manifest."""
    folder = ids_folder(wildcards)
    if folder is None:
        stem = f"<results>/datasets/{wildcards.dataset}/{part}"
        return {"texts_manifest": f"{stem}.json", "texts": ancient(f"{stem}.parquet")}
    return {"texts_manifest": f"{folder}/{part}.json", "ids": ancient(f"{folder}/texts")}


def checkpoint_inputs(wildcards):
    model = model_of(wildcards)
    if "checkpoint" not in model:
        return {}
    return {"checkpoint": f"<results>/sources/checkpoint-{model['checkpoint']}/manifest.json"}


def recipe_of(wildcards):
    """What of a model's entry decides its results: all but its seeds and its name in charts."""
    model = model_of(wildcards)
    return {key: value for key, value in model.items() if key not in ("seeds", "title")}


def model_options(wildcards, input):
    return options(
        {name: input[name] for name in ("ids", "texts", "checkpoint") if name in input.keys()}
    )


# Priority of what trainings wait for: with all of it there, the longest can start first.
FIRST = sys.maxsize
# Seconds of training per row, roughly, a linear model's being one.
COST = {"fine-tuned": 20, "frozen": 5, "lstm": 3, "linear": 1}


def expected_work(wildcards):
    """How long a training takes against others: the longest start first, so none is left alone."""
    model = model_of(wildcards)
    kind = model["family"]
    if kind == "transformer":
        kind = "frozen" if model["frozen"] else "fine-tuned"
    rows = float(wildcards.size.removesuffix("%"))
    return int(COST[kind] * rows * len(study.parse_seeds(wildcards.seeds)))


def summary_recipe():
    """How the chart and the summary name the models, in the study's order, and judge gaps."""
    zoo = config["model_zoo"]
    titles = {model: zoo[model].get("title", model) for model in config["models"]}
    return {"reference": config["reference"], "titles": titles} | config["gap"]


def print_answer():
    """Say where to look, and the answer."""
    summary = Path(RESULTS) / "summary.md"
    if summary.exists():
        print(f"\nThe chart is {RESULTS}/gap.html, the tables are in {summary}.\n")
        print(summary.read_text(encoding="utf-8").partition("\n\n")[0])
