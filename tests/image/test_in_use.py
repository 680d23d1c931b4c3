# SPDX-License-Identifier: MIT
"""Entries of the cache that a process uses stay, whoever evicts."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from rig import in_use
from rig.errors import RigError
from rig.image.digest import digest_text
from rig.image.entry import Entry
from rig.image.store import Store
from rig.in_use import lock_unused, using_entries

K1, S1 = (digest_text(name) for name in ("k1", "s1"))


def add_entry(store: Store, kind: str, key: str, content: bytes = b"content") -> Entry:
    """Add an entry with one file, and release it."""
    with using_entries(), store.staging_directory() as work:
        result = work / "result"
        result.mkdir()
        (result / "file").write_bytes(content)
        return store.add(kind, key, result, {"spec": key})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def test_what_another_rig_looked_up_stays_until_that_rig_ends(store: Store) -> None:
    entry = add_entry(store, "snapshot", S1)
    ready, end = os.pipe(), os.pipe()
    if (child := os.fork()) == 0:
        Store(store.root).get("snapshot", S1)
        os.write(ready[1], b".")
        os.read(end[0], 1)
        os._exit(0)
    os.read(ready[0], 1)

    while_used = store.remove_unused(entry)
    os.write(end[1], b".")
    os.waitpid(child, 0)
    afterwards = store.remove_unused(entry)

    assert (while_used, afterwards) == (False, True)
    assert not entry.path.exists()


def test_what_was_just_added_is_in_use(store: Store) -> None:
    with using_entries():
        with store.staging_directory() as work:
            (work / "result").mkdir()
            entry = store.add("snapshot", S1, work / "result", {})

        while_used = store.remove_unused(entry)

    assert not while_used
    assert store.remove_unused(entry)


def test_entry_that_is_being_evicted_is_not_found_and_can_be_made_anew(store: Store) -> None:
    entry = add_entry(store, "snapshot", S1)

    with lock_unused(entry.path / "manifest.json") as free:
        found = store.get("snapshot", S1)
        store.remove(entry)
        add_entry(store, "snapshot", S1, b"anew")

    assert free
    assert found is None
    assert entry.file("file").read_bytes() == b"anew"


def test_list_of_the_cache_uses_nothing(store: Store) -> None:
    add_entry(store, "kernel", K1)

    with using_entries():
        entries = store.entries()

        assert store.remove_unused(entries[0])


def test_entry_that_another_rig_removed_has_no_size_and_no_use(store: Store) -> None:
    entry = add_entry(store, "kernel", K1)

    store.remove(entry)

    assert (entry.size, entry.used) == (0, 0)


def test_entry_that_the_user_may_not_remove_is_not_said_to_be_in_use(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = add_entry(store, "kernel", K1)
    whole = os.open

    def refuse(path: Any, *arguments: Any, **options: Any) -> int:
        if Path(path).name == "manifest.json":
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)

    with pytest.raises(RigError, match="cannot be written: Permission denied"):
        store.remove_unused(entry, asked=True)
    assert not store.remove_unused(entry)
    assert entry.path.exists()


def test_where_the_filesystem_has_no_locks_a_directory_goes_only_when_the_user_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.EBADF, "NFS refuses an exclusive lock on a descriptor that is open for reading")

    monkeypatch.setattr(in_use.fcntl, "flock", refuse)

    with lock_unused(tmp_path) as by_itself, lock_unused(tmp_path, asked=True) as asked:
        assert (by_itself, asked) == (False, True)
