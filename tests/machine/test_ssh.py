# SPDX-License-Identifier: MIT
"""The port that QEMU chose for a live guest's SSH server, read from `info usernet`."""

from __future__ import annotations

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
