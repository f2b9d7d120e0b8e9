"""What all tests share. The settings stand before any import of torch or transformers."""

import os
import shutil
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

os.environ |= {
    # One thread each: tests run side by side, and sums come out the same on every machine.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # No test reaches the network.
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
}

# The same examples every time, and no limit that a busy machine could break.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci")


# Files whose tests have little in common that takes long, but for the grid: several processes may
# take them.
DIVIDED = ["workflow/test_reruns", "workflow/test_pages", "workflow/test_broken_inputs"]
DIVIDED += ["workflow/test_architecture", "system/test_killed_training", "unit/test_reach"]
DIVIDED += ["unit/test_hostile_inputs", "unit/test_charts"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Begin with the tests that take longest; tests of one file run in one process, see DIVIDED."""
    items.sort(key=lambda item: item.get_closest_marker("workflow") is None)
    items.sort(key=lambda item: item.get_closest_marker("system") is None)
    for item in items:
        place = f"{item.path.parent.name}/{item.path.stem}"
        if place not in DIVIDED:
            item.add_marker(pytest.mark.xdist_group(place))


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """A BERT of two narrow layers with random weights and a word-level tokenizer."""
    return make_tiny_bert(tmp_path_factory.mktemp("checkpoint") / "tiny-bert")


@pytest.fixture(scope="session")
def grid(tmp_path_factory, tiny_bert, worker_id):
    """A finished study of GRID, made once for all tests, and what snakemake printed; to be read.

    Whoever would change it, or call snakemake in it, takes a copy.
    """
    from tiny_study import GRID, Study, new_study

    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "grid"
    printed = folder / "printed.txt"
    # Tests run in several processes, of which the first one here makes it.
    with FileLock(folder.with_suffix(".lock")):
        if not printed.exists():
            shutil.rmtree(folder, ignore_errors=True)
            (folder / "executed").mkdir(parents=True)
            new_study(folder / "study", tiny_bert)
            # What the programs call is written down, for a test of what their digests cover.
            recorder = {
                "PYTHONPATH": str(Path(__file__).parent / "executed"),
                "EXECUTED": str(folder / "executed"),
            }
            call = Study(folder / "study", recorder).snakemake("--cores", "2", config=GRID)
            assert call.rc == 0, call.output
            printed.write_text(call.output, encoding="utf-8")
    return Study(folder / "study"), printed.read_text(encoding="utf-8")


def make_tiny_bert(folder):
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = "[PAD] [UNK] [CLS] [SEP] a the is was film book plot good great fine bad poor dull not"
    vocabulary = {word: index for index, word in enumerate(words.split())}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=60,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder
