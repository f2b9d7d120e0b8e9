"""Files of the Hugging Face hub: of one commit, checked, and fetched once.

The hub's library is asked what a repository holds. The files come by `gap.data.http`, for two
reasons. The library (2.4) fetches a file again from its beginning after its process was killed. And
where the hub does not answer, the library may give another revision than the one asked for.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from gap.data.checkpoints import refuse_adapter, weights_among
from gap.data.http import Answer, fetch, is_safe
from gap.data.readers.files import extension, known_extensions
from gap.run.digests import sha256_file
from gap.run.errors import UserError
from gap.run.folders import link
from gap.run.json import read_json, write_json

Spec = Mapping[str, Any]
# Configuration, vocabulary and weights as safetensors; no code. Pickled weights are for those that
# have no others.
PRETRAINED_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")
COMMIT = re.compile(r"[0-9a-f]{40}")
# The card of a data set says which files make which split.
CARDS = ("README.md", ".huggingface.yaml")
# How the hub lays out the Parquet files that it makes of a data set by itself.
CONVERTED = re.compile(r"(?P<config>[^/]+)/(?P<partial>partial-)?(?P<split>[^/]+)/\d+\.parquet")


class File(NamedTuple):
    """A file of a commit: its bytes, and its sha256 or, of a small one, git's id of it."""

    bytes: int
    digest: str


class Repository(NamedTuple):
    """A data set or a model of the hub."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"hub: {'data set' if self.kind == 'dataset' else 'model'} {self.id}"


Listing = dict[str, File]


def fetch_hub(spec: Spec, role: str, folder: Path) -> list[Path]:
    """Return the files of a data set's split, or of a pretrained model, fetched into `folder`.

    A branch is looked up first. A commit that was fetched before needs no network. With
    HF_HUB_OFFLINE set, a branch stands for its commit of the last time. Raises UserError for what
    cannot be fetched.
    """
    repository = Repository("model" if role == "checkpoint" else "dataset", spec["id"])
    commit, files = _known(spec, folder) or _choose(repository, spec, role == "text")
    for name, file in files.items():
        _obtain(repository, commit, name, file, folder / name)
    write_json(_record(folder), {"spec": spec, "commit": commit, "files": files})
    return [folder / name for name in files]


def commit_of(folder: Path) -> str:
    """Return the commit that `fetch_hub` took last for this folder."""
    return str(read_json(_record(folder))["commit"])


# ---------------------------------------------------------------- which files, of which commit


def _record(folder: Path) -> Path:
    return folder.with_name("hub.json")


def _known(spec: Spec, folder: Path) -> tuple[str, Listing] | None:
    """Return what an earlier call found, if the hub could say nothing else or is not asked."""
    from huggingface_hub import is_offline_mode

    if not _record(folder).exists():
        return None
    record = read_json(_record(folder))
    if {**record["spec"], "revision": None} != {**spec, "revision": None}:
        return None
    if spec["revision"] not in (record["spec"]["revision"], record["commit"]):
        return None
    if not COMMIT.fullmatch(spec["revision"]):
        if not is_offline_mode():
            return None
        moved = f"{spec['revision']} of {spec['id']} as it was when it was fetched"
        print(f"HF_HUB_OFFLINE is set: {moved}, commit {record['commit']}", file=sys.stderr)
    return record["commit"], {name: File(*entry) for name, entry in record["files"].items()}


def _choose(repository: Repository, spec: Spec, plain: bool) -> tuple[str, Listing]:
    """Return the commit of a revision, and the files of it that are needed; see `_split_files`."""
    from huggingface_hub import is_offline_mode

    look = _look_into_cache if is_offline_mode() else _ask
    commit, listing = look(repository, spec["revision"])
    if repository.kind == "model":
        names = _model_files(repository, listing)
    else:
        with TemporaryDirectory() as scratch:
            for name in CARDS:
                if name in listing:
                    _obtain(repository, commit, name, listing[name], Path(scratch, name))
            names = _split_files(repository, spec, listing, Path(scratch), plain)
    return commit, {name: listing[name] for name in names}


def _ask(repository: Repository, revision: str) -> tuple[str, Listing]:
    """Return the commit that the hub knows by a branch, tag or commit, and its files."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    _proof()
    kind, name = repository
    with _explained(repository, revision):
        commit = str(
            HfApi().repo_info(repo_id=name, repo_type=kind, revision=revision, timeout=60).sha
        )
        tree = HfApi().list_repo_tree(repo_id=name, repo_type=kind, revision=commit, recursive=True)
        files = [file for file in tree if isinstance(file, RepoFile)]
    return commit, {
        file.path: File(file.size, file.lfs.sha256 if file.lfs else file.blob_id) for file in files
    }


def _look_into_cache(repository: Repository, revision: str) -> tuple[str, Listing]:
    """Return commit and files as the library's cache has them; those not there have no digest."""
    from huggingface_hub import HfApi, get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError, RevisionResolutionError

    kind, name = repository
    try:
        answer = HfApi().resolve_revision(
            repo_id=name, repo_type=kind, revision=revision, local_files_only=True
        )
        commit = answer.resolved
        tree = get_cached_repo_tree(repo_id=name, repo_type=kind, revision=commit)
    except (CachedRepoTreeNotFoundError, RevisionResolutionError):
        raise UserError(
            f"{repository} at revision {revision} has not been fetched yet, and HF_HUB_OFFLINE "
            "keeps it from being asked for; run once without it where there is a network"
        ) from None
    listing = {}
    for file in tree:
        # In the cache, a file is a link to its content, and the content is named by its digest.
        cached = _cached(repository, commit, file.path)
        linked = cached is not None and cached.is_symlink()
        digest = Path(os.readlink(cached)).name if cached and linked else ""
        listing[file.path] = File(file.size, digest)
    return commit, listing


def _model_files(repository: Repository, listing: Iterable[str]) -> list[str]:
    names = sorted(name for name in listing if is_model_file(name))
    pickled = weights_among(name for name in listing if "/" not in name)
    refuse_adapter(names, str(repository))
    if any(name.endswith(".safetensors") for name in names):
        return names
    if not pickled:
        raise UserError(
            f"{repository} has no .safetensors file and no pytorch_model.bin, and weights are read "
            "from no other kind; choose another revision or model"
        )
    return sorted([*names, *pickled])


def is_model_file(name: str) -> bool:
    """Return whether a file of a repository is one that weights and tokenizer are read from."""
    hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
    return not hidden and any(fnmatch.fnmatch(name, kind) for kind in PRETRAINED_FILES)


def _split_files(
    repository: Repository, spec: Spec, listing: Iterable[str], scratch: Path, plain: bool
) -> list[str]:
    """Return the files of a split; `scratch` holds the data set's card, if it has one.

    They may be `plain` text where that is asked for. Raises UserError where there is no such
    configuration or split, or not as a table.
    """
    names = sorted(filter(is_safe, listing))
    converted = list(filter(CONVERTED.fullmatch, names))
    if "README.md" not in names and converted:
        splits = _converted_splits(repository, spec, converted)
    else:
        splits = _splits_by_card(repository, spec, names, scratch)
    if spec["split"] not in splits:
        there = ", ".join(splits) or "none"
        raise UserError(
            f"{repository} has no split {spec['split']!r}; it has: {there}; set `split`"
        )
    files = splits[spec["split"]]
    unread = [name for name in files if extension(Path(name), plain) is None]
    if unread:
        kinds = ", ".join(known_extensions(plain))
        raise UserError(
            f"{repository}: {unread[0]} is not of a kind that is read here ({kinds}); the hub's "
            "own Parquet files of it are perhaps at `revision: refs/convert/parquet`"
        )
    return files


def _converted_splits(
    repository: Repository, spec: Spec, names: Sequence[str]
) -> dict[str, list[str]]:
    """Return the files of each split, of those that the hub itself made of a data set."""
    matches = [(name, match) for name in names if (match := CONVERTED.fullmatch(name))]
    configs = sorted({match["config"] for _, match in matches})
    config = spec.get("config", configs[0])
    if config not in configs or ("config" not in spec and len(configs) > 1):
        raise UserError(f"{repository} has configurations: {', '.join(configs)}; set `config`")
    splits: dict[str, list[str]] = {}
    for name, match in matches:
        if match["config"] == config:
            if match["partial"] and match["split"] == spec["split"]:
                raise UserError(
                    f"{repository}: the hub has converted only the first part of split "
                    f"{match['split']}; use the revision with its original files"
                )
            splits.setdefault(match["split"], []).append(name)
    return splits


def _splits_by_card(
    repository: Repository, spec: Spec, names: Iterable[str], scratch: Path
) -> dict[str, list[str]]:
    """Return the files of each split, as the card, or else names and folders, tell them.

    The rules are those of the library `datasets`, which sees a folder of empty files.
    """
    import yaml
    from datasets import load_dataset_builder
    from datasets.exceptions import DatasetsError

    for name in names:
        # It looks into the notes of its older versions, and into archives, which are no tables.
        if name not in (*CARDS, "dataset_infos.json") and not name.endswith(".zip"):
            (scratch / name).parent.mkdir(parents=True, exist_ok=True)
            (scratch / name).touch()
    try:
        with TemporaryDirectory() as cache:
            builder = load_dataset_builder(str(scratch), spec.get("config"), cache_dir=cache)
    except (DatasetsError, yaml.YAMLError, OSError, ValueError, RuntimeError) as error:
        line = " ".join(str(error).replace(str(scratch), repository.id).split())[:300]
        raise UserError(f"{repository}: {line}; check `config` and `revision`") from None
    files = builder.config.data_files or {}
    root = scratch.resolve()
    return {
        str(split): [Path(path).relative_to(root).as_posix() for path in paths]
        for split, paths in files.items()
    }


# ---------------------------------------------------------------- the files themselves


def _cached(repository: Repository, commit: str, name: str) -> Path | None:
    """Return the file in the cache of the hub's library, if it is there at this commit."""
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(repository.id, name, revision=commit, repo_type=repository.kind)
    return Path(cached) if isinstance(cached, str) else None


def is_whole(path: Path, file: File) -> bool:
    """Return whether a file has the size and the digest that the hub lists."""
    if not path.is_file() or path.stat().st_size != file.bytes:
        return False
    if len(file.digest) == 64:
        return sha256_file(path) == file.digest
    digest = hashlib.sha1(b"blob %d\0" % file.bytes)
    with open(path, "rb") as content:
        while piece := content.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest() == file.digest


def _proof() -> dict[str, str]:
    """Return the headers that tell the hub who asks, with the token if there is one."""
    from huggingface_hub import get_token
    from huggingface_hub.utils import build_hf_headers

    token = get_token() or ""
    if not (token.isascii() and token.isprintable()):
        # Libraries that refuse it would quote it.
        raise UserError(
            "hub: your token (HF_TOKEN, or that of `hf auth login`) holds characters that no token "
            "has; copy it again"
        )
    return build_hf_headers()


def _obtain(repository: Repository, commit: str, name: str, file: File, target: Path) -> None:
    """Have a file of the commit at `target`: what is there, what the cache has, or the hub's."""
    from huggingface_hub import hf_hub_url, is_offline_mode

    if not is_safe(name):
        raise UserError(f"{repository}: {name!r} is no name for a file; choose another revision")
    if is_whole(target, file):
        return
    cached = _cached(repository, commit, name)
    if cached is not None and is_whole(cached, file):
        link(cached.resolve(), target)
        return
    if is_offline_mode():
        raise UserError(
            f"{repository}: {name} of commit {commit} is not here as a whole, and HF_HUB_OFFLINE "
            "keeps it from being fetched; run once without it where there is a network"
        )

    def check(path: Path) -> None:
        if not is_whole(path, file):
            path.unlink()
            raise UserError(
                f"{repository}: {name} came with another content than the hub lists; run again"
            )

    def refusal(answer: Answer) -> str:
        return _refusal(repository, commit, answer)

    url = hf_hub_url(repository.id, name, repo_type=repository.kind, revision=commit)
    fetch(url, target, check, refusal, _proof())


# ---------------------------------------------------------------- what goes wrong


@contextmanager
def _explained(repository: Repository, revision: str) -> Iterator[None]:
    """Turn what the hub's library raises while it asks the hub into a line for people."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        line = str(error).splitlines()[0]
        raise UserError(f"hub: {repository.id!r} is no id of a repository: {line}") from None
    except HfHubHTTPError as error:
        raise UserError(_refusal(repository, revision, error.response)) from None
    except Exception as error:
        # The library makes no common class of connection errors public.
        line = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(
            f"{repository} cannot be asked for ({line}); check the network, then run again"
        ) from None


def _refusal(repository: Repository, revision: str, answer: Answer) -> str:
    """Return the line for an answer that refuses, of the library or of requests."""
    from huggingface_hub import constants, get_token

    status, code = answer.status_code, answer.headers.get("X-Error-Code")
    page = "datasets/" * (repository.kind == "dataset") + repository.id
    page, log_in = f"{constants.ENDPOINT}/{page}", "set HF_TOKEN or run `hf auth login`"
    if code == "RevisionNotFound":
        return f"{repository} has no revision {revision}; check `revision`"
    if code == "GatedRepo" and not get_token():
        return f"{repository} is gated: accept its terms on {page}, then {log_in}"
    if code == "GatedRepo":
        return (
            f"{repository} is gated, and the account of your token has no access: accept its "
            f"terms on {page}, or wait until that is granted"
        )
    if status == 401 and get_token():
        return (
            f"{repository}: your token is not valid (HF_TOKEN, or that of `hf auth login`): make a "
            f"new one on {constants.ENDPOINT}/settings/tokens, or unset it for what is open to all"
        )
    if status == 401:
        return f"{repository} is private or does not exist: check `id`; if it is private, {log_in}"
    if code == "RepoNotFound" or status == 403:
        return (
            f"{repository} does not exist, or your token may not read it: check `id`, and what "
            f"the token is allowed on {constants.ENDPOINT}/settings/tokens"
        )
    return f"{repository} at revision {revision}: the hub answers status {status}; run again later"
