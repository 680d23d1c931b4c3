# SPDX-License-Identifier: MIT
"""Call rig's command line in the process of the tests: a process of its own costs half a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pytest

from rig.cli.app import _run


@dataclass(frozen=True)
class Done:
    """How a call ended, named as subprocess.CompletedProcess names it."""

    returncode: int
    stdout: str
    stderr: str


class Call(Protocol):
    """Call rig with these words."""

    def __call__(self, *words: str) -> Done: ...


def calling(capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that calls rig as `python -m rig` does."""

    def call(*words: str) -> Done:
        status = _run(list(words))
        return Done(status, *capsys.readouterr())

    return call
