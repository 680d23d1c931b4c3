# SPDX-License-Identifier: MIT
"""Shrink a replica while its fingerprint holds: a smaller guest, then fewer processes, sizes and settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from rig.errors import RigError
from rig.experiment.capacity import Capacity
from rig.experiment.request import Request
from rig.experiment.run import run_scenario
from rig.finishing import gathered
from rig.remove_tree import remove_tree
from rig.reproduce.ddmin import minimise
from rig.reproduce.play import PROCESS, Played, Stage, fit_to_empty_guest, play
from rig.reproduce.replica import Actor, Replica
from rig.reproduce.scaling import replica_of
from rig.reproduce.scenario_text import scenario_files
from rig.run.progress import NullProgress
from rig.scenario.new import write_directory

__all__ = ["Part", "Shrink", "Smallest", "find_smallest", "parts_of", "without"]

MIB = 1 << 20
GUESTS = (128 << 20, 192 << 20, 256 << 20, 384 << 20)
"""Memory of the guests that are tried in place of a larger one, the smallest first."""
STREAMS = ("console.log", "events.jsonl")


@dataclass(frozen=True)
class Shrink:
    """How far a replica is shrunk.

    budget: host seconds after which nothing more is left out.
    repeats: runs of the result, which must all be the same.
    """

    budget: float = 300.0
    repeats: int = 20


class Part(NamedTuple):
    """A part of a replica that may be left out: a process, one kind of its memory, its user, or a setting.

    actor: name of the process; empty for a setting of the guest.
    """

    what: str
    actor: str = ""
    kind: str = ""

    @property
    def text(self) -> str:
        return " ".join(word for word in (self.what, self.actor, self.kind) if word)


@dataclass(frozen=True)
class Smallest:
    """A replica from which nothing can be left out.

    left, of: parts that are left, and that there were.
    memory_before: bytes of the guest before.
    probes: runs that it took.
    same, repeats: how many runs of the result were the same to the byte.
    complete: whether the budget sufficed.
    """

    played: Played
    left: tuple[Part, ...]
    of: int
    memory_before: int
    probes: int
    same: int
    repeats: int
    complete: bool


def parts_of(replica: Replica) -> tuple[Part, ...]:
    """Return what may be left out of a replica. The process that asks for the last memory stays."""
    return tuple(_parts(replica))


def _parts(replica: Replica) -> Iterator[Part]:
    for actor in replica.actors:
        if not actor.trigger:
            yield Part("process", actor.name)
        if len(actor.sizes) > 1:
            yield from (Part("memory", actor.name, kind) for kind in actor.sizes if kind != "shared")
        if actor.uid:
            yield Part("user", actor.name)
    if replica.min_free_kb:
        yield Part("setting", kind="vm.min_free_kbytes")
    if replica.huge_pages:
        yield Part("setting", kind="vm.nr_hugepages")
    if replica.swap and not any("swapped" in actor.sizes for actor in replica.actors):
        yield Part("setting", kind="swap")


def without(replica: Replica, gone: Iterable[Part]) -> Replica:
    """Return a replica without these parts, in a guest or a cgroup that is smaller by what they held."""
    gone = set(gone)
    actors, freed = [], 0
    for actor in replica.actors:
        if Part("process", actor.name) in gone:
            freed += actor.held + PROCESS * (1 + actor.forks)
            continue
        sizes = {kind: size for kind, size in actor.sizes.items() if Part("memory", actor.name, kind) not in gone}
        uid = 0 if Part("user", actor.name) in gone else actor.uid
        kept: Actor = replace(actor, sizes=sizes, uid=uid)
        freed += actor.held - kept.held
        actors.append(kept)
    settings = {part.kind for part in gone if part.what == "setting"}
    if "vm.nr_hugepages" in settings:
        freed += replica.huge_pages * 2 * MIB
    smaller = replace(
        replica,
        actors=tuple(actors),
        min_free_kb=0 if "vm.min_free_kbytes" in settings else replica.min_free_kb,
        huge_pages=0 if "vm.nr_hugepages" in settings else replica.huge_pages,
        swap=0 if "swap" in settings else replica.swap,
    )
    return smaller.with_room(-freed)


@dataclass
class _Search:
    """The smallest replica so far. agreeing: fields that must agree in each smaller one."""

    best: Played
    stage: Stage
    shrink: Shrink
    agreeing: frozenset[str]
    began: float = field(default_factory=time.monotonic)
    probes: int = 0
    complete: bool = True

    async def take(self, make: Callable[[], Replica], *, fit: bool = False) -> bool | None:
        """Run a smaller replica, and keep it if all fields agree that must; None when the budget is spent.

        fit: whether its size is to be fitted to an empty guest first.
        """
        if time.monotonic() - self.began > self.shrink.budget:
            self.complete = False
            return None
        quiet = replace(self.stage, progress=NullProgress())
        try:
            replica = make()
            if fit:
                replica = await fit_to_empty_guest(replica, quiet)
            played = await play(replica, quiet, most_runs=3)
        except RigError:
            # A guest in which the agent does not start, for one.
            return False
        self.probes += played.runs
        good = self.agreeing <= played.agreeing
        remove_tree((self.best if good else played).directory)
        if good:
            self.best = played
        return good

    async def smaller_guest(self, largest: int) -> None:
        report = self.best.replica.report
        for memory in GUESTS:
            if memory >= largest:
                return
            good = await self.take(lambda size=memory: replica_of(report, largest=size), fit=True)  # type: ignore[misc]
            if good is None:
                return
            self.stage.progress.line(f"a guest of {memory >> 20} MB: {'agrees' if good else 'differs'}")
            if good:
                return

    async def fewer_parts(self) -> tuple[tuple[Part, ...], int]:
        whole, parts = self.best.replica, parts_of(self.best.replica)

        async def holds(kept: tuple[Part, ...]) -> bool | None:
            gone = set(parts) - set(kept)
            good = await self.take(lambda: without(whole, gone))
            if good is not None:
                self.stage.progress.line(f"{len(kept)} of {len(parts)} parts: {'agrees' if good else 'differs'}")
            return good

        return await minimise(parts, holds), len(parts)


async def find_smallest(whole: Played, stage: Stage, shrink: Shrink) -> Smallest:
    """Return the smallest replica in which every field agrees that agrees in the whole one, run again and compared."""
    search = _Search(whole, stage, shrink, whole.agreeing)
    await search.smaller_guest(whole.replica.memory)
    left, count = await search.fewer_parts()
    same = await _repeat(search.best, stage, shrink.repeats)
    return Smallest(
        search.best, left, count, whole.replica.memory, search.probes, same, shrink.repeats, search.complete
    )


async def _repeat(played: Played, stage: Stage, repeats: int) -> int:
    """Run a replica again so many times, and return how many runs are the same to the byte as the kept one."""
    directory = write_directory(
        stage.directory / "again" / stage.name, scenario_files(stage.name, played.replica, stage.source)
    )
    capacity = Capacity(None)

    async def one() -> bool:
        async with capacity.room_for(played.replica.memory):
            request = Request(scenario=str(directory), sets=stage.sets, timeout_scale=stage.timeout_scale)
            _, kept = await run_scenario(request, NullProgress())
        good = all((played.directory / name).read_bytes() == (kept / name).read_bytes() for name in STREAMS)
        remove_tree(kept)
        return good

    stage.progress.line(f"{repeats} runs of the smallest")
    return sum(await gathered(one() for _ in range(repeats)))
