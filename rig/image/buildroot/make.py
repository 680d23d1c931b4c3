# SPDX-License-Identifier: MIT
"""Run Buildroot's make, write its output to a log, and report its steps as they begin.

Buildroot announces each step of a package in a line `>>> PACKAGE VERSION STEP` (the macros MESSAGE and step_start, in
its Makefile and package/pkg-generic.mk).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rig.disk import disk_full_of
from rig.errors import RigError
from rig.image.build_log import LONGEST_SHOWN, BuildLog, read_lines
from rig.image.hosttools import tool
from rig.image.programs import BUILD, run_program, started_program

__all__ = ["Make", "Step", "read_step"]

LAST_LINES = 25
_STEP = re.compile(r">>> (?P<package>\S*) (?P<version>\S*) (?P<action>.*)")
_TERMINAL = re.compile(r"\x1b\[[0-9;]*m|\x1b\(B")


@dataclass(frozen=True)
class Step:
    """One step of the build. package: empty for a step of the whole image."""

    package: str
    version: str
    action: str


Watch = Callable[[Step], None]


def read_step(line: str) -> Step | None:
    """Return the step that a line of Buildroot's output announces, or None."""
    match = _STEP.fullmatch(_TERMINAL.sub("", line).rstrip())
    return Step(match["package"], match["version"], match["action"].strip()) if match else None


@dataclass(frozen=True)
class Make:
    """Buildroot's make.

    tree: the directory of Buildroot.
    output: the output directory (O=).
    external: rig's BR2_EXTERNAL tree.
    log: the file to which make's output is appended, up to the bounds of build_log.py.
    """

    tree: Path
    output: Path
    external: Path
    log: Path

    def run(self, *words: str, watch: Watch = lambda step: None) -> None:
        """Run make to its end.

        words: targets and NAME=VALUE settings.
        watch: called with each step as it begins.
        Raises RigError naming the package that failed, with the last lines of the log.
        """
        with BuildLog(self.log) as log:
            log.write(f"$ make {' '.join(words)}\n".encode())
            last, status = self._follow(log, words, watch)
        if status != 0:
            raise self._failure(last, status, words)

    def answer(self, *words: str) -> str:
        """Run make and return its standard output. Raises RigError with its standard error where it fails."""
        done = run_program(self._command("-s", *words), env=_clean())
        if done.returncode != 0:
            raise RigError(
                f"Buildroot's make {words[0]} ended with status {done.returncode}",
                where=self.tree,
                detail=done.stderr.decode(errors="replace"),
            )
        return done.stdout.decode(errors="replace")

    def _command(self, *words: str) -> list[str]:
        return [
            tool("make"), "-C", str(self.tree), "--no-print-directory",
            f"O={self.output}", f"BR2_EXTERNAL={self.external}",
            *words,
        ]  # fmt: skip

    def _follow(self, log: BuildLog, words: tuple[str, ...], watch: Watch) -> tuple[Step | None, int]:
        last = None
        # On an interrupt make ends its children, and the next run resumes from Buildroot's stamp files.
        with started_program(self._command(*words), env=_clean(), stderr=subprocess.STDOUT, deadline=BUILD) as process:
            assert process.stdout is not None
            for printed in read_lines(process.stdout):
                line = printed.decode(errors="replace")
                log.write(_TERMINAL.sub("", line).encode())
                if (step := read_step(line)) is not None:
                    last = step
                    watch(step)
        return last, process.returncode

    def _failure(self, last: Step | None, status: int, words: tuple[str, ...]) -> RigError:
        lines = self.log.read_text(errors="replace").splitlines()[-LAST_LINES:]
        if full := disk_full_of("\n".join(lines), self.output):
            return full
        output = "\n".join(line[:LONGEST_SHOWN] for line in lines)
        if last is not None and last.package:
            what = f"the package {last.package} {last.version} failed: {last.action}"
        else:
            what = f"Buildroot's make {words[0] if words else ''}".rstrip() + f" ended with status {status}"
        return RigError(
            what,
            where=self.log,
            remedy="fix the error and run the command again: it continues from what is built already",
            detail=output,
        )


def _clean() -> dict[str, str]:
    """Return the environment without variables that Buildroot refuses or that would change a build."""
    dropped = {
        "LD_LIBRARY_PATH",
        "PERL_MM_OPT",
        "CFLAGS",
        "CXXFLAGS",
        "LDFLAGS",
        "CPPFLAGS",
        "MAKEFLAGS",
        "MAKEOVERRIDES",
    }
    kept = {name: value for name, value in os.environ.items() if name not in dropped and not name.startswith("BR2_")}
    if os.geteuid() == 0:
        # The configure script of GNU tar refuses to run as root. A build as root is the user's choice.
        kept["FORCE_UNSAFE_CONFIGURE"] = "1"
    return {**kept, "TERM": "dumb"}
