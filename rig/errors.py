# SPDX-License-Identifier: MIT
"""Errors that the user reads: what happened, where, and what to do about it.

The command line prints them in one place and exits with their status; the statuses are those of README.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["EXIT_ERROR", "EXIT_USAGE", "GuestError", "RigError", "UsageError"]

EXIT_ERROR = 3
EXIT_USAGE = 64  # EX_USAGE of sysexits.h


class RigError(Exception):
    """The rig could not do its work.

    what: one sentence; where: the file, line, key or command concerned; remedy: what the reader can do;
    detail: lines that prove it (a console's end, a compiler's words), printed as they are.
    """

    status = EXIT_ERROR

    def __init__(
        self,
        what: str,
        *,
        where: str | Path | None = None,
        remedy: str | None = None,
        detail: str | None = None,
    ) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.remedy = remedy
        self.detail = detail
        super().__init__(str(self))

    def __str__(self) -> str:
        text = self.what if self.where is None else f"{self.where}: {self.what}"
        return text if self.remedy is None else f"{text} ({self.remedy})"


class UsageError(RigError):
    """The user asked for something that cannot be asked for: an unknown name, a bad value."""

    status = EXIT_USAGE


class GuestError(RigError):
    """The guest broke where the scenario does not expect it: no boot, no agent, a lost port."""
