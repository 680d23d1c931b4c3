# SPDX-License-Identifier: MIT
"""Attach the user's terminal, in raw mode, to a guest's second console."""

from __future__ import annotations

import os
import select
import socket
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import pexpect
from pexpect.socket_pexpect import SocketSpawn

from rig.errors import GuestError

__all__ = ["LEAVE", "attach", "wait_for_prompt"]

LEAVE = b"\x1d"
"""Ctrl-], which also leaves telnet and virsh console."""


def wait_for_prompt(connection: socket.socket, timeout: float) -> None:
    """Press return until the guest's shell answers. Raises GuestError when it does not within `timeout` seconds."""
    spawn: SocketSpawn[bytes] = SocketSpawn(connection, timeout=1, searchwindowsize=256)
    spawn.delaybeforesend = None
    for _ in range(max(1, int(timeout))):
        spawn.send(b"\n")
        if spawn.expect([b"[#$] ", pexpect.TIMEOUT, pexpect.EOF]) == 0:
            return
    raise GuestError(f"the guest's shell did not answer within {timeout:g} s", where="hvc0")


@contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def attach(connection: socket.socket) -> None:
    """Copy bytes between rig's terminal and the guest until Ctrl-], the end of the input, or the guest's end."""
    stdin, stdout = sys.stdin.fileno(), sys.stdout.fileno()
    connection.send(b"\n")
    sources = [connection.fileno(), stdin]
    with _raw(stdin):
        while True:
            ready, _, _ = select.select(sources, [], [], 2.0 if stdin not in sources else None)
            if not ready:
                return
            if connection.fileno() in ready:
                data = connection.recv(65536)
                if not data:
                    return
                os.write(stdout, data)
            if stdin in ready:
                data = os.read(stdin, 4096)
                if LEAVE in data:
                    return
                if not data:
                    # The input was a file and has ended. Keep reading: a command that it started may still print.
                    sources.remove(stdin)
                connection.send(data)
