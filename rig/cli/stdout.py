# SPDX-License-Identifier: MIT
"""Standard output, which holds one document at most."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from rig.errors import UsageError
from rig.extras import require

__all__ = ["check_outputs", "others_to_stderr"]


def check_outputs(*outputs: tuple[str, object]) -> None:
    """Raise UsageError when more than one of (name, value) goes to standard output: True, or `-`.

    Raises RigError where --junit is asked for and what writes it is not installed.
    """
    taken = [name for name, value in outputs if value is True or value == "-"]
    if len(taken) > 1:
        raise UsageError("only one output can be standard output", where=", ".join(taken), remedy="choose one")
    if dict(outputs).get("--junit") is not None:
        require("junitparser")


@contextmanager
def others_to_stderr(*targets: str | None) -> Iterator[None]:
    """Let all that is printed go to standard error where standard output is a document's."""
    if "-" not in targets:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield
