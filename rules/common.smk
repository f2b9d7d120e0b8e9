"""Helpers: the checked config, the cells that it names, and what each rule's recipe is."""

import json
import math
import os
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace

# The repository. In a Snakemake module, workflow.basedir is the folder of somebody else's Snakefile.
ROOT = Path(workflow.current_basedir).parent
# Whether this is a study of its own, not a module of another workflow.
STANDALONE = workflow.modifier.is_main_snakefile()

# Not for longer than it takes to find the package: the programs beside it have plain names, such as
# train and score, which a workflow that uses this one as a module may have for modules of its own.
sys.path.insert(0, str(ROOT / "scripts"))
import gap

sys.path.remove(str(ROOT / "scripts"))

from gap.config import check as study
from gap.run.arguments import within_limit
from gap.run.errors import UserError
from gap.run.json import canonical_json, read_json
from gap.run.failures import explain_failures, resume_command
from gap.run.digests import file_digests, sha256_file
from gap.run.packages import installed_packages, locked_packages
from gap.run.provenance import provenance_of
from gap.data.readers import AbsentError, list_data_files
from gap.results.reading import reading_recipe
from gap.study.tuning import by_gradient_descent
from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config


configfile: str(ROOT / "config.yaml")


def stop(message):
    """End the call with one line."""
    if STANDALONE:
        # A WorkflowError would come with lines of the Snakefile, which are not at fault.
        sys.exit(f"error: {message}")
    raise WorkflowError(f"module {workflow.modifier.namespace}: {message}")


def warn(message):
    name = "" if STANDALONE else f"module {workflow.modifier.namespace}: "
    print(f"warning: {name}{message}", file=sys.stderr)


if not STANDALONE:
    # Snakemake lays a config over config.yaml, but not that of a module.
    given, config = config, load_configfile(str(ROOT / "config.yaml"))
    update_config(config, given)


def folder_of(name):
    """A folder of the config's `pathvars` as rules have it, in a module with the module's prefix."""
    return str(workflow.pathvars.apply(workflow.modifier.modify_path(f"<{name}>")))


try:
    if workflow.is_main_process and STANDALONE:
        study.check_spelling(sorted({os.path.relpath(path) for path in workflow.configfiles}))
    study.complete(config)
    workflow.register_pathvars(**config["pathvars"])
    config["pathvars"] = {name: folder_of(name) for name in config["pathvars"]}
    RESULTS = config["pathvars"]["results"]
    # Jobs on other machines need not read people's files again.
    ABSENT = study.check(config, Path(RESULTS)) if workflow.is_main_process else []
except UserError as error:
    stop(f"config: {error}")
for absent in ABSENT:
    warn(f"config: {absent}; nothing can run before")
unread = Path("config.yaml").absolute()
if unread.exists() and STANDALONE and workflow.is_main_process:
    if unread.resolve() not in {Path(path).resolve() for path in workflow.configfiles}:
        warn(
            "config.yaml of this folder is not read; if it is this study's, add "
            "--configfile config.yaml"
        )


# Snakemake compares results with its records. Without them it would take all that is there for made
# of today's config, code and data; --touch is how a person says that it was.
made_before = any(Path(RESULTS, "datasets").glob("*/card.json"))
recorded = any(Path(".snakemake").glob("metadata/*")) or any(Path(".snakemake").glob("*.db"))
touched = {"--touch", "-t"} & set(sys.argv)
if workflow.is_main_process and made_before and not recorded and not touched:
    stop(
        f"{RESULTS} holds results, but the records of what they were made from "
        "(.snakemake/metadata) are not here; copy that folder along with the results, or, if config, "
        "code and data are those that made them, call `snakemake --touch --forceall --cores 1`"
    )

IN_CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
if IN_CONDA:
    # The environments that Snakemake makes have the versions of these locks.
    locks = ("requirements.txt", "torch-cuda.txt")
    VERSIONS = locked_packages(*(ROOT / "envs" / lock for lock in locks))
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


def program(name):
    """The beginning of a rule's command, as a param that never triggers; its provenance does.

    Snakemake compares no params of functions that take `input`. The repository may lie anywhere.
    """
    # The Python that runs Snakemake, also when .venv is not activated; or that of an environment.
    python = "python" if IN_CONDA else sys.executable
    command = shlex.join([python, str(ROOT / "scripts" / name)])
    return lambda wildcards, input: command


def families_of(models):
    """The families of models, for the provenance of programs that work with them."""
    return {config["model_zoo"][model]["family"] for model in models}


def provenance(name, models=None):
    """What makes the results of a program: digest of its code, versions of packages.

    `models` are those that it works with, if not all of the study.
    """
    families = families_of(config["models"] if models is None else models)
    return provenance_of(name, config["packages"], VERSIONS, families)


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
    stop("config: partial: no run of the study is finished yet; call snakemake without it")


def for_each_cell(pattern):
    """The files of a pattern with wildcards dataset, model, size and seeds, for the whole study."""
    return [pattern.format(**cell) for cell in CELLS if cell not in MISSING]


def pick(mapping, *keys):
    """The named keys of a mapping, those that it has."""
    return {key: mapping[key] for key in keys if key in mapping}


def spell(recipe):
    """A recipe as a param and as an argument: canonical JSON, or @FILE that holds it if it is long."""
    return within_limit([canonical_json(recipe)], Path(RESULTS, ".arguments"))[0]


def listed(name):
    """A list of input files as arguments, or as @FILE that lists them; a param that never triggers."""
    return lambda wildcards, input: shlex.join(
        within_limit(list(input.get(name)), Path(RESULTS, ".arguments"))
    )


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
        try:
            files = list_data_files(path)
        except AbsentError:
            # A plan needs none, and a run does not begin: check_files.
            files = []
    # Where one works, whatever prefix a module's files have.
    return [local(ancient(str(file))) for file in files]


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
    elsewhere = ["source", "max_tokens", "published"]
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


def identity_of(wildcards):
    """What the runs of a job are of: data set, model and size."""
    return canonical_json(pick(dict(wildcards.items()), "dataset", "model", "size"))


def model_options(wildcards, input):
    return options(
        {name: input[name] for name in ("ids", "texts", "checkpoint") if name in input.keys()}
    )


def descents(model):
    """How many trials of a model take the time of a training; logistic regressions share theirs."""
    return model["trials"] if by_gradient_descent(model) else 1


# The size whose models are timed: the largest share of a pool, else the largest number.
TIMED_SIZE = max(config["sizes"], key=lambda size: (size.endswith("%"), float(size.strip("%"))))
# Of each data set and model the first block of seeds: times depend on shapes, not on the weights.
TIMED = [
    cell
    for cell in CELLS
    if cell["size"] == TIMED_SIZE
    and cell["seeds"] == config["model_zoo"][cell["model"]]["seeds"][0]
    and cell not in MISSING
]


def timed_cells(wildcards):
    """The cells of a data set that are timed; the order of models in the config decides nothing."""
    cells = [SimpleNamespace(**cell) for cell in TIMED if cell["dataset"] == wildcards.dataset]
    return sorted(cells, key=lambda cell: cell.model)


def latency_inputs(wildcards):
    """The trained models of a data set, and the vocabularies that they read texts with."""
    files = {name: [] for name in ("trainings", "weights", "vocabulary_manifests", "vocabularies")}
    files["checkpoints"] = []
    for cell in timed_cells(wildcards):
        run = f"<results>/runs/{cell.dataset}/{cell.model}/{cell.size}/{cell.seeds}"
        files["trainings"].append(f"{run}/training.json")
        files["weights"].append(ancient(f"{run}/weights"))
        files["checkpoints"] += checkpoint_inputs(cell).values()
        if "vocabulary" in model_of(cell):
            fitted = (
                f"<results>/datasets/{cell.dataset}/vocabularies/{model_of(cell)['vocabulary']}"
            )
            files["vocabulary_manifests"].append(f"{fitted}/{cell.size}/{cell.seeds}.json")
            files["vocabularies"].append(ancient(f"{fitted}/{cell.size}/{cell.seeds}"))
    return files


def latency_options(wildcards, input):
    """Command-line options that name the files of each model."""
    models = {cell.model: model_of(cell) for cell in timed_cells(wildcards)}
    having = {
        "trainings": [*models],
        "weights": [*models],
        "checkpoints": [name for name, recipe in models.items() if "checkpoint" in recipe],
        "vocabularies": [name for name, recipe in models.items() if "vocabulary" in recipe],
    }
    return " ".join(
        f"--{kind} " + " ".join(shlex.quote(f"{name}={path}") for name, path in pairs)
        for kind, names in having.items()
        if (pairs := list(zip(names, input.get(kind), strict=True)))
    )


def latency_recipe(wildcards):
    """What decides what is timed: the models, and how much of a text they read."""
    return {
        "cell": {"dataset": wildcards.dataset, "size": TIMED_SIZE},
        "dataset": pick(dataset_of(wildcards), "words", "max_tokens", "keep"),
        "models": {cell.model: recipe_of(cell) for cell in timed_cells(wildcards)},
    }


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
    return int(COST[kind] * rows * len(study.parse_seeds(wildcards.seeds)) * descents(model))


PROGRAMS = {
    name: provenance(f"{name}.py")
    for name in (
        "download prepare subsample fit_vocabulary encode train predict score gather estimate_gap "
        "forecast_gap examine_errors measure_latency gather_latency chart_gap chart_cost write_summary "
        "write_report export_tables"
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


def source_names():
    """The names of all sources that the study names: of data, of tests, of checkpoints."""
    named = named_config()
    names = [f"dataset-{name}" for name in named["datasets"]]
    tests = named["dataset_zoo"].items()
    names += [f"test-{name}" for name, entry in tests if isinstance(entry["test"], dict)]
    return names + [f"checkpoint-{name}" for name in named["checkpoint_zoo"]]


def source_files(file):
    """A file of all sources that the study names."""
    return expand(f"<results>/sources/{{name}}/{file}", name=source_names())


def summary_recipe():
    """How the chart and the summary name the models, in the study's order, and judge gaps."""
    published = [
        {"dataset": dataset} | figure
        for dataset in config["datasets"]
        for figure in config["dataset_zoo"][dataset].get("published", [])
        if figure["model"] in config["models"]
    ]
    others = {"missing": MISSING, "published": published}
    return reading_recipe(config) | {key: rows for key, rows in others.items() if rows}


def errors_recipe():
    """What decides where errors are looked for, and how many texts are shown."""
    return pick(config, "models", "reference", "examples") | pick(config["gap"], "confidence")


def verdict_recipe():
    """What the summary goes by: all that, and the seeds, as it tells which to add."""
    seeds = {model: config["model_zoo"][model]["seeds"] for model in config["models"]}
    return summary_recipe() | {"seeds": seeds}


def cost_chart_recipe():
    """What of it the chart of what inference costs goes by."""
    keys = ("datasets", "models", "reference", "titles", "confidence", "missing")
    return pick(summary_recipe(), *keys)


# What is exported as Parquet, and of it what is a table of a paper, too.
TABLES = (
    "scores accuracies gaps crossings forecasts curves trials latency "
    "histories calibration labels lengths agreements examples"
).split()
TABLES_OF_PAPERS = ["accuracies", "gaps", "crossings", "latency"]


def export_recipe():
    """What of it the tables of papers go by."""
    keys = ("datasets", "models", "reference", "titles", "margin", "confidence")
    return pick(summary_recipe(), *keys)


def check_files():
    """Before the first job, stop if a file of the user's is not there."""
    if ABSENT:
        sys.exit(f"error: config: {ABSENT[0]}")


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
    for refused in explain_refusals(scheduler.failed):
        print(f"\nerror: {refused}", file=sys.stderr)
    print(f"\n{explain_failures(failed, resume_command(sys.argv), **counts)}\n", file=sys.stderr)
