# SPDX-License-Identifier: MIT
"""Refuse a scenario's Python program whose modules the guest's Python does not have, before a guest is started."""

from __future__ import annotations

from pathlib import Path

from rig.errors import UsageError
from rig.image.python_modules import is_python_script, missing_module, read_source
from rig.scenario.plan import RenderedPlan

__all__ = ["refuse_missing_modules"]


def refuse_missing_modules(plan: RenderedPlan, image: Path) -> None:
    """Raise UsageError for a Python program of a plan that imports what the Python of an image lacks.

    Such a program would end with a traceback, and the scenario with a wait for a program that is not there.
    """
    for program in plan.programs:
        if program.language not in ("python", "file"):
            continue
        source = read_source(program.source)
        missing = missing_module(source, image) if program.language == "python" or is_python_script(source) else None
        if missing is not None:
            raise UsageError(
                f"imports '{missing.name}' in line {missing.line}, which the guest's Python, python3-minimal, lacks",
                where=program.source,
                remedy="write the program without it; rig exec --deb python3 runs programs with the whole library",
            )
