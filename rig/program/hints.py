# SPDX-License-Identifier: MIT
"""Suggest an option of `rig exec` when a program did not start or lacked a file."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from rig.image.layer.closure import PLACE, SYSTEM_DIRECTORIES
from rig.program.kernel_features import Configuration, lacking_feature
from rig.program.outcome import NOT_FOUND, NOT_STARTED, Outcome
from rig.program.request import ProgramRequest

if TYPE_CHECKING:
    from rig.scenario.evidence import Evidence

__all__ = ["hint_for", "package_of"]

MODULE = re.compile(r"^ModuleNotFoundError: No module named '([\w.]+)'")
LIBRARY = re.compile(r"(\S+): cannot open shared object file: No such file or directory")
"""The words of glibc's loader, at the start of a program and in dlerror(3) (_dl_map_object() of elf/dl-load.c)."""


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
    if outcome.problem.startswith("chdir of") and (request.cwd or request.root):
        return (
            "the guest has no such directory: name another with --cwd, or copy something into it with --copy FILE:DIR/"
        )
    if outcome.status == NOT_STARTED and "interpreter" in outcome.problem:
        return "name the Debian package that has its interpreter: rig exec --deb PACKAGE"
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
            return _library(found[1])
    return lacking_feature((str(line.get("text", "")) for line in evidence.records.of("line")), configuration)


def _library(name: str) -> str:
    """Return how to copy a library that a program opens while it runs, which its loader does not list before."""
    if "/" in name:
        return f"copy the library that it opens while it runs: --copy {name}"
    here = next((path for path in (Path(directory, name) for directory in SYSTEM_DIRECTORIES) if path.is_file()), None)
    return f"copy the library that it opens while it runs: --copy {here or 'DIR/' + name}:{PLACE}/"


def _where_it_is(request: ProgramRequest, program: str) -> str:
    if "/" in program:
        return "neither the guest nor this host has a file of that path"
    if (here := shutil.which(program)) and not request.packages and request.root is None:
        if package := package_of(here):
            return (
                f"the guest has no {program}; Debian's package {package} has it: rig exec --deb {package} -- {program}"
            )
        return f"the guest has no {program}; take this host's along: rig exec -- {here}"
    return f"the guest has no {program}; name the Debian package that has it: rig exec --deb PACKAGE -- {program}"


def package_of(path: str) -> str:
    """Return the Debian package that a program of this host came from; an empty text where none is known."""
    dpkg = shutil.which("dpkg-query")
    for each in dict.fromkeys((path, str(Path(path).resolve()), str(Path(path).resolve()).removeprefix("/usr"))):
        if dpkg is None:
            break
        # A link of update-alternatives belongs to no package, and before the /usr merge is done paths begin at /bin.
        done = subprocess.run([dpkg, "-S", each], capture_output=True, text=True, errors="replace", check=False)
        names, colon, _ = done.stdout.partition(":")
        if done.returncode == 0 and colon and "," not in names and " " not in names:
            return names
    return ""
