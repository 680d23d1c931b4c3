# SPDX-License-Identifier: MIT
"""`rig image list --why KEY`: how a snapshot differs from the others, and the error where its identity is unknown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rig.cli import main
from rig.image.store import Store
from rig.machine.identity import identity_of
from tests.machine.test_command import QEMU, SPEC


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("RIG_CACHE", str(tmp_path / "cache"))
    store = Store()
    add(store, "aa11".ljust(64, "0"), identity=identity_of(SPEC, QEMU))
    add(
        store,
        "bb22".ljust(64, "0"),
        identity=identity_of(replace(SPEC, memory=1 << 30), replace(QEMU, text="version 9.2")),
    )
    add(store, "bc33".ljust(64, "0"), memory=1)
    return store


def add(store: Store, key: str, **about: object) -> None:
    with store.staging_directory() as work:
        (work / "result").mkdir()
        store.add("snapshot", key, work / "result", about)


def status(*words: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["rig", *words])
        with pytest.raises(SystemExit) as raised:
            main()
    return int(raised.value.code or 0)


def test_differences_are_printed(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("image", "list", "--why", "bb") == 0

    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "bb2200000000  version 9.2, 1024 MB, warp"
    assert "compared with aa1100000000:" in printed
    assert "  memory: 536870912 → 1073741824" in printed
    assert "  qemu: version 7.2 → version 9.2" in printed
    assert not any("bc33" in line for line in printed)


@pytest.mark.parametrize(
    ("key", "expected", "words"),
    [("zz", 64, "there is no snapshot 'zz'"), ("b", 64, "'b' begins 2 keys"), ("bc", 3, "kept no identity")],
)
def test_what_cannot_be_told_is_an_error_with_a_remedy(
    key: str, expected: int, words: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("image", "list", "--why", key) == expected

    error = capsys.readouterr().err
    assert words in error
    assert "try:" in error
