# SPDX-License-Identifier: MIT
"""The bound of the branch points, which is not that of the rest of the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.experiment.cache_use import keep_bound
from rig.image.store import Store
from rig.in_use import using_entries


def test_branch_points_have_a_bound_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_BRANCH_SIZE", "160K")
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "runs"))
    store = Store(tmp_path / "cache")

    for number, kind in enumerate(("layer", "branch", "branch")):
        with using_entries(), store.staging_directory() as work:
            (work / "result").mkdir()
            (work / "result" / "file").write_bytes(b"x" * (48 << 10))
            store.add(kind, f"{number:064x}", work / "result", {})
    keep_bound(store)

    assert [entry.kind for entry in store.entries()].count("branch") == 1
    assert store.get("layer", f"{0:064x}") is not None
