# SPDX-License-Identifier: MIT
"""Scale an OOM report to a guest: which processes hold what, in which cgroup, and who asks for the last page how."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from rig.errors import UsageError
from rig.reproduce.fingerprint import Fingerprint, Holder
from rig.reproduce.locked import locked_by_tasks_kb, with_locked
from rig.reproduce.replica import (
    BESIDE_A_CGROUP,
    KERNEL,
    OTHERS,
    SMALLEST,
    Actor,
    LeftOut,
    Replica,
    whole_megabytes,
)
from rig.reproduce.sharing import Share, families_of, shares_of
from rig.reproduce.tie import victims_lead
from rig.reproduce.trigger import OWN_TRIGGERS, trigger_of, what_is_not_played

__all__ = ["DEFAULT_SCALE", "replica_of"]

KIB, MIB = 1 << 10, 1 << 20
DEFAULT_SCALE = 512 << 20
"""Memory of the largest guest, in bytes."""
OVERHEAD = 88 << 20
"""Memory of the guest's kernel and agent, as a first guess: runs of the scenario correct it."""
MOST_ACTORS = 100
"""The agent watches 128 processes (MAX_MEMBERS, guest/agent/agent.h)."""
WORTH = 0.01
"""The fraction of the memory below which a kind of memory is not played."""
GROWTH, OTHER_GROWTH = 0.02, 0.006
"""The fraction of the memory that the invoker takes last: as memory of its own, and as memory of another kind."""
FREE_SWAP = 0.10
"""The fraction of swap that must be free for the actors to be kept out of it."""
ACTORS = "actors"
"""Cgroup of the actors of a report in which the machine ran out of memory with swap free."""
ROOT_BONUS = 30
"""What kernels before 3.14 took off the oom_score_adj of root's tasks: 3 % of memory (a63d83f427fb)."""
PAGE = 4 * KIB
TABLE_SPAN = 512
"""Pages that one page of page table maps (x86-64)."""


def replica_of(report: Fingerprint, *, largest: int = DEFAULT_SCALE) -> Replica:
    """Return a report scaled to a guest of at most `largest` bytes.

    Raises UsageError for a report that names neither a task nor how memory was used.
    """
    if not report.holders and not report.kinds:
        raise UsageError(
            "the report names no task and no use of memory",
            remedy="give it the whole report, from 'invoked oom-killer' to 'Killed process'",
        )
    return _Scaler(report, largest).replica()


class _Scaler:
    """Puts a replica together; what it cannot play it collects in `left_out`."""

    def __init__(self, report: Fingerprint, largest: int) -> None:
        self.report = report
        self.left_out: list[LeftOut] = []
        held = sum(holder.rss_kb for holder in report.holders)
        self.total_kb = report.total_kb or max(sum(report.kinds.values()), held) or 1
        self.memcg = report.limit is not None
        room = largest // 2 if self.memcg else largest - OVERHEAD
        self.scale = max(1.0, self.total_kb * KIB / room)
        self.names: dict[str, int] = defaultdict(int)
        if not report.total_kb:
            self.leave_out("memory", "the report does not tell how much there is; the sum of what it shows is taken")

    def leave_out(self, what: str, why: str) -> None:
        self.left_out.append(LeftOut(what, why))

    def scaled(self, kb: float) -> int:
        """Return bytes, whole pages."""
        return int(kb * KIB / self.scale) // PAGE * PAGE

    def worth(self, kb: float) -> bool:
        return kb >= WORTH * self.total_kb

    def replica(self) -> Replica:
        report = self.report
        trigger = trigger_of(report, GROWTH * self.total_kb)
        growth = self.scaled((GROWTH if trigger in OWN_TRIGGERS else OTHER_GROWTH) * self.total_kb) if trigger else 0
        actors = self.actors(growth, trigger)
        limit = report.limit
        total = int(self.total_kb * KIB / self.scale)
        swap = self.swap()
        self.left_out += what_is_not_played(report, trigger, self.worth)
        cache = sum(max(actor.sizes.get("cache", 0), actor.sizes.get("file", 0)) for actor in actors)
        disk = cache + (max(64 * MIB, 4 * growth) if trigger == "file-read" else 0)
        memory = whole_megabytes(total + BESIDE_A_CGROUP if limit is not None else max(total + OVERHEAD, SMALLEST))
        huge = report.kinds.get("huge pages", 0) if self.worth(report.kinds.get("huge pages", 0)) else 0
        return Replica(
            report=report,
            scale=self.scale,
            memory=memory,
            swap=swap,
            cgroup=self.cgroup(),
            limit_owner=_cgroup(limit.owner) if limit is not None else self.cgroup(),
            limit=self.scaled(self.total_kb) if limit is not None else None,
            swap_limit=self.swap_limit(actors),
            growth=growth,
            disk=whole_megabytes(disk) if disk else 0,
            huge_pages=round(self.scaled(huge) / (2 * MIB)),
            min_free_kb=max(self.scaled(report.min_kb) // KIB, 1024) if report.min_kb and limit is None else 0,
            actors=tuple(actors),
            left_out=tuple(self.left_out),
        )

    def swap(self) -> int:
        """Return the bytes of swap; a cgroup that may swap gets what it used, and as much again."""
        report = self.report
        if report.limit is not None:
            used = report.limit.swap_used_kb
            bound = report.limit.swap_kb
            wanted = used * 2 if bound is None else bound
            return whole_megabytes(self.scaled(min(wanted, 4 * self.total_kb))) if wanted else 0
        return whole_megabytes(self.scaled(report.swap_total_kb)) if report.swap_total_kb else 0

    def keeps_swap_free(self) -> bool:
        """Return whether the machine ran out of memory with swap free: what it needed could not be swapped out.

        The actors, which never use their memory again, would be. A bound on their swap keeps them in memory.
        """
        total, free = self.report.swap_total_kb or 0, self.report.swap_free_kb or 0
        return self.report.limit is None and self.report.scope != "sysrq" and free > FREE_SWAP * total

    def swap_limit(self, actors: list[Actor]) -> int | None:
        """Return the bytes of swap that the actors may use together; None for no bound."""
        if self.keeps_swap_free():
            return sum(actor.sizes.get("swapped", 0) for actor in actors)
        limit = self.report.limit
        return self.scaled(limit.swap_kb) if limit is not None and limit.swap_kb is not None else None

    def cgroup(self) -> str:
        """Return the cgroup of the actors; empty for the root."""
        if self.report.limit is not None:
            return _cgroup(self.report.limit.task)
        return ACTORS if self.keeps_swap_free() else ""

    def actors(self, growth: int, trigger: str) -> list[Actor]:
        """Return the processes in the order in which they take their memory; the invoker is the last one."""
        report = self.report
        played, rest = self.chosen()
        shares = shares_of(report, played + rest, WORTH * self.total_kb)
        families = families_of(report, self.total_kb, played, shares)
        present = report.kinds.get("anonymous", 0)
        locked = 0 if families.of else locked_by_tasks_kb(report, sum(share.anon for share in shares.values()))
        locked = locked if self.worth(locked) else 0
        if len(report.holders) == 1 and shares[report.holders[0].pid].anon > 2 * (present + locked) > 0:
            # What one process holds is there, whatever the counters say.
            self.leave_out("anonymous", f"the report counts {present // 1024} MB, and one task alone has more")
        elif families.factor < 1:
            self.leave_out(
                "holders",
                f"the tasks claim more than there is; each is taken as {families.factor:.0%} of what its row says",
            )
            shares = {pid: replace(each, anon=int(each.anon * families.factor)) for pid, each in shares.items()}
        cgroup = self.cgroup()
        actors = []
        for holder in played:
            if holder.pid in families.taken:
                continue
            actors.append(self.actor(holder, shares, cgroup, families.of.get(holder.pid)))
        actors = with_locked(actors, self.scaled(locked), growth)
        actors = self.with_trigger(actors, growth, trigger, cgroup)
        others = self.others(rest, shares, cgroup)
        kernel = self.kernel(played, cgroup, locked)
        return [*([kernel] if kernel else []), *([others] if others else []), *actors]

    def chosen(self) -> tuple[list[Holder], list[Holder]]:
        """Return the tasks that are played one by one, largest first, and the others."""
        report = self.report
        must = {holder.pid for holder in report.ranking[:5]} | {report.invoker_pid, report.victim_pid}
        large = [
            holder
            for holder in sorted(report.holders, key=lambda holder: -holder.held_kb)
            if holder.pid in must or self.scaled(holder.held_kb) >= MIB
        ]
        # The five that rank first, the invoker and the victim stay in, however many others are larger.
        kept = [holder for holder in large if holder.pid in must]
        kept += [holder for holder in large if holder.pid not in must][: MOST_ACTORS - len(kept)]
        pids = {holder.pid for holder in kept}
        kept.sort(key=lambda holder: -holder.held_kb)
        return kept, [holder for holder in report.holders if holder.pid not in pids]

    def actor(
        self, holder: Holder, shares: dict[int, Share], cgroup: str, family: tuple[list[Holder], int] | None
    ) -> Actor:
        share = shares[holder.pid]
        anon = share.anon
        sizes = {
            "swapped": self.scaled(holder.swap_kb), "file": self.scaled(share.file), "mapped": self.scaled(share.shmem)
        }  # fmt: skip
        forks, child = 0, ""
        if family is not None:
            members, shared = family
            forks = len(members) - 1
            sizes["shared"] = self.scaled(shared)
            own = sum(shares[member.pid].anon for member in members[1:]) // forks - shared
            sizes["own"] = self.scaled(max(own, 0))
            anon = max(anon - shared, 0)
            invoker = next((member for member in members[1:] if member.pid == self.report.invoker_pid), members[-1])
            child = invoker.comm if invoker.comm != holder.comm or invoker.pid == self.report.invoker_pid else ""
        sizes["anon"] = max(self.scaled(anon), 64 * KIB)
        if holder.pid == self.report.victim_pid:
            sizes["anon"] += victims_lead(self.report, self.scale)
        elif family is not None and any(member.pid == self.report.victim_pid for member in family[0]):
            sizes["own"] += victims_lead(self.report, self.scale)
        extra = holder.tables_kb - holder.rss_kb // TABLE_SPAN
        sizes["tables"] = self.scaled(extra) if self.worth(extra) else 0
        return Actor(
            name=self.unique(holder.comm), comm=holder.comm, adj=self.adj(holder), uid=holder.uid or 0, cgroup=cgroup,
            sizes={kind: size for kind, size in sizes.items() if size}, forks=forks, child=child, row=holder,
        )  # fmt: skip

    def adj(self, holder: Holder) -> int:
        """Return the oom_score_adj that ranks a task as in the report, by the rule of the guest's kernel."""
        if holder.uid == 0 and self.report.bonus == "memory" and holder.adj > -970:
            return holder.adj - ROOT_BONUS
        return holder.adj

    def with_trigger(self, actors: list[Actor], growth: int, trigger: str, cgroup: str) -> list[Actor]:
        """Give the invoker its trigger, and put it at the end."""
        report = self.report
        if not trigger or report.invoker is None:
            return actors
        order = min(report.order or 0, 3)
        mine = next((actor for actor in actors if _plays(actor, report)), None)
        if mine is None:
            name, comm = self.unique(report.invoker), report.invoker
            mine = Actor(name=name, comm=comm, adj=report.invoker_adj, cgroup=cgroup, sizes={"anon": 64 * KIB})
        else:
            actors = [actor for actor in actors if actor is not mine]
        sizes = dict(mine.sizes)
        if trigger in OWN_TRIGGERS and not mine.child:
            # It takes the last part of its memory in the way that the report shows.
            sizes["anon"] = max(sizes.get("anon", 0) - growth, 64 * KIB)
        elif mine.child and trigger == "copy-on-write":
            # A copy leaves the fork's RSS as it is: what is shared at the end was shared with so much more before.
            more = min(growth, sizes.get("own", 0), sizes.get("anon", 0))
            sizes |= {"shared": sizes["shared"] + more, "own": sizes["own"] - more, "anon": sizes["anon"] - more}
        return [*actors, replace(mine, sizes=sizes, trigger=trigger, order=order)]

    def others(self, rest: list[Holder], shares: dict[int, Share], cgroup: str) -> Actor | None:
        report = self.report
        sizes = {
            "swapped": self.scaled(sum(holder.swap_kb for holder in rest)),
            "anon": self.scaled(sum(shares[holder.pid].anon for holder in rest)),
        }
        listed = sum(share.anon for share in shares.values())
        unlisted = report.kinds.get("anonymous", 0) - listed
        if self.worth(unlisted):
            sizes["anon"] += self.scaled(unlisted)
            self.leave_out("tasks", f"{unlisted // 1024} MB of anonymous memory are in no row; {OTHERS} holds them")
        used = (report.swap_total_kb or 0) - (report.swap_free_kb or 0)
        hidden = used - sum(holder.swap_kb for holder in report.holders)
        if self.worth(hidden):
            sizes["swapped"] += self.scaled(hidden)
        if rest:
            self.leave_out("tasks", f"{len(rest)} small ones are one, {OTHERS}, which is never chosen")
        sizes = {kind: size for kind, size in sizes.items() if size}
        return Actor(OTHERS, OTHERS, adj=-1000, cgroup=cgroup, sizes=sizes) if sizes else None

    def kernel(self, played: list[Holder], cgroup: str, locked: int) -> Actor | None:
        """Return the actor that holds what no row shows. locked: kB of locked memory that the tasks hold."""
        kinds = self.report.kinds
        natural = sum(holder.rss_kb for holder in played) // TABLE_SPAN + 40 * len(played)
        rows = sum(holder.tables_kb for holder in played)
        wanted = {
            "shmem": kinds.get("shmem", 0),
            "slab": kinds.get("slab", 0),
            "pipes": kinds.get("uncounted", 0),
            "tables": kinds.get("page tables", 0) - max(natural, rows),
            "locked": kinds.get("unevictable", 0) - locked,
            "cache": kinds.get("cache", 0) if self.report.scope == "sysrq" else 0,
        }
        if self.worth(kinds.get("cache", 0)) and not wanted["cache"]:
            self.leave_out("cache", "clean page cache gives way before the kernel kills; not played")
        sizes = {kind: self.scaled(size) for kind, size in wanted.items() if self.worth(size)}
        return Actor(KERNEL, KERNEL, adj=-1000, cgroup=cgroup, sizes=sizes) if sizes else None

    def unique(self, comm: str) -> str:
        """Return a name that parameters may begin with."""
        name = "".join(each if each.isascii() and each.isalnum() else "_" for each in comm.lower()).strip("_") or "task"
        name = name if name[0].isalpha() else f"task_{name}"
        self.names[name] += 1
        return name if self.names[name] == 1 else f"{name}_{self.names[name]}"


def _plays(actor: Actor, report: Fingerprint) -> bool:
    if actor.row is None:
        return False
    if report.invoker_pid is not None:
        return actor.row.pid == report.invoker_pid or bool(actor.child and actor.child == report.invoker)
    return actor.comm == report.invoker or bool(actor.child and actor.child == report.invoker)


def _cgroup(path: str) -> str:
    """Return the path below the guest's root of cgroups; a report from the root itself gets a name."""
    parts = [
        "".join(c if c.isascii() and (c.isalnum() or c in "._-@:") else "_" for c in part) for part in path.split("/")
    ]
    kept = [part[:80] for part in parts if part and part.strip(".")]
    return "/".join(kept[:8]) or "limited"
