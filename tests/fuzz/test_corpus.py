# SPDX-License-Identifier: MIT
"""Every file of the fuzzer's corpus, without the fuzzer."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from tests.fuzz import target_archive
from tests.fuzz.run import CORPUS, LONGEST, TARGETS
from tests.replay.made_archive import run_json
from tests.zstd import zstd

FILES = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_target_reads_its_corpus(path: Path) -> None:
    importlib.import_module(f"tests.fuzz.target_{path.parent.name}").one(path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_target_has_a_small_corpus(target: str) -> None:
    sizes = [path.stat().st_size for path in FILES if path.parent.name == target]

    assert 5 <= len(sizes) <= 40
    assert max(sizes) <= LONGEST


@pytest.mark.parametrize("name", ["run/../../../../../x", "run/../../../../x"])
def test_write_outside_is_noticed_by_the_target_of_archives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: an import that checks no names fails the target."""
    monkeypatch.setattr("rig.replay.bundle_format.check_name", lambda name: None)
    run = json.dumps(run_json(recording={})).encode()
    members = [("bundle.json", b"{}"), ("run/run.json", run), (name, b"x")]

    with pytest.raises(target_archive.Escaped):
        target_archive.import_packed(zstd(target_archive.with_right_hashes(members)))
