"""The workflow in a folder of its own, a tiny study and data for it, and calls of snakemake."""

import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fork_server
import yaml

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "config.yaml", "rules", "scripts", "schemas", "profiles", "envs", "report")
PRAISE = ("good", "great", "fine")
COMPLAINTS = ("bad", "poor", "dull")
FILLERS = ("a", "the", "is", "was", "film", "book", "plot", "not")


@dataclass(frozen=True)
class Call:
    """What a call of snakemake came to."""

    rc: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def errors(self) -> list[str]:
        """The lines that begin with "error: ", each once, from a job's log or from the config."""
        lines = [line.strip() for line in self.output.splitlines()]
        return list(dict.fromkeys(line for line in lines if line.startswith("error: ")))


@dataclass(frozen=True)
class Study:
    """A folder to work in; `environment` holds variables for all calls there.

    It is a copy of the workflow, unless `snakefile` lies elsewhere.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    snakefile: Path | None = None

    def snakemake(
        self, *arguments: str, config: Mapping[str, Any] | str | None = None, timeout: float = 900
    ) -> Call:
        """Call snakemake; `config` is what --configfile names: its content, or its text as YAML."""
        words = [*arguments]
        if self.snakefile is not None:
            words += ["--snakefile", str(self.snakefile)]
        if config is not None:
            text = config if isinstance(config, str) else yaml.safe_dump(config, sort_keys=False)
            (self.folder / "study.yaml").write_text(text, encoding="utf-8")
            words += ["--configfile", "study.yaml"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SNAKEMAKE_")}
        environment |= self.environment
        if fork_server.suits(self.environment):
            return self._fork(words, environment, timeout)
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        return Call(done.returncode, done.stdout, done.stderr)

    def _fork(self, words: list[str], environment: dict[str, str], timeout: float) -> Call:
        """Call snakemake, and the programs that it calls, in processes that are forked."""
        dry = {"-n", "--dry-run", "--lint", "--unlock", "--report", "--touch"} & set(words)
        executable = None if dry else fork_server.python()
        with (
            open(os.devnull) as stdin,
            tempfile.TemporaryFile() as stdout,
            tempfile.TemporaryFile() as stderr,
        ):
            rc = fork_server.call(
                fork_server.start("snakemake"),
                ["snakemake", *words],
                str(self.folder),
                environment,
                [file.fileno() for file in (stdin, stdout, stderr)],
                executable,
                timeout,
            )
            stdout.seek(0)
            stderr.seek(0)
            call = Call(rc, stdout.read().decode(), stderr.read().decode())
        assert rc != -signal.SIGALRM, f"after {timeout} seconds: {call.output}"
        return call


def copy_workflow(folder):
    """Return a copy of what a person has who fetched the project; no results yet."""
    folder.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part)
        else:
            shutil.copy2(ROOT / part, folder / part)
    return Study(folder)


def write_tickets(path, seed=1):
    """Write 400 different rows of `body` and `queue`, others for another seed.

    Half of them are "praise", half "complaint", which a few of their words tell apart. All words
    are in the vocabulary of the fixture tiny_bert.
    """
    generator = random.Random(seed)
    rows: dict[str, str] = {}
    while len(rows) < 400:
        label, telling = (("praise", PRAISE), ("complaint", COMPLAINTS))[len(rows) % 2]
        words = generator.choices(FILLERS, k=12) + generator.choices(telling, k=3)
        generator.shuffle(words)
        rows[" ".join(words)] = label
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("body", "queue"), *rows.items()])
    return path


def write_words(path, seed=1):
    """Write 400 different rows whose words are made of others, and tell two labels apart.

    There are others for another seed.
    """
    generator = random.Random(seed)
    words = [
        stem + end for stem in ("film", "book", "plot", "show") for end in ("", "s", "ed", "ing")
    ]
    telling = {"praise": ["good", "goodness", "great"], "complaint": ["bad", "badly", "dull"]}
    rows: dict[str, str] = {}
    while len(rows) < 400:
        label = ("praise", "complaint")[len(rows) % 2]
        text = generator.choices(words, k=10) + generator.choices(telling[label], k=3)
        generator.shuffle(text)
        rows[" ".join(text)] = label
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("body", "queue"), *rows.items()])


def new_study(folder, tiny_bert):
    """Return a copy of the workflow with the files that TINY_STUDY and GRID read."""
    study = copy_workflow(folder)
    write_tickets(study.folder / "tickets.csv")
    write_tickets(study.folder / "notes.csv", seed=2)
    shutil.copytree(tiny_bert, study.folder / "tiny-bert")
    return study


STEPS = {"batch_size": 8, "max_epochs": 2, "min_steps": 24, "evaluations": 3, "lr": 0.01}
TINY_STUDY: dict[str, Any] = {
    "datasets": ["tickets"],
    "models": ["bert", "lstm", "tfidf"],
    "reference": "bert",
    "sizes": [40, "25%"],
    "seeds": [1, 2],
    "dataset_zoo": {
        "tickets": {
            "source": {"kind": "file", "path": "tickets.csv"},
            "text": "body",
            "label": "queue",
            "test": 100,
        }
    },
    "checkpoint_zoo": {"tiny": {"kind": "file", "path": "tiny-bert"}},
    "vocabulary_zoo": {"few": {"algorithm": "unigram", "size": 64}},
    "model_zoo": {
        "bert": {
            "family": "transformer",
            "checkpoint": "tiny",
            "title": "Tiny BERT",
            "optimisation": STEPS,
        },
        "lstm": {
            "family": "lstm",
            "vocabulary": "few",
            "width": 16,
            "seeds": ["1-2"],
            "optimisation": STEPS,
        },
        "tfidf": {"family": "linear", "seeds": ["1-2"]},
    },
}
TICKETS = TINY_STUDY["dataset_zoo"]["tickets"]
ZOO = TINY_STUDY["model_zoo"]
# Two data sets, three models, two sizes: twelve trainings, each of a block of two seeds. Tried are
# two of two settings, two of four, and a logistic regression's own four.
GRID: dict[str, Any] = TINY_STUDY | {
    "datasets": ["tickets", "notes"],
    "seeds": ["1-2"],
    "dataset_zoo": {
        "tickets": TICKETS,
        "notes": TICKETS | {"source": {"kind": "file", "path": "notes.csv"}},
    },
    "tuning": {"trials": 2},
    "model_zoo": ZOO
    | {
        "bert": ZOO["bert"] | {"optimisation": STEPS | {"lr": [0.01, 0.0001]}},
        "lstm": ZOO["lstm"]
        | {"dropout": [0.1, 0.5], "optimisation": STEPS | {"lr": [0.01, 0.0001]}},
    },
}
