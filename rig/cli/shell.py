# SPDX-License-Identifier: MIT
"""`rig shell`, `rig ssh` and `rig cp`: a live guest, commands in it, and files to and from it."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import typer

from rig.cli.options import GuestOptions, TimeoutScale, flatten_options
from rig.errors import UsageError
from rig.experiment.run import Request, check_request
from rig.experiment.shell import shell as open_shell
from rig.machine.live_guest import LiveGuest, choose_guest
from rig.machine.ssh import connected
from rig.machine.transfer import copy_from_guest, copy_to_guest
from rig.program.request import ProgramRequest, parse_cgroup, parse_disk
from rig.program.shell import program_shell
from rig.report.live import progress_for

app = typer.Typer()

CONNECT_DEADLINE = 30.0
"""Host seconds for a login in a guest whose SSH server is up."""
ChosenGuest = Annotated[
    str | None, typer.Option("--guest", metavar="NAME", help="The live guest, where more than one runs.")
]


@dataclass(frozen=True)
class ShellOptions:
    """What the live guest has."""

    deb: Annotated[list[str], typer.Option(metavar="PACKAGE", help="A Debian package for the root.")] = field(
        default_factory=list
    )
    root: Annotated[
        str | None,
        typer.Option(metavar="DIR|TAR|ARCHIVE", help="The root: a directory, a tar, a docker or OCI image."),
    ] = None
    copy: Annotated[
        list[str],
        typer.Option(metavar="FILE[:PATH]", help="A file or directory to copy into the guest, as FILE or FILE:PATH."),
    ] = field(default_factory=list)
    cgroup: Annotated[
        list[str], typer.Option(metavar="FILE=VALUE", help="A setting of the cgroup `exec`, as in memory.max=256M.")
    ] = field(default_factory=list)
    zram: Annotated[str | None, typer.Option(metavar="SIZE", help="Swap in compressed memory, as in 128M.")] = None
    disk: Annotated[
        str | None, typer.Option(metavar="SIZE[:DIR]", help="A disk for files (ext4) at DIR, as in 1G:/var/lib.")
    ] = None
    wait: Annotated[
        bool, typer.Option("--wait", help="Open no shell: keep the guest for rig ssh and rig cp until Ctrl-C.")
    ] = False
    timeout_scale: TimeoutScale = 1.0


@app.command()
@flatten_options
def shell(*, guest: GuestOptions, options: ShellOptions) -> None:
    """Open a shell in a live guest. Ctrl-] leaves it and ends the guest.

    The guest takes the packages, images and files that rig exec takes. While it runs, rig ssh runs commands in it and
    rig cp copies files, from other terminals and scripts.
    """
    if guest.clock not in (None, "live"):
        raise UsageError("a shell needs the live clock", where=f"--clock {guest.clock}", remedy="leave out --clock")
    size, disk = (None, None) if options.disk is None else parse_disk(options.disk)
    added = {"zram": options.zram, "disk": size, "clock": "live"}
    request = ProgramRequest(
        command=(),
        sets=(*guest.settings(), *(f"{name}={value}" for name, value in added.items() if value is not None)),
        packages=tuple(options.deb),
        root=options.root,
        copies=tuple(options.copy),
        cgroup=parse_cgroup(options.cgroup),
        disk=disk,
        timeout_scale=options.timeout_scale,
    )
    with progress_for() as progress:
        asyncio.run(program_shell(request, progress, wait=options.wait, told=_tell if options.wait else _quiet))


def open_shell_like(request: Request) -> None:
    """Open a shell in a live guest like that of a failed run, which is gone: its programs can be tried by hand."""
    settings, plan = check_request(request)
    with progress_for() as progress:
        asyncio.run(
            open_shell(replace(settings, clock="live"), progress, programs=plan, timeout_scale=request.timeout_scale)
        )


def _quiet(guest: LiveGuest) -> None:
    return


def _tell(guest: LiveGuest) -> None:
    print(f"guest {guest.name} is up: rig ssh --guest {guest.name} -- COMMAND; Ctrl-C ends it", flush=True)


COMMAND = "rig.ssh.command"


class _BehindDashes(typer.core.TyperCommand):
    """A command whose own options end at `--`: what is behind it is the guest's."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[COMMAND] = tuple(args[at + 1 :])
            args = args[:at]
        rest: list[str] = super().parse_args(ctx, args)
        return rest


@app.command(cls=_BehindDashes, options_metavar="[OPTIONS] [-- COMMAND [ARG…]]")
def ssh(
    ctx: typer.Context,
    guest: ChosenGuest = None,
    show: Annotated[bool, typer.Option("--print", help="Print the command line of ssh, for scp and others.")] = False,
) -> None:
    """Run a command in a live guest, or log in: rig ssh -- cat /proc/meminfo

    Output streams, and the exit status is the command's. Standard input is not passed on. Without a command OpenSSH's
    client is started with this terminal.
    """
    live = choose_guest(guest)
    command: tuple[str, ...] = ctx.meta.get(COMMAND, ())
    if show:
        print(shlex.join(live.ssh_command()))
        return
    if command:
        words = shlex.join(command) if live.root == "/" else f"chroot {live.root} {shlex.join(command)}"
        with connected(live.port, live.key(), live.host_key, CONNECT_DEADLINE) as session:
            raise typer.Exit(session.stream(words, sys.stdout.buffer, sys.stderr.buffer))
    client = shutil.which("ssh")
    if client is None:
        raise UsageError(
            "OpenSSH's client is not installed", where="rig ssh", remedy="name a command: rig ssh -- COMMAND"
        )
    inside = [] if live.root == "/" else ["-t", f"exec chroot {live.root} /bin/sh"]
    os.execv(client, [*live.ssh_command(), *inside])


@app.command()
def cp(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A file or directory; :PATH is in the guest.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Where it is copied to; :PATH is in the guest.")],
    guest: ChosenGuest = None,
) -> None:
    """Copy a file or a directory to a live guest, or from it: rig cp tests.tar :/work/ or rig cp :/var/log/x.log ."""
    to_guest = target.startswith(":")
    if to_guest == source.startswith(":"):
        raise UsageError(
            "one of source and target is in the guest", where="rig cp", remedy="write :PATH for a path of the guest"
        )
    live = choose_guest(guest)
    with connected(live.port, live.key(), live.host_key, CONNECT_DEADLINE) as session:
        if to_guest:
            count = copy_to_guest(session, source, live.inner(target[1:]), whole=target.endswith("/"))
        else:
            count = copy_from_guest(session, live.inner(source[1:]), target, shown=source)
    print(f"{count} {'file' if count == 1 else 'files'} copied", file=sys.stderr)
