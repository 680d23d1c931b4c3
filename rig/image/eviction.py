# SPDX-License-Identifier: MIT
"""Choose which entries of the cache go when it holds more than it may: a function over values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from rig.image.entry import Entry
from rig.image.kinds import KINDS, Cost, Tier

__all__ = ["Held", "eviction_order", "held_entries", "named_keys"]

BUILT = ("source:", "tree:", "buildroot")
"""How the name of a kernel or an image begins that the user built: `rig kernel build`, `rig image build`."""


@dataclass(frozen=True)
class Held:
    """An entry, and what stands against removing it.

    names: names that the user gave to it, such as `layer/mine` or `kernel/source:bookworm`.
    runs: ids of the kept runs whose recordings need it.
    """

    entry: Entry
    names: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()

    @property
    def tier(self) -> Tier:
        """The tier in which the entry is evicted."""
        if self.names:
            return Tier.NAMED
        if self.runs:
            return Tier.RECORDED
        return Tier.SPARE if KINDS[self.entry.kind].cost is Cost.SECONDS else Tier.FETCHED


def named_keys(refs: Mapping[str, str]) -> dict[str, list[str]]:
    """Return key -> the names that the user gave to it.

    refs: all names of the cache. Those of Debian's kernels and of the quick image are rig's own, and are not returned.
    """
    found: dict[str, list[str]] = {}
    for name, key in refs.items():
        kind, _, rest = name.partition("/")
        if kind == "layer" or rest.startswith(BUILT):
            found.setdefault(key, []).append(name)
    return found


def held_entries(
    entries: Iterable[Entry], named: Mapping[str, Collection[str]], needed: Mapping[str, Collection[str]]
) -> list[Held]:
    """Join entries with what stands against removing them.

    named: key -> names of the user's.
    needed: key of an entry, or digest of a file -> ids of the runs whose recordings need it.
    """
    entries = list(entries)
    specs = {
        str(entry.about["spec"]): named[entry.key]
        for entry in entries
        if entry.kind == "kernel" and entry.key in named and "spec" in entry.about
    }
    held = []
    for entry in entries:
        runs = {run for text in (entry.key, *entry.files.values()) for run in needed.get(text, ())}
        names = list(named.get(entry.key, ()))
        if entry.kind == "symbols":
            # They were kept when the kernel was built, and only another build makes them again.
            names += specs.get(str(entry.about.get("spec")), ())
        held.append(Held(entry, tuple(sorted(names)), tuple(sorted(runs))))
    return held


def eviction_order(held: Iterable[Held]) -> list[Held]:
    """Return what may go, in the order of removal. Nothing of the tier NAMED is among it."""
    order = sorted(held, key=lambda each: (each.tier, each.entry.used))
    return [each for each in order if each.tier is not Tier.NAMED]
