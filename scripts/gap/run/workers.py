"""The same work on many pieces of data, by several processes, in the order of the pieces."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any, Generic, TypeVar

from gap.run.errors import UserError

Piece = TypeVar("Piece")
Result = TypeVar("Result")


class Workers(Generic[Piece, Result]):
    """Processes that apply one function to pieces; used in a `with` statement.

    The function is sent to each process once, so it may hold what is large, and keep what it has
    learned from one piece for the next. No process is started for a single piece, or where only
    one is asked for: the function then runs here.
    """

    def __init__(self, function: Callable[[Piece], Result], processes: int) -> None:
        self._function, self._processes = function, processes
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers[Piece, Result]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool:
            self._pool.shutdown(cancel_futures=True)

    def in_order(self, pieces: Iterable[Piece]) -> Generator[Result, None, None]:
        """Yield the result for each piece, in their order; an error of a piece is raised here.

        A few more pieces than there are processes are under way at a time, so memory is bounded
        by theirs. Those under way are dropped when the iterator is closed.
        """
        coming = iter(pieces)
        first = list(islice(coming, 2))
        if self._processes < 2 or len(first) < 2:
            yield from map(self._function, chain(first, coming))
            return
        if self._pool is None:
            self._pool = _start(self._function, self._processes)
        waiting: deque[Future[Result]] = deque()
        try:
            for piece in chain(first, coming):
                waiting.append(self._pool.submit(_work, piece))
                if len(waiting) > self._processes + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise UserError(
                "a process of this job was killed, perhaps because memory ran out; the same "
                "command goes on"
            ) from None
        finally:
            for future in waiting:
                future.cancel()


# The function of this process, of any type: whoever started the process knows the type.
_function: Callable[[Any], Any]


def _start(function: Callable[[Piece], Result], processes: int) -> ProcessPoolExecutor:
    # No fork: libraries have started threads, and a fork would copy their locks, held or not.
    return ProcessPoolExecutor(
        processes,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(function,),
    )


def _begin(function: Callable[[Piece], Result]) -> None:
    """Make a new process ready: it works alone, and ends with the one that started it."""
    global _function  # noqa: PLW0603
    _function = function
    # Ctrl-C reaches all processes; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _work(piece: object) -> Any:
    return _function(piece)
