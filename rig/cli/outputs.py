# SPDX-License-Identifier: MIT
"""`--junit`, `--ktap`, GitHub's annotations and summary: suites written where they are asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rig.errors import RigError
from rig.report.annotations import annotation_lines
from rig.report.junit import junit_xml
from rig.report.ktap import ktap_text
from rig.report.summary import summary_markdown
from rig.run.suite import Suite

__all__ = ["outputs_wanted", "write_output", "write_outputs"]


def outputs_wanted(*, junit: str | None, ktap: str | None) -> bool:
    """Return whether write_outputs() writes anything: suites of many runs take memory."""
    return junit is not None or ktap is not None or _on_github()


def _on_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def write_outputs(suites: Sequence[Suite], *, junit: str | None, ktap: str | None) -> None:
    """Write what was asked for.

    In a job of GitHub Actions the annotations go to standard error's log, and tables to the summary of the step.
    """
    if junit is not None:
        write_output(junit, junit_xml(suites), "--junit")
    if ktap is not None:
        write_output(ktap, ktap_text(suites), "--ktap")
    if _on_github():
        # The runner reads workflow commands from both streams; standard output may hold a document.
        for line in annotation_lines(suites):
            print(line, file=sys.stderr)
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            _append(Path(summary), summary_markdown(suites))


def write_output(target: str, text: str, option: str) -> None:
    """Write a document. target: a path, or `-` for standard output. Raises RigError, naming the option."""
    if target == "-":
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        raise RigError(f"cannot be written: {error.strerror}", where=f"{option} {target}") from error


def _append(path: Path, text: str) -> None:
    """Append to the summary of the step. Raises RigError where that cannot be written."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise RigError(f"cannot be written: {error.strerror}", where=f"GITHUB_STEP_SUMMARY {path}") from error
