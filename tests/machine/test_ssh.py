# SPDX-License-Identifier: MIT
"""SSH of a live guest: the port that QEMU chose for it, and the host key that it must present."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import paramiko
import pytest

from rig.errors import GuestError, RigError
from rig.machine.ssh import connected, forwarded_port

TABLE = """\
Hub -1 (net):
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ
  TCP[ESTABLISHED]   17       127.0.0.1 40022       127.0.0.1 52100     0     0
  TCP[HOST_FORWARD]  14       127.0.0.1 45123       10.0.2.15    22     0     0
  UDP[HOST_FORWARD]  15       127.0.0.1 45124       10.0.2.15    22     0     0
"""


def test_port_of_the_forwarding_is_found() -> None:
    assert forwarded_port(TABLE.replace("\n", "\r\n")) == 45123


@pytest.mark.parametrize("table", ["", TABLE.replace("TCP[HOST_FORWARD]", "TCP[SYN_SENT]     "), "no such command"])
def test_no_forwarding_is_an_error_that_shows_the_table(table: str) -> None:
    with pytest.raises(GuestError, match="forwards no port") as raised:
        forwarded_port(table)

    assert raised.value.detail == table


@pytest.mark.parametrize("reported", ["", "ssh-ed25519", "\n"])
def test_guest_that_reports_no_host_key_is_not_connected_to(reported: str) -> None:
    with (
        pytest.raises(RigError, match="did not report the SSH server's host key"),
        connected(9, paramiko.RSAKey.generate(1024), reported, 1),
    ):
        pass


class Guest(paramiko.ServerInterface):
    """A server that accepts every key and records who tried to log in."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self.asked.append(username)
        return paramiko.AUTH_SUCCESSFUL


@contextmanager
def served(host_key: paramiko.PKey) -> Iterator[tuple[int, Guest]]:
    """Serve SSH on a port of 127.0.0.1 with this host key."""
    guest = Guest()
    transports: list[paramiko.Transport] = []

    def serve(listener: socket.socket) -> None:
        stream, _ = listener.accept()
        transport = paramiko.Transport(stream)
        transports.append(transport)
        transport.add_server_key(host_key)
        transport.start_server(threading.Event(), guest)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield listener.getsockname()[1], guest
        finally:
            thread.join()
            for transport in transports:
                transport.close()


def public_line(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()} root@guest"


def test_server_with_the_host_key_that_the_agent_reported_is_logged_in_to() -> None:
    host_key = paramiko.ECDSAKey.generate()

    with (
        served(host_key) as (port, guest),
        connected(port, paramiko.ECDSAKey.generate(), public_line(host_key), 20),
    ):
        pass

    assert set(guest.asked) == {"root"}


def test_server_with_another_host_key_is_refused_before_anybody_logs_in() -> None:
    reported = public_line(paramiko.ECDSAKey.generate())

    with (
        served(paramiko.ECDSAKey.generate()) as (port, guest),
        pytest.raises(RigError, match="host key is not the guest's") as raised,
        connected(port, paramiko.ECDSAKey.generate(), reported, 20),
    ):
        pass

    assert raised.value.where == f"127.0.0.1:{port}"
    assert guest.asked == []
