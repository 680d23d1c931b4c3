# SPDX-License-Identifier: MIT
"""Every log in events/ gives the event that its first lines announce: the test of each rule that was added by the recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.klog import read
from rig.klog.explain import explain

EVENTS = sorted((Path(__file__).parent / "events").glob("*.log"))
QUIET = b"[    1.000000] usb 1-1: new high-speed USB device number 2 using xhci_hcd\n" * 300


def wanted(data: bytes) -> tuple[dict[str, str], bytes]:
    """Return the `# key: value` lines that a file begins with, and the log below them."""
    keys: dict[str, str] = {}
    while data.startswith(b"# "):
        line, _, data = data.partition(b"\n")
        key, _, value = line[2:].decode().partition(": ")
        keys[key] = value
    return keys, data


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_log_holds_the_event_that_it_was_recorded_for(path: Path) -> None:
    keys, data = wanted(path.read_bytes())

    event = read([QUIET + data + QUIET]).events[0]

    assert (event.kind, event.title) == (keys["kind"], keys["title"])
    assert (event.function or "") == keys.get("function", "")
    assert not event.corrupted, event.corruption
    assert explain(event).summary


@pytest.mark.parametrize("path", EVENTS, ids=lambda path: path.stem)
def test_log_without_its_first_line_is_not_that_event(path: Path) -> None:
    keys, data = wanted(path.read_bytes())
    rest = data.split(b"\n", 1)[1]

    assert keys["title"] not in [event.title for event in read([QUIET + rest]).events]
