"""Fetch a file over HTTP: resumed where it broke off, and checked before it gets its name."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from tqdm import tqdm

from gap.run.errors import UserError

if TYPE_CHECKING:
    import requests

ATTEMPTS = 5
# Bytes written at once, and the most that is lost where a connection breaks.
CHUNK = 1 << 16


class Answer(Protocol):
    """A server's answer, of whichever library."""

    @property
    def status_code(self) -> int:
        """The status of HTTP."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers, by names in any case."""
        ...


def is_safe(name: str) -> bool:
    """Return whether a file of this name can only come to lie in the folder it is meant for."""
    path = PurePosixPath(name.replace("\\", "/"))
    return (
        name.isprintable()
        and ":" not in name
        and not path.is_absolute()
        and ".." not in path.parts
        and path.name != ""
    )


def fetch(
    url: str,
    target: Path,
    check: Callable[[Path], None],
    refusal: Callable[[Answer], str],
    headers: Mapping[str, str] | None = None,
) -> None:
    """Put the file behind a URL at `target`, resumed where an earlier call broke off.

    `check` raises UserError for a wrong content and deletes it. `refusal` makes the line for an
    answer that no further attempt would change. `headers` are those that prove
    who asks; they are not sent on to another server.
    """
    partial = target.with_name(target.name + ".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    resumed = partial.exists()
    _download(url, partial, refusal, headers or {})
    try:
        check(partial)
    except UserError:
        if not resumed:
            raise
        # An earlier call may have left part of an older version of the file: start again from zero.
        _download(url, partial, refusal, headers or {})
        check(partial)
    os.replace(partial, target)


def _download(
    url: str,
    partial: Path,
    refusal: Callable[[Answer], str],
    headers: Mapping[str, str],
    wait: float = 1.0,
) -> None:
    """Append to `partial` until it is complete, trying again with growing waits (in seconds).

    Raises UserError when the server refuses, or five attempts in a row brought nothing.
    """
    import requests

    failures = 0
    with requests.Session() as session:
        if headers:
            # Otherwise a .netrc's password for the server would take the place of the headers.
            session.auth = lambda request: request
        while True:
            before = partial.stat().st_size if partial.exists() else 0
            try:
                _receive(session, url, partial, before, headers)
                return
            except requests.HTTPError as error:
                answer = error.response
                assert answer is not None
                status = answer.status_code
                problem = f"status {status}"
                if status < 500 and status not in (408, 429):
                    raise UserError(refusal(answer)) from None
            except requests.RequestException as error:
                # After a redirect, the address may be signed. A signature is as good as a password.
                problem = re.sub(r"\?[^\s)]*", "", str(error))
            grown = partial.exists() and partial.stat().st_size > before
            failures = 1 if grown else failures + 1
            if failures >= ATTEMPTS:
                raise UserError(
                    f"{url}: broke off ({problem}); run again to go on from where it stopped"
                )
            print(f"{url}: {problem}; trying again", file=sys.stderr)
            time.sleep(wait * 2 ** (failures - 1))


def _receive(
    session: requests.Session, url: str, partial: Path, have: int, headers: Mapping[str, str]
) -> None:
    """Receive the rest of a file. `partial` holds its first `have` bytes."""
    # identity: the length and sha256 of the file are not those of a body that is compressed on its
    # way.
    headers = {**headers, "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with session.get(url, headers=headers, stream=True, timeout=60) as response:
        if response.status_code == 416:
            # The server has no more: the file is complete, or another one; `check` tells.
            return
        response.raise_for_status()
        resumes = response.status_code == 206
        total = int(response.headers.get("Content-Length", 0)) + (have if resumes else 0)
        start = have if resumes else 0
        pace = 0.1 if sys.stderr.isatty() else 30.0
        bar = tqdm(
            total=total or None,
            initial=start,
            unit="B",
            unit_scale=True,
            mininterval=pace,
            ascii=True,
        )
        with bar, open(partial, "ab" if resumes else "wb") as file:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
