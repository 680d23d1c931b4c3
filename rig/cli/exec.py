# SPDX-License-Identifier: MIT
"""`rig exec`: run any program in a guest."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rig.errors import RigError, UsageError

if TYPE_CHECKING:
    from rig.program.request import ProgramRequest

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
        elif "--help" not in args:
            raise UsageError(
                "the program stands behind --", where="rig exec", remedy="write it as in rig exec --memory 256M -- true"
            )
        rest: list[str] = super().parse_args(ctx, args)
        return rest


@app.callback()
def _group() -> None:
    """Keeps the one command below a command of a group."""


@app.command("exec", cls=_BehindDashes, options_metavar="[OPTIONS] -- PROGRAM [ARG…]")
def exec_(
    ctx: typer.Context,
    deb: list[str] = typer.Option([], metavar="PACKAGE", help="A Debian package that the program's root gets."),
    root: str = typer.Option(
        None, metavar="DIR|TAR|ARCHIVE", help="The program's root: a directory, a tar, a docker or an OCI archive."
    ),
    copy: list[str] = typer.Option([], metavar="FILE[:PATH]", help="A file or directory that the program finds."),
    memory: str = typer.Option(None, help="The guest's memory, as in 384M."),
    cpus: str = typer.Option(None, help="The guest's CPUs; more than one with --clock live."),
    swap: str = typer.Option(None, help="Swap on a second disk, as in 256M. Such a run is not recorded."),
    zram: str = typer.Option(None, help="Swap in compressed memory, as in 128M."),
    sysctl: list[str] = typer.Option([], metavar="NAME=VALUE", help="A sysctl, as in vm.overcommit_memory=2."),
    cgroup: list[str] = typer.Option([], metavar="FILE=VALUE", help="Of the program's cgroup: memory.max=256M."),
    oom_score_adj: int = typer.Option(0, min=-1000, max=1000, help="The program's oom_score_adj."),
    env: list[str] = typer.Option([], metavar="NAME=VALUE", help="A variable of the program's environment."),
    user: str = typer.Option(None, metavar="USER[:GROUP]", help="Who the program runs as: a UID, or a name."),
    cwd: str = typer.Option(None, metavar="DIR", help="Where the program starts. Default: the image's, or /work."),
    timeout: str = typer.Option("10m", help="How long the program may run on the guest's clock."),
    expect: str = typer.Option(
        None, metavar="WHAT", help="oom, no-oom, exit=N or signal=NAME: exit with 0 when it came so, else with 1."
    ),
    kernel: str = typer.Option(
        None, help="debian:SUITE, source:SUITE, buildroot:VERSION, tree:DIR, or the path of a bzImage or vmlinux."
    ),
    image: str = typer.Option(None, help="quick, buildroot, or the path of an image."),
    clock: str = typer.Option(None, help="warp: guest time jumps over idleness; live: guest time is the host's."),
    accel: str = typer.Option(None, help="auto, kvm or tcg."),
    append: list[str] = typer.Option([], help="Words for the kernel's command line."),
    qemu_arg: list[str] = typer.Option([], help="Words for QEMU's command line, one each."),
    timeout_scale: float = typer.Option(1.0, min=0.1, max=100, help="Multiplies every deadline, for slow machines."),
    no_record: bool = typer.Option(False, "--no-record", help="Do not record the run."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Print the program's output and nothing else."),
    show_traceback: bool = typer.Option(False, "--traceback", help="Show where in rig an error came from."),
) -> None:
    """Run a program in a guest of its own: rig exec --memory 256M -- sh -c 'head -c 300M /dev/zero | tail'

    PROGRAM is a program of the guest, or a file of this host: a path that the guest does not have. The host's file is
    taken along with the libraries that its loader names; other files with --copy. Standard input is taken from a file
    or pipe, as a file.

    Exit status: the program's own, 128+n where signal n ended it; 124 when it did not end in time, 125 when rig or the
    guest broke, 126 and 127 when the program cannot be started or found, 64 for a usage error. With --expect 0 or 1,
    and 125.
    """
    from rig.cli.run import begin_what_takes_time

    begin_what_takes_time()
    from rig.program.expectation import parse_expectation
    from rig.program.request import ProgramRequest, parse_cgroup, parse_env, parse_timeout

    settings = {
        "memory": memory, "cpus": cpus, "swap": swap, "zram": zram,
        "kernel": kernel, "image": image, "clock": clock, "accel": accel,
    }  # fmt: skip
    for text in sysctl:
        if "." not in text.partition("=")[0]:
            raise UsageError(f"'{text}' names no sysctl", where="--sysctl", remedy="write it as in vm.panic_on_oom=1")
    with _standard_input() as stdin:
        request = ProgramRequest(
            command=ctx.meta.get(COMMAND, ()),
            sets=(*sysctl, *(f"{name}={value}" for name, value in settings.items() if value is not None)),
            packages=tuple(deb),
            root=root,
            copies=tuple(copy),
            cgroup=parse_cgroup(cgroup),
            env=parse_env(env),
            user=user,
            cwd=cwd,
            oom_score_adj=oom_score_adj,
            stdin=stdin,
            timeout=parse_timeout(timeout),
            expect=None if expect is None else parse_expectation(expect),
            record=not no_record,
            append=tuple(word for text in append for word in text.split()),
            qemu_args=tuple(qemu_arg),
            timeout_scale=timeout_scale,
        )
        raise typer.Exit(_status(request, quiet=quiet, with_traceback=show_traceback))


def _status(request: ProgramRequest, *, quiet: bool, with_traceback: bool) -> int:
    """Run the program, tell how it ended, and return the exit status. What breaks in rig is 125."""
    import asyncio

    from rig.cli.app import print_error
    from rig.program.execute import run_program
    from rig.report.program import OutputProgress, print_ending

    try:
        run, folder, outcome = asyncio.run(run_program(request, OutputProgress(quiet=quiet)))
    except UsageError:
        raise
    except RigError as error:
        if with_traceback:
            import traceback

            traceback.print_exc()
        print_error(error)
        return BROKEN
    if not quiet and (run.ooms or run.panic or outcome.problem or run.verdict != "reproduced"):
        print_ending(run, folder, outcome.problem)
    if run.verdict == "error":
        return BROKEN
    if request.expect is not None:
        return {"reproduced": 0, "not-reproduced": 1}.get(run.verdict, BROKEN)
    return outcome.status


@contextmanager
def _standard_input() -> Iterator[Path | None]:
    """Yield a file with what standard input holds, or None where it is a terminal, a device or closed."""
    import shutil
    import tempfile

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
