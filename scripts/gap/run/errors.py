"""The errors that every program knows."""

from __future__ import annotations

# What `sysexits.h` calls a temporary failure: the same command again goes on.
STOPPED = 75


class UserError(Exception):
    """A mistake in config or data; its text says what was found, expected, and what to do."""


class Stopped(BaseException):
    """A job was asked to stop, and has saved what it had; its text says how far it got.

    Like KeyboardInterrupt it is no error that a library may catch.
    """
