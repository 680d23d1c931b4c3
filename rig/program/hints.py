# SPDX-License-Identifier: MIT
"""Suggest an option of `rig exec` when a program did not start or lacked a file."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from rig.program.kernel_features import Configuration, lacking_feature
from rig.program.outcome import NOT_FOUND, NOT_STARTED, Outcome
from rig.program.request import ProgramRequest

if TYPE_CHECKING:
    from rig.scenario.evidence import Evidence

__all__ = ["hint_for"]

MODULE = re.compile(r"^ModuleNotFoundError: No module named '([\w.]+)'")
LIBRARY = re.compile(r"error while loading shared libraries: (\S+): cannot open shared object file")


def hint_for(
    request: ProgramRequest,
    argv: tuple[str, ...],
    outcome: Outcome,
    evidence: Evidence,
    configuration: Configuration = lambda: ("", {}),
) -> str:
    """Return a suggestion for the user, or an empty text if rig has none."""
    if outcome.status == NOT_FOUND and outcome.problem:
        return _where_it_is(request, argv[0])
    if outcome.status == NOT_STARTED and outcome.problem:
        return f"copy it and name its interpreter: rig exec --copy FILE -- sh FILE (it is {argv[0]})"
    if not outcome.code:
        return ""
    for line in evidence.records.of("line"):
        text = str(line.get("text", ""))
        if (found := MODULE.match(text)) and "python3" not in request.packages and request.root is None:
            return (
                f"the guest's own Python is python3-minimal, without the module '{found[1]}': "
                "--deb python3 brings the standard library, --deb python3-NAME other modules"
            )
        if found := LIBRARY.search(text):
            return f"copy the library that it opens while it runs: --copy {found[1]}:/usr/lib/x86_64-linux-gnu/"
    return lacking_feature((str(line.get("text", "")) for line in evidence.records.of("line")), configuration)


def _where_it_is(request: ProgramRequest, program: str) -> str:
    if "/" in program:
        return "neither the guest nor this host has a file of that path"
    if (here := shutil.which(program)) and not request.packages and request.root is None:
        return f"the guest has no {program}; take this host's along: rig exec -- {here}"
    return f"the guest has no {program}; name the Debian package that has it: rig exec --deb PACKAGE -- {program}"
