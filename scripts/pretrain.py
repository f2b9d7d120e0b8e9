"""Pretrain a checkpoint on texts without labels, and write it as a fetched one stands."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gap.data.checkpoints import checkpoint_folder, link_tokenizer
from gap.data.encoded_files import encode_file
from gap.data.fetched_files import describe_files
from gap.data.manifests import CorpusManifest, PretrainingOutcome, PretrainingRecord
from gap.data.prepared import held_out_rows, iterate_texts
from gap.data.vocabulary import EncodedTexts, PretrainedVocabulary
from gap.run.durable import flush
from gap.run.errors import UserError
from gap.run.folders import files_below, link
from gap.run.json import read_json, write_json
from gap.run.launchers import forget_launchers
from gap.run.program import run
from gap.run.runstate import keep, restore, state_folder
from gap.run.stopping import stop_at_once
from gap.run.stopwatch import time_spent, timed
from gap.study.fields import LARGEST_WHOLE
from gap.study.pretraining import RECIPE, OwnCheckpoint, WordVectors, load_own
from gap.study.rules import EncodeRecipe
from gap.study.schedule import per_epoch
from gap.study.tuning import Evaluation, best_evaluation

if TYPE_CHECKING:
    from gap.models.pretraining.blocks import Blocks
    from gap.models.pretraining.networks import NetworkRecipe
    from transformers import PreTrainedModel

# Texts are cut nowhere: blocks take what stands in them, one behind the other.
WHOLE_TEXTS = EncodeRecipe(keep="head", max_tokens=LARGEST_WHOLE)
# The texts that are trained on, and those that judge.
SIDES = ("training", "held-out")


@dataclass(frozen=True)
class Work:
    """What is pretrained, on which file of texts, and where unfinished work stands.

    `start` is the folder of the checkpoint that is pretrained further, if there is one.
    """

    recipe: OwnCheckpoint
    texts: Path
    start: Path | None
    state: Path

    @property
    def tokenizer(self) -> Path:
        """The folder of the tokenizer."""
        return self.start or self.state / "tokenizer"

    @property
    def files(self) -> Path:
        """The folder of the finished checkpoint."""
        return self.state / "files"

    @property
    def ledger(self) -> Path:
        """The file of the time that all attempts took."""
        return self.state / "time.json"

    def ids(self, side: str) -> Path:
        """The files, but for what their names end in, of the ids of one of SIDES."""
        return self.state / "ids" / side


def make_tokenizer(work: Work) -> None:
    """Fit the tokenizer on the texts that are trained on, unless one is there."""
    if work.tokenizer.exists():
        return
    from gap.models.pretraining.tokenizer import fit_tokenizer

    partial = work.state / "tokenizer.partial"
    shutil.rmtree(partial, ignore_errors=True)
    rows = (~held_out_rows(work.texts)).nonzero()[0]
    texts = (text for texts in iterate_texts(work.texts, rows) for text in texts)
    pieces = fit_tokenizer(texts, work.recipe.fitted_tokenizer, work.recipe.seed, partial)
    flush(partial)
    partial.rename(work.tokenizer)
    print(f"tokenizer: {pieces:,} pieces", flush=True)


def encode_corpus(work: Work, threads: int) -> None:
    """Write the ids of the texts of each side, unless they are there."""
    stream = PretrainedVocabulary(work.tokenizer)
    # Each text is followed by what ends one; only blocks have what begins one.
    stream.prefix = []
    flags = held_out_rows(work.texts)
    for side, chosen in zip(SIDES, (~flags, flags), strict=True):
        stem, pieces = work.ids(side), work.state / "pieces" / side
        if not stem.with_suffix(".json").exists():
            rows = chosen.nonzero()[0]
            encode_file(work.texts, stream, WHOLE_TEXTS, stem, pieces, rows, threads)


def make_blocks(
    work: Work, recipe: NetworkRecipe, vocabulary: PretrainedVocabulary
) -> Iterator[Blocks]:
    """Yield the blocks of each of SIDES; raise UserError where there are none."""
    from gap.models.pretraining.networks import blocks_of, signs_of

    signs = signs_of(vocabulary, work.tokenizer)
    for side in SIDES:
        ids = EncodedTexts.open(work.ids(side)).ids
        blocks = blocks_of(recipe, ids, signs)
        if not len(blocks):
            raise UserError(
                f"corpus of {', '.join(recipe.corpus)}: the {side} texts have {len(ids):,} tokens, "
                f"less than a block of {recipe.block}; choose a smaller `block`"
                f"{', or a larger `held_out`' * (side != SIDES[0])}, or more texts"
            )
        yield blocks


def pretrain_network(work: Work, recipe: NetworkRecipe) -> PretrainingOutcome:
    """Pretrain a network, write it into its folder, and return what was done.

    Processes that work together all call this alike.
    """
    from gap.models.pretraining.networks import network_of
    from gap.models.training import train_network
    from gap.run.processes import is_first, rank_and_count
    from transformers import set_seed

    vocabulary = PretrainedVocabulary(work.tokenizer)
    training, held_out = make_blocks(work, recipe, vocabulary)
    set_seed(recipe.seed)
    model = network_of(recipe, vocabulary, training.stream, work.start)
    before = judge(model, held_out)
    descent = recipe.optimisation.descent
    evaluations = train_network(
        model, training, held_out, descent, recipe.seed, work.state / "checkpoints"
    )
    best = best_evaluation(evaluations, "loss")
    if best["loss"] is None:
        raise UserError(
            f"the held-out loss is not finite at step {best['step']}, the first that was looked "
            "at: pretraining diverges; lower lr or max_grad_norm in its `optimisation`"
        )
    if is_first():
        model.save_pretrained(work.files)
    return {
        "tokens": len(training.stream),
        "passes": round(evaluations[-1]["step"] / per_epoch(len(training), descent), 3),
        "processes": rank_and_count()[1],
        "best_step": best["step"],
        "evaluations": [before, *evaluations],
    }


def judge(model: PreTrainedModel, held_out: Blocks) -> Evaluation:
    """Return what a network that is not pretrained yet knows of the held-out texts."""
    import numpy as np

    targets = len(held_out) * held_out.targets
    loss, right = held_out.judge(model, np.arange(len(held_out)))
    print(f"step 0: held-out loss {loss / targets:.4f}", flush=True)
    return {"step": 0, "loss": loss / targets, "accuracy": right / targets}


def fit_word_vectors(work: Work, recipe: WordVectors) -> PretrainingOutcome:
    """Fit vectors of the tokens, write them into their folder, and return what was done."""
    from gap.models.pretraining.word_vectors import fit_vectors, write_vectors

    vocabulary = PretrainedVocabulary(work.tokenizer)
    ids = EncodedTexts.open(work.ids(SIDES[0])).ids
    vectors = fit_vectors(ids, recipe.size, recipe.window, recipe.seed, vocabulary)
    write_vectors(vectors, vocabulary.pad_id, work.files)
    return {
        "tokens": len(ids),
        "passes": 1.0,
        "processes": 1,
        "best_step": None,
        "evaluations": [],
    }


def pretrain(work: Work, processes: int) -> PretrainingRecord:
    """Pretrain by so many processes, or by this one; word vectors always are by one."""
    from gap.models.hardware import describe_hardware

    vectors = isinstance(work.recipe, WordVectors)
    hardware = describe_hardware(not vectors, 1 if vectors else processes)
    cores = hardware["processes"] * (hardware["threads"] if hardware["device"] == "cpu" else 1)
    with timed(work.ledger, cores):
        outcome = pretrain_together(work, processes)
    spent = time_spent(work.ledger)
    return {
        **outcome,
        "seconds": round(spent["seconds"], 1),
        "core_seconds": round(spent["core_seconds"], 1),
        "device": hardware["device"],
    }


def pretrain_together(work: Work, processes: int) -> PretrainingOutcome:
    """Pretrain by so many processes, or by this one, and return what was done."""
    if isinstance(work.recipe, WordVectors):
        return fit_word_vectors(work, work.recipe)
    if processes == 1:
        return pretrain_network(work, work.recipe)
    from gap.run.processes import in_processes

    return in_processes(processes, pretrain_network, work, work.recipe)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--recipe", required=True, help="JSON: the checkpoint's entry")
    parser.add_argument("--provenance", type=json.loads, required=True, help="JSON: code, packages")
    parser.add_argument("--texts", type=Path, required=True, help="Parquet file of the corpus")
    parser.add_argument("--corpus", type=Path, required=True, help="its manifest")
    parser.add_argument("--start", type=Path, help="manifest of the checkpoint to begin with")
    parser.add_argument("--processes", type=int, default=1, help="GPUs that work together")
    parser.add_argument("--threads", type=int, default=1, help="processes that encode texts")
    parser.add_argument("--files", type=Path, required=True, help="folder to write")
    parser.add_argument("--ids", type=Path, required=True, help="folder to write: the corpus")
    parser.add_argument("--manifest", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--origin", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args(argv)
    # Each of the processes is to stay on one core.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    forget_launchers()
    with stop_at_once():
        make_checkpoint(arguments)


def announce(parent: Path, recipe: OwnCheckpoint) -> None:
    """Say so where a finished pretraining differs in its budget only.

    Learning rates go by the whole budget, so to go on from there would depend on what was run
    before.
    """
    if isinstance(recipe, WordVectors):
        return
    wanted, budget = recipe.plain(), recipe.optimisation.passes
    for origin in parent.glob(".state/pretrain/*/finished/origin.json"):
        made = read_json(origin)["spec"]
        settings = made.get("optimisation", {})
        passes = settings.get("passes", budget)
        if passes != budget and wanted == made | {"optimisation": settings | {"passes": budget}}:
            print(
                f"it was pretrained for {passes:g} passes before: with another budget the course "
                "of the learning rate is another one, so it begins anew",
                flush=True,
            )


def make_checkpoint(arguments: argparse.Namespace) -> None:
    """Pretrain, unless that has been done, and put the outputs in place."""
    recipe = load_own(arguments.recipe)
    made_from = [arguments.corpus, *filter(None, [arguments.start])]
    specification = [arguments.recipe, arguments.provenance]
    announce(arguments.files.parent, recipe)
    state = state_folder(arguments.files.parent, "pretrain", specification, made_from)
    outputs = [arguments.files, arguments.ids, arguments.manifest, arguments.origin]
    if restore(state, outputs):
        return
    start = arguments.start and checkpoint_folder(arguments.start)
    work = Work(recipe, arguments.texts, start, state)
    with timed(work.ledger, arguments.threads):
        make_tokenizer(work)
        encode_corpus(work, arguments.threads)
    record = pretrain(work, arguments.processes)
    link_tokenizer(work.tokenizer, work.files)
    flush(work.files)
    link(work.files, arguments.files)
    write_json(work.ids(RECIPE), recipe.plain())
    flush(work.ids(RECIPE).parent)
    link(work.ids(RECIPE).parent, arguments.ids)
    files = [arguments.files / file.relative_to(work.files) for file in files_below(work.files)]
    write_json(arguments.manifest, describe_files(recipe.plain(), files, arguments.files))
    corpus: CorpusManifest = read_json(arguments.corpus)
    write_json(arguments.origin, {"spec": recipe.plain(), "corpus": corpus, "pretraining": record})
    keep(state, outputs)
    for unfinished in ("ids", "pieces", "checkpoints", "files"):
        shutil.rmtree(state / unfinished, ignore_errors=True)
    work.ledger.unlink(missing_ok=True)


if __name__ == "__main__":
    run(main)
