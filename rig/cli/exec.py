# SPDX-License-Identifier: MIT
"""`rig exec`: run any program in a guest."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rig.cli import event_loop
from rig.cli.options import GuestOptions, TimeoutScale, VirtioConsole, appended, flatten_options
from rig.cli.prefetch import prefetch
from rig.cli.print_error import print_error
from rig.cli.root_options import BehindDashes, RootOptions
from rig.errors import RigError, UsageError

if TYPE_CHECKING:
    from rig.program.outcome import Outcome
    from rig.program.request import ProgramRequest
    from rig.run.document import Run

__all__ = ["app"]

app = typer.Typer()


class _ExecCommand(BehindDashes):
    missing = UsageError(
        "there is no --, which stands before the program",
        where="rig exec",
        remedy="write it as in rig exec --memory 256M -- true; with --root and nothing behind -- the image's own runs",
    )


@dataclass(frozen=True)
class ProgramOptions(RootOptions):
    """Where the program's files come from, and what it is given."""

    oom_score_adj: Annotated[
        int, typer.Option(min=-1000, max=1000, metavar="N", help="The program's oom_score_adj.")
    ] = 0
    env: Annotated[list[str], typer.Option(metavar="NAME=VALUE", help="An environment variable of the program.")] = (
        field(default_factory=list)
    )
    user: Annotated[
        str | None, typer.Option(metavar="USER[:GROUP]", help="The user that runs the program: a UID or a name.")
    ] = None
    cwd: Annotated[
        str | None, typer.Option(metavar="DIR", help="The program's working directory; default: the image's, or /work.")
    ] = None
    tty: Annotated[bool, typer.Option("--tty", "-t", help="Give the program a terminal, without any input.")] = False
    timeout: Annotated[str, typer.Option(metavar="TIME", help="Time limit for the program, on the guest's clock.")] = (
        "10m"
    )
    expect: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT", help="oom, no-oom, stall, exit=N or signal=NAME: exit 0 if this happened, else 1."
        ),
    ] = None


@dataclass(frozen=True)
class ExecOptions:
    """How it is run."""

    append: Annotated[list[str], typer.Option(metavar="WORDS", help="Append to the kernel's command line.")] = field(
        default_factory=list
    )
    qemu_arg: Annotated[list[str], typer.Option(metavar="WORD", help="Append an argument to QEMU's command line.")] = (
        field(default_factory=list)
    )
    virtio_console: VirtioConsole = False
    timeout_scale: TimeoutScale = 1.0
    no_record: Annotated[bool, typer.Option("--no-record", help="Do not record the run.")] = False
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Print the program's output, and no message of rig but the reason why the program could not be run.",
        ),
    ] = False
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where in rig an error came from.")] = False


@app.callback()
def _group() -> None:
    """Keeps the one command below a command of a group."""


@app.command("exec", cls=_ExecCommand, options_metavar="[OPTIONS] -- PROGRAM [ARG…]")
@flatten_options
def exec_(ctx: typer.Context, *, program: ProgramOptions, guest: GuestOptions, how: ExecOptions) -> None:
    """Run a program in a guest of its own: rig exec --memory 256M -- sh -c 'tail /dev/zero'

    PROGRAM is a path in the guest or, where the guest has no such path, a file of this host. A file of the host
    is copied with the libraries that its loader lists; --copy copies other files. Standard input may be a file or a
    pipe, and the program finds it as a file.

    Exit status: the program's own, 128+n where signal n ended it; 124 when it did not end in time, 125 when rig or the
    guest broke, 126 and 127 when the program cannot be started or found, 64 for a usage error. With --expect 0 or 1,
    and 125.
    """
    prefetch()
    # Not imported above: QEMU's version and the images' digests are found out while Python reads these modules.
    from rig.program.expectation import parse_expectation
    from rig.program.request import ProgramRequest, parse_cgroup, parse_env, parse_timeout

    with _standard_input() as stdin:
        request = ProgramRequest(
            command=BehindDashes.words(ctx),
            sets=program.settings(guest),
            packages=tuple(program.deb),
            root=program.root,
            copies=tuple(program.copy),
            cgroup=parse_cgroup(program.cgroup),
            env=parse_env(program.env),
            user=program.user,
            cwd=program.cwd,
            oom_score_adj=program.oom_score_adj,
            disk=program.mount_point,
            tty=program.tty,
            stdin=stdin,
            timeout=parse_timeout(program.timeout),
            expect=None if program.expect is None else parse_expectation(program.expect),
            record=not how.no_record,
            append=appended(how.append, virtio_console=how.virtio_console),
            qemu_args=tuple(how.qemu_arg),
            timeout_scale=how.timeout_scale,
        )
        raise typer.Exit(_run(request, quiet=how.quiet, with_traceback=how.traceback))


def _run(request: ProgramRequest, *, quiet: bool, with_traceback: bool) -> int:
    """Run the program, tell how it ended, and return the exit status. What breaks in rig is 125."""
    from rig.program.execute import run_program
    from rig.program.outcome import BROKEN, NOT_FOUND, NOT_STARTED, describe_unmet
    from rig.report.program import OutputProgress, print_ending

    try:
        run, directory, outcome = event_loop.run(run_program(request, OutputProgress(quiet=quiet)))
    except UsageError:
        raise
    except RigError as error:
        if with_traceback:
            traceback.print_exc()
        print_error(error)
        return BROKEN
    if not quiet and (
        run.ooms or run.stalls or run.panic or outcome.problem or outcome.hint or run.verdict != "reproduced"
    ):
        unmet = ""
        if request.expect is not None and run.verdict == "not-reproduced":
            unmet = describe_unmet(request.expect, outcome)
        print_ending(run, directory, _problems(run, outcome, unmet), outcome.hint)
    status = _status(run, outcome, expected=request.expect is not None)
    # With --expect the status is 0 or 1 also where the program could not be run: outcome.status has that. A program may
    # exit with 125 to 127 itself; then there is no problem, and no reason unless the run is invalid.
    not_run = {status, outcome.status} & {BROKEN, NOT_STARTED, NOT_FOUND}
    if quiet and not_run and (reason := outcome.problem or run.reason):
        print_error(RigError(reason, remedy=outcome.hint or None))
    return status


def _problems(run: Run, outcome: Outcome, unmet: str) -> tuple[str, ...]:
    """Return what to tell of a run: why the program did not run, what was not as expected, and why it is invalid."""
    # The reason of a run repeats why a step failed, with all words of that step.
    error, _, _ = outcome.problem.rpartition(": ")
    reason = "" if error and error in run.reason else run.reason
    return tuple(line for line in (outcome.problem, unmet, reason) if line)


def _status(run: Run, outcome: Outcome, *, expected: bool) -> int:
    from rig.program.outcome import BROKEN

    if run.verdict == "error":
        return BROKEN
    if expected:
        return {"reproduced": 0, "not-reproduced": 1}.get(run.verdict, BROKEN)
    return outcome.status


@contextmanager
def _standard_input() -> Iterator[Path | None]:
    """Yield a file with what standard input holds, or None where it is a terminal, a device or closed."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        mode = 0
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        yield None
        return
    with tempfile.NamedTemporaryFile(prefix="rig-stdin-") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
        yield Path(file.name)
