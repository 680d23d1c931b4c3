# SPDX-License-Identifier: MIT
"""The modules of the command line import each other in one direction, also where they do so in a function."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

from rig.cli.commands import COMMANDS


def imports_of_the_command_line() -> dict[str, set[str]]:
    graph = grimp.build_graph("rig")
    modules = {name for name in graph.modules if name.startswith("rig.cli.")}
    return {name: graph.find_modules_directly_imported_by(name) & modules for name in modules}


def test_modules_of_the_command_line_have_no_cycle() -> None:
    list(TopologicalSorter(imports_of_the_command_line()).static_order())


def test_cycle_would_be_seen() -> None:
    imports = imports_of_the_command_line()
    imports["rig.cli.options"] = {"rig.cli.run"}

    with pytest.raises(CycleError):
        list(TopologicalSorter(imports).static_order())


def test_no_module_imports_the_program_but_what_writes_its_texts() -> None:
    importers = {name for name, imported in imports_of_the_command_line().items() if "rig.cli.app" in imported}

    assert importers & {f"rig.cli.{each.module}" for each in COMMANDS.values()} == set()
