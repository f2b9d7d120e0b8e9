"""Helpers: the checked config, the cells that it names, and what each rule's recipe is."""

import json
import math
import os
import re
import shlex
import sys
from pathlib import Path

# The repository. In a Snakemake module, workflow.basedir is the folder of somebody else's Snakefile.
ROOT = Path(workflow.current_basedir).parent
# Whether this is a study of its own, not a module of another workflow.
STANDALONE = workflow.modifier.is_main_snakefile()

# The folder stays on the path only until the package is imported. The programs in it have plain names
# such as train and score, and a workflow that uses this one as a module may have modules of these names.
sys.path.insert(0, str(ROOT / "scripts"))
import gap

sys.path.remove(str(ROOT / "scripts"))

from gap.run.arguments import within_limit
from gap.cluster.requests import expected_seconds
from gap.models.family import family_of
from gap.config.check import cautions, check, complete
from gap.config.spelling import check_spelling
from gap.run.errors import UserError
from gap.run.json import canonical_json, read_json
from gap.run.failures import explain_failures, resume_command
from gap.run.digests import file_digests, sha256_file
from gap.run.packages import installed_packages, locked_packages
from gap.run.provenance import provenance_of
from gap.run.terminal import take_all_letters
from gap.data.readers import AbsentError, list_data_files
from gap.results.reading import (
    ErrorsRecipe,
    ReadingRecipe,
    TargetRecipe,
    checkpoint_origins,
    extractions,
    reading_recipe,
)
from gap.study import paths
from gap.study.cells import timed_cells
from gap.study.fields import Block
from gap.study.pretraining import MaskedLm
from gap.study.prices import Costs
from gap.study.rules import EncodeRecipe, PrepareRecipe, SubsampleRecipe, TextsRecipe
from gap.study.sizes import count_rows, parse_seeds
from gap.study.sources import DataFile, Folder, deciding
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
        check_spelling(sorted({os.path.relpath(path) for path in workflow.configfiles}))
    STUDY = complete(config)
    workflow.register_pathvars(**config["pathvars"])
    config["pathvars"] = {name: folder_of(name) for name in config["pathvars"]}
    RESULTS = config["pathvars"]["results"]
    # Jobs on other machines need not read people's files again.
    ABSENT = check(STUDY, Path(RESULTS)) if workflow.is_main_process else []
except UserError as error:
    stop(f"config: {error}")
for absent in ABSENT:
    warn(f"config: {absent}; nothing can run before")
for caution in cautions(STUDY) if workflow.is_main_process else []:
    warn(f"config: {caution}")
unread = Path("config.yaml").absolute()
if unread.exists() and STANDALONE and workflow.is_main_process:
    if unread.resolve() not in {Path(path).resolve() for path in workflow.configfiles}:
        warn(
            "config.yaml of this folder is not read; if it is this study's, add "
            "--configfile config.yaml"
        )


# Snakemake compares results with its records. Without records it would believe that today's config,
# code and data made all results that are there; with --touch a person says that they did.
made_before = any(
    paths.located(paths.CARD, RESULTS, dataset=name).exists() for name in STUDY.datasets
)
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
    texts=r"[\w.-]+",
    source=r"(dataset|test|table|text|checkpoint)-[\w.-]+",


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
    return {STUDY.model_zoo[model].family for model in models}


def provenance(name, models=None):
    """What makes the results of a program: digest of its code, versions of packages.

    `models` are those that it works with, if not all of the study.
    """
    families = families_of(STUDY.models if models is None else models)
    return provenance_of(name, STUDY.packages, VERSIONS, families)


def source_spec(wildcards):
    """The config's source behind dataset-, test-, table-, text- or checkpoint-NAME."""
    role, _, name = wildcards.source.partition("-")
    if role == "checkpoint":
        return STUDY.checkpoint_zoo[name]
    if role == "text":
        return STUDY.text_zoo[name].source
    dataset = STUDY.dataset_zoo[name]
    return {"dataset": dataset.source, "test": dataset.test, "table": dataset.label_table}[role]


def dataset_of(wildcards):
    return STUDY.dataset_zoo[wildcards.dataset]


# What is asked of each model, by its name; see gap.models.family.
FAMILIES = {name: family_of(recipe) for name, recipe in STUDY.model_zoo.items()}


def family_of_run(wildcards):
    return FAMILIES[wildcards.model]


def checkpoint_of(wildcards):
    """The name of the checkpoint that a model needs and reads the ids of; None without one."""
    return family_of_run(wildcards).recipe.name_in("checkpoint_zoo")


def vocabulary_of(wildcards):
    """The name of the vocabulary that a model reads with, fitted on its examples, or None."""
    return family_of_run(wildcards).recipe.name_in("vocabulary_zoo")


def is_there(cell):
    """Whether a run was finished some time."""
    return paths.located(paths.PREDICTIONS, RESULTS, **cell.wildcards).exists()


def is_finished():
    """Whether the study was finished some time."""
    return paths.located(paths.SUMMARY, RESULTS).exists()


# The cells that results are made of, in their order, and the others.
PRESENT = dict.fromkeys(cell for cell in STUDY.cells if not STUDY.partial or is_there(cell))
MISSING = [cell for cell in STUDY.cells if cell not in PRESENT]
if not PRESENT:
    stop("config: partial: no run of the study is finished yet; call snakemake without it")


def for_each_cell(pattern):
    """The files of a pattern with wildcards dataset, model, size and seeds, for the whole study."""
    return [pattern.format(**cell.wildcards) for cell in PRESENT]


# What is measured of the models whose forgetting is asked for.
FORGETTING = [
    paths.FORGETTING.format(**cell.wildcards) for cell in PRESENT if cell.model in STUDY.forgetting
]


def if_forgetting(*files):
    """These files where forgetting is measured, else none."""
    return list(files) if FORGETTING else []


# The runs whose starts on other data sets are compared, by data set, model and size.
STARTED = list(
    dict.fromkeys(
        (cell.dataset, cell.model, cell.size) for cell in PRESENT if cell.model in STUDY.transfer
    )
)
SIMILARITIES = [
    paths.SIMILARITY.format(dataset=dataset, model=model, size=size)
    for dataset, model, size in STARTED
]


def if_transferred(*files):
    """These files where starts on other data sets are compared, else none."""
    return list(files) if SIMILARITIES else []


# What was predicted by models that have a classifier on each layer of a checkpoint.
COMPARED_LAYERS = [
    paths.PREDICTIONS_MANIFEST.format(**cell.wildcards)
    for cell in PRESENT
    if family_of_run(cell).compares_layers
]


def if_compared(*files):
    """These files where layers are compared, else none."""
    return list(files) if COMPARED_LAYERS else []


# Where a target is to be reached, the table of what that takes.
TARGETS = ["targets"] if STUDY.target else []


def pick(mapping, *keys):
    """The named keys of a mapping, those that it has."""
    return {key: mapping[key] for key in keys if key in mapping}


def brief(arguments):
    """Arguments as they are; if they are long, @FILE that holds them."""
    return within_limit(arguments, paths.located(paths.ARGUMENTS, RESULTS))


def spell(recipe):
    """A recipe as a param and as an argument: canonical JSON, or the file of it."""
    content = recipe.plain() if isinstance(recipe, Block) else recipe
    return brief([canonical_json(content)])[0]


def listed(name):
    """A list of input files as arguments, or the file of them; a param that never triggers."""
    return lambda wildcards, input: shlex.join(brief(list(input.get(name))))


def options(files):
    """Command-line options for named files: "--ids results/... --pool ..."."""
    return " ".join(f"--{name} {shlex.quote(str(path))}" for name, path in files.items())


def named_options(having, input):
    """Command-line options for lists of input files, "--pools imdb=results/...", by their names."""
    return " ".join(
        f"--{kind} " + " ".join(shlex.quote(f"{name}={path}") for name, path in pairs)
        for kind, names in having.items()
        if (pairs := list(zip(names, input.get(kind), strict=True)))
    )


def local_files(wildcards):
    """The user's own files, as inputs that never trigger; their digests, a param, do."""
    source = source_spec(wildcards)
    if not isinstance(source, DataFile | Folder):
        return []
    path = Path(source.path)
    if wildcards.source.startswith("checkpoint-"):
        files = sorted(filter(Path.is_file, path.iterdir()))
    else:
        try:
            files = list_data_files(path, plain=wildcards.source.startswith("text-"))
        except AbsentError:
            # A plan needs none, and a run does not begin: check_files.
            files = []
    # Where one works, whatever prefix a module's files have.
    return [local(ancient(str(file))) for file in files]


def local_content(wildcards):
    """The digests of the user's own files: a touched or copied file is still the same."""
    known = paths.located(paths.SOURCE_SEEN, RESULTS, source=wildcards.source)
    return canonical_json(file_digests(map(str, local_files(wildcards)), known))


def any_of(names):
    """A pattern that fits these names and nothing else; without names, nothing at all."""
    return "(?:" + ("|".join(map(re.escape, sorted(names))) or "(?!)") + ")"


def source_manifest(role, name):
    """The manifest of a data set's "dataset", "test" or "table", of a "text" or of a "checkpoint"."""
    return paths.SOURCE_MANIFEST.format(source=f"{role}-{name}")


def prepare_inputs(wildcards):
    files = {"source": source_manifest("dataset", wildcards.dataset)}
    if dataset_of(wildcards).test_source:
        files["test_source"] = source_manifest("test", wildcards.dataset)
    if dataset_of(wildcards).label_table:
        files["label_table"] = source_manifest("table", wildcards.dataset)
    return files


def prepare_recipe(wildcards):
    """The part of a data set's entry that decides its rows; where they come from is an input."""
    return PrepareRecipe.of(wildcards.dataset, dataset_of(wildcards))


def texts_recipe(wildcards):
    """The part of an entry of text_zoo that decides its texts; where they come from is an input."""
    return TextsRecipe.of(wildcards.texts, STUDY.text_zoo[wildcards.texts])


def subsample_recipe(wildcards):
    """What decides which rows of the pool a run has."""
    return SubsampleRecipe(size=wildcards.size, validation=STUDY.validation)


def encode_recipe(wildcards):
    """Which part of a text gets ids."""
    dataset = dataset_of(wildcards)
    return EncodeRecipe(
        keep=dataset.keep,
        max_tokens=dataset.max_tokens,
        max_unknown=dataset.max_unknown,
        pair=dataset.pair,
    )


def ids_of(model, names):
    """The paths of the ids that a run of these names reads; None where its model reads texts."""
    recipe = STUDY.model_zoo[model]
    pretrained, fitted = recipe.name_in("checkpoint_zoo"), recipe.name_in("vocabulary_zoo")
    if not (pretrained or fitted):
        return None
    ids = paths.VOCABULARY_IDS if fitted else paths.CHECKPOINT_IDS
    names = names | {"checkpoint": pretrained, "vocabulary": fitted}
    return paths.Ids(*(path.format(**names) for path in ids))


def text_inputs(wildcards, part):
    """The texts of "pool" or "test" in the form that the model reads, with their manifest."""
    names = dict(wildcards.items())
    if ids := ids_of(wildcards.model, names):
        manifest = {"pool": ids.pool, "test": ids.test}[part]
        return {"texts_manifest": manifest, "ids": ancient(ids.texts)}
    manifest = {"pool": paths.POOL_MANIFEST, "test": paths.TEST_MANIFEST}[part]
    texts = {"pool": paths.POOL, "test": paths.TEST}[part]
    return {
        "texts_manifest": manifest.format(**names),
        "texts": ancient(texts.format(**names)),
    }


def encoded_tests():
    """The manifests of encoded test sets, and the data set and model that each is for."""
    files = {
        (cell.dataset, cell.model, ids.test): None
        for cell in PRESENT
        if (ids := ids_of(cell.model, cell.wildcards))
    }
    return list(files)


def checkpoint_inputs(wildcards):
    name = checkpoint_of(wildcards)
    return {"checkpoint": source_manifest("checkpoint", name)} if name else {}


def bridge_inputs(wildcards):
    """The vocabularies that a checkpoint's embeddings are bridged to, and the generator of one."""
    by = family_of_run(wildcards).recipe.bridges
    if by is None:
        return {}
    names = dict(wildcards.items()) | {
        "vocabulary": vocabulary_of(wildcards),
        "checkpoint": checkpoint_of(wildcards),
    }
    files = {"vocabulary": ancient(paths.VOCABULARY.format(**names))}
    if by == "generator":
        files["bridge_manifest"] = paths.BRIDGE_MANIFEST.format(**names)
        files["bridge"] = ancient(paths.BRIDGE.format(**names))
    return files


def of_text(name, of_datasets, of_texts):
    """One of two patterns: that of a data set, or of texts without labels, by the name."""
    pattern = of_texts if name in STUDY.unlabelled else of_datasets
    return pattern.format(dataset=name, texts=name)


def review_inputs(wildcards):
    """The ids that a model's checkpoint was pretrained on, where blocks of them are trained on."""
    reviews = family_of_run(wildcards).recipe.reviews
    return corpus_ids_of(checkpoint_of(wildcards)) if reviews else {}


def corpus_ids_of(checkpoint):
    """The ids that a checkpoint was pretrained on, as a named input."""
    return {"corpus-ids": ancient(paths.CORPUS_IDS.format(checkpoint=checkpoint))}


def corpus_inputs(wildcards):
    """The texts that a checkpoint is pretrained on, and the test sets no text of which is read."""
    corpus = sorted(STUDY.pretrained[wildcards.checkpoint].corpus)
    named = sorted({*corpus, *STUDY.datasets})
    manifests, texts = (
        [of_text(name, *patterns) for name in corpus]
        for patterns in (
            (paths.POOL_MANIFEST, paths.UNLABELLED_MANIFEST),
            (paths.POOL, paths.UNLABELLED),
        )
    )
    return {
        "pool_manifests": manifests,
        "pools": [ancient(file) for file in texts],
        "test_manifests": [
            paths.TEST_MANIFEST.format(dataset=name) for name in sorted(STUDY.datasets)
        ],
        "tests": [ancient(paths.TEST.format(dataset=name)) for name in sorted(STUDY.datasets)],
        "cards": [ancient(of_text(name, paths.CARD, paths.UNLABELLED_CARD)) for name in named],
    }


def corpus_options(wildcards, input):
    """Command-line options that name the files of each data set."""
    corpus = STUDY.pretrained[wildcards.checkpoint].corpus
    having = {"pools": corpus, "tests": STUDY.datasets, "cards": {*corpus, *STUDY.datasets}}
    return named_options({kind: sorted(names) for kind, names in having.items()}, input)


def start_inputs(wildcards):
    """The checkpoint that is pretrained further, if it is not a new one."""
    start = STUDY.pretrained[wildcards.checkpoint].continued
    return {"start": source_manifest("checkpoint", start)} if start else {}


# Those that the workflow would make, also where no model of the study begins with them.
OWN_CHECKPOINTS = [
    name
    for name, source in STUDY.checkpoint_zoo.items()
    if source.kind in ("pretrained", "trained")
]
# The checkpoints of the study's own that models begin with, by model, and the files that say what
# they took: none in a study that pretrains none.
BEGUN_WITH = {
    model: STUDY.model_zoo[model].pretrained
    for model in STUDY.models
    if STUDY.model_zoo[model].pretrained in STUDY.pretrained
}
OWN_PRETRAINING = {"pretraining": paths.table("pretraining")} if STUDY.pretrained else {}
OWN_ORIGINS = [paths.SOURCE_ORIGIN.format(source=f"checkpoint-{name}") for name in STUDY.pretrained]


def run_behind(checkpoint):
    """The block of runs that has the one whose weights a checkpoint is."""
    return next(cell for cell in STUDY.cells if STUDY.trained[checkpoint].is_of(cell))


def trained_inputs(wildcards):
    """What a run was trained to and read with, its texts, and the test sets that it must not know."""
    cell = run_behind(wildcards.checkpoint)
    names = cell.wildcards | {"vocabulary": vocabulary_of(cell)}
    targets = STUDY.targets_of(wildcards.checkpoint)
    files = {
        "training": paths.TRAINING.format(**names),
        "weights": ancient(paths.WEIGHTS.format(**names)),
        "subsample": ancient(paths.SUBSAMPLE.format(**names)),
        "pool_manifest": paths.POOL_MANIFEST.format(**names),
        "pool": ancient(paths.POOL.format(**names)),
        "test_manifests": [paths.TEST_MANIFEST.format(dataset=name) for name in targets],
        "tests": [ancient(paths.TEST.format(dataset=name)) for name in targets],
        "cards": [ancient(paths.CARD.format(dataset=name)) for name in [cell.dataset, *targets]],
    }
    if names["vocabulary"]:
        files["vocabulary"] = ancient(paths.VOCABULARY.format(**names))
    return files | checkpoint_inputs(cell)


def trained_options(wildcards, input):
    """Command-line options that name the files of each data set, and the tokenizer of the run."""
    cell, targets = run_behind(wildcards.checkpoint), STUDY.targets_of(wildcards.checkpoint)
    having = {"tests": targets, "cards": [cell.dataset, *targets]}
    # A bridge leads away from the checkpoint's tokenizer.
    tokenizer = "vocabulary" if "vocabulary" in input.keys() else "checkpoint"
    return f"{named_options(having, input)} {options({tokenizer: input[tokenizer]})}"


def source_of(wildcards):
    """The entry of the checkpoint of a model that begins with a run on another data set."""
    return STUDY.trained[checkpoint_of(wildcards)]


def run_from_scratch(wildcards):
    """The first block of runs of the reference beside a model that begins on another data set."""
    wanted = wildcards.dataset, STUDY.reference, wildcards.size
    return next(cell for cell in STUDY.cells if (cell.dataset, cell.model, cell.size) == wanted)


def similarity_inputs(wildcards):
    """Both runs of a pair: what they were trained to, the texts that they know, and the ids."""
    cell, source = run_from_scratch(wildcards), run_behind(checkpoint_of(wildcards))
    sides = {"": cell.wildcards, "source_": source.wildcards}
    files = {
        f"{side}{name}": path.format(**names)
        for side, names in sides.items()
        for name, path in (
            ("pool_manifest", paths.POOL_MANIFEST),
            ("subsample_manifest", paths.SUBSAMPLE_MANIFEST),
        )
    } | {
        f"{side}{name}": ancient(path.format(**names))
        for side, names in sides.items()
        for name, path in (("pool", paths.POOL), ("subsample", paths.SUBSAMPLE))
    }
    scratch = ids_of(cell.model, cell.wildcards)
    begun = ids_of(wildcards.model, dict(wildcards.items()))
    return files | {
        "checkpoint": source_manifest("checkpoint", checkpoint_of(wildcards)),
        "training": paths.TRAINING.format(**cell.wildcards),
        "weights": ancient(paths.WEIGHTS.format(**cell.wildcards)),
        "ids_manifest": scratch.pool,
        "ids": ancient(scratch.texts),
        "checkpoint_ids_manifest": begun.pool,
        "checkpoint_ids": ancient(begun.texts),
    }


def similarity_options(wildcards, input):
    """Command-line options that name the files of both runs."""
    sides = [
        f"{side}{name}"
        for side in ("", "source_")
        for name in ("pool", "pool_manifest", "subsample")
    ]
    names = [*sides, "weights", "ids", "checkpoint", "checkpoint_ids"]
    return options({name.replace("_", "-"): input[name] for name in names})


# The checkpoints whose embeddings a generator brings to other vocabularies.
BRIDGED = list(
    dict.fromkeys(
        STUDY.model_zoo[model].pretrained
        for model in STUDY.models
        if STUDY.model_zoo[model].bridges == "generator"
    )
)
BRIDGES = {"bridges": paths.table("bridges")} if BRIDGED else {}


def own_masked_lm(checkpoint):
    """The recipe of a checkpoint that the study pretrains on masked tokens; None for another one."""
    source = STUDY.pretrained.get(checkpoint)
    return source if isinstance(source, MaskedLm) else None


def lesson_inputs(wildcards):
    """The ids that a masked language model of the study's own was pretrained on."""
    name = wildcards.checkpoint
    return corpus_ids_of(name) if own_masked_lm(name) else {}


def lesson_options(wildcards, input):
    """The command-line option that names them."""
    return options({name: input[name] for name in lesson_inputs(wildcards)})


def own_options(input, output):
    """Command-line options for what the study made of checkpoints, and the tables of it."""
    files = {name: output[name] for name in [*OWN_PRETRAINING, *BRIDGES]}
    generators = f"--generators {listed('generators')(None, input)}" if BRIDGED else ""
    return f"{named_options({'origins': STUDY.pretrained}, input)} {generators} {options(files)}"


def recipe_of(wildcards):
    """The part of a model's entry that decides its results: all but seeds and name in charts."""
    return family_of_run(wildcards).recipe.deciding()


def identity_of(wildcards):
    """What tells the runs of a job from others: data set, model and size."""
    return canonical_json(pick(dict(wildcards.items()), "dataset", "model", "size"))


def model_options(wildcards, input):
    return options(
        {
            name: input[name]
            for name in ("ids", "texts", "checkpoint", "corpus-ids", "vocabulary", "bridge")
            if name in input.keys()
        }
    )


def descents(wildcards):
    """How many trials of a model take the time of a training; some share most of their work."""
    recipe = family_of_run(wildcards).recipe
    return recipe.trials if recipe.by_gradient_descent else 1


TIMED = [cell for cell in timed_cells(STUDY.cells) if cell in PRESENT]


def timed_of(dataset):
    """The cells of a data set that are timed; the order of models in the config decides nothing."""
    cells = [cell for cell in TIMED if cell.dataset == dataset]
    return sorted(cells, key=lambda cell: cell.model)


def latency_inputs(wildcards):
    """The trained models of a data set, and the vocabularies that they read texts with."""
    files = {name: [] for name in ("trainings", "weights", "vocabulary_manifests", "vocabularies")}
    files["checkpoints"] = []
    for cell in timed_of(wildcards.dataset):
        names = cell.wildcards | {"vocabulary": vocabulary_of(cell)}
        files["trainings"].append(paths.TRAINING.format(**names))
        files["weights"].append(ancient(paths.WEIGHTS.format(**names)))
        files["checkpoints"] += checkpoint_inputs(cell).values()
        if names["vocabulary"]:
            files["vocabulary_manifests"].append(paths.VOCABULARY_MANIFEST.format(**names))
            files["vocabularies"].append(ancient(paths.VOCABULARY.format(**names)))
    return files


def latency_options(wildcards, input):
    """Command-line options that name the files of each model."""
    cells = timed_of(wildcards.dataset)
    having = {
        "trainings": [cell.model for cell in cells],
        "weights": [cell.model for cell in cells],
        "checkpoints": [cell.model for cell in cells if checkpoint_of(cell)],
        "vocabularies": [cell.model for cell in cells if vocabulary_of(cell)],
    }
    return named_options(having, input)


def latency_recipe(wildcards):
    """What decides what is timed: the models, and how much of a text they read."""
    return {
        "cell": {"dataset": wildcards.dataset},
        "dataset": pick(dataset_of(wildcards).plain(), "words", "max_tokens", "keep", "pair"),
        "models": {cell.model: recipe_of(cell) for cell in timed_of(wildcards.dataset)},
    }


# Priority of what trainings wait for: once all of it is there, the longest training can start first.
FIRST = sys.maxsize


def expected_work(wildcards):
    """How long a training takes beside others: the longest start first, so none runs alone at the end."""
    family, dataset = family_of_run(wildcards), dataset_of(wildcards)
    seconds = expected_seconds(family, dataset, wildcards.size, STUDY.validation)
    return min(FIRST - 1, int(1000 * seconds * len(parse_seeds(wildcards.seeds))))


PROGRAMS = {
    name: provenance(f"{name}.py")
    for name in (
        "download prepare prepare_texts collect_corpus pretrain make_checkpoint fit_bridge subsample fit_vocabulary encode train predict score gather estimate_gap "
        "forecast_gap price_target examine_errors measure_latency gather_latency measure_forgetting gather_forgetting measure_similarity "
        "foretell_transfer chart_gap "
        "chart_cost chart_forgetting chart_layers chart_transfer write_summary "
        "write_report export_tables"
    ).split()
}


def named_config():
    """The part of the config that the study's results come from: the entries that it names."""
    named = STUDY.with_named_entries().plain()
    return {key: value for key, value in named.items() if key not in ("pathvars", "partial")}


def source_names():
    """The names of all sources that the study names: of data, tests, labels, checkpoints."""
    named = STUDY.with_named_entries()
    names = [f"dataset-{name}" for name in named.dataset_zoo]
    names += [f"test-{name}" for name, entry in named.dataset_zoo.items() if entry.test_source]
    names += [f"table-{name}" for name, entry in named.dataset_zoo.items() if entry.label_table]
    names += [f"text-{name}" for name in named.text_zoo]
    return names + [f"checkpoint-{name}" for name in named.checkpoint_zoo]


def for_each_source(pattern):
    """The files of a pattern with the wildcard source, of all sources that the study names."""
    return [pattern.format(source=name) for name in source_names()]


def summary_recipe():
    """How the chart and the summary name the models, in the study's order, and judge gaps."""
    published = [
        {"dataset": dataset} | figure.plain()
        for dataset in STUDY.datasets
        for figure in STUDY.dataset_zoo[dataset].published
        if figure.model in STUDY.models
    ]
    others = {"missing": [cell.wildcards for cell in MISSING], "published": published}
    return reading_recipe(config) | {key: rows for key, rows in others.items() if rows}


def gap_recipe():
    """Which model the others are compared with, and how gaps are judged."""
    gap = STUDY.gap
    return ReadingRecipe(reference=STUDY.reference, **gap.model_dump())


def forecast_recipe():
    """What decides forecasts, which are of the first metric."""
    recipe = gap_recipe()
    return recipe.model_copy(update={"metric": recipe.metric[:1]})


def target_recipe():
    """What is to be reached, and prices; nothing where there is no target."""
    if not STUDY.target:
        return {}
    ((metric, target),) = STUDY.target.aims.items()
    prices = STUDY.costs or Costs()
    return TargetRecipe(
        reference=STUDY.reference,
        metric=metric,
        target=target,
        risk=STUDY.target.risk,
        **prices.model_dump(),
    )


def errors_recipe():
    """What decides where errors are looked for, and how many texts are shown."""
    return ErrorsRecipe(
        models=STUDY.models,
        reference=STUDY.reference,
        examples=STUDY.examples,
        confidence=STUDY.gap.confidence,
    )


def verdict_recipe():
    """How the summary is made: as the chart is, with seeds, as it tells which to add, and origins."""
    seeds = {model: STUDY.model_zoo[model].seeds for model in STUDY.models}
    others = {"seeds": seeds, "checkpoints": checkpoint_origins(config)}
    if STUDY.pretrained:
        names = [model for model in STUDY.models if STUDY.model_zoo[model].pretrained is None]
        others["scratch"] = names
    if features := extractions(STUDY.model_zoo, STUDY.models):
        others["extractions"] = features
    return summary_recipe() | others


def cost_chart_recipe():
    """The part of the summary's recipe that decides the cost chart."""
    keys = ("datasets", "models", "reference", "titles", "confidence", "missing")
    return pick(summary_recipe(), *keys)


# The tables that are exported as Parquet, and those of them that are exported as LaTeX, too.
TABLES = (
    "scores accuracies gaps metrics crossings forecasts curves trials latency "
    "histories calibration labels lengths agreements examples"
).split()
EXPORTED = [*TABLES, *OWN_PRETRAINING, *BRIDGES, *TARGETS]
TABLES_OF_PAPERS = ["accuracies", "gaps", "crossings", "latency"]


def export_recipe():
    """The part of the summary's recipe that decides the tables of papers."""
    keys = ("datasets", "models", "reference", "titles", "metric", "margin", "confidence")
    return pick(summary_recipe(), *keys)


def check_files():
    """Before the first job, stop if a file of the user's is not there."""
    if ABSENT:
        sys.exit(f"error: config: {ABSENT[0]}")


def lift_default_rate():
    """Let Snakemake look for jobs to run when a job has ended, and at no other time.

    With a rate of jobs, which it has by default, it also looks once a second, and once a second
    more for each job that has ended: a third of a core after 250 jobs (Snakemake 9.27). A rate
    that was asked for stays.
    """
    limit = workflow.scheduler.job_rate_limiter
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def print_answer():
    """Say where to look, the answer, and what a person should know of the data."""
    summary = paths.located(paths.SUMMARY, RESULTS)
    if summary.exists():
        take_all_letters(sys.stdout)
        print(f"\nThe chart is {RESULTS}/gap.html, the tables are in {summary}.\n")
        print(summary.read_text(encoding="utf-8").partition("\n\n")[0])
    cards = {name: paths.located(paths.CARD, RESULTS, dataset=name) for name in STUDY.datasets}
    for name in STUDY.unlabelled:
        cards[name] = paths.located(paths.UNLABELLED_CARD, RESULTS, texts=name)
    for name, card in cards.items():
        # --touch leaves empty files.
        written = card.exists() and card.stat().st_size
        for warning in read_json(card).get("warnings", []) if written else []:
            print(f"warning: {name}: {warning}")


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
