# SPDX-License-Identifier: MIT
"""Branch points: their key, and how they are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rig.image import manifest
from rig.image.continuation import Continuation, Stop
from rig.image.sparse import copy_pages, digest_pages
from rig.image.store import Store
from rig.machine.branch_point import key_of_point
from rig.machine.snapshot import Snapshot

START = Snapshot("a" * 64, Path("ram"), None, None, Path("state"), "digest", Path("boot.log"), {}, b"")


def test_key_depends_on_all_that_led_to_the_point() -> None:
    keys = {
        key_of_point(START, "p", (), Stop(step=3)),
        key_of_point(START, "p", (), Stop(step=4)),
        key_of_point(START, "p", (), Stop(record=3)),
        key_of_point(START, "q", (), Stop(step=3)),
        key_of_point(START, "p", ("l",), Stop(step=3)),
        key_of_point(replace(START, digest="other"), "p", (), Stop(step=3)),
        key_of_point(START, "p", (), Continuation(2, "end\n", Stop(step=3))),
    }

    assert len(keys) == 7


def test_memory_that_was_changed_on_the_disk_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A guest's memory is too large for the second copy that small files have.
    monkeypatch.setattr(manifest, "LARGEST_COPY", 1)
    store = Store(tmp_path / "cache")
    with store.staging_directory() as work:
        (work / "source").write_bytes(bytes(1 << 16) + b"x" * (1 << 16))
        (work / "result").mkdir()
        with (work / "source").open("rb") as source:
            digest = copy_pages(source.fileno(), work / "result" / "ram.pages")
        entry = store.add("branch", "c" * 64, work / "result", {}, {"ram.pages": digest})
    assert store.get_verified("branch", entry.key) is not None

    with entry.file("ram.pages").open("r+b") as file:
        file.write(b"y")

    assert store.get_verified("branch", entry.key) is None
    assert not entry.path.exists()


def test_copy_of_a_branch_point_is_verified_by_its_digest(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(bytes(1 << 17) + b"x" * 100)
    with (tmp_path / "source").open("rb") as source:
        digest = copy_pages(source.fileno(), tmp_path / "ram.pages")

    assert digest_pages(tmp_path / "ram.pages") == digest
    assert (tmp_path / "ram.pages").read_bytes() == (tmp_path / "source").read_bytes()
