"""kind: hub, against a stand-in of the hub: commits, broken connections, gates, offline, splits."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import download
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from gap.data import http as transfer
from gap.data.http import CHUNK
from gap.run.errors import UserError
from gap.run.json import read_json
from hub_server import Fault, HubServer
from huggingface_hub import constants

OWNER, OTHER = "hf_owner", "hf_other"
# Safetensors: the length of the header, the header, and what it says of one tensor.
HEADER = b'{"a":{"dtype":"U8","shape":[1000000],"data_offsets":[0,1000000]}}'
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(range(250)) * 4000
MODEL = {
    "config.json": b"{}",
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"pickle",
    "modeling.py": b"raise SystemExit",
}
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:1"}


class Fetcher:
    """Runs download with settings of its own, and says what came of it."""

    def __init__(self, hub, folder, monkeypatch, capfd):
        self.hub, self.folder, self.monkeypatch, self.capfd = hub, folder, monkeypatch, capfd
        self.environment = hub.environment(folder / "home")

    def arguments(self, role, spec):
        spec = {"kind": "hub", "revision": "main"} | spec
        options = ["--recipe", json.dumps(spec), "--role", role, "--files", "source/files"]
        return [*options, "--manifest", "source/manifest.json", "--origin", "source/origin.json"]

    def start(self, role, **spec):
        """Start it as a process of its own."""
        return subprocess.Popen(
            [sys.executable, download.__file__, *self.arguments(role, spec)],
            cwd=self.folder,
            env=os.environ | self.environment,
        )

    def run(self, role, environment=(), **spec):
        """Return the error, if there was one, and all that was said."""
        environment = self.environment | dict(environment)
        # The hub's library reads these when it is imported.
        settings = {
            "ENDPOINT": environment["HF_ENDPOINT"],
            "HUGGINGFACE_CO_URL_TEMPLATE": environment["HF_ENDPOINT"]
            + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": os.path.join(environment["HF_HOME"], "hub"),
            "HF_HUB_OFFLINE": environment["HF_HUB_OFFLINE"] == "1",
            "HF_TOKEN_PATH": os.path.join(environment["HF_HOME"], "token"),
        }
        self.capfd.readouterr()
        with self.monkeypatch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(transfer.time, "sleep", lambda _: None)
            for name, value in environment.items():
                patch.setenv(name, value)
            for name, value in settings.items():
                patch.setattr(constants, name, value)
            try:
                download.main(self.arguments(role, spec))
                error = None
            except UserError as mistake:
                error = str(mistake)
                assert "\n" not in error
        said = self.capfd.readouterr()
        return error, said.out + said.err

    def get(self, role, environment=(), **spec):
        """Return the manifest, and the files by their names."""
        error, _ = self.run(role, environment, **spec)
        assert error is None
        files = self.folder / "source" / "files"
        paths = sorted(path for path in files.rglob("*") if path.is_file())
        content = {path.relative_to(files).as_posix(): path.read_bytes() for path in paths}
        manifest = read_json(self.folder / "source" / "manifest.json")
        return manifest | read_json(self.folder / "source" / "origin.json"), content

    def error(self, role, environment=(), **spec):
        """Return the line that a person gets."""
        error, _ = self.run(role, environment, **spec)
        assert error is not None
        return error

    def forget(self):
        """Delete what Snakemake deletes before it runs a job again."""
        shutil.rmtree(self.folder / "source" / "files")
        (self.folder / "source" / "manifest.json").unlink()

    def asked(self):
        """Return what the hub was asked for since the last call, with the statuses."""
        asked = [(one.path, one.status) for one in self.hub.requests]
        self.hub.requests.clear()
        return asked


@pytest.fixture
def hub():
    with HubServer(tokens=(OWNER, OTHER)) as hub:
        yield hub


@pytest.fixture
def fetcher(hub, tmp_path, monkeypatch, capfd):
    return Fetcher(hub, tmp_path, monkeypatch, capfd)


# ---------------------------------------------------------------- commits


def test_a_model(fetcher, hub):
    commit = hub.push("models/me/tiny", MODEL)
    manifest, files = fetcher.get("checkpoint", id="me/tiny")
    # No pickle and no code, and each file stored once.
    assert files == {"config.json": b"{}", "model.safetensors": WEIGHTS}
    assert manifest["commit"] == commit
    assert manifest["files"][1]["sha256"] == hashlib.sha256(WEIGHTS).hexdigest()
    source = fetcher.folder / "source"
    assert (source / "files" / "model.safetensors").stat().st_nlink == 2
    kept = [path for path in source.rglob("*") if path.is_file()]
    assert len(kept) == 2 * len(files) + 3
    hub.push("models/me/pickled", {"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    assert "pytorch_model.bin: not read" in fetcher.error("checkpoint", id="me/pickled")
    hub.push("models/me/none", {"config.json": b"{}", "flax_model.msgpack": b"pickle"})
    assert "has no .safetensors file" in fetcher.error("checkpoint", id="me/none")


def test_a_branch_is_looked_up_and_a_commit_stays(fetcher, hub):
    first = hub.push("models/me/tiny", MODEL)
    assert fetcher.get("checkpoint", id="me/tiny")[0]["commit"] == first
    second = hub.push("models/me/tiny", MODEL | {"config.json": b'{"new": 1}'})
    fetcher.asked()
    # The branch has moved: only what is new in it is fetched.
    manifest, files = fetcher.get("checkpoint", id="me/tiny")
    assert (manifest["commit"], files["config.json"]) == (second, b'{"new": 1}')
    assert not [path for path, _ in fetcher.asked() if path.endswith(".safetensors")]
    # The commit that was pinned has not.
    manifest, files = fetcher.get("checkpoint", id="me/tiny", revision=first)
    assert (manifest["commit"], files["config.json"]) == (first, b"{}")
    # A commit is what it is: with all of it here, nobody is asked.
    fetcher.forget()
    fetcher.asked()
    assert fetcher.get("checkpoint", id="me/tiny", revision=first) == (manifest, files)
    assert fetcher.asked() == []
    line = fetcher.error("checkpoint", id="me/tiny", revision="v9")
    assert line == "hub: model me/tiny has no revision v9; check `revision`"


def test_a_branch_that_is_pinned_makes_nothing_run_again(fetcher, hub):
    commit = hub.push("models/me/tiny", MODEL)
    fetcher.get("checkpoint", id="me/tiny")
    # Later jobs know their work again by the manifest.
    manifest = fetcher.folder / "source" / "manifest.json"
    before = manifest.read_bytes()
    fetcher.asked()
    assert fetcher.get("checkpoint", id="me/tiny", revision=commit)[0]["spec"]["revision"] == commit
    assert manifest.read_bytes() == before
    assert fetcher.asked() == []


def test_what_is_here_of_another_revision_is_not_taken(fetcher, hub):
    first = hub.push("models/me/tiny", MODEL)
    fetcher.get("checkpoint", id="me/tiny")
    gone = {"HF_ENDPOINT": "http://127.0.0.1:1"}
    # Where the hub does not answer, nobody knows what main is by now.
    assert "cannot be asked for (ConnectError" in fetcher.error("checkpoint", gone, id="me/tiny")
    line = fetcher.error("checkpoint", OFFLINE, id="me/tiny", revision="f" * 40)
    assert f"at revision {'f' * 40} has not been fetched yet" in line
    # Unless one says so, and is told what that means.
    error, output = fetcher.run("checkpoint", OFFLINE, id="me/tiny")
    assert error is None
    assert f"main of me/tiny as it was when it was fetched, commit {first}" in output
    assert read_json(fetcher.folder / "source" / "origin.json")["commit"] == first


# ---------------------------------------------------------------- broken connections


def test_a_file_that_breaks_off_goes_on(fetcher, hub):
    hub.push("models/me/tiny", MODEL)
    hub.faults = [Fault("model.safetensors", 300_000), Fault("model.safetensors", 200_000)]
    assert fetcher.get("checkpoint", id="me/tiny")[1]["model.safetensors"] == WEIGHTS
    first, second, third = hub.asked("model.safetensors")
    assert first is None
    assert second == f"bytes={300_000 // CHUNK * CHUNK}-"
    assert third > second
    assert len(WEIGHTS) <= hub.sent("model.safetensors") < len(WEIGHTS) + 2 * CHUNK


def test_a_download_that_was_killed_goes_on(fetcher, hub):
    hub.push("models/me/tiny", MODEL)
    hub.faults = [Fault("model.safetensors", 700_000, hold=True)]
    process = fetcher.start("checkpoint", id="me/tiny")
    partial = fetcher.folder / "source" / ".state" / "download" / "model.safetensors.partial"
    have = 700_000 // CHUNK * CHUNK
    while not (partial.exists() and partial.stat().st_size >= have):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert fetcher.get("checkpoint", id="me/tiny")[1]["model.safetensors"] == WEIGHTS
    assert hub.asked("model.safetensors")[-1] == f"bytes={have}-"
    assert hub.requests[-1].sent == len(WEIGHTS) - have


def test_what_was_left_of_another_commit_is_not_gone_on_with(fetcher, hub):
    hub.push("models/me/tiny", MODEL)
    partial = fetcher.folder / "source" / ".state" / "download" / "model.safetensors.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"of another commit")
    assert fetcher.get("checkpoint", id="me/tiny")[1]["model.safetensors"] == WEIGHTS


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_another_content_than_the_hub_lists_is_refused(fetcher, hub, tmp_path, name):
    served = tmp_path / "served"
    served.write_bytes(MODEL[name])
    hub.push("models/me/tiny", MODEL | {name: served})
    served.write_bytes(b"x" * len(MODEL[name]))
    line = fetcher.error("checkpoint", id="me/tiny")
    assert f"{name} came with another content than the hub lists; run again" in line
    assert not (fetcher.folder / "source" / "manifest.json").exists()
    # And what was right once is looked at again.
    served.write_bytes(MODEL[name])
    fetcher.get("checkpoint", id="me/tiny")
    kept = fetcher.folder / "source" / ".state" / "download" / name
    kept.write_bytes(b"y" * len(MODEL[name]))
    assert fetcher.get("checkpoint", id="me/tiny")[1][name] == MODEL[name]


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize(
    ("closed", "token", "message"),
    [
        ("gated", "", "is gated: accept its terms on {url}/me/tiny, then set HF_TOKEN or run `hf"),
        ("gated", OTHER, "is gated, and the account of your token has no access"),
        (
            "gated",
            "hf_wrong",
            "me/tiny: your token is not valid (HF_TOKEN, or that of `hf auth login`)",
        ),
        ("private", "", "is private or does not exist: check `id`; if it is private, set HF_TOKEN"),
        ("private", OTHER, "does not exist, or your token may not read it: check `id`"),
        ("private", "hf_\x07bell", "holds characters that no token has; copy it again"),
    ],
)
def test_who_may_not(fetcher, hub, closed, token, message):
    hub.push("models/me/tiny", MODEL)
    hub.close_to("models/me/tiny", closed, OWNER)
    error, output = fetcher.run("checkpoint", {"HF_TOKEN": token}, id="me/tiny")
    assert message.format(url=hub.url) in error
    # "bell" is what an escaped spelling of the token would still show.
    assert not token or (token not in error + output and "bell" not in error + output)


@pytest.mark.parametrize("closed", ["gated", "private"])
def test_who_may(fetcher, hub, closed):
    hub.push("models/me/tiny", MODEL)
    hub.close_to("models/me/tiny", closed, OWNER)
    hub.faults = [Fault("model.safetensors", 300_000)]
    # The password of a .netrc, for git, is no token.
    netrc = fetcher.folder / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hf_wrong\n")
    environment = {"HF_TOKEN": OWNER, "NETRC": str(netrc)}
    error, output = fetcher.run("checkpoint", environment, id="me/tiny")
    assert error is None
    assert OWNER not in output
    for path in fetcher.folder.rglob("*"):
        assert not path.is_file() or OWNER.encode() not in path.read_bytes(), path
    told = {one.token for one in hub.requests if not one.path.startswith("/storage")}
    assert told == {OWNER}
    # It is the hub's only: large files come from another server.
    assert {one.token for one in hub.requests if one.path.startswith("/storage")} == {None}


def test_a_signed_address_is_not_told(fetcher, hub):
    hub.push("models/me/tiny", MODEL)
    hub.storage = "http://127.0.0.1:1"
    error, output = fetcher.run("checkpoint", id="me/tiny")
    assert "/resolve/" in error
    assert "broke off" in error
    assert "Signature" not in error + output


def test_a_login_is_as_good_as_a_variable(fetcher, hub):
    hub.push("models/me/tiny", MODEL)
    hub.close_to("models/me/tiny", "gated", OWNER)
    home = fetcher.folder / "home"
    home.mkdir()
    (home / "token").write_text(OWNER)
    assert fetcher.get("checkpoint", id="me/tiny")[1]["model.safetensors"] == WEIGHTS


def test_no_such_model(fetcher):
    line = fetcher.error("checkpoint", id="me/none")
    assert line.startswith("hub: model me/none is private or does not exist: check `id`")
    line = fetcher.error("checkpoint", id="me/none/of/that")
    assert "'me/none/of/that' is no id of a repository" in line


# ---------------------------------------------------------------- without the network


def test_once_fetched_no_network_is_needed(fetcher, hub):
    commit = hub.push("models/me/tiny", MODEL)
    for revision in (commit, "main"):
        line = fetcher.error("checkpoint", OFFLINE, id="me/tiny", revision=revision)
        assert "has not been fetched yet, and HF_HUB_OFFLINE keeps it from being asked for" in line
        there = fetcher.get("checkpoint", id="me/tiny", revision=revision)
        fetcher.forget()
        assert fetcher.get("checkpoint", OFFLINE, id="me/tiny", revision=revision) == there
    fetcher.forget()
    (fetcher.folder / "source" / ".state" / "download" / "config.json").write_bytes(b"[]")
    line = fetcher.error("checkpoint", OFFLINE, id="me/tiny", revision=commit)
    assert f"config.json of commit {commit} is not here as a whole" in line


def fill_cache(fetcher, hub, *names, revision="main"):
    """Fetch files of me/tiny with the hub's own library, into its own cache."""
    code = "import sys, huggingface_hub as hub; hub.snapshot_download('me/tiny', "
    code += "revision=sys.argv[1], allow_patterns=sys.argv[2:] or None)"
    command = [sys.executable, "-c", code, revision, *names]
    environment = os.environ | fetcher.environment | {"HF_HUB_DISABLE_XET": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    hub.requests.clear()


def test_what_the_cache_of_the_library_holds_is_used(fetcher, hub):
    commit = hub.push("models/me/tiny", MODEL)
    fill_cache(fetcher, hub)
    assert fetcher.get("checkpoint", id="me/tiny")[1]["model.safetensors"] == WEIGHTS
    assert [path for path, _ in fetcher.asked() if "/resolve/" in path] == []
    shutil.rmtree(fetcher.folder / "source")
    manifest, files = fetcher.get("checkpoint", OFFLINE, id="me/tiny")
    assert (manifest["commit"], files["model.safetensors"]) == (commit, WEIGHTS)


def test_what_is_damaged_in_the_cache_is_not_used(fetcher, hub):
    hub.push("models/me/tiny", MODEL)
    fill_cache(fetcher, hub)
    blob = fetcher.folder / "home" / "hub" / "models--me--tiny" / "blobs"
    (blob / hashlib.sha256(WEIGHTS).hexdigest()).write_bytes(b"x" * len(WEIGHTS))
    line = fetcher.error("checkpoint", OFFLINE, id="me/tiny")
    assert "model.safetensors of commit" in line
    assert "is not here as a whole" in line
    assert fetcher.get("checkpoint", id="me/tiny")[1]["model.safetensors"] == WEIGHTS


def test_a_cache_that_lacks_a_file_or_the_commit_is_not_taken_for_whole(fetcher, hub):
    first = hub.push("models/me/tiny", MODEL)
    fill_cache(fetcher, hub, "config.json")
    line = fetcher.error("checkpoint", OFFLINE, id="me/tiny")
    assert f"model.safetensors of commit {first} is not here as a whole" in line
    second = hub.push("models/me/tiny", MODEL | {"config.json": b'{"new": 1}'})
    line = fetcher.error("checkpoint", OFFLINE, id="me/tiny", revision=second)
    assert f"at revision {second} has not been fetched yet" in line
    manifest, files = fetcher.get("checkpoint", id="me/tiny", revision=first)
    assert manifest["commit"] == first
    assert files["model.safetensors"] == WEIGHTS


# ---------------------------------------------------------------- data sets


def parquet(*rows):
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_pylist([{"text": text, "label": label} for text, label in rows]), sink
    )
    return sink.getvalue().to_pybytes()


TRAIN = [parquet(("a", 1), ("b", 0)), parquet(("c", 1))]
TEST = parquet(("d", 1))
CARD = b"""---
configs:
- config_name: plain
  data_files:
  - {split: train, path: some/part-*.parquet}
  - {split: test, path: held_out.parquet}
- config_name: other
  data_files: other.csv
---
"""


def test_the_card_says_which_files_make_a_split(fetcher, hub):
    content = {
        "README.md": CARD,
        "some/part-0.parquet": TRAIN[0],
        "some/part-1.parquet": TRAIN[1],
        "some/more.parquet": b"none of it",
        "held_out.parquet": TEST,
        "other.csv": b"text,label\n",
        # What the hub no longer runs, and this never did.
        "data.py": b"raise SystemExit",
    }
    commit = hub.push("datasets/me/data", content)
    manifest, files = fetcher.get("dataset", id="me/data", config="plain", split="train")
    # As they are: nothing is unpacked, joined or written again.
    assert files == {"some/part-0.parquet": TRAIN[0], "some/part-1.parquet": TRAIN[1]}
    assert manifest["commit"] == commit
    files = fetcher.get("dataset", id="me/data", config="plain", split="test")[1]
    assert files == {"held_out.parquet": TEST}
    line = fetcher.error("dataset", id="me/data", config="plain", split="dev")
    assert line.endswith("has no split 'dev'; it has: train, test; set `split`")
    line = fetcher.error("dataset", id="me/data", split="train")
    assert "hub: data set me/data: Config name is missing" in line
    assert "plain" in line
    line = fetcher.error("dataset", id="me/data", config="third", split="train")
    assert "'third' not found" in line
    # What a mistaken config asked for was the card and nothing else.
    assert fetcher.get("dataset", OFFLINE, id="me/data", config="plain", split="test")[1] == files


@pytest.mark.parametrize(
    ("names", "train"),
    [
        (
            ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"],
            ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"],
        ),
        (["train.csv", "test.csv", "dataset_infos.json"], ["train.csv"]),
        (["b/train/1.jsonl", "b/test/1.jsonl", ".hidden/train/2.jsonl"], ["b/train/1.jsonl"]),
        (["reviews.csv.gz"], ["reviews.csv.gz"]),
    ],
)
def test_without_a_card_names_and_folders_say_it(fetcher, hub, names, train):
    hub.push("datasets/me/data", {name: name.encode() for name in names})
    files = fetcher.get("dataset", id="me/data", split="train")[1]
    assert files == {name: name.encode() for name in train}


def test_the_hubs_own_parquet_files(fetcher, hub):
    hub.push("datasets/me/data", {"data.py": b"raise SystemExit", "all.zip": b"PK"})
    parts = {
        "small/train/0000.parquet": TRAIN[0],
        "small/train/0001.parquet": TRAIN[1],
        "small/test/0000.parquet": TEST,
        "large/partial-train/0000.parquet": TRAIN[0],
    }
    hub.push("datasets/me/data", parts, branch="refs/convert/parquet")
    spec = {"id": "me/data", "revision": "refs/convert/parquet", "split": "train"}
    files = fetcher.get("dataset", config="small", **spec)[1]
    assert sorted(files.values()) == sorted(TRAIN)
    line = fetcher.error("dataset", **spec)
    assert line.endswith("has configurations: large, small; set `config`")
    line = fetcher.error("dataset", config="large", **spec)
    assert "the hub has converted only the first part of split train" in line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"README.md": b"---\nconfigs: [\n---\n", "a.csv": b""}, "hub: data set me/data: "),
        ({"README.md": b"hello"}, "me/data doesn't contain any data files"),
        ({"a.zip": b"PK"}, "me/data doesn't contain any data files"),
        ({"train.arrow": b""}, "train.arrow is not of a kind that is read here"),
        ({"train.jsonl.zst": b""}, "train.jsonl.zst is not of a kind that is read here"),
    ],
)
def test_data_sets_that_are_no_tables(fetcher, hub, content, message):
    hub.push("datasets/me/data", content)
    line = fetcher.error("dataset", id="me/data", split="train")
    assert message in line
    assert "/tmp" not in line


def test_names_that_lead_out_of_the_folder_are_refused(fetcher, hub):
    hub.push("models/me/tiny", MODEL | {"C:\\evil.json": b"{}"})
    assert "is no name for a file" in fetcher.error("checkpoint", id="me/tiny")
    assert not list(fetcher.folder.rglob("*evil.json"))
