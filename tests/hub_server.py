"""A stand-in for the hub on loopback: repositories with commits, as its HTTP interface shows them.

    with HubServer() as hub:
        commit = hub.push("models/me/tiny", folder)            # a folder on disk, or {name: bytes}
        hub.push("datasets/me/reviews", {"train.csv": b"text,label\n..."})
        subprocess.run(command, env=os.environ | hub.environment(home))

A config then names them with `kind: hub`, `id: me/tiny` and `revision: main` or the commit. Files
on disk stay there and are served from there, of any size.

It answers what huggingface_hub asks for to fetch files: a repository at a revision, the tree of
its files, and the files, large ones by way of a redirect to another address, as the real one does.
`close_to` makes a repository gated or private, `faults` has it break off in the middle of a file,
and `requests` holds what was asked and how many bytes were sent. What it does not do: uploads, the
xet protocol (huggingface_hub's own downloads need HF_HUB_DISABLE_XET=1), listings in pages or of
folders, compressed answers, limits of rate.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import select
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

# As the usual .gitattributes of the hub has it.
LARGE = (".safetensors", ".parquet", ".bin", ".gz")
PIECE = 1 << 16


@dataclass(frozen=True)
class File:
    """A file of a commit: its content, or where that lies on disk."""

    source: bytes | Path
    large: bool

    @property
    def size(self) -> int:
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    def digest(self, kind: str, start: bytes = b"") -> str:
        digest = hashlib.new(kind, start)
        for piece in self.pieces(0):
            digest.update(piece)
        return digest.hexdigest()

    def pieces(self, start: int) -> Any:
        if isinstance(self.source, bytes):
            rest = self.source[start:]
            yield from (rest[place : place + PIECE] for place in range(0, len(rest), PIECE))
            return
        with self.source.open("rb") as file:
            file.seek(start)
            while piece := file.read(PIECE):
                yield piece


@dataclass(frozen=True)
class Entry:
    """A file as the hub lists it; `etag` is the sha256 of a large one, else git's own id."""

    file: File
    oid: str
    etag: str

    @classmethod
    def of(cls, file: File) -> Entry:
        sha256 = file.digest("sha256")
        if file.large:
            pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\n"
            return cls(file, _git_id(f"{pointer}size {file.size}\n".encode()), sha256)
        oid = file.digest("sha1", b"blob %d\0" % file.size)
        return cls(file, oid, oid)

    def listing(self, name: str) -> dict[str, Any]:
        """What the tree of a repository says of it."""
        facts = {"type": "file", "path": name, "size": self.file.size, "oid": self.oid}
        if self.file.large:
            lfs = {"oid": self.etag, "size": self.file.size, "pointerSize": 134}
            facts |= {"lfs": lfs, "xetHash": hashlib.sha256(self.etag.encode()).hexdigest()}
        return facts


def _git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Repository:
    """The commits of one repository, its branches, and to whom it is open."""

    commits: dict[str, dict[str, Entry]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    closed: str = ""
    tokens: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the next answer that sends a file of this name.

    After so many bytes of the body the connection breaks, or, with `hold`, stays open and silent
    until the other side leaves it.
    """

    name: str
    after: int
    hold: bool = False


@dataclass
class Request:
    """One request that is answered; `sent` counts the bytes of a file that went out so far."""

    method: str
    path: str
    range: str | None
    token: str | None
    status: int
    sent: int = 0


class HubServer:
    """See the module; `url` is what HF_ENDPOINT has to be, `storage` where large files come from.

    `tokens` are those that the hub knows; any other is refused, also for open repositories.
    """

    def __init__(self, tokens: tuple[str, ...] = ()) -> None:
        self.tokens = tokens
        self.repositories: dict[str, Repository] = {}
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        # Two servers, since a token must not go from the hub's address to the storage's.
        self._servers = [_Server(self), _Server(self)]
        self.url, self.storage = (f"http://127.0.0.1:{one.server_port}" for one in self._servers)

    def __enter__(self) -> HubServer:
        self._threads = [
            threading.Thread(target=one.serve_forever, args=(0.01,)) for one in self._servers
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def environment(self, home: Path, token: str | None = None) -> dict[str, str]:
        """The variables with which huggingface_hub asks here; its cache and login are in `home`."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "0",
            "HF_DATASETS_OFFLINE": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_TOKEN": token or "",
            "NO_PROXY": "127.0.0.1",
        }

    def push(
        self, name: str, content: Path | Mapping[str, bytes | Path], branch: str = "main"
    ) -> str:
        """Make a commit of "models/ORG/NAME" or "datasets/ORG/NAME", the branch's head; its id.

        A folder is taken with all that is below it.
        """
        if isinstance(content, Path):
            paths = sorted(path for path in content.rglob("*") if path.is_file())
            content = {path.relative_to(content).as_posix(): path for path in paths}
        files = {
            file: Entry.of(File(source, file.endswith(LARGE))) for file, source in content.items()
        }
        repository = self.repositories.setdefault(name, Repository())
        tree = json.dumps([name, sorted((file, entry.etag) for file, entry in files.items())])
        commit = hashlib.sha1(tree.encode()).hexdigest()
        repository.commits[commit] = files
        repository.branches[branch] = commit
        return commit

    def close_to(self, name: str, closed: str, *tokens: str) -> None:
        """Make a repository "gated" or "private": its files are for the given tokens only."""
        self.repositories[name].closed, self.repositories[name].tokens = closed, tokens

    def sent(self, name: str) -> int:
        """Bytes of the file's content that were sent so far, over all requests for it."""
        return sum(one.sent for one in self.requests if one.path.endswith(f"/{name}"))

    def asked(self, name: str) -> list[str | None]:
        """The ranges that were asked for of a file with GET, from wherever its bytes came."""
        return [
            one.range
            for one in self.requests
            if one.method == "GET" and one.path.endswith(f"/{name}") and one.status in (200, 206)
        ]


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: HubServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub


class _RefusedError(Exception):
    """An answer with an error: status, the hub's code for it, and its words."""

    def __init__(self, status: int, code: str | None, words: str) -> None:
        self.status, self.code, self.words = status, code, words


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        parts = [unquote(part) for part in path.strip("/").split("/")]
        try:
            if parts[0] == "storage":
                self.send_file(self.stored(parts[1]), parts[-1], {})
            elif parts[0] == "api":
                self.answer_api(parts[1:])
            else:
                self.answer_file(parts)
        except _RefusedError as refused:
            body = json.dumps({"error": refused.words}).encode()
            headers = {"X-Error-Message": refused.words, "Content-Type": "application/json"}
            if refused.code:
                headers["X-Error-Code"] = refused.code
            self.send(refused.status, body, headers)
        except ConnectionError:
            self.close_connection = True

    # ---- what is asked for

    def answer_api(self, parts: list[str]) -> None:
        """api/models/ORG/NAME/revision/REVISION, or .../tree/REVISION."""
        repository = self.find(parts[:3])
        what, revision = parts[3:5] or ("revision", "main")
        commit = self.commit_of(repository, revision)
        files = repository.commits[commit]
        content: Any = [entry.listing(name) for name, entry in sorted(files.items())]
        if what == "revision":
            names = [{"rfilename": name} for name in sorted(files)]
            content = {
                "_id": commit[:24],
                "id": "/".join(parts[1:3]),
                "sha": commit,
                "private": repository.closed == "private",
                "gated": "manual" if repository.closed == "gated" else False,
                "siblings": names,
            }
        self.send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def answer_file(self, parts: list[str]) -> None:
        """ORG/NAME/resolve/REVISION/FILE of a model, datasets/ORG/NAME/... of a data set."""
        kind = [] if parts[0] == "datasets" else ["models"]
        where, (revision, *names) = [*kind, *parts][:3], [*kind, *parts][4:]
        repository = self.find(where)
        commit, name = self.commit_of(repository, revision), "/".join(names)
        if repository.closed == "gated" and self.token() not in repository.tokens:
            words = f"Access to {'/'.join(where[1:])} is restricted."
            raise _RefusedError(403 if self.token() else 401, "GatedRepo", words)
        if name not in repository.commits[commit]:
            raise _RefusedError(404, "EntryNotFound", "Entry not found")
        entry = repository.commits[commit][name]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{entry.etag}"'}
        if not entry.file.large:
            self.send_file(entry.file, name, headers)
            return
        headers |= {
            "X-Linked-ETag": f'"{entry.etag}"',
            "X-Linked-Size": str(entry.file.size),
            "Location": f"{self.server.hub.storage}/storage/{entry.etag}/{quote(name)}?Signature=s",
        }
        self.send(302, b"", headers)

    def find(self, where: list[str]) -> Repository:
        token, hub = self.token(), self.server.hub
        if token and token not in hub.tokens:
            raise _RefusedError(401, None, "Invalid credentials in Authorization header")
        repository = hub.repositories.get("/".join(where))
        hidden = repository and repository.closed == "private" and token not in repository.tokens
        if repository is None or hidden:
            words = "Repository not found" if token else "Invalid username or password."
            raise _RefusedError(404 if token else 401, "RepoNotFound", words)
        return repository

    def commit_of(self, repository: Repository, revision: str) -> str:
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            raise _RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def stored(self, etag: str) -> File:
        for repository in self.server.hub.repositories.values():
            for files in repository.commits.values():
                for entry in files.values():
                    if entry.etag == etag:
                        return entry.file
        raise _RefusedError(404, None, "no such object")

    def token(self) -> str | None:
        kind, _, token = (self.headers.get("Authorization") or "").partition(" ")
        return token if kind == "Bearer" else None

    # ---- how it is answered

    def send_file(self, file: File, name: str, headers: dict[str, str]) -> None:
        asked, start, status = self.headers.get("Range"), 0, 200
        headers = headers | {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
        if asked:
            start, status = int(asked.removeprefix("bytes=").partition("-")[0]), 206
            if start >= file.size:
                self.send(416, b"", {"Content-Range": f"bytes */{file.size}"})
                return
            headers["Content-Range"] = f"bytes {start}-{file.size - 1}/{file.size}"
        request = self.begin(status, file.size - start, headers)
        if self.command == "GET":
            self.send_body(request, file, start, self.take_fault(name))

    def take_fault(self, name: str) -> Fault | None:
        faults = self.server.hub.faults
        found = next((fault for fault in faults if fault.name == name.rpartition("/")[2]), None)
        if found:
            faults.remove(found)
        return found

    def send_body(self, request: Request, file: File, start: int, fault: Fault | None) -> None:
        """Send the file from `start` on, up to where a fault has it."""
        for piece in file.pieces(start):
            part = piece[: fault.after - request.sent] if fault else piece
            # Counted first: who has all of it may look at once.
            request.sent += len(part)
            self.wfile.write(part)
            if fault and request.sent == fault.after:
                self.close_connection = True
                if fault.hold:
                    # Readable is a connection that was closed.
                    select.select([self.connection], [], [])
                return

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.begin(status, len(body), headers)
        if self.command == "GET":
            self.wfile.write(body)

    def begin(self, status: int, length: int, headers: dict[str, str]) -> Request:
        """Note the request, and send the head of its answer."""
        path, asked = unquote(urlsplit(self.path).path), self.headers.get("Range")
        request = Request(self.command, path, asked, self.token(), status)
        self.server.hub.requests.append(request)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        return request

    def log_message(self, *_: object) -> None:
        pass
