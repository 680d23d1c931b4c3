# SPDX-License-Identifier: MIT
"""A finished run, printed. Read while the guest works, because reading it takes a tenth of a second."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rig.cli.outputs import write_outputs
from rig.cli.run_options import OutputOptions
from rig.cli.stdout import others_to_stderr
from rig.report.console import output_console
from rig.report.terminal import print_run, print_verdict
from rig.run.document import Run
from rig.run.suite import suite_of_run
from rig.run.verdict import VERDICTS
from rig.sanitize import for_json

__all__ = ["finish", "show_run"]


def show_run(run: Run, directory: Path, output: OutputOptions, *, number: int, of: int) -> None:
    """Print a run as the options ask: as JSON, only its verdict, or all of it.

    number: the index of the run, from 0. of: how many runs there are.
    """
    console = output_console()
    if output.as_json:
        sys.stdout.write(for_json((directory / "run.json").read_text()))
    elif output.quiet:
        print_verdict(console, run)
    else:
        if of > 1:
            console.print(f"run {number + 1} of {of}", style="dim")
        print_run(console, run, directory)


def finish(runs: Sequence[Run], output: OutputOptions) -> None:
    """Print how many runs had which verdict, where there are several, and write --junit and --ktap."""
    if len(runs) > 1 and not output.as_json:
        counts = {verdict: sum(each.verdict == verdict for each in runs) for verdict in VERDICTS}
        with others_to_stderr(output.junit, output.ktap):
            print(", ".join(f"{count} of {len(runs)} {verdict}" for verdict, count in counts.items() if count))
    write_outputs([suite_of_run(each) for each in runs], junit=output.junit, ktap=output.ktap)
