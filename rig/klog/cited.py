# SPDX-License-Identifier: MIT
"""Which lines of a log a parser took a fact from: those whose numbers an event holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from rig.klog.event import Event, TextLine

__all__ = ["cited_lines"]


def cited_lines(events: Iterable[Event]) -> frozenset[int]:
    """Return the numbers of the lines that the events hold facts of, without those that are kept as text alone."""
    found: set[int] = set()
    for event in events:
        _collect(event, "", found)
    return frozenset(found)


def _collect(value: Any, name: str, found: set[int]) -> None:
    if isinstance(value, TextLine):
        return
    if is_dataclass(value):
        for field in fields(value):
            _collect(getattr(value, field.name), field.name, found)
    elif isinstance(value, tuple):
        for item in value:
            _collect(item, name, found)
    elif isinstance(value, dict):
        if name.endswith("_lines"):
            found.update(value.values())
        else:
            for item in value.values():
                _collect(item, "", found)
    elif isinstance(value, int) and (name == "line" or name.endswith("_line")) and name != "last_line":
        found.add(value)
