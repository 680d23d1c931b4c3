# SPDX-License-Identifier: MIT
"""rig doctor: when KVM is tried again, and the exit status."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from rig.cli.app import _run
from rig.experiment.doctor import Finding, _memory, _other_rig

doctor = importlib.import_module("rig.cli.doctor")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A host that lacks nothing and whose KVM boots no kernel. Returns whether each trial was to be made anew."""
    trials: list[bool] = []

    async def examine_kvm(*, again: bool = False) -> Finding:
        trials.append(again)
        return Finding("note", "kvm", "the kernel hangs")

    monkeypatch.setattr(doctor, "examine", lambda: iter([Finding("ok", "qemu", "7.2")]))
    monkeypatch.setattr(doctor, "examine_kvm", examine_kvm)
    return trials


@pytest.mark.parametrize(
    ("words", "again", "status"),
    [
        ([], False, 0),
        (["--again"], True, 0),
        # What another runner's KVM was worth does not count: it is always tried.
        (["--require-kvm"], True, 1),
        (["--ci", "--require-kvm"], True, 1),
    ],
)
def test_kvm_is_tried_anew_where_it_is_required(words: list[str], again: bool, status: int, asked: list[bool]) -> None:
    assert _run(["doctor", *words]) == status
    assert asked == [again]


def test_host_that_lacks_something_is_not_tried(asked: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda: iter([Finding("bad", "qemu", "none", "install it")]))

    assert _run(["doctor"]) == 1
    assert asked == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x7fELF\x02\x01", "is another program"),
        (b"#!/usr/bin/python3\nfrom rig.scripts import boot\n", "is another program"),
        (None, "there is no rig on PATH"),
    ],
    ids=["of Debian", "of PyPI", "none"],
)
def test_other_program_of_the_name_is_told_apart(
    content: bytes | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / "rig").write_bytes(content)
        (tmp_path / "rig").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    (found,) = _other_rig()

    assert found.level == "note"
    assert words in found.saw


def test_own_program_is_not_taken_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rig").write_text("#!/venv/bin/python3\nimport sys\nfrom rig.cli import main\nsys.exit(main())\n")
    (tmp_path / "rig").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert list(_other_rig()) == []


def test_chroot_without_proc_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rig.experiment.doctor.MEMINFO", tmp_path / "meminfo")

    finding = _memory()

    assert (finding.level, finding.what) == ("bad", "memory")
    assert "No such file or directory" in finding.saw
    assert "mount -t proc" in finding.remedy
