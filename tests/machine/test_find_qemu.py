# SPDX-License-Identifier: MIT
"""The host's QEMU is the one that RIG_QEMU names now, whatever it named before in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import RigError
from rig.machine.qemu import _find, find_qemu


def program(path: Path, version: str) -> Path:
    path.write_text(f"#!/bin/sh\necho QEMU emulator version {version}\n")
    path.chmod(0o755)
    return path


def test_rig_qemu_is_read_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_QEMU", str(program(tmp_path / "old", "8.2.0")))
    first = find_qemu()
    monkeypatch.setenv("RIG_QEMU", str(program(tmp_path / "new", "10.0.2")))

    second = find_qemu()

    assert (first.version, second.version) == ((8, 2), (10, 0))


def test_program_that_is_not_there_is_refused_after_one_that_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIG_QEMU", str(program(tmp_path / "old", "8.2.0")))
    find_qemu()
    monkeypatch.setenv("RIG_QEMU", str(tmp_path / "gone"))

    with pytest.raises(RigError, match="not installed"):
        find_qemu()


def test_program_is_asked_for_its_version_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIG_CACHE", str(tmp_path))
    binary, asked = tmp_path / "qemu", []
    binary.write_bytes(b"\x7fELF")
    binary.chmod(0o755)

    def ask(name: str) -> str:
        asked.append(name)
        return f"QEMU emulator version 7.{len(asked) + 1}.0"

    monkeypatch.setattr("rig.machine.qemu._ask", ask)

    def version() -> tuple[int, int]:
        _find.cache_clear()
        return find_qemu(str(binary)).version

    assert (version(), version()) == ((7, 2), (7, 2))
    binary.write_bytes(b"\x7fELF, upgraded")
    assert version() == (7, 3)
