# SPDX-License-Identifier: MIT
"""`rig run`: run a scenario and judge its claims."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rig.cli.outputs import check_outputs, others_to_stderr, write_outputs
from rig.errors import RigError, UsageError

if TYPE_CHECKING:
    from rig.experiment.run import Request
    from rig.run.document import Run
    from rig.run.suite import Suite

app = typer.Typer()

VERDICTS = ("reproduced", "not-reproduced", "invalid", "error")


@app.callback()
def _group() -> None:
    """Keeps the one command below a command of a group."""


@app.command()
def run(
    scenario: str = typer.Argument(None, help="A name (see `rig list`) or a folder."),
    all_: bool = typer.Option(False, "--all", help="The whole catalogue, as many at once as there are processors."),
    jobs: int = typer.Option(None, min=1, help="With --all: how many at once."),
    sets: list[str] = typer.Option(
        [], "--set", metavar="NAME=VALUE", help="A parameter, a sysctl (with a dot), or memory, cpus, swap, kernel, …"
    ),
    sysctl: list[str] = typer.Option([], metavar="NAME=VALUE", help="Short for --set with a sysctl."),
    memory: str = typer.Option(None, help="The guest's memory, as in 384M."),
    cpus: str = typer.Option(None, help="The guest's processors."),
    swap: str = typer.Option(None, help="Swap on a second disk, as in 256M."),
    kernel: str = typer.Option(
        None, help="debian:SUITE, source:SUITE, buildroot:VERSION, tree:DIR, or the path of a bzImage or vmlinux."
    ),
    image: str = typer.Option(None, help="quick, buildroot, or the path of an image."),
    clock: str = typer.Option(None, help="warp: guest time jumps over idleness; live: guest time is the host's."),
    accel: str = typer.Option(None, help="auto, kvm or tcg."),
    append: list[str] = typer.Option([], help="Words for the kernel's command line."),
    qemu_arg: list[str] = typer.Option([], help="Words for QEMU's command line, one each."),
    timeout_scale: float = typer.Option(1.0, min=0.1, max=100, help="Multiplies every deadline, for slow machines."),
    repeat: int = typer.Option(1, min=1, max=1000, help="Run it so many times; the worst verdict counts."),
    expect: str = typer.Option(None, help="The verdict that makes the exit status 0."),
    bisect: bool = typer.Option(False, "--bisect", help="For git bisect run: exit 0 or 1; 125 where neither is known."),
    good: str = typer.Option(None, metavar="VERDICT", help="With --bisect: reproduced or not-reproduced is good."),
    shell_on_failure: bool = typer.Option(
        False,
        "--shell-on-failure",
        help="Where it ends otherwise than it should: a shell in a live guest of the same settings, with its programs.",
    ),
    to_the_end: bool = typer.Option(False, "--to-the-end", help="Run on after the claims are decided."),
    no_record: bool = typer.Option(False, "--no-record", help="Do not record a warp run."),
    no_dump: bool = typer.Option(False, "--no-dump", help="Do not keep the memory of a guest that panics."),
    print_qemu: bool = typer.Option(False, "--print-qemu", help="Print QEMU's command line and stop."),
    as_json: bool = typer.Option(False, "--json", help="Print run.json."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Print only the verdict."),
    junit: str = typer.Option(None, metavar="FILE", help="Write JUnit XML, a case a claim; - is standard output."),
    ktap: str = typer.Option(None, metavar="FILE", help="Write KTAP, a subtest a claim; - is standard output."),
    show_traceback: bool = typer.Option(False, "--traceback", help="Show where in rig an error came from."),
) -> None:
    """Run a scenario in a guest, capture what the kernel does, and judge the scenario's claims.

    Exit status: 0 reproduced, 1 not-reproduced, 2 invalid, 3 error, 64 usage error. With --bisect: 0 good, 1 bad, 125
    for a commit that cannot be tested, and 128, which ends the bisection, for a usage error.
    """
    begin_what_takes_time()
    import asyncio

    from rig.experiment.run import Request
    from rig.experiment.run import print_qemu as qemu_command

    if expect is not None and expect not in VERDICTS:
        raise UsageError(f"'{expect}' is no verdict", where="--expect", remedy=f"one of {', '.join(VERDICTS)}")
    check_outputs(
        ("--json", as_json), ("-q", quiet), ("--print-qemu", print_qemu), ("--junit", junit), ("--ktap", ktap)
    )
    for text in sysctl:
        if "." not in text.partition("=")[0]:
            raise UsageError(f"'{text}' names no sysctl", where="--sysctl", remedy="write it as in vm.panic_on_oom=1")
    named = {
        "memory": memory, "cpus": cpus, "swap": swap, "kernel": kernel, "image": image, "clock": clock, "accel": accel,
    }  # fmt: skip
    if (scenario is None) != all_:
        raise UsageError("name one scenario, or --all", where="rig run", remedy="see `rig list`")
    request = Request(
        scenario=scenario or "",
        sets=(*sets, *sysctl, *(f"{name}={value}" for name, value in named.items() if value is not None)),
        to_the_end=to_the_end,
        record=not no_record,
        dump_panics=not no_dump,
        append=tuple(word for text in append for word in text.split()),
        qemu_args=tuple(qemu_arg),
        timeout_scale=timeout_scale,
    )
    if shell_on_failure and (all_ or repeat > 1 or bisect or as_json or print_qemu):
        raise UsageError(
            "a shell belongs to one run that a person looks at",
            where="--shell-on-failure",
            remedy="leave out --all, --repeat, --bisect, --json and --print-qemu",
        )
    if bisect or good is not None:
        from rig.cli.bisect import bisect_status

        raise typer.Exit(
            bisect_status(request, good, bisect=bisect, repeat=repeat, others=all_ or expect is not None, quiet=quiet)
        )
    if all_:
        if as_json or print_qemu or repeat > 1:
            raise UsageError("--all prints a table", where="--json, --print-qemu, --repeat", remedy="leave them out")
        with others_to_stderr(junit, ktap):
            status, suites = _whole_catalogue(request, jobs, quiet=quiet)
        write_outputs(suites, junit=junit, ktap=ktap)
        raise typer.Exit(status)
    if print_qemu:
        print(asyncio.run(qemu_command(request)))
        return
    with others_to_stderr(junit, ktap):
        runs = [run_once(request, quiet=quiet, as_json=as_json, number=number, of=repeat) for number in range(repeat)]
        if repeat > 1 and not as_json:
            counts = {verdict: sum(each.verdict == verdict for each in runs) for verdict in VERDICTS}
            print(", ".join(f"{count} of {repeat} {verdict}" for verdict, count in counts.items() if count))
    from rig.run.suite import suite_of_run

    write_outputs([suite_of_run(each) for each in runs], junit=junit, ktap=ktap)
    if shell_on_failure and runs[0].verdict != (expect or "reproduced"):
        _open_shell(request)
    if expect is not None:
        raise typer.Exit(0 if all(each.verdict == expect for each in runs) else 1)
    raise typer.Exit(max(each.exit_status for each in runs))


def _open_shell(request: Request) -> None:
    """Open a shell in a live guest like the one whose run failed, which is gone: its programs can be tried by hand."""
    import asyncio
    from dataclasses import replace

    from rig.experiment.run import check_request
    from rig.experiment.shell import shell
    from rig.report.live import progress_for

    settings, plan = check_request(request)
    with progress_for() as progress:
        asyncio.run(shell(replace(settings, clock="live"), progress, plan=plan, timeout_scale=request.timeout_scale))


def begin_what_takes_time() -> None:
    """Let other processes work while this one reads its modules: QEMU says its version, digests are taken."""
    from contextlib import suppress
    from threading import Thread

    from rig.image.prefetch import look_ahead
    from rig.image.store import Store
    from rig.machine.qemu import find_qemu

    def find() -> None:
        # What is wrong with it is said when it is needed.
        with suppress(RigError):
            find_qemu()

    Thread(target=find, name="find-qemu", daemon=True).start()
    look_ahead(Store())


def _whole_catalogue(request: Request, jobs: int | None, *, quiet: bool) -> tuple[int, list[Suite]]:
    import asyncio
    import time
    from dataclasses import replace

    from rich.console import Console

    from rig.experiment.catalogue import run_all
    from rig.report.progress_table import ProgressTable
    from rig.run.suite import suite_of_error, suite_of_run
    from rig.scenario.load import list_scenarios

    requests = [replace(request, scenario=folder.name) for folder in list_scenarios()]
    began = time.monotonic()
    with ProgressTable(Console(), [each.scenario for each in requests], quiet=quiet) as table:
        finished = asyncio.run(
            run_all(
                requests,
                jobs=jobs,
                began=lambda each: table.began(each.scenario),
                ended=lambda each: table.ended(each.request.scenario, each.run, each.error),
            )
        )
    worst = max((each.status for each in finished), key=lambda status: (status == 64, status), default=0)
    held = sum(each.status == 0 for each in finished)
    print(f"{held} of {len(finished)} reproduced in {time.monotonic() - began:.1f} s")
    return worst, [
        suite_of_run(each.run) if each.run is not None else suite_of_error(each.request.scenario, each.error)
        for each in finished
    ]


def run_once(request: Request, *, quiet: bool, as_json: bool, number: int, of: int) -> Run:
    """Run a request, show what comes of it, and return the run."""
    import asyncio

    from rig.experiment.run import run_scenario
    from rig.report.live import progress_for

    def import_what_shows_it() -> None:
        import rich.table  # noqa: F401

        import rig.report.terminal  # noqa: F401

    with progress_for(quiet=quiet or as_json) as progress:
        result, folder = asyncio.run(run_scenario(request, progress, meanwhile=import_what_shows_it))
    if as_json:
        sys.stdout.write((folder / "run.json").read_text())
        return result
    from rich.console import Console

    console = Console()
    if quiet:
        from rig.report.terminal import print_verdict

        print_verdict(console, result)
    else:
        from rig.report.terminal import print_run

        if of > 1:
            console.print(f"run {number + 1} of {of}", style="dim")
        print_run(console, result, Path(folder))
    return result
