# SPDX-License-Identifier: MIT
"""Every source file says its license, so that one that is taken elsewhere still does."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
USERS = "skeleton"  # files that `rig new` copies: their author chooses
SOURCES = [
    path.relative_to(ROOT)
    for room in ("rig", "tests", "guest")
    for pattern in ("*.py", "*.c", "*.h")
    for path in sorted((ROOT / room).rglob(pattern))
    if path.stat().st_size and USERS not in path.parts
]


@pytest.mark.parametrize("room", ["rig", "tests", "guest"])
def test_sources_begin_with_their_license(room: str) -> None:
    mute = [
        str(path)
        for path in SOURCES
        if path.parts[0] == room and "SPDX-License-Identifier: MIT" not in (ROOT / path).read_text("utf-8")[:120]
    ]

    assert not mute
