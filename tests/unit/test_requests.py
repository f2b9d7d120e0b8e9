"""What jobs ask of a cluster follows from recipes and manifests, and grows with both."""

import pytest
import yaml
from gap.cluster.requests import (
    Inputs,
    Request,
    Site,
    data_request,
    gap_request,
    latency_request,
    prediction_request,
    prepare_request,
    training_request,
)
from gap.config.check import complete
from gap.models.family import family_of
from gap.run.json import write_json
from gap.study.recipes import Validation

VALIDATION = Validation(share=0.2, min=20, max=2000)
GPUS = Site(most_gpus=8, most_minutes=1440)


@pytest.fixture(scope="module")
def study():
    with open("config.yaml", encoding="utf-8") as file:
        return complete(yaml.safe_load(file))


@pytest.fixture
def cell(tmp_path, study):
    """A function that returns the inputs of a model of the default study, on so many rows."""
    shape = {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536}
    write_json(tmp_path / "files" / "config.json", shape | {"vocab_size": 30_522})
    files = [{"path": str(tmp_path / "files" / "config.json")}]
    write_json(tmp_path / "checkpoint.json", {"files": files})

    def make(model, rows, labels=2):
        pool = {"rows": rows, "labels": [str(label) for label in range(labels)]}
        write_json(tmp_path / "pool.json", pool)
        counts = {"rows": rows, "tokens": 40 * rows}
        each = {"1": counts, "2": counts | {"tokens": 50 * rows}}
        write_json(tmp_path / "ids.json", each if model == "lstm" else counts)
        recipe = study.model_zoo[model]
        return Inputs(
            family=family_of(recipe),
            dataset=study.dataset_zoo["imdb"],
            manifest=str(tmp_path / "pool.json"),
            texts=str(tmp_path / ("pool.json" if model == "tfidf" else "ids.json")),
            pretrained=str(tmp_path / "checkpoint.json")
            if recipe.name_in("checkpoint_zoo")
            else None,
            vocabulary=study.vocabulary_zoo.get(recipe.name_in("vocabulary_zoo")),
        )

    return make


@pytest.mark.parametrize("model", ["minilm", "minilm-frozen", "lstm", "lstm-minilm", "tfidf"])
@pytest.mark.parametrize("site", [Site(), GPUS], ids=["cpu", "gpu"])
def test_more_rows_ask_for_more(cell, model, site):
    few, many = (
        training_request(cell(model, 20_000_000), size, "1", VALIDATION, site)
        for size in ("1000", "90%")
    )
    assert few.runtime < 60
    assert few.mem_mb < 6000
    assert many.runtime > few.runtime
    assert many.mem_mb >= few.mem_mb
    assert (few.gpu > 0) == (site == GPUS and model != "tfidf")
    assert many.gpu >= few.gpu
    scored = prediction_request(cell(model, 1_000_000), "1", site)
    assert scored.runtime < many.runtime
    assert scored.gpu == min(few.gpu, 1)


def test_a_block_of_seeds_takes_its_time(cell):
    one, five = (
        training_request(cell("minilm", 10**6), "50%", seeds, VALIDATION, Site()).runtime
        for seeds in ("1", "1-5")
    )
    assert five > 4 * one


def test_vocabularies_of_one_seed_each_count_by_the_longest_texts(cell):
    assert cell("lstm", 100).workload(100).tokens == 50
    assert cell("lstm", 100).workload(100).pieces == 8000
    assert cell("minilm", 100).workload(100).tokens == 40
    # The texts as words; the text budget bounds them.
    assert cell("tfidf", 100).workload(100).tokens == 32


def test_what_is_not_there_yet_leaves_the_question_open(cell, tmp_path):
    known = cell("minilm", 100)
    (tmp_path / "files" / "config.json").unlink()
    with pytest.raises(FileNotFoundError):
        training_request(known, "10", "1", VALIDATION, GPUS)


def test_steps_of_the_data_path(tmp_path):
    pool = str(tmp_path / "pool.json")
    write_json(pool, {"rows": 2_000_000})
    assert data_request("encode", pool) == Request(2700, 45)
    assert data_request("encode", pool, "50%") == Request(2600, 25)
    assert data_request("fit_vocabulary", pool, "50%", 500_000) == Request(7500, 20)
    assert data_request("subsample", pool, "1000").runtime == 4
    source = tmp_path / "source.json"
    write_json(source, {"files": [{"bytes": 600_000_000}, {"bytes": 600_000_000}]})
    assert prepare_request([str(source)]) == Request(4000, 25)
    (tmp_path / "predictions.parquet").write_bytes(b"0" * 1_000_000)
    assert gap_request([str(tmp_path / "predictions.parquet")] * 2) == Request(2012, 16)


def test_timing_asks_for_all_models_at_once(tmp_path, study):
    for name, megabytes in {"small": 10, "large": 400}.items():
        (tmp_path / name / "1").mkdir(parents=True)
        with (tmp_path / name / "1" / "model.safetensors").open("wb") as file:
            file.truncate(megabytes * 10**6)
    write_json(tmp_path / "manifest.json", {"files": [{"bytes": 90_000_000}]})
    dataset = study.dataset_zoo["imdb"]
    folders = [str(tmp_path / name) for name in ("small", "large")]
    few = latency_request(folders[:1], [], dataset, 0)
    many = latency_request(folders, [str(tmp_path / "manifest.json")], dataset, 0)
    assert many.mem_mb - few.mem_mb == 2 * 490
    assert 15 < few.runtime < many.runtime
    on_gpu = latency_request(folders, [], dataset, 1)
    assert (on_gpu.gpu, on_gpu.runtime) == (1, 16)


def test_a_site_is_read_off_default_resources():
    resources = {"slurm_partition": "cpu", "gpu_partition": "", "mem_mb": 3, "most_minutes": 600}
    site = Site.of(resources)
    assert site == Site(slurm_partition="cpu", most_minutes=600)
    assert site.partition(0) == site.partition(1) == "cpu"
    site = Site.of(resources | {"gpu_partition": "a100"})
    assert (site.partition(0), site.partition(2)) == ("cpu", "a100")
    assert Site.of({}).partition(1) is None


def test_time_grows_with_each_attempt_up_to_the_share_of_the_limit():
    asked = Request(1000, 100)
    assert [Site(most_minutes=600).minutes(asked, attempt) for attempt in (1, 2, 9)] == [
        100,
        200,
        600,
    ]
    assert Site(most_minutes=600).minutes(asked, 9, share=0.8) == 480
    assert Site(most_minutes=3).minutes(asked, 1, share=0.1) == 1
    assert Site().minutes(asked, 9) == 900
