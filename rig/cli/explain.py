# SPDX-License-Identifier: MIT
"""`rig explain`: every event in a kernel log, in words."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rig.cli.explain_chosen import ChosenEvents
from rig.cli.logfile import read_log, resolve_log
from rig.errors import RigError, UsageError
from rig.klog import Event, Log
from rig.klog.code import Instruction, NoDisassembler, disassemble
from rig.klog.crash.crash_event import CrashEvent
from rig.klog.explain import choose
from rig.klog.explain import explain as in_words

if TYPE_CHECKING:
    from rig.klog.redact import Redactor
    from rig.klog.symbols import Symbolizer

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
    jsonl: bool = typer.Option(False, "--jsonl", help="Print one line of JSON per event, as soon as it is read."),
    follow: bool = typer.Option(
        False,
        "--follow",
        help="Go on reading what is written, as of journalctl -kf, /dev/kmsg or a file; explain each event.",
    ),
    recursive: bool = typer.Option(
        False, "--recursive", help="Count the events of all logs below a directory, by cause, victim and host."
    ),
    scheduler: str = typer.Option(
        None, "--scheduler", metavar="ADDRESS", help="With --recursive: a Dask scheduler, as tcp://host:8786."
    ),
    schema: bool = typer.Option(False, "--schema", help="Print the schema of --json and stop."),
    html: Path = typer.Option(None, "--html", metavar="FILE", help="Write one self-contained HTML file."),
    redact: bool = typer.Option(False, "--redact", help="Hide names, paths and addresses, for sharing."),
    vmlinux: Path = typer.Option(
        None, "--vmlinux", metavar="FILE", help="The kernel with debug data: adds source files and lines to traces."
    ),
) -> int:
    """Explain a kernel log: who asked for memory, why none was free, what holds it, and why this victim was chosen.

    Without --event or --all the most severe event is explained and the others are listed. Exits with 1 when the log
    holds no event.
    """
    if schema:
        _print_schema()
        return 0
    if recursive:
        from rig.cli.explain_directory import explain_directory

        _refuse(
            "--recursive counts events", ("--event", event), ("--all", everything), ("--html", html),
            ("--redact", redact), ("--follow", follow), ("--vmlinux", vmlinux),
        )  # fmt: skip
        return explain_directory(source, as_json=as_json, jsonl=jsonl, scheduler=scheduler)
    if scheduler is not None:
        raise UsageError("one log is read on this machine", where="--scheduler", remedy="add --recursive")
    if follow or jsonl:
        _refuse(
            f"{'--follow' if follow else '--jsonl'} prints every event as it is read",
            ("--event", event), ("--all", everything), ("--json", as_json), ("--html", html),
        )  # fmt: skip
        from rig.cli.explain_stream import explain_stream

        return explain_stream(resolve_log(source), _prepare(vmlinux, redact), live=follow, jsonl=jsonl)
    if event is not None and everything:
        raise UsageError("--event and --all exclude each other", remedy="leave one out")
    prepare = _prepare(vmlinux, redact)
    if not as_json and html is None:
        found = ChosenEvents(event, prepare, everything=everything)
        log = read_log(source, keep=found.keep)
        _check_number(event, log, source)
        _print(log, found, redact=redact)
        return 0 if log.events else 1
    if html is None:
        from rig.cli.explain_stream import explain_json

        log = explain_json(source, prepare, event)
        _check_number(event, log, source)
        return 0 if log.events else 1
    return _explain_as_page(source, html, event, prepare, everything=everything, as_json=as_json, redact=redact)


def _explain_as_page(
    source: str, html: Path, event: int | None, prepare: _Prepare, *, everything: bool, as_json: bool, redact: bool
) -> int:
    """Write the page of --html, print the JSON if that is wanted too, and return the exit status."""
    log = read_log(source, keep_lines=True)
    _check_number(event, log, source)
    events = list(map(prepare, log.events))
    chosen = _choose(events, event, everything=everything or as_json)
    explanations = [in_words(found) for found in chosen]
    if as_json:
        from rig.klog.document import document

        print(document(log.lines, events if event is None else chosen, explanations))
    from rig.report.explain_html import html_report, lines_of_reports, redacted_lines

    lines = lines_of_reports(log.kept, events, explanations)
    if prepare.redactor is not None:
        lines = redacted_lines(lines, log.events, prepare.redactor)
    heading = "What happened: a kernel log" if redact else f"What happened: {source}"
    _write_html(html, html_report(events, explanations, heading=heading, lines=lines))
    return 0 if events else 1


def _check_number(number: int | None, log: Log, source: str) -> None:
    if number is not None and number > len(log.events):
        raise UsageError(
            f"the log has {len(log.events)} events, not {number}",
            where=source,
            remedy="leave out --event to see them all",
        )


class _Prepare:
    """Make an event fit to be explained: with source lines from a vmlinux, without what identifies the machine."""

    def __init__(self, symbolizer: Symbolizer | None, redactor: Redactor | None) -> None:
        self.symbolizer = symbolizer
        self.redactor = redactor

    def __call__(self, event: Event) -> Event:
        if self.symbolizer is not None:
            from rig.klog.symbols import symbolize

            event = symbolize(event, self.symbolizer)
        return event if self.redactor is None else self.redactor(event)


def _prepare(vmlinux: Path | None, redact: bool) -> _Prepare:
    symbolizer, redactor = None, None
    if vmlinux is not None:
        from rig.report.explain_vmlinux import open_vmlinux

        symbolizer = open_vmlinux(vmlinux)
    if redact:
        from rig.klog.redact import Redactor

        redactor = Redactor()
    return _Prepare(symbolizer, redactor)


def _refuse(why: str, *options: tuple[str, object]) -> None:
    """Raise UsageError for the first option that is given: it does not go with another one."""
    for name, value in options:
        if value not in (None, False):
            raise UsageError(why, where=name, remedy=f"leave out {name}")


def _choose(events: Sequence[Event], number: int | None, *, everything: bool) -> list[Event]:
    """Return all events, the one asked for, or the gravest (Kind.gravity)."""
    if number is not None:
        return [found for found in events if found.number == number]
    return choose(events, everything=everything)


def _print(log: Log, chosen: ChosenEvents, *, redact: bool) -> None:
    from rig.report.console import output_console
    from rig.report.explain_text import (
        events_table,
        print_explanation,
        print_nothing_found,
        print_silent_killers,
        print_storms,
    )

    console, events = output_console(highlight=False), log.events
    if not events:
        print_nothing_found(console, log.lines, looks_like_text=log.looks_like_text)
        return
    if len(events) > 1:
        console.print(events_table(events))
        print_storms(console, events)
        console.print()
    for index, (found, explanation) in enumerate(chosen.chosen()):
        if index:
            console.print()
        print_explanation(console, explanation, found, code=() if redact else _code(found))
    if not any(found.kind in ("oom", "user-kill") for found in events):
        print_silent_killers(console, events)
    if len(events) > chosen.count:
        console.print(f"\n{len(events) - chosen.count} more: --event N explains one, --all explains them all.")


def _code(found: Event) -> Sequence[Instruction]:
    """Return the instructions around the trap; empty where the report has no code, or capstone is not installed."""
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


def _write_html(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RigError(
            f"the report cannot be written: {error.strerror}", where=path, remedy="give a path that can be written"
        ) from error


def _print_schema() -> None:
    print(resources.files("rig.klog").joinpath("log.schema.json").read_text(encoding="utf-8"), end="")
