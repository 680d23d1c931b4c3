# SPDX-License-Identifier: MIT
"""The scenario of a kept run. An imported run is believed the name of a scenario of the catalogue, and no path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from rig.errors import RigError
from rig.run.imported import read_imported
from rig.scenario.load import list_scenarios

if TYPE_CHECKING:
    from rig.run.document import Run

__all__ = ["kept_scenario"]

FETCHED = re.compile(r"(debian|source|buildroot):[A-Za-z0-9.-]{1,40}|quick|buildroot", re.ASCII)
"""Kernels and images that rig fetches or builds itself. Others are paths of this host; `tree:DIR` runs make there."""


def kept_scenario(run: Run, directory: Path) -> str:
    """Return the scenario of a kept run, as load_scenario() takes it.

    directory: of the run.
    Raises RigError for an imported run whose scenario, kernel or image is a path: whoever made the archive chose it,
    and may have put files there with the archive.
    """
    if read_imported(directory) is None:
        return run.scenario_directory if Path(run.scenario_directory or "/nowhere").is_dir() else run.scenario
    remedy = "read the scenario, and run it here: rig run DIRECTORY"
    if run.scenario not in {each.name for each in list_scenarios()}:
        raise RigError("the run was imported, and its scenario is none of rig's own", where=directory, remedy=remedy)
    for name in ("kernel", "image"):
        value = run.settings.get(name)
        if value is not None and FETCHED.fullmatch(value) is None:
            raise RigError(f"the run was imported, and its {name} is a path", where=directory, remedy=remedy)
    return run.scenario
