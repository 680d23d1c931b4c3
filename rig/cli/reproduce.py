# SPDX-License-Identifier: MIT
"""`rig reproduce`: the failure of an OOM report, made again in a guest."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rig.cli import event_loop
from rig.cli.logfile import read_log
from rig.cli.options import AsJson, Quiet, TimeoutScale, parse_budget
from rig.cli.prefetch import prefetch
from rig.cli.stdout import check_outputs
from rig.errors import UsageError
from rig.units import format_size, parse_size

if TYPE_CHECKING:
    from rig.klog import OomEvent

__all__ = ["app", "say_which"]

app = typer.Typer()
SMALLEST, LARGEST = 192 << 20, 16 << 30


@app.command()
def reproduce(
    log: Annotated[str, typer.Argument(metavar="LOG", help="A kernel log, a run, or - for standard input.")],
    event: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="This event of the log; default: the first OOM report.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep the scenario here; default: in the run's directory.")
    ] = None,
    scale: Annotated[str, typer.Option(metavar="SIZE", help="The most memory that the guest may have.")] = "512M",
    kernel: Annotated[str | None, typer.Option(metavar="KERNEL", help="The guest's kernel, as for rig run.")] = None,
    smallest: Annotated[
        bool, typer.Option("--smallest", help="Leave out all that the agreeing fields do not need.")
    ] = False,
    budget: Annotated[str, typer.Option(metavar="TIME", help="With --smallest: try nothing more after this time.")] = (
        "5m"
    ),
    repeat: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="With --smallest: runs of the result that are compared.")
    ] = 20,
    timeout_scale: TimeoutScale = 1.0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a scenario from an OOM report, run it, and compare the two reports field by field.

    Sizes are scaled to the guest. What cannot be played is listed with the reason, and not judged. With --smallest a
    smaller guest is tried, then processes, sizes and settings are left out, as long as no field that agreed differs.

    Exit status: 0 when every field that can be played agrees, 1 when one differs, 3 error, 64 usage error.
    """
    check_outputs(("--json", as_json), ("-q", quiet))
    largest, seconds = _size(scale), parse_budget(budget)
    prefetch()
    from rig.report.live import progress_for
    from rig.report.reproduce import print_reproduction, reproduction_document
    from rig.reproduce.reproduce import choose_report
    from rig.reproduce.reproduce import reproduce as run_report
    from rig.reproduce.smallest import Shrink

    chosen, count = choose_report(read_log(log).events, event, log)
    if not as_json and not quiet:
        say_which(chosen, count)
    with progress_for(quiet=quiet or as_json) as progress:
        result = event_loop.run(
            run_report(
                chosen,
                Path(log).name,
                progress,
                out=out,
                largest=largest,
                sets=() if kernel is None else (f"kernel={kernel}",),
                timeout_scale=timeout_scale,
                shrink=Shrink(seconds, repeat) if smallest else None,
            )
        )
    if as_json:
        print(reproduction_document(result))
    else:
        from rig.report.console import output_console

        print_reproduction(output_console(highlight=False), result, quiet=quiet)
    raise typer.Exit(result.status)


def say_which(event: OomEvent, count: int) -> None:
    """Say on standard error which of several reports was taken."""
    if count > 1:
        print(
            f"rig: the log has {count} OOM reports; this is event {event.number} (line {event.line}). "
            "--event N takes another, 'rig explain' lists them",
            file=sys.stderr,
        )


def _size(text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise UsageError(str(error), where="--scale", remedy="write it as in 1G") from None
    if not SMALLEST <= size <= LARGEST:
        raise UsageError(
            f"{text} is not the size of the largest guest, which is {format_size(SMALLEST)} to {format_size(LARGEST)}",
            where="--scale",
            remedy="write it as in 1G",
        )
    return size
