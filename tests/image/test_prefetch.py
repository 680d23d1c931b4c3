# SPDX-License-Identifier: MIT
"""Digests that another process computed in advance are used only for a file that has not changed since."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rig.image import digest
from rig.image.digest import digest_file, digest_once, expect_digests
from rig.image.entry import Entry
from rig.image.prefetch import prefetch_digests
from rig.image.store import Store


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that this process reads itself."""
    found: list[Path] = []

    def read(path: Path) -> str:
        found.append(path)
        return digest_file(path)

    monkeypatch.setattr(digest, "digest_file", read)
    monkeypatch.setattr(digest, "_known", {})
    monkeypatch.setattr(digest, "_expected", [])
    return found


def _entry(store: Store, kind: str, key: str, content: bytes) -> Entry:
    with store.staging_directory() as work:
        directory = work / "made"
        directory.mkdir()
        (directory / "file").write_bytes(content)
        return store.add(kind, key, directory, {"spec": "made"})


def test_what_was_used_last_is_not_read_again(tmp_path: Path, reads: list[Path]) -> None:
    store = Store(tmp_path)
    entry = _entry(store, "kernel", "a" * 64, b"one")
    reads.clear()

    prefetch_digests(store)

    assert store.get_verified("kernel", "a" * 64) == entry
    assert reads == []


def test_a_file_that_was_not_foreseen_is_read(tmp_path: Path, reads: list[Path]) -> None:
    store = Store(tmp_path)
    old, new = _entry(store, "kernel", "0" * 64, b"one"), _entry(store, "kernel", "1" * 64, b"two")
    old.touch()
    reads.clear()

    prefetch_digests(store)

    assert store.get_verified("kernel", "1" * 64) == new
    assert reads == [new.file("file")]


def test_damage_is_seen_by_a_digest_taken_ahead(tmp_path: Path, reads: list[Path]) -> None:
    store = Store(tmp_path)
    entry = _entry(store, "kernel", "a" * 64, b"one")
    entry.file("file").chmod(0o600)
    entry.file("file").write_bytes(b"two")

    prefetch_digests(store)

    assert store.get_verified("kernel", "a" * 64) is None


def test_a_file_that_changed_since_is_read(tmp_path: Path, reads: list[Path]) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    code = f"from pathlib import Path; from rig.image.digest import print_digest; print_digest(Path({str(file)!r}))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    process.wait()
    file.write_bytes(b"other")
    expect_digests(process)

    assert digest_once(file) == digest_file(file)
    assert reads == [file]


def test_half_a_line_is_no_digest(tmp_path: Path, reads: list[Path]) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"one")
    process = subprocess.Popen(["printf", '[["/a", 1, 2'], stdout=subprocess.PIPE, text=True)
    expect_digests(process)

    assert digest_once(file) == digest_file(file)
