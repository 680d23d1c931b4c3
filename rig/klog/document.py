# SPDX-License-Identifier: MIT
"""Write a log's events and explanations as JSON, with nothing but Python's own library.

The form has a version and a published schema: log.schema.json, which schema.py makes from the same dataclasses.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

from rig.klog.event import Event
from rig.klog.explain.explanation import Explanation
from rig.klog.explain.storms import storms

__all__ = ["BEGIN", "BETWEEN", "SEPARATOR", "VERSION", "document", "end", "line", "member"]

VERSION = 1  # raised when a field is removed or changes its meaning, but not when one is added

BEGIN, BETWEEN, SEPARATOR = f'{{"schema":{VERSION},\n"events":[', '],\n"explanations":[', ",\n"
"""The parts of the JSON text of a log around its events and explanations."""


def document(lines: int, events: Sequence[Event], explanations: Iterable[Explanation] = ()) -> str:
    """Return the JSON text of a log: an object with one event or explanation a line.

    lines: how many lines the log has.
    """
    return f"{BEGIN}{_array(events)}{BETWEEN}{_array(explanations)}{end(lines, events)}"


def end(lines: int, events: Sequence[Event]) -> str:
    """Return what follows the explanations in the JSON text of a log."""
    return f'],\n"storms":[{_array(storms(events))}],\n"lines":{lines}}}'


def line(event: Event, explanation: Explanation, **more: str) -> str:
    """Return one event with its explanation as one line of JSON, without a newline.

    more: further members of the object, such as the file that the event is from.
    """
    return member({"schema": VERSION, **more, "event": event, "explanation": explanation})


def _array(values: Iterable[object]) -> str:
    return SEPARATOR.join(map(member, values))


def member(value: object) -> str:
    """Return the JSON text of an event or an explanation."""
    # Half of a surrogate pair, which a text of the log may hold and UTF-8 cannot encode, is not printable; nor are the
    # controls of a terminal above U+007F. JSON writes both as escapes.
    text = json.dumps(value, default=_members, ensure_ascii=False, separators=(",", ":"))
    return text if text.isprintable() else json.dumps(value, default=_members, separators=(",", ":"))


def _members(value: Any) -> dict[str, Any]:
    """Return a dataclass as an object. The encoder calls this for each value that is not of JSON's own types."""
    return {name: getattr(value, name) for name in _names(value.__class__)}


@cache
def _names(of: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(of))
