# SPDX-License-Identifier: MIT
"""Define the verbs of the agent's plan and their keys, as implemented in guest/agent/plan.c."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rig.scenario.suggestion import did_you_mean

__all__ = ["VERBS", "Verb", "check_step"]


@dataclass(frozen=True)
class Verb:
    """The keys of a verb.

    needed: keys that must be there.
    allowed: all keys that may be there.
    repeated: keys that may be a list; the plan then has the key once for each item.
    """

    needed: frozenset[str]
    allowed: frozenset[str]
    repeated: frozenset[str]
    any_dotted: bool
    """Whether every key with a dot is allowed, as the names of a cgroup's files are (memory.max)."""


def _verb(needed: str, allowed: str) -> Verb:
    words = needed.split() + allowed.split()
    return Verb(
        needed=frozenset(word.rstrip("*") for word in needed.split()),
        allowed=frozenset(word.rstrip("*") for word in words if word != "."),
        repeated=frozenset(word.rstrip("*") for word in words if word.endswith("*")),
        any_dotted="." in words,
    )


# A key that ends in * may be repeated; "." allows every key with a dot in it. In `spawn`, `program` is the role, and
# rig puts the path of the program of that name before the arguments. `run` starts another program under that role.
VERBS = {
    "sysctl": _verb("name value", ""),
    "write": _verb("path value", "mkdir"),
    "cgroup": _verb("name", "."),
    "modprobe": _verb("name", ""),
    "swapon": _verb("", "path mkswap zram"),
    "root": _verb("name layer*", "hostname tmp"),
    "mount": _verb("label path", "root"),
    "spawn": _verb(
        "program", "run arg* env* cgroup oom_score_adj uid gid rlimit* cwd sched root stdin stream tty privileged"
    ),
    "wait_line": _verb("program text timeout", "count"),
    "wait_state": _verb("program state timeout", "comm count"),
    "wait_exit": _verb("program timeout", "comm count"),
    "wait_port": _verb("port timeout", "program"),
    "wait_rss": _verb("program min timeout", "comm"),
    "wait_until": _verb("condition timeout", "program"),
    "wait_any": _verb("timeout", "oom exit* line* settle"),
    "signal": _verb("program signal", "comm timeout"),
    "tell": _verb("program text", ""),
    "sleep": _verb("seconds", ""),
    "wait_time": _verb("at", ""),
    "sample": _verb("", "every now label pss cgroup"),
    "heartbeat": _verb("", "every cgroup label"),
    "pagemap": _verb("program", "comm start length region label pfns every"),
    "check_rss": _verb("program", "comm min max"),
    "fds": _verb("program", "comm label fd*"),
    "kcmp": _verb("a b", "type a_fd b_fd label"),
    "status": _verb("program", "comm label field*"),
    "tree": _verb("", "program label"),
    "read": _verb("path", "program comm label"),
    "mark": _verb("name", ""),
    "branch": _verb("name", ""),
    "end": _verb("", "reason"),
}
# Keys that every verb has. rig evaluates `when`, `id` and `repeat`; the agent gets `on_error` and `timeout`.
EVERY = frozenset({"do", "when", "id", "repeat", "on_error", "timeout"})


def check_step(name: str, keys: dict[str, Any]) -> None:
    """Raise ValueError, with a suggestion, when the verb or one of its keys is unknown, missing or of a wrong type."""
    if name not in VERBS:
        raise ValueError(f"unknown verb '{name}': {did_you_mean(name, VERBS)}")
    verb = VERBS[name]
    for key, value in keys.items():
        if key not in verb.allowed | EVERY and not (verb.any_dotted and "." in key):
            raise ValueError(f"'{name}' has no key '{key}': {did_you_mean(key, verb.allowed | EVERY)}")
        _check_value(name, verb, key, value)
    missing = sorted(verb.needed - set(keys))
    if missing:
        raise ValueError(f"'{name}' needs the key '{missing[0]}'")
    if name == "swapon" and ("path" in keys) == ("zram" in keys):
        raise ValueError("'swapon' takes either 'path' or 'zram'")
    if name == "wait_any" and not keys.keys() & {"oom", "exit", "line"}:
        raise ValueError("'wait_any' needs one of 'oom', 'exit' and 'line'")
    if name == "pagemap" and "region" not in keys and not {"start", "length"} <= keys.keys():
        raise ValueError("'pagemap' needs 'region', or 'start' and 'length'")


def _check_value(name: str, verb: Verb, key: str, value: Any) -> None:
    if isinstance(value, list):
        if key not in verb.repeated:
            raise ValueError(f"'{name}' takes one '{key}', not a list")
        if not all(isinstance(item, str | int | float) for item in value):
            raise ValueError(f"'{key}' of '{name}' is a list of texts")
    elif not isinstance(value, str | int | float):
        raise ValueError(f"'{key}' of '{name}' is a text or a number")
    if key == "on_error" and value not in ("stop", "go"):
        raise ValueError(f"'on_error' is 'stop' or 'go', not '{value}'")
