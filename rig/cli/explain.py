# SPDX-License-Identifier: MIT
"""`rig explain`: every event in a kernel log, in words."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import typer

from rig.cli.logfile import read_log
from rig.errors import RigError, UsageError
from rig.klog import Event, Log
from rig.klog.code import Instruction, NoDisassembler, disassemble
from rig.klog.crash.crash_event import CrashEvent
from rig.klog.explain import Explanation
from rig.klog.explain import explain as in_words

app = typer.Typer()

# What only an option needs is imported where it is used: most logs are small, and imports are most of the time.


@app.command()
def explain(
    source: str = typer.Argument(
        "-", metavar="[FILE|RUN]", help="A log (.gz, .xz, .bz2, .zst too), a run, or - for standard input."
    ),
    event: int = typer.Option(None, "--event", min=1, metavar="N", help="Explain this event."),
    everything: bool = typer.Option(False, "--all", help="Explain every event."),
    as_json: bool = typer.Option(False, "--json", help="Print all events, and the explanations, as JSON."),
    schema: bool = typer.Option(False, "--schema", help="Print the schema of --json and stop."),
    html: Path = typer.Option(None, "--html", metavar="FILE", help="Write one self-contained HTML file."),
    redact: bool = typer.Option(False, "--redact", help="Hide names, paths and addresses, for sharing."),
    vmlinux: Path = typer.Option(
        None, "--vmlinux", metavar="FILE", help="The kernel with debug data: gives files and lines."
    ),
) -> int:
    """Explain a kernel log: what asked for memory, why there was none, where it is, why this victim.

    Without --event or --all the gravest event is explained and the others are listed. Exits with 1 when the log
    holds no event.
    """
    if schema:
        _print_schema()
        return 0
    if event is not None and everything:
        raise UsageError("--event and --all exclude each other", remedy="leave one away")
    log = read_log(source)
    events: Sequence[Event] = log.events
    if event is not None and event > len(events):
        raise UsageError(
            f"the log has {len(events)} events, not {event}", where=source, remedy="leave --event away to see them all"
        )
    if vmlinux is not None:
        from rig.klog.symbols import symbolize
        from rig.report.explain_vmlinux import open_vmlinux

        symbolizer = open_vmlinux(vmlinux)
        events = [symbolize(found, symbolizer) for found in events]
    if redact:
        from rig.klog.redact import Redactor

        events = list(map(Redactor(), events))
    chosen = _choose(events, event, everything=everything or as_json)
    explanations = [in_words(found) for found in chosen]
    if as_json:
        from rig.klog.schema import document

        print(document(log.lines, events if event is None else chosen, explanations))
    if html is not None:
        _write_html(html, events, explanations, "a kernel log" if redact else source)
    if not as_json and html is None:
        _print(log, events, chosen, explanations, redact=redact)
    return 0 if events else 1


def _choose(events: Sequence[Event], number: int | None, *, everything: bool) -> list[Event]:
    """Return all events, the one asked for, or the gravest (Kind.gravity)."""
    if number is not None:
        return [found for found in events if found.number == number]
    if everything or not events:
        return list(events)
    return [min(events, key=lambda found: found.kind.gravity)]


def _print(
    log: Log, events: Sequence[Event], chosen: Sequence[Event], explanations: Sequence[Explanation], *, redact: bool
) -> None:
    from rig.report.console import output_console
    from rig.report.explain_text import events_table, print_explanation, print_nothing_found, print_silent_killers

    console = output_console(highlight=False)
    if not events:
        print_nothing_found(console, log.lines, looks_like_text=log.looks_like_text)
        return
    if len(events) > len(chosen) or len(events) > 1:
        console.print(events_table(events))
        console.print()
    for index, (found, explanation) in enumerate(zip(chosen, explanations, strict=True)):
        if index:
            console.print()
        print_explanation(console, explanation, found, code=() if redact else _code(found))
    if not any(found.kind == "oom" for found in events):
        print_silent_killers(console)
    if len(events) > len(chosen):
        console.print(f"\n{len(events) - len(chosen)} more: --event N explains one, --all explains them all.")


def _code(found: Event) -> Sequence[Instruction]:
    """The instructions around the trap, where the kernel's own code is in the report and capstone is installed."""
    if not isinstance(found, CrashEvent) or found.kind not in ("oops", "bug", "lockup", "rcu-stall", "kasan"):
        return ()
    for registers in found.trace.registers:
        where = registers.where or ""
        if registers.code and "<" in registers.code and not where.startswith("0033:"):
            try:
                return disassemble(registers.code)
            except NoDisassembler:
                return ()
    return ()


def _write_html(path: Path, events: Sequence[Event], explanations: Sequence[Explanation], source: str) -> None:
    from rig.report.explain_html import html_report

    try:
        path.write_text(html_report(events, explanations, heading=f"What happened: {source}"), encoding="utf-8")
    except OSError as error:
        raise RigError(
            f"the report cannot be written: {error.strerror}", where=path, remedy="give a path that can be written"
        ) from error


def _print_schema() -> None:
    print(resources.files("rig.klog").joinpath("log.schema.json").read_text(encoding="utf-8"), end="")
