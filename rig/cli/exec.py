# SPDX-License-Identifier: MIT
"""`rig exec`: run any program in a guest."""

from __future__ import annotations

import asyncio
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
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rig.cli.options import GuestOptions, TimeoutScale, flatten_options
from rig.cli.prefetch import prefetch
from rig.cli.print_error import print_error
from rig.errors import RigError, UsageError

if TYPE_CHECKING:
    from rig.program.request import ProgramRequest

__all__ = ["app"]

app = typer.Typer()
BROKEN = 125
COMMAND = "rig.exec.command"
"""Where the words behind `--` are kept for the command's function."""


class _BehindDashes(typer.core.TyperCommand):
    """A command whose options end at `--`, which must be there: what is behind it is the guest's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[COMMAND] = tuple(args[at + 1 :])
            args = args[:at]
        elif "--help" not in args and not ctx.resilient_parsing:
            raise UsageError(
                "no program follows --", where="rig exec", remedy="write it as in rig exec --memory 256M -- true"
            )
        rest: list[str] = super().parse_args(ctx, args)
        return rest


@dataclass(frozen=True)
class ProgramOptions:
    """Where the program's files come from, and what it is given."""

    deb: Annotated[list[str], typer.Option(metavar="PACKAGE", help="A Debian package for the program's root.")] = field(
        default_factory=list
    )
    root: Annotated[
        str | None,
        typer.Option(metavar="DIR|TAR|ARCHIVE", help="The program's root: a directory, a tar, a docker or OCI image."),
    ] = None
    copy: Annotated[
        list[str],
        typer.Option(metavar="FILE[:PATH]", help="A file or directory to copy into the guest, as FILE or FILE:PATH."),
    ] = field(default_factory=list)
    cgroup: Annotated[
        list[str], typer.Option(metavar="FILE=VALUE", help="A setting of the program's cgroup, as in memory.max=256M.")
    ] = field(default_factory=list)
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
    zram: Annotated[str | None, typer.Option(metavar="SIZE", help="Swap in compressed memory, as in 128M.")] = None
    disk: Annotated[
        str | None,
        typer.Option(metavar="SIZE[:DIR]", help="A disk for files (ext4, live clock) at DIR, as in 1G:/var/lib."),
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
    timeout_scale: TimeoutScale = 1.0
    no_record: Annotated[bool, typer.Option("--no-record", help="Do not record the run.")] = False
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the program's output and nothing else.")] = False
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where in rig an error came from.")] = False


@app.callback()
def _group() -> None:
    """Keeps the one command below a command of a group."""


@app.command("exec", cls=_BehindDashes, options_metavar="[OPTIONS] -- PROGRAM [ARG…]")
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
    from rig.program.request import ProgramRequest, parse_cgroup, parse_disk, parse_env, parse_timeout

    size, disk = (None, None) if program.disk is None else parse_disk(program.disk)
    added = {"zram": program.zram, "disk": size}
    if size is not None and guest.clock is None:
        # An idle warp guest skips to its next timer, so a wait for the disk would take as long as that timer is away:
        # a guest that waited 7 s for its disk counted 343 s.
        added["clock"] = "live"
    with _standard_input() as stdin:
        request = ProgramRequest(
            command=ctx.meta.get(COMMAND, ()),
            sets=(*guest.settings(), *(f"{name}={value}" for name, value in added.items() if value is not None)),
            packages=tuple(program.deb),
            root=program.root,
            copies=tuple(program.copy),
            cgroup=parse_cgroup(program.cgroup),
            env=parse_env(program.env),
            user=program.user,
            cwd=program.cwd,
            oom_score_adj=program.oom_score_adj,
            disk=disk,
            tty=program.tty,
            stdin=stdin,
            timeout=parse_timeout(program.timeout),
            expect=None if program.expect is None else parse_expectation(program.expect),
            record=not how.no_record,
            append=tuple(word for text in how.append for word in text.split()),
            qemu_args=tuple(how.qemu_arg),
            timeout_scale=how.timeout_scale,
        )
        raise typer.Exit(_run(request, quiet=how.quiet, with_traceback=how.traceback))


def _run(request: ProgramRequest, *, quiet: bool, with_traceback: bool) -> int:
    """Run the program, tell how it ended, and return the exit status. What breaks in rig is 125."""
    from rig.program.execute import run_program
    from rig.report.program import OutputProgress, print_ending

    try:
        run, directory, outcome = asyncio.run(run_program(request, OutputProgress(quiet=quiet)))
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
        print_ending(run, directory, outcome.problem, outcome.hint)
    if run.verdict == "error":
        return BROKEN
    if request.expect is not None:
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
