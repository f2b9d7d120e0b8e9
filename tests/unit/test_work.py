"""What trainings cost: against the models' own counts, the real schedule, and a real process."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gap.cluster.work import (
    gpus_for,
    memory_mb,
    runtime_minutes,
    sustained_rate,
    training_operations,
)
from gap.config import check as study
from gap.models.encoder_shape import EncoderShape
from gap.models.family import family_of, load_recipe
from gap.models.lstm_network import LstmConfig, LstmForSequenceClassification
from gap.models.workload import Workload
from gap.run.json import read_json
from gap.study.schedule import schedule
from tiny_training import make_data, make_recipes, training_arguments
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

ROOT = Path(__file__).parents[2]
NARROW: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "intermediate_size": 96,
    "vocab_size": 500,
}
NARROW |= {"num_attention_heads": 4, "max_position_embeddings": 66}
KINDS = [
    (BertConfig(**NARROW), BertForSequenceClassification),
    (RobertaConfig(**NARROW), RobertaForSequenceClassification),
    (
        DistilBertConfig(
            dim=32, n_layers=3, hidden_dim=96, n_heads=4, vocab_size=500, max_position_embeddings=66
        ),
        DistilBertForSequenceClassification,
    ),
]


def recipes(**given):
    """Recipes with the schema's defaults, one of each kind; `given` are added to the LSTM."""
    checkpoint = {"family": "transformer", "checkpoint": "tiny"}
    lstm: dict[str, Any] = {"family": "lstm", "vocabulary": "pieces"} | given
    config: dict[str, Any] = {
        "datasets": ["reviews"],
        "models": ["fine-tuned", "lstm"],
        "reference": "fine-tuned",
        "sizes": [40],
        "seeds": [1],
        "dataset_zoo": {
            "reviews": {"source": {"kind": "file", "path": "unused"}, "text": "a", "label": "b"}
        },
        "model_zoo": {
            "fine-tuned": checkpoint,
            "frozen": checkpoint | {"frozen": True},
            "lstm": {key: value for key, value in lstm.items() if value is not None},
            "linear": {"family": "linear"},
        },
    }
    study.complete(config)
    return {name: load_recipe(entry) for name, entry in config["model_zoo"].items()}


def workload(rows=0, tokens=50.0, checkpoint=None, **others):
    """A workload on a checkpoint with this config.json."""
    return Workload(tokens, rows, encoder=EncoderShape.of(checkpoint), **others)


def parameters(recipe, checkpoint, **others):
    return family_of(recipe).count_parameters(workload(checkpoint=checkpoint, **others))


def memory(recipe, rows, gpus=0, longest=512):
    return memory_mb(family_of(recipe), workload(rows, longest=longest), gpus)


def rate(recipe, gpus=0, cores=1):
    return sustained_rate(family_of(recipe), workload(), gpus, cores)


def count(model):
    return sum(weights.numel() for weights in model.parameters())


@pytest.mark.parametrize(("config", "kind"), KINDS, ids=lambda one: getattr(one, "__name__", ""))
def test_parameters_of_an_encoder_are_those_of_the_real_model(config, kind):
    model = kind(config)
    everything, products = parameters(recipes()["fine-tuned"], config.to_dict())
    # Segments are two, one or none.
    assert everything == pytest.approx(count(model), rel=0.01)
    layers = [weights for name, weights in model.named_parameters() if ".layer." in name]
    assert products == sum(weights.numel() for weights in layers if weights.dim() == 2)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_parameters_of_an_lstm_are_those_of_the_real_model(layers, bidirectional):
    sizes = {"layers": layers, "width": 24, "bidirectional": bidirectional, "embedding_size": 10}
    model = LstmForSequenceClassification(LstmConfig(vocab_size=300, num_labels=5, **sizes))
    everything, products = parameters(recipes(**sizes)["lstm"], None, pieces=300, labels=5)
    assert everything == count(model)
    layered = model.layers.named_parameters()
    assert products == sum(weights.numel() for name, weights in layered if "weight" in name)


def test_an_lstm_has_its_checkpoints_table():
    sizes = {"layers": 2, "width": 256}
    model = recipes(vocabulary=None, checkpoint="tiny", **sizes)["lstm"]
    known = {"vocab_size": 1000, "hidden_size": 64}
    assert parameters(model, None)[0] - parameters(model, known)[0] == (
        50_265 * 768 - 1000 * 64 + 8 * 256 * (768 - 64)
    )
    learned = recipes(
        vocabulary=None, checkpoint="tiny", embeddings="learned", embedding_size=10, **sizes
    )["lstm"]
    assert parameters(model, known)[0] - parameters(learned, known)[0] == (
        1000 * (64 - 10) + 8 * 256 * (64 - 10)
    )


def test_an_unknown_checkpoint_is_taken_for_a_base_sized_one():
    everything, products = parameters(recipes()["fine-tuned"], None)
    assert products == 12 * 12 * 768**2
    assert everything == pytest.approx(125e6, rel=0.01)
    assert EncoderShape.of(None) == EncoderShape.of({})
    assert EncoderShape.of({"hidden_size": 100}).intermediate_size == 400


@pytest.mark.parametrize("rows", [10, 1000, 50_000])
def test_steps_are_those_of_the_schedule(rows):
    recipe = recipes()["fine-tuned"]
    found = family_of(recipe).trial_operations(workload(rows))
    steps, texts = schedule(rows, recipe.optimisation)[0], rows / -(-rows // 32)
    assert found == pytest.approx(3 * EncoderShape().forward_operations(50) * steps * texts)


def test_operations_of_fine_tuning_by_hand():
    family = family_of(recipes()["fine-tuned"])
    # 2,000 texts three times, 100 texts of validation four times; 50 tokens each.
    forward = 2 * 84_934_656 * 50 + 4 * 50**2 * 12 * 768
    found = training_operations(family, workload(2000, validation=100))
    assert found == pytest.approx(forward * (3 * 6000 + 400), rel=1e-6)
    # Ten texts are gone through a hundred times.
    found = training_operations(family, workload(10))
    assert found == pytest.approx(forward * 3 * 1000)


def test_operations_of_other_families():
    made = recipes()
    tuned, frozen, lstm, linear = (
        operations(made[name]) for name in ("fine-tuned", "frozen", "lstm", "linear")
    )
    assert linear < lstm < tuned
    assert frozen < tuned / 5
    products = 2 * 4 * 128 * (128 + 128)
    assert lstm == 2 * products * 50 * (3 * 50_000 + 10 * 100)


def tuned(name, trials, model=None, **optimisation):
    """A recipe of `recipes` with values to try."""
    recipe = recipes()[name]
    settings = recipe.optimisation.model_copy(update=optimisation)
    return recipe.model_copy(update=(model or {}) | {"optimisation": settings, "trials": trials})


def operations(recipe):
    return training_operations(family_of(recipe), workload(10_000, validation=100))


def test_operations_of_trials_add_up():
    single = {epochs: operations(tuned("lstm", 1, max_epochs=epochs)) for epochs in (2, 6)}
    both = tuned("lstm", 2, max_epochs=[2, 6])
    assert operations(both) == pytest.approx(single[2] + single[6])
    # Values that cost nothing add trials all the same.
    more = tuned("lstm", 6, {"dropout": [0.1, 0.5, 0.6]}, max_epochs=[2, 6])
    assert operations(more) == pytest.approx(3 * operations(both))
    # Trials that are drawn are expected to cost the mean.
    assert operations(more.model_copy(update={"trials": 3})) == pytest.approx(operations(more) / 2)
    # As many as nobody writes out.
    many = {"lr": list(range(1000)), "warmup": list(range(1000)), "weight_decay": list(range(1000))}
    assert operations(tuned("lstm", 8, **many)) == pytest.approx(8 * operations(recipes()["lstm"]))


def test_what_trials_share_counts_once():
    fit, frozen = (operations(tuned("frozen", n, inverse_regularisation=1.0)) for n in (2, 1))
    five = operations(tuned("frozen", 5, inverse_regularisation=[1, 2, 3, 4, 5]))
    assert five - frozen == pytest.approx(4 * (fit - frozen))
    assert five < 1.1 * frozen
    # A text is cut into words and pairs once for all strengths, and once more for other phrases.
    words, pairs, each = (
        operations(tuned("linear", n, {"longest_phrase": phrase}, inverse_regularisation=1.0))
        for n, phrase in ((1, 1), (1, 2), (4, [1, 2]))
    )
    strengths = [1.0, 2.0]
    both = tuned("linear", 4, {"longest_phrase": [1, 2]}, inverse_regularisation=strengths)
    assert words < pairs
    assert operations(both) == pytest.approx(each)
    assert operations(both) < 2 * (words + pairs)


def test_the_trial_that_takes_most_room_counts():
    small, large, either = (
        memory(tuned("fine-tuned", 2, batch_size=size), 1000) for size in (8, 64, [8, 64])
    )
    assert small < large == either
    few, many, either = (
        memory(tuned("linear", 2, {"max_features": most}), 1000)
        for most in (10, 10_000_000, [10, 10_000_000])
    )
    assert few < many == either
    slow, fast, unknown = (rate(tuned("lstm", 2, batch_size=size), 1) for size in (8, 64, [8, 64]))
    assert fast > slow == unknown


def test_memory_grows_with_all_that_takes_room():
    made = recipes()
    tuned = made["fine-tuned"]
    host, none = memory(tuned, 1000)
    assert none == 0
    assert host > memory(tuned, 1000, longest=128)[0] > 18 * 125
    hosts, device = memory(tuned, 1000, gpus=1)
    assert device < host
    both, each = memory(tuned, 1000, gpus=2)
    assert both == pytest.approx(2 * hosts, abs=100)
    assert each < device
    settings = tuned.optimisation.model_copy(update={"device_batch_size": 4})
    small = tuned.model_copy(update={"optimisation": settings})
    assert memory(small, 1000, gpus=2)[1] < each
    assert memory(made["frozen"], 1000)[0] < host
    for name in made:
        few, many = (memory(made[name], rows)[0] for rows in (1000, 10_000_000))
        assert many > few + 1000
    assert memory(made["linear"], 1000, gpus=4)[1] == 0


def test_gpus_are_as_many_as_the_time_asks_for():
    made = recipes()
    tuned, lstm = made["fine-tuned"], made["lstm"]
    hour = 3600 * rate(tuned, 1)

    def gpus(recipe, operations, most, **others):
        return gpus_for(family_of(recipe), workload(), operations, most, **others)

    assert [gpus(tuned, hours * hour, 8) for hours in (1, 7, 9, 20, 40, 500)] == [1, 1, 2, 4, 8, 8]
    assert [gpus(tuned, 500 * hour, most) for most in (0, 1, 3, 4, 6)] == [0, 1, 2, 4, 4]
    assert gpus(tuned, 3 * hour, 8, hours=2) == 2
    assert gpus(lstm, 1e18, 8) == 8
    assert gpus(made["frozen"], 1e18, 8) == 1
    assert gpus(made["linear"], 1e18, 8) == 0


def test_time_holds_the_start_and_the_work():
    tuned = recipes()["fine-tuned"]
    assert runtime_minutes(0, 1e9) == 15
    assert runtime_minutes(60e9, 1e9) == 16
    narrow, wide = (recipes(width=width)["lstm"] for width in (128, 4096))
    # 128 + 128 inputs, two directions, 32 texts, 2 x 40 microseconds a position.
    expected = 2 * (2 * 4 * 128 * 256) * 32 / 80e-6
    assert rate(narrow, 1) == pytest.approx(expected)
    assert rate(wide, 1) == rate(tuned, 1)
    assert rate(tuned, 4) > 3 * rate(tuned, 1)
    assert rate(tuned) < rate(tuned, cores=2) < 2 * rate(tuned)


def test_nothing_heavy_is_imported():
    code = (
        "import sys, gap.cluster.work\n"
        "print(sorted({'torch', 'numpy', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def data(tmp_path_factory, tiny_bert):
    return make_data(tmp_path_factory.mktemp("data"), tiny_bert)


MEMORY_OF_CHILD = """
import os, sys
_, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
print(status, usage.ru_maxrss, usage.ru_utime)
"""


@pytest.mark.parametrize(
    "name", ["fine-tuned", "frozen", "lstm", "lstm-tiny", "tfidf", "composition"]
)
def test_a_real_training_stays_below_its_estimate(data, tiny_bert, name, tmp_path):
    recipe = make_recipes()[name]
    program = [str(ROOT / "scripts" / "train.py"), *training_arguments(data, recipe, tmp_path)]
    # A process counts what its parent had when it was started, so a small one stands between.
    command = [sys.executable, "-S", "-c", MEMORY_OF_CHILD, sys.executable, *program]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    status, most, seconds = map(float, output.split()[-3:])
    assert status == 0
    family = family_of(load_recipe(recipe))
    known = workload(60, 12, read_json(tiny_bert / "config.json"), validation=20, longest=32)
    estimate, _ = memory_mb(family, known)
    unit = 1 if sys.platform == "darwin" else 1024
    assert most * unit / 1e6 < estimate < 2000
    operations = training_operations(family, known)
    assert seconds < 60 * runtime_minutes(operations, sustained_rate(family, known))
