# SPDX-License-Identifier: MIT
"""The cache keeps its bound, and says what that cost."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from filelock import FileLock

from rig.experiment.cache_use import keep_bound, look_at_cache, prune
from rig.image import manifest
from rig.image.digest import digest_file, digest_text
from rig.image.store import Store
from rig.in_use import using_entries
from tests.image.test_in_use import add_entry

KEYS = [digest_text(f"snapshot {number}") for number in range(5)]
MB = bytes(range(256)) * 4096


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(manifest, "LARGEST_COPY", 1000)  # so that an entry of 1 MB takes 1 MB
    store = Store(tmp_path / "cache")
    for age, key in enumerate(KEYS):
        entry = add_entry(store, "snapshot", key, MB + key.encode())
        long_ago = time.time() - 60 * (1 + age)
        os.utime(entry.path / "manifest.json", (long_ago, long_ago))
    return store


def _recording(tmp_path: Path, store: Store, key: str, run: str = "20261101-101010-abcd") -> None:
    """Write as much of a run as the references are read from."""
    digest = digest_file(store.root / "snapshot" / key / "file")
    directory = tmp_path / "runs" / run
    directory.mkdir(parents=True)
    guest = {"kernel": "", "initramfs": "", "rootfs": "", "snapshot": digest, "layers": [{"digest": "d"}]}
    (directory / "run.json").write_text(json.dumps({"recording": {"guest": guest}}))


def _left(store: Store) -> list[str]:
    return [entry.key for entry in store.entries()]


def test_cache_below_its_bound_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RIG_CACHE_SIZE", "8M")

    keep_bound(store)

    assert _left(store) == KEYS
    assert caplog.messages == []


def test_cache_above_its_bound_loses_what_was_not_used_for_longest_and_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("RIG_CACHE_SIZE", "4M")

    keep_bound(store)

    assert _left(store) == KEYS[:3]
    assert caplog.messages == ["removed from the cache what was not used for longest: snapshot 2"]


def test_snapshot_that_a_recording_needs_goes_last_and_its_loss_is_said(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _recording(tmp_path, store, KEYS[4])
    monkeypatch.setenv("RIG_CACHE_SIZE", "2500K")

    keep_bound(store)
    still = _left(store)
    caplog.clear()
    monkeypatch.setenv("RIG_CACHE_SIZE", "1K")
    keep_bound(store)

    assert still == [KEYS[0], KEYS[4]]
    assert caplog.messages == [
        "removed from the cache what was not used for longest: snapshot 2; kept runs that can no longer be replayed: 1"
    ]


def test_what_another_rig_uses_stays_and_the_next_goes_in_its_place(store: Store) -> None:
    with using_entries():
        store.get("snapshot", KEYS[4])

        pruned = prune(store, 4 << 20)

    assert _left(store) == [KEYS[0], KEYS[1], KEYS[4]]
    assert [each.entry.key for each in pruned.in_use] == [KEYS[4]]


def test_two_rigs_do_not_evict_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_CACHE_SIZE", "1M")
    (store.root / "locks").mkdir(exist_ok=True)

    with FileLock(store.root / "locks" / "eviction.lock"):
        keep_bound(store)

    assert _left(store) == KEYS


def test_layer_that_the_user_named_stays_above_the_bound_and_that_is_said(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = digest_text("layer")
    add_entry(store, "layer", key, MB)
    store.set_ref("layer/mine", key)
    monkeypatch.setenv("RIG_CACHE_SIZE", "1K")

    keep_bound(store)

    assert _left(store) == [key]
    assert (
        caplog.messages[1]
        == "the cache is 1.0 MB above its bound: the rest is in use, or you named it; rig cache lists it"
    )


def test_what_was_set_aside_counts_and_goes_first(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store.set_aside(store.entries()[0], ["file"])
    assert sum(store.aside().values()) > len(MB)
    monkeypatch.setenv("RIG_CACHE_SIZE", "4700K")

    keep_bound(store)

    assert store.aside() == {}
    assert _left(store) == KEYS[1:]
    assert "removed from the cache what was not used for longest: damaged 1" in caplog.text


def test_damaged_entry_and_damaged_run_stop_no_eviction(store: Store, tmp_path: Path) -> None:
    (store.root / "snapshot" / KEYS[0] / "file").write_bytes(b"cut")
    (store.root / "snapshot" / KEYS[1] / "manifest.json").write_text("{")
    _recording(tmp_path, store, KEYS[2])
    for number, text in enumerate(("{", "[" * 60_000, '{"recording": null}', '{"recording": {"guest": 3}}')):
        broken = tmp_path / "runs" / f"20261101-10101{number}-zzzz"
        broken.mkdir()
        (broken / "run.json").write_text(text)

    prune(store, 0)

    assert _left(store) == []


def test_dry_run_removes_nothing(store: Store) -> None:
    pruned = prune(store, 0, dry_run=True)

    assert len(pruned.removed) == 5
    assert pruned.left == 0
    assert _left(store) == KEYS


def test_entries_are_listed_with_the_runs_that_need_them(store: Store, tmp_path: Path) -> None:
    _recording(tmp_path, store, KEYS[1])

    held = look_at_cache(store)

    assert [each.runs for each in held] == [(), ("20261101-101010-abcd",), (), (), ()]


def test_what_a_killed_rig_left_in_the_cache_goes_unasked_once_nobody_has_written_to_it_for_a_day(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    young, old, living = (store.root / "tmp" / name for name in ("4194304-young", "4194305-old", f"{os.getpid()}-here"))
    for path, ages in ((young, (50, 2)), (old, (50, 30)), (living, (50, 30))):
        (path / "root").mkdir(parents=True)
        (path / "root/file").write_bytes(MB)
        # The directory itself is older than what was written into it last.
        for each, hours in ((path / "root/file", ages[1]), (path / "root", ages[0]), (path, ages[0])):
            os.utime(each, (time.time() - 3600 * hours,) * 2)

    keep_bound(store)

    assert [path.exists() for path in (young, old, living)] == [True, False, True]
    assert "unfinished directories of killed rigs were removed from the cache: 1" in caplog.messages
