# SPDX-License-Identifier: MIT
"""What the log reader's page is fetched with: an npm that hangs or fails ends with an error, and leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import RigError
from rig.report.page import build

ARCHIVE = "pyodide-314.0.7.tgz"


def _npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> Path:
    """Put a program called npm first on PATH, and return the directory that archives are kept in."""
    program = tmp_path / "bin/npm"
    program.parent.mkdir()
    program.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    return tmp_path / "kept"


def test_npm_that_hangs_is_ended_and_leaves_no_half_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = _npm(tmp_path, monkeypatch, f"echo half > {ARCHIVE}", "exec sleep 600")
    monkeypatch.setattr(build, "NPM", 0.5)
    monkeypatch.delenv("RIG_TIMEOUT_SCALE", raising=False)

    with pytest.raises(RigError, match=r"npm was ended: it was not done within 0\.5 s"):
        build.fetch_pyodide(kept)

    assert list(kept.iterdir()) == []


def test_npm_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = _npm(tmp_path, monkeypatch, "echo 'npm error network timeout' >&2", "exit 1")

    with pytest.raises(RigError, match=r"npm could not fetch pyodide@.*: npm error network timeout"):
        build.fetch_pyodide(kept)

    assert list(kept.iterdir()) == []


def test_archive_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = _npm(tmp_path, monkeypatch, f"echo whole > {ARCHIVE}")

    assert build.fetch_pyodide(kept) == kept / ARCHIVE
    (tmp_path / "bin/npm").write_text("#!/bin/sh\nexit 1\n")

    assert build.fetch_pyodide(kept).read_text() == "whole\n"
