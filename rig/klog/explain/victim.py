# SPDX-License-Identifier: MIT
"""Explain the choice of the victim: recompute badness, rank the tasks, compare with what the kernel killed."""

from __future__ import annotations

from rig.klog.explain.explanation import Section, Sentence
from rig.klog.explain.words import size
from rig.klog.oom.badness import OOM_SCORE_ADJ_MIN, page_table_pages, root_bonus
from rig.klog.oom.oom_event import OomEvent
from rig.klog.oom.parts import TaskRow

__all__ = ["chosen_otherwise", "ranking", "sum_of_points", "victim"]

# badness() in mm/oom_kill.c of 2.6.32: total_vm, plus half of that of each child with memory of its own, divided by the
# roots of CPU time and run time; doubled for nice tasks, quartered for root and for raw I/O; shifted by oom_adj.
_OLDER = (
    "before 2.6.36 points were the task's total_vm and half of its children's, less with CPU time, run time and as "
    "root, shifted by oom_adj; the report has no CPU time"
)
_RUNNERS_UP = 3  # tasks whose sums are shown beside the victim's


def ranking(event: OomEvent) -> list[tuple[int, TaskRow]]:
    """Return (points in pages, row) of each task, most points first, without tasks whose points cannot be derived."""
    scored = []
    for row in event.tasks:
        points = event.badness(row)
        if points is not None:
            scored.append((points, row))
    return sorted(scored, key=lambda entry: entry[0], reverse=True)


def chosen_otherwise(event: OomEvent) -> bool:
    """Return whether the kernel killed another task than the one with the most points in the table."""
    ranked = ranking(event)
    if root_bonus(event.kernel) == "older":
        return False  # kernels before 2.6.36 use another formula
    if not ranked or event.victim is None or any(row.oom_score_adj and event.totalpages is None for row in event.tasks):
        return False
    best = ranked[0][0]
    own = next((points for points, row in ranked if row.pid == event.victim.pid), None)
    return own is None or own < best - _tolerance(best)


def _tolerance(best: int) -> int:
    """Return by how many pages two tasks may differ in the table and still be in a tie.

    The table is printed after the choice, and a running task gains or loses a few pages in between.
    """
    return max(64, best // 100)


def victim(event: OomEvent) -> Section:
    """Return the section on how the victim was chosen."""
    sentences: list[Sentence] = []
    kill = event.victim
    if kill is None:
        if not event.killable:
            sentences.append(
                Sentence("Nobody could be killed: every task was exempt or a kernel thread.", (event.last_line,))
            )
        elif event.panicked:
            text = "Nobody was chosen: with vm.panic_on_oom the kernel panics before it looks for a victim."
            sentences.append(Sentence(text, (event.last_line,)))
        else:
            sentences.append(Sentence("The line that names the victim is not in this log."))
        return Section("Why this victim", tuple(sentences))
    parts = [("of its own", kill.anon_rss_kb), ("files", kill.file_rss_kb), ("shared", kill.shmem_rss_kb)]
    held = ", ".join(f"{size(kb)} {label}" for label, kb in parts if kb)
    sentences.append(
        Sentence(f"{kill.comm} (pid {kill.pid}) was killed; it held {held or 'next to nothing'}.", (kill.line,))
    )
    if "oom_kill_allocating_task" in kill.reason:
        sentences.append(
            Sentence("No victim was chosen: with vm.oom_kill_allocating_task the one who asks dies.", (kill.line,))
        )
        return Section("Why this victim", tuple(sentences))
    ranked = ranking(event)
    row = next((row for row in event.tasks if row.pid == kill.pid), None)
    if row is not None:
        sentences.append(Sentence(f"Its points, in pages: {sum_of_points(event, row)}.", (row.line,)))
    sentences += _order(event, ranked)
    sentences += _runners_up(event, ranked)
    if len(event.kills) > 1:
        names = ", ".join(f"{other.comm} (pid {other.pid})" for other in event.kills[1:6])
        why = (
            "memory.oom.group is set: the whole cgroup goes"
            if event.oom_group
            else "they shared its memory, or it was not enough"
        )
        sentences.append(
            Sentence(
                f"{len(event.kills) - 1} more were killed: {names}. {why.capitalize()}.",
                tuple(k.line for k in event.kills[1:6]),
            )
        )
    for reaped in event.reaped:
        if reaped.done:
            left = (reaped.anon_rss_kb or 0) + (reaped.shmem_rss_kb or 0)
            sentences.append(
                Sentence(
                    f"The reaper took back the memory of {reaped.comm} at once; {size(left)} stayed.",
                    (reaped.line,),
                )
            )
        else:
            sentences.append(
                Sentence(
                    f"The reaper could not take back the memory of {reaped.comm}: it was stuck in the kernel.",
                    (reaped.line,),
                )
            )
    return Section("Why this victim", tuple(sentences))


def sum_of_points(event: OomEvent, row: TaskRow) -> str:
    """Return how a row's points add up, in pages: `52011 in memory + 0 in swap + 111 of page tables = 52122`."""
    if row.oom_score_adj == OOM_SCORE_ADJ_MIN:
        return "exempt (oom_score_adj -1000)"
    if root_bonus(event.kernel) == "older":
        return f"cannot be computed: {_OLDER}"
    tables = page_table_pages(row, event.page_kb)
    text = f"{row.rss} in memory + {row.swapents or 0} in swap + {tables} of page tables"
    bonus = root_bonus(event.kernel) if row.uid == 0 else ""
    if bonus == "own":
        text += ", less 3 % because it ran as root (kernels 3.14 to 4.16)"
    if bonus == "memory" and event.totalpages is not None:
        text += f" - 30 × {event.totalpages // 1000} because it ran as root (kernels 2.6.36 to 3.13)"
    if row.oom_score_adj:
        if event.totalpages is None:
            return f"{text}, and an oom_score_adj of {row.oom_score_adj} whose weight the log does not tell"
        text += f" + {row.oom_score_adj} × {event.totalpages // 1000} for its oom_score_adj"
    points = event.badness(row)
    return text if points is None else f"{text} = {points}"


def _runners_up(event: OomEvent, ranked: list[tuple[int, TaskRow]]) -> list[Sentence]:
    """Return how the points of the next in the ranking add up."""
    if root_bonus(event.kernel) == "older":
        return []
    victims = {kill.pid for kill in event.kills}
    others = [row for _points, row in ranked if row.pid not in victims][:_RUNNERS_UP]
    return [
        Sentence(f"Points of {row.name} (pid {row.pid}): {sum_of_points(event, row)}.", (row.line,)) for row in others
    ]


def _order(event: OomEvent, ranked: list[tuple[int, TaskRow]]) -> list[Sentence]:
    kill = event.victim
    if not ranked or kill is None or root_bonus(event.kernel) == "older":
        return []
    sentences = []
    place = next((index for index, (_points, row) in enumerate(ranked) if row.pid == kill.pid), None)
    if chosen_otherwise(event):
        points, best = ranked[0]
        if place is None:
            text = (
                f"The table has {best.name} (pid {best.pid}) first with {points} points, and no row for "
                f"the victim that "
                "could have been chosen: the kernel chose otherwise than the table says."
            )
        else:
            text = (
                f"By the table {best.name} (pid {best.pid}) was worse: {points} points against "
                f"{ranked[place][0]}. The kernel "
                "chose otherwise: the table was printed after the choice, tasks had moved, or it passed "
                "over a task that "
                "was dying already."
            )
        sentences.append(Sentence(text, (best.line, kill.line)))
    elif place == 0 and len(ranked) > 1:
        points, second = ranked[1]
        tie = ", which is a tie" if points >= ranked[0][0] - _tolerance(ranked[0][0]) else ""
        sentences.append(
            Sentence(
                f"That is the most of all; next came {second.name} (pid {second.pid}) with {points}{tie}.",
                (ranked[0][1].line, second.line),
            )
        )
    elif place == 0:
        sentences.append(Sentence("No other task could be killed.", (ranked[0][1].line,)))
    elif place is not None:
        points, best = ranked[0]
        sentences.append(
            Sentence(
                f"By the table {best.name} (pid {best.pid}) has {points}, which is a tie: the table was printed after "
                "the choice.",
                (best.line, kill.line),
            )
        )
    exempt = [row for row in event.tasks if row.oom_score_adj == OOM_SCORE_ADJ_MIN]
    big = max(exempt, key=lambda row: row.rss, default=None)
    if big is not None:
        sentences.append(
            Sentence(
                f"{len(exempt)} of {len(event.tasks)} tasks are exempt (oom_score_adj -1000); the "
                f"largest of them, {big.name}, "
                f"holds {size(big.rss * event.page_kb)}.",
                (big.line,),
            )
        )
    if kill.score is not None and event.totalpages:
        own = next((points for points, row in ranked if row.pid == kill.pid), None)
        if own is not None:
            sentences.append(
                Sentence(
                    f"The kernel printed a score of {kill.score}; recomputed it is {own * 1000 // event.totalpages}.",
                    (kill.line - 1, kill.line),
                )
            )
    return sentences
