"""What a long job does when it is asked to stop.

SIGTERM is what a batch system sends shortly before it kills a job, SIGINT what Ctrl-C sends.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from gap.run.errors import Stopped

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def stop_at_once(just_once: bool = False) -> Iterator[None]:
    """Raise Stopped within the context, wherever the program is, when it is asked to stop.

    With `just_once` further requests are ignored, so that they do not break off an orderly end.
    """
    asked: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if just_once and asked:
            return
        asked.append(number)
        raise Stopped(f"by {signal.Signals(number).name}; what was finished is kept")

    with _handled_by(stop):
        yield


class StopRequest:
    """Whether the program was asked to stop."""

    made = False


@contextlib.contextmanager
def stop_when_saved() -> Iterator[StopRequest]:
    """Note within the context that the program was asked to stop; the rest is the body's to do.

    Raises Stopped at the end of the context if the body did not.
    """
    request = StopRequest()

    def note(number: int, frame: FrameType | None) -> None:
        request.made = True

    with _handled_by(note):
        yield request
    if request.made:
        raise Stopped("what was finished is kept")


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)
