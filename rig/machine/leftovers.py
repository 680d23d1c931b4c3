# SPDX-License-Identifier: MIT
"""QEMU processes that a killed rig left running."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Leftover", "find_leftovers"]


@dataclass(frozen=True)
class Leftover:
    """A QEMU whose rig is gone. name: from QEMU's -name option, such as `rig-NAME`."""

    pid: int
    name: str

    def end(self) -> None:
        """Kill it with SIGKILL. An orderly end would save nothing that anybody needs."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(self.pid, signal.SIGKILL)


def find_leftovers() -> list[Leftover]:
    """Return the QEMU processes that a rig started and that outlived it.

    A QEMU is recognised by its -name option. It is the child of the rig that started it; when that rig is killed, the
    kernel gives the QEMU another parent. A QEMU of rig's whose parent is not a rig is therefore a leftover.
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
