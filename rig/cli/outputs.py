# SPDX-License-Identifier: MIT
"""`--junit`, `--ktap` and GitHub's annotations: suites written where the person wants them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from rig.errors import RigError, UsageError

if TYPE_CHECKING:
    from rig.run.suite import Suite

__all__ = ["check_outputs", "others_to_stderr", "write_outputs"]


def check_outputs(*outputs: tuple[str, object]) -> None:
    """Raise UsageError when more than one of (name, value) goes to standard output: True, or `-`."""
    taken = [name for name, value in outputs if value is True or value == "-"]
    if len(taken) > 1:
        raise UsageError("two outputs on standard output", where=", ".join(taken), remedy="choose one")


@contextmanager
def others_to_stderr(*targets: str | None) -> Iterator[None]:
    """Let all that is printed go to standard error where standard output is a document's."""
    if "-" not in targets:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


def write_outputs(suites: Sequence[Suite], *, junit: str | None, ktap: str | None) -> None:
    """Write what was asked for; in a job of GitHub Actions the annotations too, to standard error's log."""
    if junit is not None:
        from rig.report.junit import junit_xml

        _write(junit, junit_xml(suites), "--junit")
    if ktap is not None:
        from rig.report.ktap import ktap_text

        _write(ktap, ktap_text(suites), "--ktap")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from rig.report.annotations import annotation_lines

        # The runner reads workflow commands from both streams; standard output may hold a document.
        for line in annotation_lines(suites):
            print(line, file=sys.stderr)


def _write(target: str, text: str, option: str) -> None:
    if target == "-":
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RigError(f"cannot be written: {error.strerror}", where=f"{option} {target}") from error
