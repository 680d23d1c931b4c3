# SPDX-License-Identifier: MIT
"""Builds with the stand-in tree run no program of the host but make and objcopy: the others stand in too."""

from __future__ import annotations

import os

import pytest

from rig.image.buildroot.tree import HOST_TOOLS

STAND_IN = '#!/bin/sh\necho "$0 stands in for a program of the host" >&2\nexit 127\n'


@pytest.fixture(autouse=True)
def host_tools(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a stand-in at the end of PATH for each program that Buildroot asks of the host."""
    directory = tmp_path_factory.mktemp("host-tools")
    for name in HOST_TOOLS:
        (directory / name).write_text(STAND_IN)
        (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{directory}")
