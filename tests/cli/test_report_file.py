# SPDX-License-Identifier: MIT
"""A report that cannot be written leaves the one that was there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from rig.cli.app import _run
from tests.report.made_directory import write_directory


def test_report_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "runs/20250131-120000-abcd"
    write_directory(directory)
    (directory / "report.html").write_text("the old one")
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)

    assert _run(["report", "last"]) == 3

    assert (directory / "report.html").read_text() == "the old one"
    assert "the report cannot be written: No space left on device" in capsys.readouterr().err
