# SPDX-License-Identifier: MIT
"""Find the host programs that builders call, and name the Debian package of a missing one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from rig.disk import disk_full_of
from rig.errors import RigError
from rig.image.programs import STEP, run_program

__all__ = ["PACKAGES", "missing_tools", "run_tool", "tool"]

# Program or header -> the Debian package that installs it.
PACKAGES = {
    "apt-get": "apt",
    "bc": "bc",
    "bison": "bison",
    "cc": "gcc",
    "cpio": "cpio",
    "depmod": "kmod",
    "dpkg-deb": "dpkg",
    "debugfs": "e2fsprogs",
    "flex": "flex",
    "gelf.h": "libelf-dev",
    "ld": "binutils",
    "lz4": "lz4",
    "lzop": "lzop",
    "mke2fs": "e2fsprogs",
    "gdb": "gdb",
    "mksquashfs": "squashfs-tools",
    "mmdebstrap": "mmdebstrap",
    "objcopy": "binutils",
    "openssl/opensslv.h": "libssl-dev",
    "pahole": "dwarves",
    "qemu-system-x86_64": "qemu-system-x86",
    "xz": "xz-utils",
    "zstd": "zstd",
}


def tool(name: str) -> str:
    """Return the path of a host program.

    A user's PATH on Debian lacks the sbin directories, where depmod and mke2fs are, so those are searched too.
    Raises RigError naming the Debian package that installs the program.
    """
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
    if path is None:
        package = PACKAGES.get(name, name)
        raise RigError(
            f"the program {name} is not installed",
            where="PATH",
            remedy=f"apt-get install {package}",
        )
    return path


def missing_tools(names: Sequence[str]) -> RigError | None:
    """Return one error that names every program and header (`*.h`) that the host lacks, or None if it has them all."""
    lacking = [name for name in names if not (_has_header(name) if name.endswith(".h") else _has_program(name))]
    if not lacking:
        return None
    packages = sorted({PACKAGES.get(name, name) for name in lacking})
    return RigError(
        f"not installed: {', '.join(lacking)}",
        where="this host",
        remedy=f"apt-get install {' '.join(packages)}",
    )


def _has_program(name: str) -> bool:
    try:
        tool(name)
    except RigError:
        return False
    return True


def _has_header(name: str) -> bool:
    if not _has_program("cc"):
        return True  # without a compiler no header can be tested; the compiler itself is reported as missing
    source = f"#include <{name}>\n".encode()
    done = run_program([tool("cc"), "-E", "-x", "c", "-"], input=source)
    return done.returncode == 0


def run_tool(
    argv: Sequence[str | Path],
    *,
    what: str,
    cwd: Path | None = None,
    stdin: bytes | None = None,
    environment: dict[str, str] | None = None,
    deadline: float = STEP,
) -> str:
    """Run a host program to its end and return what it printed on stdout.

    what: the work in words, for the error.
    stdin: bytes for the program's standard input.
    environment: variables added to those of this process.
    deadline: host seconds, one of the phases of rig/image/programs.py.
    Raises RigError with the command and the last 20 lines that it printed, and where it was not done in time.
    """
    command = [tool(str(argv[0])), *map(str, argv[1:])]
    env = environment and {**os.environ, **environment}
    done = run_program(command, cwd=cwd, input=stdin, env=env, deadline=deadline)
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip() or done.stdout.decode(errors="replace").strip()
        paths = (path for path in map(Path, argv[1:]) if path.is_absolute())
        # A program may have removed what did not fit, so that no disk is full any more: it wrote in one of these.
        if full := disk_full_of(words, (environment or {}).get("TMPDIR"), cwd, *paths):
            raise full
        raise RigError(
            f"{what} failed: {argv[0]} ended with status {done.returncode}",
            where=" ".join(map(str, argv)),
            detail="\n".join(words.splitlines()[-20:]),
        )
    return done.stdout.decode(errors="replace")
