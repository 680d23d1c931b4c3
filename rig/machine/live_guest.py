# SPDX-License-Identifier: MIT
"""Live guests that run now: how `rig shell` tells other processes of the same user where its guest's SSH server is."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import paramiko

from rig.errors import UsageError
from rig.image.staging import list_staging_directories

__all__ = ["LiveGuest", "choose_guest", "find_guests", "guest_name"]

PURPOSE = "shell"
ABOUT, KEY, KNOWN_HOSTS = "guest.json", "key", "known_hosts"


@dataclass(frozen=True)
class LiveGuest:
    """A live guest of a `rig shell` that runs now.

    name: how `--guest` names it.
    directory: the runtime directory of its `rig shell`, which only its user can read.
    port: the port of 127.0.0.1 that QEMU forwards to the guest's SSH server.
    host_key: the server's public key, as the agent reported it.
    root: path, in the guest, of the root filesystem that the user sees; `/` for the guest's own.
    """

    name: str
    directory: Path
    port: int
    host_key: str
    root: str = "/"

    def publish(self, key: paramiko.PKey) -> None:
        """Write the files by which other processes find this guest and log in."""
        key.write_private_key_file(str(self.directory / KEY))
        (self.directory / KNOWN_HOSTS).write_text(f"[127.0.0.1]:{self.port} {self.host_key}\n")
        # Last, and by a rename: whoever finds this file finds the others.
        about = {name: value for name, value in asdict(self).items() if name != "directory"}
        unfinished = self.directory / f"{ABOUT}.new"
        unfinished.write_text(json.dumps(about))
        unfinished.rename(self.directory / ABOUT)

    def key(self) -> paramiko.PKey:
        """Return the key with which root logs in."""
        return paramiko.ECDSAKey.from_private_key_file(str(self.directory / KEY))

    def ssh_command(self) -> list[str]:
        """Return the command line of OpenSSH's client that logs in."""
        return [
            "ssh", "-F", "none", "-i", str(self.directory / KEY), "-p", str(self.port),
            "-o", f"UserKnownHostsFile={self.directory / KNOWN_HOSTS}", "-o", "StrictHostKeyChecking=yes",
            "-o", "IdentitiesOnly=yes", "root@127.0.0.1",
        ]  # fmt: skip

    def inner(self, path: str) -> str:
        """Return the path, as the SSH server sees it, of a path in the root that the user sees."""
        return f"{self.root.rstrip('/')}/{path.lstrip('/')}"


def find_guests() -> list[LiveGuest]:
    """Return the live guests of this user, by name."""
    found = []
    for directory in list_staging_directories(PURPOSE):
        # A guest that ends meanwhile takes its files along.
        with contextlib.suppress(OSError, ValueError, TypeError):
            about = json.loads((directory / ABOUT).read_bytes())
            found.append(LiveGuest(directory=directory, **about))
    return sorted(found, key=lambda guest: guest.name)


def choose_guest(name: str | None) -> LiveGuest:
    """Return the live guest of that name, or the only one. Raises UsageError where there is none or more than one."""
    guests = find_guests()
    chosen = [guest for guest in guests if name is None or guest.name == name]
    names = ", ".join(guest.name for guest in guests)
    if not guests:
        raise UsageError("no live guest is running", where="rig ssh", remedy="start one: rig shell")
    if not chosen:
        raise UsageError(f"there is no live guest '{name}'", where="--guest", remedy=f"one of {names}")
    if len(chosen) > 1:
        raise UsageError(f"{len(chosen)} live guests are running", where="rig ssh", remedy=f"--guest: one of {names}")
    return chosen[0]


def guest_name() -> str:
    """Return the name of this process's live guest: short, and unlike any other that runs now."""
    return f"g{os.getpid()}"
