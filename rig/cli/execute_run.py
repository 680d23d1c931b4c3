# SPDX-License-Identifier: MIT
"""What `rig run` does: one run, several of one scenario, or the whole catalogue.

What shows a finished run is imported while the guest works, and what one run does not need is imported where it is
needed: every tenth of a second before the guest starts is a tenth of a second of the run.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from rig.branch.prefix import run_from_prefix
from rig.cli import event_loop
from rig.cli.bisect import bisect_status
from rig.cli.options import GuestOptions, appended, asked_for, check_verdict, named_settings
from rig.cli.run_options import OutputOptions, RunOptions
from rig.cli.stdout import check_outputs, others_to_stderr
from rig.errors import UsageError
from rig.experiment.request import Request
from rig.experiment.run import print_qemu
from rig.report.live import progress_for

if TYPE_CHECKING:
    from rig.run.document import Run

__all__ = ["execute"]


def execute(
    scenario: str | None,
    guest: GuestOptions,
    how: RunOptions,
    output: OutputOptions,
    *,
    whole_catalogue: bool,
    jobs: int | None,
) -> int:
    """Do what the options ask for and return the exit status.

    Raises UsageError for options that exclude each other, before a guest is started.
    """

    def prepare() -> Request:
        _check(scenario, how, output, whole_catalogue=whole_catalogue, jobs=jobs)
        return _request(scenario or "", guest, how)

    def verdicts(request: Request) -> list[str]:
        return [_run_once(request, output, number, how.repeat).verdict for number in range(how.repeat)]

    if how.bisect or how.good is not None:
        others = whole_catalogue or how.expect is not None
        return bisect_status(prepare, verdicts, how.good, bisect=how.bisect, others=others)
    request = prepare()
    if whole_catalogue:
        from rig.cli.run_catalogue import run_catalogue

        return run_catalogue(request, jobs, output)
    if output.print_qemu:
        print(event_loop.run(print_qemu(request)))
        return 0
    return _run_repeatedly(request, how, output)


def _check(
    scenario: str | None, how: RunOptions, output: OutputOptions, *, whole_catalogue: bool, jobs: int | None
) -> None:
    """Raise UsageError for options that exclude each other."""
    check_verdict(how.expect, "--expect")
    check_outputs(
        ("--json", output.as_json), ("-q", output.quiet), ("--print-qemu", output.print_qemu),
        ("--junit", output.junit), ("--ktap", output.ktap),
    )  # fmt: skip
    if (scenario is None) != whole_catalogue:
        raise UsageError("name one scenario, or --all", where="rig run", remedy="see `rig list`")
    if jobs is not None and not whole_catalogue:
        raise UsageError("applies to --all only", where="--jobs", remedy="leave it out, or add --all")
    several = how.repeat > 1 or output.as_json or output.print_qemu
    if how.shell_on_failure and (whole_catalogue or how.bisect or several):
        raise UsageError(
            "the shell needs a single run whose output is a terminal's",
            where="--shell-on-failure",
            remedy="leave out --all, --repeat, --bisect, --json and --print-qemu",
        )
    if whole_catalogue and (asked := asked_for(fast=how.fast, maps=how.maps)):
        option, parameter, _ = asked[0]
        raise UsageError(
            f"not every scenario has the parameter {parameter}", where=option, remedy="leave it out, or --all"
        )
    if whole_catalogue and several and not how.bisect:
        raise UsageError("--all prints a table", where="--json, --print-qemu, --repeat", remedy="leave them out")


def _request(scenario: str, guest: GuestOptions, how: RunOptions) -> Request:
    return Request(
        scenario=scenario,
        sets=(*named_settings(scenario, fast=how.fast, maps=how.maps), *guest.settings()),
        to_the_end=how.to_the_end,
        record=not how.no_record,
        dump_panics=not how.no_dump,
        append=appended(how.append, virtio_console=how.virtio_console),
        qemu_args=tuple(how.qemu_arg),
        timeout_scale=how.timeout_scale,
        reuse=True,
        prefix=not how.no_prefix and os.environ.get("RIG_PREFIX") != "no",
    )


def _run_repeatedly(request: Request, how: RunOptions, output: OutputOptions) -> int:
    with others_to_stderr(output.junit, output.ktap):
        runs = [_run_once(request, output, number, how.repeat) for number in range(how.repeat)]
    from rig.cli.show_run import finish

    finish(runs, output)
    if how.shell_on_failure and runs[0].verdict != (how.expect or "reproduced"):
        from rig.cli.shell import open_shell_like

        open_shell_like(request)
    if how.expect is not None:
        return 0 if all(each.verdict == how.expect for each in runs) else 1
    return max(each.exit_status for each in runs)


def _run_once(request: Request, output: OutputOptions, number: int, of: int) -> Run:
    def read_module() -> None:
        import_module("rig.cli.show_run")

    with progress_for(quiet=output.quiet or output.as_json) as progress:
        result, directory = event_loop.run(run_from_prefix(request, progress, meanwhile=read_module))
    from rig.cli.show_run import show_run

    show_run(result, directory, output, number=number, of=of)
    return result
