# SPDX-License-Identifier: MIT
"""What a killed rig may have left running: QEMU processes."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Leftover", "find_leftovers"]


@dataclass(frozen=True)
class Leftover:
    """A QEMU of ours whose rig is gone. name: what it was started as."""

    pid: int
    name: str

    def end(self) -> None:
        """SIGKILL: nothing in it is worth keeping."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, signal.SIGKILL)


def find_leftovers() -> list[Leftover]:
    """Return QEMUs that a rig started and that nobody watches any more.

    A living rig holds the sockets' folder, whose name QEMU's command line has; it is gone with the rig only when
    that was killed, so a QEMU whose parent is not its rig any more is a leftover.
    """
    found = []
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if b"-name" not in words:
            continue
        name = words[words.index(b"-name") + 1].decode(errors="replace")
        if name.startswith("rig-") and ",process=rig-" in name and not _is_rig(parent):
            found.append(Leftover(int(path.name), name.split(",")[0]))
    return found


def _is_rig(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return pid > 1 and (b"python" in words or b"rig" in words or b"pytest" in words)
