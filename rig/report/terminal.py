# SPDX-License-Identifier: MIT
"""A finished run in the terminal: the verdict, each claim with its values, the trace, the OOM killer's ranking."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rig.sanitize import plain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from rig.run.document import Claimed, OomReport, Run, Stall, Verdict

__all__ = ["LIVE_HAS_LESS", "print_run", "print_verdict", "render_ending", "render_run"]

STYLES: dict[str, str] = {
    "reproduced": "bold green",
    "not-reproduced": "bold yellow",
    "invalid": "bold magenta",
    "error": "bold red",
    "held": "green",
    "failed": "bold red",
    "not-applicable": "dim",
}
MARKS = {"held": "✓", "failed": "✗", "not-applicable": "–", "invalid": "?"}
PARTS = {
    "oom": "the OOM killer",
    "allocation": "a page is asked for",
    "copy-on-write": "copy-on-write: the page that was written to is copied",
    "fault-handler": "the fault is handled",
    "page-fault": "the page fault of {invoker}",
}
MOST_RANKED = 8
LIVE_HAS_LESS = (
    "on the live clock a guest has some 3 MB less memory: programs in a tmpfs, network card, SSH server "
    "(rig help design)"
)
"""What docs/explanation/design.md has the figures of."""
NOT_JUDGED = "not judged:"
"""How a claim's reason begins when another that it needs failed."""


def print_run(console: Console, run: Run, directory: Path | None = None) -> None:
    """Print the whole report of a run."""
    for part in render_run(run, directory):
        console.print(part, soft_wrap=not console.is_terminal)


def print_verdict(console: Console, run: Run) -> None:
    """Print the verdict alone (`-q`)."""
    console.print(_verdict(run.verdict), soft_wrap=True)


def render_run(run: Run, directory: Path | None = None) -> list[RenderableType]:
    """Return the report's parts, top to bottom."""
    from rich.text import Text

    parts: list[RenderableType] = [_headline(run), Text()]
    parts += _claims(run.claims)
    for oom in run.ooms[:1]:
        parts += [Text(), *_trace(oom), Text(), *_ranking(oom)]
    if len(run.ooms) > 1:
        parts.append(Text(f"{len(run.ooms) - 1} more OOM reports followed.", "dim"))
    if run.stalls:
        parts += [Text(), *(Text(stall_sentence(stall)) for stall in run.stalls)]
    if run.panic:
        parts += [Text(), Text.assemble(("Panic: ", "bold red"), plain(run.panic))]
    parts += [Text(), *_footer(run, directory)]
    return parts


def render_ending(run: Run, directory: Path | None = None) -> list[RenderableType]:
    """Return the report of a run without claims: the killed process, a panic, the run's directory."""
    from rich.text import Text

    parts: list[RenderableType] = []
    for oom in run.ooms[:1]:
        parts += [Text(), *_ranking(oom)]
    if len(run.ooms) > 1:
        parts.append(Text(f"{len(run.ooms) - 1} more OOM reports followed.", "dim"))
    parts += [Text(sentence, "bold") for sentence in map(stall_sentence, run.stalls)]
    if run.panic:
        parts.append(Text.assemble(("Panic: ", "bold red"), plain(run.panic)))
    return [*parts, *_footer(run, directory)]


CAUSES = {
    "throttled": "throttled by memory.high: the cgroup stays above it, and each page that it takes costs it a wait",
    "thrashing": "thrashing: it reads file pages again that were just reclaimed",
    "swapping": "swapping: it waits for pages to come back from swap",
    "no-progress": "reclaim without progress: the kernel scans pages and can free few of them",
    "io": "waiting for memory, with neither swapping nor refaults: writeback or another's reclaim",
}


SEEN_BY = {
    "memory pressure": "PSI of memory",
    "I/O pressure": "PSI of I/O",
    "heartbeat": "the heartbeat",
}


def stall_sentence(stall: Stall) -> str:
    """Return a sentence on a stall: when, who waited and how much of the time, why, and what showed it."""
    who = plain(stall.who, longest=60) + " waited" if stall.who else "all waited"
    return (
        f"Stalled for {stall.length:.1f} s from {stall.begin:.1f} s on the guest's clock: {who} for memory "
        f"{stall.share * 100:.0f} % of it, {CAUSES[stall.cause]} (shown by {SEEN_BY[stall.by]})"
    )


def _verdict(verdict: Verdict) -> Text:
    from rich.text import Text

    return Text(verdict, STYLES[verdict])


def _headline(run: Run) -> Text:
    from rich.text import Text

    text = Text.assemble(_verdict(run.verdict), "  ", (plain(run.scenario), "bold"))
    if run.parameters_shown:
        text.append("  " + " ".join(f"{plain(name)}={plain(value)}" for name, value in run.parameters_shown.items()))
    if run.reason:
        text.append("\n" + plain(run.reason))
    return text


def _claims(claims: tuple[Claimed, ...]) -> list[RenderableType]:
    from rich.text import Text

    lines: list[RenderableType] = []
    for claim in claims:
        if claim.reason.startswith(NOT_JUDGED):
            lines.append(Text(f"{MARKS[claim.verdict]} not judged     {plain(claim.text)}", "dim"))
            continue
        style = STYLES.get(claim.verdict, "")
        line = Text.assemble((f"{MARKS[claim.verdict]} {claim.verdict:<14} ", style), plain(claim.text))
        values = "  ".join(f"{plain(value.name)} {plain(value.shown)}" for value in claim.values)
        if values:
            line.append(f"\n{'':17}{values}", "dim" if claim.verdict == "held" else "")
        if claim.reason:
            line.append(f"\n{'':17}{plain(claim.reason)}", style)
        lines.append(line)
    return lines


def _trace(oom: OomReport) -> list[RenderableType]:
    from rich.text import Text

    when = "" if oom.time is None else f" at {oom.time:.3f} s of the guest's clock"
    where = "" if oom.line is None else f", line {oom.line} of console.log"
    invoker = f"{plain(oom.invoker)} ({oom.invoker_pid})"
    flags = plain("|".join(oom.gfp_flags))
    asked = flags if oom.order is None else f"it asked for 2^{oom.order} pages, {flags}"
    if oom.scope == "sysrq":
        asked = "SysRq f called the OOM killer: memory had not run out"
    lines: list[RenderableType] = [
        Text.assemble(("Invoked by ", "bold"), (invoker, "bold cyan"), f"{when}{where}"),
        Text(f"  {asked}"),
    ]
    if oom.free_kb is not None and oom.min_kb is not None:
        lines.append(Text(f"  free {oom.free_kb} kB, watermark min {oom.min_kb} kB"))
    named: set[str] = set()
    root = max((index for index, frame in enumerate(oom.frames) if frame.role == "page-fault"), default=-1)
    for index, frame in enumerate(oom.frames):
        offset = "" if frame.offset is None else f"+{frame.offset:#x}/{frame.size or 0:#x}"
        name = plain(frame.function, longest=120) + offset
        arrow = "→" if index == root else " "
        style = "bold red" if index == root else "bold yellow" if frame.role == "copy-on-write" else ""
        style = style if frame.reliable else "dim"
        line = Text.assemble((f"  {arrow} {'' if frame.reliable else '? '}{name}", style))
        if index == root or (frame.role in PARTS and frame.role not in named and frame.role != "page-fault"):
            named.add(frame.role)
            part = PARTS[frame.role].format(invoker=plain(oom.invoker))
            line.append(f"{'':<{max(2, 50 - len(name))}}{part}", "" if index == root else "dim")
        lines.append(line)
    return lines


def _ranking(oom: OomReport) -> list[RenderableType]:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    ranked = [row for row in oom.ranking if row.points is not None][:MOST_RANKED]
    if not ranked:
        return []
    killed = ", ".join(plain(name) for name in oom.killed)
    title = Text.assemble(("Killed: ", "bold"), (killed or "nobody", "bold red" if killed else ""))
    tied = [f"{plain(row.name)} ({row.pid})" for row in ranked if row.tied]
    if len(tied) > 1:
        title.append(f"; tied within {oom.slack_pages} pages: {', '.join(tied)}")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for heading in ("badness", "rss", "swap", "page tables", "adj", "pid"):
        table.add_column(heading, justify="right")
    table.add_column("task")
    for row in ranked:
        name = Text(plain(row.name), "bold red" if row.killed else "")
        if row.killed:
            name.append(" ← killed")
        numbers = (row.points, row.rss, row.swap, row.page_tables, row.oom_score_adj, row.pid)
        table.add_row(*(str(number) for number in numbers), name)
    exempt = sum(row.points is None for row in oom.ranking)
    rest = len(oom.ranking) - len(ranked) - exempt
    left_out = [f"{exempt} exempt by oom_score_adj -1000"] if exempt else []
    left_out += [f"{rest} more"] if rest else []
    return [title, table, *([Text(", ".join(left_out), "dim")] if left_out else [])]


def _footer(run: Run, directory: Path | None) -> list[RenderableType]:
    from rich.text import Text

    lines: list[RenderableType] = []
    environment = run.environment
    on = [
        f"Linux {environment.kernel}" if environment.kernel else "",
        environment.clock,
        environment.accelerator,
    ]
    lines.append(Text("ran on " + ", ".join(plain(part) for part in on if part), "dim"))
    if environment.clock == "live":
        lines.append(Text(LIVE_HAS_LESS, "dim"))
    if run.guest_seconds is not None and run.host_seconds is not None:
        lines.append(
            Text(
                f"{run.guest_seconds:.1f} s on the guest's clock in {run.host_seconds:.2f} s on the host's",
                "dim",
            )
        )
    if run.prefix is not None:
        began = f"began at '{plain(run.prefix.point)}', {run.prefix.time:.1f} s: its past until there"
        how = "was saved by this run, for the next ones" if run.prefix.made else "was kept from an earlier run"
        lines.append(Text(f"{began} {how}; --no-prefix runs all of it", "dim"))
    if run.heard.lost or run.heard.bad_lines:
        lines.append(
            Text(
                f"the agent's records: {run.heard.lost} lost, {run.heard.bad_lines} lines not readable",
                "magenta",
            )
        )
    if run.heard.cut_lines:
        lines.append(Text(f"{run.heard.cut_lines} lines that programs printed are cut at 4,096 bytes", "magenta"))
    lines += [
        Text(f"{count / 1e6:.1f} MB that the guest printed are not in {plain(name)}", "magenta")
        for name, count in run.left_out.items()
    ]
    if run.recording.reason:
        lines.append(Text(f"no recording: {plain(run.recording.reason)}", "dim"))
    if directory is not None:
        lines.append(Text.assemble(("run ", "dim"), run.id, ("  ", ""), (str(directory), "underline")))
    return lines
