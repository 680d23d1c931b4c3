# SPDX-License-Identifier: MIT
"""Reverse a log whose newest line comes first (journalctl -r), and map line numbers back to the original order."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

from rig.klog.event import Event

__all__ = ["renumbered", "turned_round"]


def turned_round(data: bytes) -> bytes:
    """Return the log with its lines in reverse order."""
    return b"\n".join(reversed(data.rstrip(b"\n").split(b"\n"))) + b"\n"


def renumbered(event: Event, lines: int) -> Event:
    """Return the event with its line numbers in the original, reversed log. lines: number of lines in the log."""
    turned = _walk(event, lines)
    assert isinstance(turned, Event)
    return replace(turned, line=turned.last_line, last_line=turned.line)


def _walk(value: Any, lines: int) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        changes = {field.name: _field(field.name, getattr(value, field.name), lines) for field in fields(value)}
        return replace(value, **changes)
    if isinstance(value, tuple):
        return tuple(_walk(item, lines) for item in value)
    return value


def _field(name: str, value: Any, lines: int) -> Any:
    if (name == "line" or name.endswith("_line")) and isinstance(value, int):
        return lines + 1 - value if value else value
    if name.endswith("_lines") and isinstance(value, dict):
        return {key: lines + 1 - line for key, line in value.items()}
    return _walk(value, lines)
