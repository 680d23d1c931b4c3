# SPDX-License-Identifier: MIT
"""Attribute the guest's memory to its holders, sample by sample; the parts add up to MemTotal.

The anonymous RSS of all processes can exceed MemTotal, because a forked child maps its parent's pages.
The amount that is counted twice is the sum of the processes' anonymous RSS minus AnonPages (/proc/meminfo).
Where two processes of one program live, that amount is attributed to them as shared memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rig.run.process_names import Process, process_key, process_names
from rig.run.records import Record, Records

__all__ = ["FREE", "KERNEL", "PAGE_CACHE", "Held", "held"]

FREE = "free"
PAGE_CACHE = "page cache"
KERNEL = "kernel and the rest"
MOST_ROLES = 12
OTHERS = "other processes"


@dataclass(frozen=True)
class Held:
    """One sample: kB by holder, in the order kernel, page cache, the processes, free. They add up to `total`."""

    time: float
    total: int
    parts: Mapping[str, int]


def held(records: Records) -> list[Held]:
    """Return the memory by holder for every sample with valid numbers, in order."""
    samples = [sample for sample in records.of("sample") if _usable(sample)]
    # AnonPages before the plan's first process starts belongs to what no sample lists, such as the agent itself.
    before = next((_anon(sample) for sample in samples if not _processes(sample)), 0)
    names = process_names(records)
    shown = _first_names(samples, names)
    return [_held(sample, min(before, _anon(sample)), names, shown) for sample in samples]


def _held(sample: Record, before: int, names: Mapping[Process, str], shown: Sequence[str]) -> Held:
    meminfo = sample["meminfo"]
    total, free, anon = meminfo["MemTotal"], meminfo["MemFree"], _anon(sample)
    cache = _number(meminfo.get("Cached")) + _number(meminfo.get("Buffers"))
    families: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for proc in _processes(sample):
        role = _role(proc, names)
        families[str(proc.get("program"))][role if role in shown else OTHERS] += _number(proc.get("anon_kb"))
    claimed = sum(sum(family.values()) for family in families.values())
    twice = max(0, claimed - (anon - before))
    parts: dict[str, int] = {}
    for family in families.values():
        twice = _share_out(family, twice, parts)
    owned = sum(parts.values())
    if anon > owned + before:
        parts[OTHERS] = anon - owned - before
    rest = total - free - cache - sum(parts.values())
    everything = {KERNEL: max(0, rest), PAGE_CACHE: max(0, cache), **parts, FREE: free}
    return Held(float(sample["t"]), total, everything)


def _share_out(family: Mapping[str, int], twice: int, parts: dict[str, int]) -> int:
    """Add a program's anonymous memory to `parts`, split into private and shared; return the rest of `twice`.

    family: kB by role of one program.
    twice: kB that are still counted twice over all programs.
    """
    # With exactly two roles the sharers are known: usually a parent and its forked child.
    roles = [role for role in family if family[role]]
    if len(roles) == 2 and twice > 0:
        shared = min(twice, *(family[role] for role in roles))
        for role in roles:
            parts[role] = parts.get(role, 0) + family[role] - shared
        name = f"{roles[0]} and {roles[1]}, shared"
        parts[name] = parts.get(name, 0) + shared
        return twice - shared
    for role in roles:
        own = family[role] if len(roles) < 3 or not twice else max(0, family[role] - twice)
        twice -= family[role] - own
        parts[role] = parts.get(role, 0) + own
    return twice


def _first_names(samples: Sequence[Record], names: Mapping[Process, str]) -> list[str]:
    roles = dict.fromkeys(_role(proc, names) for sample in samples for proc in _processes(sample))
    return list(roles)[:MOST_ROLES]


def _usable(sample: Record) -> bool:
    """Return whether a sample has the figures that the picture is made of. The guest's programs may have forged it."""
    meminfo = sample.get("meminfo")
    if not isinstance(meminfo, Mapping):
        return False
    numbers = [meminfo.get(name) for name in ("MemTotal", "MemFree", "AnonPages")]
    return all(type(number) is int and 0 <= number < 1 << 50 for number in numbers) and numbers[0] >= numbers[1]  # type: ignore[operator] # ints, as just looked


def _processes(sample: Record) -> list[Mapping[str, Any]]:
    procs = sample.get("procs")
    return [proc for proc in procs if isinstance(proc, Mapping)] if isinstance(procs, list) else []


def _role(proc: Mapping[str, Any], names: Mapping[Process, str]) -> str:
    return names.get(process_key(proc)) or str(proc.get("comm") or proc.get("program") or "?")[:16]


def _anon(sample: Record) -> int:
    return _number(sample["meminfo"].get("AnonPages"))


def _number(value: Any) -> int:
    return value if type(value) is int and value >= 0 else 0
