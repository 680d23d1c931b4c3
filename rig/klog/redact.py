# SPDX-License-Identifier: MIT
"""Redact the events of a log for sharing: hide names, paths and addresses, keep figures and kernel functions.

Every occurrence of a task's name becomes the same placeholder, `task-1`, `task-2`, ..., so that a reader can still see
which lines are about the same task. The text of a line that was not understood is dropped: it may hold anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from rig.klog.event import Event, Registers, Task, TextLine
from rig.klog.kinds import Kind
from rig.klog.oom.parts import Kill, Reaped, TaskRow

__all__ = ["Redactor"]

# Names of kernel threads are the same on every machine, so they identify none.
_KERNEL = re.compile(
    r"(?:kworker|ksoftirqd|kswapd|kthreadd|khugepaged|kcompactd|migration|rcu_|swapper|oom_reaper|init\b)"
)
_ADDRESS = re.compile(r"\b(?:0x)?[0-9a-f]{8,16}\b")
_PATH = re.compile(r"(?<=[\s=(])/[^\s,()]+")
_PATHS = {"oom_memcg", "task_memcg", "cgroup_path", "cpuset", "object"}
_DROPPED = {"hardware", "host", "wall", "workqueue"}


class Redactor:
    """Redact events, with the same placeholders for all of them."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._paths: dict[str, str] = {}

    def __call__(self, event: Event) -> Event:
        """Return the event without anything that identifies the machine or its user."""
        self._collect(event)
        hidden = self._walk(event)
        assert isinstance(hidden, Event)
        return hidden

    def line(self, text: str) -> str:
        """Return a line of a report, without its prefix, that was parsed. The events must have been redacted before."""
        return self._text(_PATH.sub(lambda match: self.path(match[0]), text))

    def name(self, name: str) -> str:
        """Return the placeholder of a task's name; a kernel thread keeps its name."""
        if not name or _KERNEL.match(name):
            return name
        return self._names.setdefault(name, f"task-{len(self._names) + 1}")

    def path(self, path: str) -> str:
        """Return the placeholder of a path; `/` stays as it is."""
        return path if path in ("/", "") else self._paths.setdefault(path, f"/path-{len(self._paths) + 1}")

    def _collect(self, value: Any) -> None:
        """Collect all names and paths first, because a text may contain one before its own field is reached."""
        if isinstance(value, (Task, Kill, Reaped)):
            self.name(value.comm)
        elif isinstance(value, TaskRow):
            self.name(value.name)
        elif isinstance(value, tuple):
            for item in value:
                self._collect(item)
        elif is_dataclass(value):
            for field in fields(value):
                self._collect_path(field.name, getattr(value, field.name))
                self._collect(getattr(value, field.name))
        elif isinstance(value, dict):
            for name, item in value.items():
                self._collect_path(name, item)

    def _collect_path(self, name: str, value: Any) -> None:
        if name in _PATHS and isinstance(value, str):
            self.path(value)

    def _walk(self, value: Any, key: str = "") -> Any:
        if isinstance(value, Registers):
            return replace(value, values=dict.fromkeys(value.values, 0), code=None, where=self._text(value.where or ""))
        if isinstance(value, TextLine):
            return replace(value, text="(hidden)")
        if isinstance(value, (Task, Kill, Reaped)):
            return replace(value, comm=self.name(value.comm))
        if isinstance(value, TaskRow):
            return replace(value, name=self.name(value.name))
        if is_dataclass(value) and not isinstance(value, type):
            return replace(
                value, **{field.name: self._walk(getattr(value, field.name), field.name) for field in fields(value)}
            )
        if isinstance(value, tuple):
            return tuple(self._walk(item, key) for item in value)
        if isinstance(value, dict):
            return {name: self._entry(name, item) for name, item in value.items()}
        return self._scalar(value, key)

    def _entry(self, name: str, value: Any) -> Any:
        if name == "task":
            return self.name(value)
        if name in ("address", "ip", "sp", "base") and isinstance(value, str):
            return "0"
        if name == "what" and isinstance(value, str):
            return self.line(value)
        return self._walk(value, name)

    def _scalar(self, value: Any, key: str) -> Any:
        if isinstance(value, Kind):
            return value
        if key in _DROPPED:
            return None
        if key == "address":
            return None
        if isinstance(value, str):
            return self.path(value) if key in _PATHS else self._text(value)
        return value

    def _text(self, text: str) -> str:
        for names in (self._paths, self._names):  # a path may contain the name of a task
            # Longest first, because one name may be part of another.
            for name in sorted(names, key=len, reverse=True):
                text = _word(name)(names[name], text)
        return _ADDRESS.sub("ADDR", text)


def _word(name: str) -> Callable[[str, str], str]:
    pattern = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    return lambda stand_in, text: pattern.sub(stand_in.replace("\\", "\\\\"), text)
