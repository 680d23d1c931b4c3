# SPDX-License-Identifier: MIT
"""Define the request of `rig exec`, and parse its options."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rig.errors import UsageError
from rig.program.expectation import Expectation
from rig.units import parse_duration, parse_size

__all__ = ["DEFAULT_TIMEOUT", "ProgramRequest", "parse_cgroup", "parse_disk", "parse_env", "parse_timeout"]

DEFAULT_TIMEOUT = 600.0
"""Guest seconds."""
CGROUP_FILE = re.compile(r"(?!cgroup\.)[a-z][a-z0-9_]*\.[A-Za-z0-9_.]+")
DISK = "/disk"
"""Where the disk is mounted by default."""
KERNELS_OWN = ("proc", "sys", "dev", "sys/fs/cgroup")
ENV_NAME = re.compile(r"[^=\0]+")


@dataclass(frozen=True)
class ProgramRequest:
    """The options of `rig exec`.

    command: the program and its arguments; empty for those of the image.
    sets: settings of the guest and sysctls, as NAME=VALUE.
    packages: names of Debian packages.
    root: path of a directory, a tar archive or an image's archive.
    copies: FILE[:PATH] texts.
    cgroup: file of the program's cgroup -> value to write.
    disk: where the guest's disk is mounted; None without a disk.
    tty: whether the program has a terminal.
    stdin: a file of the host.
    timeout: guest seconds.
    """

    command: tuple[str, ...]
    sets: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    root: str | None = None
    copies: tuple[str, ...] = ()
    cgroup: dict[str, str] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    user: str | None = None
    cwd: str | None = None
    oom_score_adj: int = 0
    disk: str | None = None
    tty: bool = False
    stdin: Path | None = None
    timeout: float = DEFAULT_TIMEOUT
    expect: Expectation | None = None
    record: bool = True
    append: tuple[str, ...] = ()
    qemu_args: tuple[str, ...] = ()
    timeout_scale: float = 1.0


def parse_cgroup(texts: Sequence[str]) -> dict[str, str]:
    """Return file of the program's cgroup -> value, from FILE=VALUE texts. Raises UsageError for any other text."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not value or not CGROUP_FILE.fullmatch(name):
            raise UsageError(
                f"'{text}' is not a setting of a cgroup",
                where="--cgroup",
                remedy="write FILE=VALUE, as in memory.max=256M",
            )
        found[name] = value
    return found


def parse_disk(text: str) -> tuple[str, str]:
    """Return size and mount point of a disk, from SIZE[:DIR]. Raises UsageError for any other text."""
    size, colon, path = text.partition(":")
    path = path if colon else DISK
    if not path.startswith("/") or ".." in path.split("/") or path.strip("/") in ("", *KERNELS_OWN):
        raise UsageError(
            f"a disk cannot be mounted at '{path}'", where=f"--disk {text}", remedy="write it as in 1G:/var/lib/data"
        )
    try:
        parse_size(size)
    except ValueError as error:
        raise UsageError(str(error), where=f"--disk {text}", remedy="write it as in 1G:/var/lib/data") from None
    return size, path


def parse_env(texts: Sequence[str]) -> dict[str, str]:
    """Return name -> value of environment variables, from NAME=VALUE texts. Raises UsageError for any other text."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not ENV_NAME.fullmatch(name):
            raise UsageError(f"'{text}' is not NAME=VALUE", where="--env", remedy="write it as in --env LANG=C")
        found[name] = value
    return found


def parse_timeout(text: str) -> float:
    """Return the time limit in guest seconds. Raises UsageError for a text that is not a duration above 0."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(str(error), where="--timeout", remedy="write it as in 10m") from None
    if not 0 < seconds <= 1e6:
        raise UsageError(f"'{text}' is not a time-out", where="--timeout", remedy="write more than 0, at most 277h")
    return seconds
