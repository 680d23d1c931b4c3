# SPDX-License-Identifier: MIT
"""A post-mortem in the terminal: the stack, the allocation, the zones, memory by task, owners of an array's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.klog.functions import part_of
from rig.run.postmortem import ArrayPages, PageRun, PostMortem, ZoneState
from rig.sanitize import plain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

__all__ = ["print_post_mortem", "render_post_mortem"]

PAGE_KB = 4
MOST_TASKS = 12
MOST_RUNS = 12


def print_post_mortem(console: Console, found: PostMortem) -> None:
    """Print all of it."""
    for part in render_post_mortem(found):
        console.print(part, soft_wrap=not console.is_terminal)


def render_post_mortem(found: PostMortem) -> list[RenderableType]:
    """Return the parts, top to bottom."""
    from rich.text import Text

    where = "" if found.instruction is None else f", instruction {found.instruction:,}"
    source = "read from the guest's memory" if found.source == "memory" else "from what the guest said itself"
    parts: list[RenderableType] = [Text.assemble((f"at {plain(found.at)}", "bold"), f"{where}; {source}")]
    parts += [Text(plain(note, longest=300), "magenta") for note in found.notes]
    if found.stack:
        parts += [Text(), *_stack(found)]
    if found.allocation is not None:
        parts += [Text(), *_allocation(found)]
    if found.zones:
        parts += [Text(), _zones(found)]
    if found.tasks:
        parts += [Text(), _tasks(found)]
    for array in found.arrays:
        parts += [Text(), *_array(array)]
    parts += _agreement(found)
    return parts


def _stack(found: PostMortem) -> list[Text]:
    from rich.text import Text

    lines = [Text.assemble(("Stack of ", "bold"), (f"{plain(found.task)} ({found.task_pid})", "bold cyan"))]
    width = max(len(frame.function) for frame in found.stack) + 10
    for frame in found.stack:
        name = plain(frame.function) + (" inlined" if frame.inlined else "")
        style = "bold yellow" if part_of(frame.function) == "copy-on-write" else ""
        line = Text.assemble("    ", (f"{name:<{width}}", style or ("dim" if frame.inlined else "")))
        if frame.file:
            line.append(f"{plain(frame.file)}:{frame.line}", "dim")
        lines.append(line)
    return lines


def _allocation(found: PostMortem) -> list[Text]:
    from rich.text import Text

    asked = found.allocation
    assert asked is not None
    lines = [
        Text.assemble(
            ("Asked for ", "bold"),
            f"2^{asked.order} pages, gfp_mask {asked.gfp_mask:#x}, {plain(asked.constraint)},"
            f" of {asked.total_pages:,} pages in all",
        )
    ]
    if asked.memcg is not None:
        usage = "" if asked.memcg_usage is None else f": {asked.memcg_usage:,} of {asked.memcg_limit:,} pages used"
        lines.append(Text(f"  in the cgroup {plain(asked.memcg)}{usage}"))
    if asked.chosen_pid is not None:
        lines.append(
            Text.assemble(
                ("Chosen    ", "bold"),
                (f"{plain(asked.chosen)} ({asked.chosen_pid})", "bold red"),
                f", {asked.chosen_points:,} points",
            )
        )
    return lines


def _zones(found: PostMortem) -> RenderableType:
    from rich.text import Text

    highest = found.allocation.highest_zone if found.allocation is not None else None
    headings = ("zone", "free", "min", "low", "high", *(() if highest is None else ("held back",)), "managed")
    table = _table(*headings, title="Zones, in kB")
    for zone in found.zones:
        reserve = 0 if highest is None else zone.reserve_for(highest)
        # __zone_watermark_ok() of mm/page_alloc.c: free pages must exceed the watermark plus lowmem_reserve.
        below = "bold red" if zone.free <= zone.min + reserve else "bold yellow" if zone.free < zone.low else ""
        numbers = (zone.min, zone.low, zone.high, *(() if highest is None else (reserve,)), zone.managed)
        table.add_row(
            plain(zone.name), Text(f"{zone.free * PAGE_KB}", below), *(f"{number * PAGE_KB}" for number in numbers)
        )
    if highest is not None:
        table.caption = _watermarks(found.zones, highest)
        table.caption_justify = "left"
    return table


def _watermarks(zones: tuple[ZoneState, ...], highest: int) -> str:
    usable = [zone for zone in zones if zone.index <= highest]
    short = [plain(zone.name) for zone in usable if zone.free <= zone.min + zone.reserve_for(highest)]
    if usable and len(short) == len(usable):
        return f"free does not exceed min and what is held back in any zone it may use ({', '.join(short)})"
    enough = [plain(zone.name) for zone in usable if plain(zone.name) not in short]
    return f"free exceeds min and what is held back in {', '.join(enough)}" if enough else ""


def _tasks(found: PostMortem) -> RenderableType:
    table = _table(
        "task", "pid", "state", "anon", "file", "shmem", "swap", "page tables", "adj", title="Processes, in kB"
    )
    for task in sorted(found.tasks, key=lambda task: -task.rss)[:MOST_TASKS]:
        kinds = (task.anon, task.file, task.shmem, task.swap)
        table.add_row(
            plain(task.name),
            str(task.pid),
            plain(task.state),
            *(f"{pages * PAGE_KB}" for pages in kinds),
            f"{task.page_tables_bytes >> 10}",
            str(task.oom_score_adj),
        )
    return table


def _table(*headings: str, title: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False, title=title, title_justify="left")
    table.title_style = "bold"
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="left" if index == 0 else "right")
    return table


def _array(array: ArrayPages) -> list[Text]:
    from rich.text import Text

    pages = sum(run.count for run in array.runs)
    when = "" if array.time is None else f", at {array.time:.3f} s"
    label = f" ({plain(array.label)}{when})" if array.label or when else ""
    lines = [
        Text.assemble(
            ("Array ", "bold"), (plain(array.name), "bold cyan"), f"{label}: {pages:,} pages at {array.start:#x}"
        )
    ]
    for index, (name, pid) in enumerate(zip(array.names, array.pids, strict=True)):
        counts = {
            "shared": array.count(index, "shared"),
            "its own": array.count(index, "own"),
            "swapped": array.count(index, "swapped"),
            "absent": array.count(index, "absent"),
        }
        states = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        lines.append(Text.assemble("  ", (f"{plain(name)} ({pid})", "cyan"), f": {states or 'none'}"))
    for run in array.runs[:MOST_RUNS]:
        last = run.first + run.count - 1
        lines.append(Text(f"    {run.first:>7,} to {last:>7,}  {_whose(array, run)}", "dim"))
    if len(array.runs) > MOST_RUNS:
        lines.append(Text(f"    and {len(array.runs) - MOST_RUNS} more runs of pages: --json has all", "dim"))
    return lines


def _whose(array: ArrayPages, run: PageRun) -> str:
    """Return which processes own the frames of these pages: groups that share a frame, and processes with their own."""
    names = {pid: plain(name) for pid, name in zip(array.pids, array.names, strict=True)}
    if not run.groups:
        owners = ", ".join(f"{name} {state}" for name, state in zip(names.values(), run.states, strict=True))
    else:
        parts = []
        for group in run.groups:
            who = " and ".join(names[pid] for pid in group)
            own = run.states[array.pids.index(group[0])] == "own"
            parts.append(f"{who} {'share one' if len(group) > 1 else 'has its own' if own else 'shares with others'}")
        rest = [pid for pid in array.pids if not any(pid in group for group in run.groups)]
        parts += [f"{names[pid]} {run.states[array.pids.index(pid)]}" for pid in rest]
        owners = ", ".join(parts)
    return owners if run.map_count is None else f"{owners}; each frame mapped {run.map_count} times"


def _agreement(found: PostMortem) -> list[Text]:
    from rich.text import Text

    if not found.compared:
        return []
    differ = len(found.disagreements)
    if not differ:
        return [Text(), Text(f"All {found.compared} numbers that the OOM report gives too are the same.", "green")]
    lines = [Text(), Text(f"{differ} of {found.compared} numbers differ from the OOM report:", "bold yellow")]
    for each in found.disagreements:
        lines.append(Text(f"  {plain(each.what)}: report {plain(each.report)}, memory {plain(each.memory)}"))
    return lines
