"""Where the files of a study are, as patterns that rules and programs share.

`<results>` is Snakemake's variable for the folder of results, {dataset}, {size} and so on are its
wildcards. A file that ends in .json and is named like another describes that one: its manifest.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

RESULTS = "<results>"

# Arguments that are too long for a command line, see gap.run.arguments.
ARGUMENTS = f"{RESULTS}/.arguments"

# What was fetched; {source} is dataset-NAME, test-NAME, table-NAME,
# text-NAME or checkpoint-NAME.
SOURCE_FILES = f"{RESULTS}/sources/{{source}}/files"
SOURCE_MANIFEST = f"{RESULTS}/sources/{{source}}/manifest.json"
SOURCE_ORIGIN = f"{RESULTS}/sources/{{source}}/origin.json"
# Digests of people's own files, with the sizes and times that these had then.
SOURCE_SEEN = f"{RESULTS}/sources/{{source}}/seen.json"

DATASET = f"{RESULTS}/datasets/{{dataset}}"
POOL = f"{DATASET}/pool.parquet"
POOL_MANIFEST = f"{DATASET}/pool.json"
TEST = f"{DATASET}/test.parquet"
TEST_MANIFEST = f"{DATASET}/test.json"
REJECTS = f"{DATASET}/rejects.csv"
CARD = f"{DATASET}/card.json"

# Texts without labels.
UNLABELLED = f"{RESULTS}/texts/{{texts}}/texts.parquet"
UNLABELLED_MANIFEST = f"{RESULTS}/texts/{{texts}}/texts.json"
UNLABELLED_REJECTS = f"{RESULTS}/texts/{{texts}}/rejects.csv"
UNLABELLED_CARD = f"{RESULTS}/texts/{{texts}}/card.json"

# The texts that a checkpoint is pretrained on.
CORPUS = f"{RESULTS}/corpora/{{checkpoint}}/texts.parquet"
CORPUS_MANIFEST = f"{RESULTS}/corpora/{{checkpoint}}/texts.json"
# Their ids, of those that were trained on and of those held out.
CORPUS_IDS = f"{RESULTS}/corpora/{{checkpoint}}/ids"

# What leads from a checkpoint's embeddings to other vocabularies.
BRIDGE = f"{RESULTS}/bridges/{{checkpoint}}/generator.safetensors"
BRIDGE_MANIFEST = f"{RESULTS}/bridges/{{checkpoint}}/bridge.json"

# Subsamples and vocabularies of a block of seeds.
SUBSAMPLE = f"{DATASET}/subsamples/{{size}}/{{seeds}}.parquet"
SUBSAMPLE_MANIFEST = f"{DATASET}/subsamples/{{size}}/{{seeds}}.json"
VOCABULARY = f"{DATASET}/vocabularies/{{vocabulary}}/{{size}}/{{seeds}}"
VOCABULARY_MANIFEST = f"{VOCABULARY}.json"


class Ids(NamedTuple):
    """Token ids of texts: the texts, and the manifests of those of the pool and of the test set."""

    texts: str
    pool: str
    test: str


def _ids(folder: str) -> Ids:
    return Ids(f"{folder}/texts", f"{folder}/pool.json", f"{folder}/test.json")


# A checkpoint's tokenizer encodes all texts; vocabularies that were fitted on a block of subsamples
# encode these and the test set.
CHECKPOINT_IDS = _ids(f"{DATASET}/ids/{{checkpoint}}")
VOCABULARY_IDS = _ids(f"{DATASET}/ids/{{vocabulary}}/{{size}}/{{seeds}}")

# A training of a block of seeds.
RUN = f"{RESULTS}/runs/{{dataset}}/{{model}}/{{size}}/{{seeds}}"
TRAINING = f"{RUN}/training.json"
WEIGHTS = f"{RUN}/weights"
PREDICTIONS = f"{RUN}/predictions.parquet"
PREDICTIONS_MANIFEST = f"{RUN}/predictions.json"
SCORES = f"{RUN}/scores.json"
FORGETTING = f"{RUN}/forgetting.json"

# How alike a run's data set is to the one that its model's checkpoint was trained on.
SIMILARITY = f"{RESULTS}/similarities/{{dataset}}/{{model}}/{{size}}.json"

LATENCY = f"{RESULTS}/latency/{{dataset}}.json"
SUMMARY = f"{RESULTS}/summary.md"
REPORT = f"{RESULTS}/report.html"
PROVENANCE = f"{RESULTS}/provenance.json"

CHART_FORMATS = ("html", "svg", "png", "vl.json")


def table(name: str) -> str:
    """Return the pattern of a table of the whole study, such as "gaps"."""
    return f"{RESULTS}/{name}.csv"


def chart(name: str, file_format: str) -> str:
    """Return the pattern of a chart, such as "gap", in one of CHART_FORMATS."""
    return f"{RESULTS}/{name}.{file_format}"


def exported(name: str, file_format: str) -> str:
    """Return the pattern of a table as it is exported: "parquet" or "tex"."""
    return f"{RESULTS}/tables/{name}.{file_format}"


def located(pattern: str, results: Path | str, **wildcards: str) -> Path:
    """Return the path that a pattern stands for, in the folder of results that a study has."""
    return Path(pattern.replace(RESULTS, str(results), 1).format(**wildcards))
