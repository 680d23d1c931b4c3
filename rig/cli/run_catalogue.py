# SPDX-License-Identifier: MIT
"""`rig run --all`: every scenario of the catalogue."""

from __future__ import annotations

import time
from dataclasses import replace

from rig.branch.prefix import run_from_prefix
from rig.cli import event_loop
from rig.cli.outputs import write_outputs
from rig.cli.run_options import OutputOptions
from rig.cli.stdout import others_to_stderr
from rig.experiment.catalogue import run_all
from rig.experiment.longest_first import longest_first, note_durations
from rig.experiment.request import Request
from rig.image.store import Store
from rig.report.console import output_console
from rig.report.progress_table import ProgressTable
from rig.run.suite import suite_of_error, suite_of_run
from rig.scenario.load import list_scenarios

__all__ = ["run_catalogue"]


def run_catalogue(request: Request, jobs: int | None, output: OutputOptions) -> int:
    """Run all scenarios with the settings of one request and return the worst exit status."""
    with others_to_stderr(output.junit, output.ktap):
        requests = [replace(request, scenario=directory.name) for directory in list_scenarios()]
        store, began = Store(), time.monotonic()
        with ProgressTable(output_console(), [each.scenario for each in requests], quiet=output.quiet) as table:
            finished = event_loop.run(
                run_all(
                    longest_first(store, requests),
                    run_from_prefix,
                    jobs=jobs,
                    store=store,
                    began=lambda each: table.began(each.scenario),
                    ended=lambda each: table.ended(each.request.scenario, each.run, each.error),
                )
            )
        note_durations(store, finished)
        finished.sort(key=lambda each: each.request.scenario)
        held = sum(each.status == 0 for each in finished)
        print(f"{held} of {len(finished)} reproduced in {time.monotonic() - began:.1f} s")
    suites = [
        suite_of_run(each.run) if each.run is not None else suite_of_error(each.request.scenario, each.error)
        for each in finished
    ]
    write_outputs(suites, junit=output.junit, ktap=output.ktap)
    # A usage error, 64, is the worst that there is, whatever its number.
    return max((each.status for each in finished), key=lambda status: (status == 64, status), default=0)
