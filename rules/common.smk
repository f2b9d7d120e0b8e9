"""Helpers: the checked config, the cells that it names, and what each rule's recipe is."""

import json
import os
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from gap import config as study
from gap.cli import UserError, canonical_json
from gap.failures import explain_failures, resume_command
from gap.provenance import file_digests, installed_packages, locked_packages, provenance_of
from gap.sources import list_data_files

# `python` in the rules is the one that runs Snakemake, also when .venv is not activated; an
# environment that Snakemake activates for a rule still comes before it.
os.environ |= {"PATH": os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])}

try:
    if workflow.is_main_process:
        study.check_spelling(sorted({os.path.relpath(path) for path in workflow.configfiles}))
    study.complete(config)
    RESULTS = config["pathvars"]["results"]
    # Jobs on other machines need not read people's files again.
    if workflow.is_main_process:
        study.check(config, Path(RESULTS))
except UserError as error:
    # A WorkflowError would come with lines of the Snakefile, which are not at fault.
    sys.exit(f"error: config: {error}")


# Snakemake compares results with its records. Without them it would take all that is there for made
# of today's config, code and data; --touch is how a person says that it was.
made_before = any(Path(RESULTS, "datasets").glob("*/card.json"))
recorded = any(Path(".snakemake").glob("metadata/*")) or any(Path(".snakemake").glob("*.db"))
touched = {"--touch", "-t"} & set(sys.argv)
if workflow.is_main_process and made_before and not recorded and not touched:
    sys.exit(
        f"error: {RESULTS} holds results, but the records of what they were made from "
        "(.snakemake/metadata) are not here; copy that folder along with the results, or, if config, "
        "code and data are those that made them, call `snakemake --touch --forceall --cores 1`"
    )

if DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
    # The environments that Snakemake makes have the versions of these locks.
    VERSIONS = locked_packages(Path("envs/requirements.txt"), Path("envs/torch-cuda.txt"))
else:
    VERSIONS = installed_packages()


wildcard_constraints:
    dataset=r"[\w.-]+",
    model=r"[\w.-]+",
    checkpoint=r"[\w.-]+",
    vocabulary=r"[\w.-]+",
    size=r"[\d.]+%?",
    seeds=r"\d+(-\d+)?",
    source=r"(dataset|test|checkpoint)-[\w.-]+",


def script(name):
    """The program of a rule, as an input that never triggers; its provenance, a param, does."""
    return ancient(str(Path("scripts") / name))


def provenance(name):
    """What makes the results of a program: digest of its code, versions of packages."""
    return provenance_of(name, config["packages"], VERSIONS)


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


def is_there(cell):
    """Whether a run was finished some time."""
    folder = Path(RESULTS, "runs", *cell.values())
    return (folder / "predictions.parquet").exists()


# Every training that the study names, as the wildcards of its files.
CELLS = [
    {"dataset": dataset, "model": model, "size": size, "seeds": seeds}
    for dataset in config["datasets"]
    for model in config["models"]
    for size in config["sizes"]
    for seeds in config["model_zoo"][model]["seeds"]
]
# What follows --config is text.
PARTIAL = str(config["partial"]).lower() == "true"
MISSING = [cell for cell in CELLS if PARTIAL and not is_there(cell)]
if MISSING == CELLS:
    sys.exit(
        "error: config: partial: no run of the study is finished yet; call snakemake without it"
    )


def for_each_cell(pattern):
    """The files of a pattern with wildcards dataset, model, size and seeds, for the whole study."""
    return [pattern.format(**cell) for cell in CELLS if cell not in MISSING]


def pick(mapping, *keys):
    """The named keys of a mapping, those that it has."""
    return {key: mapping[key] for key in keys if key in mapping}


def options(files):
    """Command-line options for named files: "--ids results/... --pool ..."."""
    return " ".join(f"--{name} {shlex.quote(str(path))}" for name, path in files.items())


def local_files(wildcards):
    """The user's own files, as inputs that never trigger; their digests, a param, do."""
    spec = source_spec(wildcards)
    if spec["kind"] != "file":
        return []
    path = Path(spec["path"])
    if wildcards.source.startswith("checkpoint-"):
        files = sorted(filter(Path.is_file, path.iterdir()))
    else:
        files = list_data_files(path)
    return [ancient(str(file)) for file in files]


def local_content(wildcards):
    """The digests of the user's own files: a touched or copied file is still the same."""
    known = Path(RESULTS) / "sources" / wildcards.source / "seen.json"
    return canonical_json(file_digests(map(str, local_files(wildcards)), known))


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


PROGRAMS = {
    name: provenance(f"{name}.py")
    for name in (
        "download prepare subsample fit_vocabulary encode train predict score gather estimate_gap "
        "chart_gap write_summary"
    ).split()
}


def named_config():
    """All of the config that the study's results come from: the entries that it names."""
    models = pick(config["model_zoo"], *config["models"])
    zoos = {"model_zoo": models, "dataset_zoo": pick(config["dataset_zoo"], *config["datasets"])}
    for kind in ("checkpoint", "vocabulary"):
        used = sorted({model[kind] for model in models.values() if kind in model})
        zoos[f"{kind}_zoo"] = pick(config[f"{kind}_zoo"], *used)
    return zoos | {
        key: value for key, value in config.items() if key not in (*zoos, "pathvars", "partial")
    }


def source_manifests():
    """The manifests of all sources that the study names."""
    named = named_config()
    names = [f"dataset-{name}" for name in named["datasets"]]
    tests = named["dataset_zoo"].items()
    names += [f"test-{name}" for name, entry in tests if isinstance(entry["test"], dict)]
    names += [f"checkpoint-{name}" for name in named["checkpoint_zoo"]]
    return expand("<results>/sources/{name}/manifest.json", name=names)


def summary_recipe():
    """How the chart and the summary name the models, in the study's order, and judge gaps."""
    zoo = config["model_zoo"]
    titles = {model: zoo[model].get("title", model) for model in config["models"]}
    recipe = pick(config, "datasets", "models", "reference") | {"titles": titles} | config["gap"]
    return recipe | ({"missing": MISSING} if MISSING else {})


def print_answer():
    """Say where to look, and the answer."""
    summary = Path(RESULTS) / "summary.md"
    if summary.exists():
        print(f"\nThe chart is {RESULTS}/gap.html, the tables are in {summary}.\n")
        print(summary.read_text(encoding="utf-8").partition("\n\n")[0])


def print_failures():
    """Say which jobs failed, why, and how to go on."""
    scheduler = workflow.scheduler
    groups = [job.jobs if job.is_group() else [job] for job in scheduler.failed]
    jobs = sorted((job for group in groups for job in group), key=lambda job: job.jobid)
    failed = [(job.message or job.rule.name, next(iter(job.log), None)) for job in jobs]
    counts = {
        "total": len(workflow.dag),
        "waiting": len(scheduler.remaining_jobs),
        "interrupted": len(scheduler.running),
    }
    print(f"\n{explain_failures(failed, resume_command(sys.argv), **counts)}\n", file=sys.stderr)
