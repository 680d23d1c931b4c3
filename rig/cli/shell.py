# SPDX-License-Identifier: MIT
"""`rig shell`, `rig ssh` and `rig cp`: a live guest, commands in it, and files to and from it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from rig.cli import event_loop
from rig.cli.options import GuestOptions, TimeoutScale, flatten_options
from rig.cli.root_options import BehindDashes, RootOptions
from rig.errors import UsageError
from rig.experiment.request import Request, check_request
from rig.experiment.shell import shell as open_shell
from rig.machine.live_guest import LiveGuest, choose_guest
from rig.machine.ssh import connected
from rig.machine.transfer import copy_from_guest, copy_to_guest
from rig.program.request import ProgramRequest, parse_cgroup
from rig.program.shell import program_shell
from rig.report.live import progress_for

app = typer.Typer()

CONNECT_DEADLINE = 30.0
"""Host seconds for a login in a guest whose SSH server is up."""
ChosenGuest = Annotated[
    str | None, typer.Option("--guest", metavar="NAME", help="The live guest, where more than one runs.")
]


@dataclass(frozen=True)
class ShellOptions(RootOptions):
    """What the live guest has."""

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
    request = ProgramRequest(
        command=(),
        sets=(*options.settings(guest), "clock=live"),
        packages=tuple(options.deb),
        root=options.root,
        copies=tuple(options.copy),
        cgroup=parse_cgroup(options.cgroup),
        disk=options.mount_point,
        timeout_scale=options.timeout_scale,
    )

    def tell(live: LiveGuest) -> None:
        if options.wait:
            print(f"guest {live.name} is up: rig ssh --guest {live.name} -- COMMAND; Ctrl-C ends it", flush=True)

    with progress_for() as progress:
        event_loop.run(program_shell(request, progress, wait=options.wait, told=tell))


def open_shell_like(request: Request) -> None:
    """Open a shell in a live guest like that of a failed run, which is gone: its programs can be tried by hand."""
    settings, plan = check_request(request)
    with progress_for() as progress:
        event_loop.run(
            open_shell(replace(settings, clock="live"), progress, programs=plan, timeout_scale=request.timeout_scale)
        )


@app.command(cls=BehindDashes, options_metavar="[OPTIONS] [-- COMMAND [ARG…]]")
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
    command = BehindDashes.words(ctx)
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
