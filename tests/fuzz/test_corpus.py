# SPDX-License-Identifier: MIT
"""Every file of the fuzzer's corpus, without the fuzzer."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.fuzz.run import CORPUS, LONGEST, TARGETS

FILES = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_target_reads_its_corpus(path: Path) -> None:
    importlib.import_module(f"tests.fuzz.target_{path.parent.name}").one(path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_target_has_a_small_corpus(target: str) -> None:
    sizes = [path.stat().st_size for path in FILES if path.parent.name == target]

    assert 5 <= len(sizes) <= 40
    assert max(sizes) <= LONGEST
