# SPDX-License-Identifier: MIT
"""SSH into a live guest, over a port on loopback and with a key pair that is made for the run."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import select
import shlex
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import paramiko

from rig.errors import GuestError, RigError

# paramiko logs a traceback for every connection attempt before the guest's server is up.
logging.getLogger("paramiko").setLevel(logging.CRITICAL)
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False

__all__ = ["Shell", "connected", "convert_errors", "forwarded_port", "free_port", "new_key", "push_plan"]


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def forwarded_port(usernet: str) -> int:
    """Return the TCP port of 127.0.0.1 that QEMU forwards to the guest's port 22.

    usernet: QEMU's answer to `info usernet`. libslirp's slirp_connection_info() (misc.c) prints the table: protocol and
    state, descriptor, source address and port, destination address and port.
    Raises GuestError when no line forwards to port 22.
    """
    for line in usernet.splitlines():
        words = line.split()
        if len(words) >= 6 and words[0] == "TCP[HOST_FORWARD]" and words[5] == "22":
            return int(words[3])
    raise GuestError("QEMU forwards no port to the guest's SSH server", where="SSH", detail=usernet)


def new_key() -> tuple[paramiko.PKey, dict[str, str]]:
    """Return a new key pair, and the texts of the payload with which a live guest starts: who may log in, and the time.

    The time is the host's, now, in nanoseconds since the epoch: call this just before the guest is restored.
    """
    key = paramiko.ECDSAKey.generate()
    line = f"{key.get_name()} {key.get_base64()} rig\n"
    return key, {"authorized_keys": line, "wall_clock": f"{time.time_ns()}\n"}


class Shell:
    """An SSH session in a guest."""

    def __init__(self, transport: paramiko.Transport) -> None:
        self._transport = transport

    def run(self, command: str, timeout: float = 30.0) -> str:
        """Run a command and return its stdout. Raises GuestError with its stderr when it fails."""
        with convert_errors(command), self._transport.open_session() as channel:
            channel.settimeout(timeout)
            channel.exec_command(command)
            out = channel.makefile("rb").read().decode(errors="replace")
            err = channel.makefile_stderr("rb").read().decode(errors="replace")
            status = channel.recv_exit_status()
        if status != 0:
            raise GuestError(f"'{command}' ended with status {status} in the guest", where="SSH", detail=err[-2000:])
        return out

    def stream(self, command: str, out: BinaryIO, err: BinaryIO) -> int:
        """Run a command, write its output to `out` and `err` as it comes, and return its exit status.

        It is 255, as ssh(1) has it, where a signal ended the command. Raises GuestError when the connection breaks.
        """
        with convert_errors(command), self._transport.open_session() as channel:
            channel.exec_command(command)
            channel.shutdown_write()
            while not (channel.exit_status_ready() and not channel.recv_ready() and not channel.recv_stderr_ready()):
                select.select([channel], [], [], 0.2)
                while channel.recv_ready() or channel.recv_stderr_ready():
                    for ready, read, to in (
                        (channel.recv_ready, channel.recv, out),
                        (channel.recv_stderr_ready, channel.recv_stderr, err),
                    ):
                        if ready():
                            to.write(read(65536))
                            to.flush()
            status = channel.recv_exit_status()
            return 255 if status < 0 else status

    def sftp(self) -> paramiko.SFTPClient:
        """Return an SFTP session. Raises GuestError when the guest has no SFTP server."""
        with convert_errors("SFTP"):
            sftp = paramiko.SFTPClient.from_transport(self._transport)
        if sftp is None:
            raise GuestError("the guest has no SFTP server", where="SSH")
        return sftp

    def push(
        self,
        files: Mapping[str, Path],
        texts: Mapping[str, str],
        links: Mapping[str, str] | None = None,
        *,
        modes: Mapping[str, int] | None = None,
        directories: Sequence[str] = (),
    ) -> None:
        """Copy programs and texts into the guest by SFTP, and verify each one's SHA-256 there.

        files: absolute path in the guest -> file of the host.
        texts: absolute path in the guest -> content.
        links: absolute path in the guest -> what the symbolic link points to.
        modes: absolute path in the guest -> permission bits of a file; 0755 for the others.
        directories: absolute paths in the guest of directories that are made even if nothing is in them.
        Raises GuestError when a file arrives damaged.
        """
        sums = {}
        with convert_errors("the transfer of the plan"), self.sftp() as sftp:
            parents = {str(Path(name).parent) for name in (*files, *texts, *(links or {}))}
            for some in batched(sorted({*parents, *directories})):
                self.run(f"mkdir -p {shlex.join(some)}")
            for target, source in files.items():
                data = source.read_bytes()
                with sftp.open(target, "wb") as file:
                    # Without it paramiko waits for the server's answer to each block of 32 KiB.
                    file.set_pipelined(True)
                    file.write(data)
                sftp.chmod(target, (modes or {}).get(target, 0o755))
                sums[target] = hashlib.sha256(data).hexdigest()
            for target, text in texts.items():
                with sftp.open(target, "wb") as file:
                    file.write(text.encode())
                sums[target] = hashlib.sha256(text.encode()).hexdigest()
            for target, to in (links or {}).items():
                # From an earlier try whose connection broke.
                with contextlib.suppress(FileNotFoundError):
                    sftp.remove(target)
                sftp.symlink(to, target)
        for some in batched(list(sums)):
            # One line a file, in the order of the arguments, whatever the files are called.
            seen = self.run(f'for f in {shlex.join(some)}; do sha256sum <"$f"; done').split("\n")
            for target, line in zip(some, seen, strict=False):
                if line.partition(" ")[0] != sums[target]:
                    raise GuestError(f"{target} arrived damaged in the guest", where="SFTP")


def batched(names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the names in groups that each fit into one command."""
    some: list[str] = []
    for name in names:
        if some and sum(map(len, some)) + len(name) > LONGEST_COMMAND:
            yield some
            some = []
        some.append(name)
    if some:
        yield some


@contextmanager
def convert_errors(what: str) -> Iterator[None]:
    """Raise GuestError where the connection breaks, as it does when the guest's server has no memory left."""
    try:
        yield
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise GuestError(f"the connection broke during {what}: {error or type(error).__name__}", where="SSH") from error


@contextmanager
def connected(port: int, key: paramiko.PKey, host_key: str, timeout: float) -> Iterator[Shell]:
    """Connect to the guest as root and yield the session. Retry until the guest's server is up.

    host_key: the public key that the agent reported over its own port; the server must present it.
    timeout: seconds.
    Raises GuestError when the server does not come up or refuses the key.
    Raises RigError for another host key, and for one that the agent did not report.
    """
    deadline = time.monotonic() + timeout
    expected = host_key.split()
    if len(expected) < 2:
        raise RigError("the guest's agent did not report the SSH server's host key", where=f"127.0.0.1:{port}")
    transport: paramiko.Transport | None = None
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            stream = socket.create_connection(("127.0.0.1", port), timeout=5)
            transport = paramiko.Transport(stream)
            transport.banner_timeout = max(5.0, deadline - time.monotonic())
            transport.start_client(timeout=max(5.0, deadline - time.monotonic()))
            break
        except (OSError, EOFError, paramiko.SSHException) as error:
            # QEMU accepts for the guest: until its server is up, the connection succeeds and the handshake fails.
            last = error
            if transport is not None:
                transport.close()
                transport = None
            time.sleep(0.1)
    if transport is None:
        raise GuestError(f"SSH did not come up within {timeout:g} s: {last}", where=f"127.0.0.1:{port}")
    try:
        offered = transport.get_remote_server_key()
        if offered.get_base64() != expected[1]:
            raise RigError("the SSH server's host key is not the guest's", where=f"127.0.0.1:{port}")
        try:
            transport.auth_publickey("root", key)
        except paramiko.SSHException as error:
            raise GuestError(f"the guest rejected the run's key: {error}", where="SSH") from error
        yield Shell(transport)
    finally:
        with contextlib.suppress(Exception):
            transport.close()


PAYLOAD = "/run/rig/payload"
PUSH_TRIES = 3
LONGEST_COMMAND = 4000
"""Characters of names in one command: dropbear takes commands of up to 9000 bytes (MAX_CMD_LEN of sysoptions.h)."""


def push_plan(
    port: int,
    key: paramiko.PKey,
    host_key: str,
    timeout: float,
    *,
    plan: str,
    files: Mapping[str, Path],
    texts: Mapping[str, str],
    links: Mapping[str, str],
    modes: Mapping[str, int],
    directories: Sequence[str],
) -> None:
    """Copy a plan and its payload into a live guest, and create the file on which the agent starts the plan.

    files, texts, links, modes, directories: paths in the payload, as Shell.push() takes them.
    A connection that breaks is made again: on a busy host the guest's server has closed one under load.
    Raises GuestError when the server does not come up, or when the connection breaks PUSH_TRIES times.
    """
    for attempt in range(1, PUSH_TRIES + 1):
        try:
            with connected(port, key, host_key, timeout) as shell:
                shell.push(
                    {f"{PAYLOAD}/{target}": source for target, source in files.items()},
                    {f"{PAYLOAD}/{target}": text for target, text in {**texts, "plan": plan}.items()},
                    {f"{PAYLOAD}/{target}": to for target, to in links.items()},
                    modes={f"{PAYLOAD}/{target}": mode for target, mode in modes.items()},
                    directories=[f"{PAYLOAD}/{target}" for target in directories],
                )
                shell.run("touch /run/rig/go")
            return
        except GuestError as error:
            if attempt == PUSH_TRIES:
                raise
            logging.getLogger(__name__).info("%s: trying again", error)
