# SPDX-License-Identifier: MIT
"""Compute the digests of the most recently used entries while rig still imports its modules.

The next run most likely uses the same entries. This is a process and not a thread, because a thread would wait for the
interpreter's lock (GIL) at every block that it reads.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from rig.image.digest import expect_digests, print_digest
from rig.image.entry import boot_id
from rig.image.kinds import KINDS
from rig.image.store import Store
from rig.whole_file import write_unsynced

__all__ = ["note_run", "prefetch_digests"]

NOTE = "boot"
"""File of the cache with the boot of the host in which the last run verified what it used."""

UNREAD = ("symbols", "branch")
"""The kinds that are skipped: half a gigabyte each, which no run reads, or reads without its digest."""


def prefetch_digests(store: Store) -> None:
    """Begin to digest what was used last of each kind. A wrong guess costs a second CPU a tenth of a second.

    Once a run has ended since the host was booted, what it used is verified: Entry.verified().
    """
    if not store.root.is_dir() or _ran_in(store) == boot_id():
        return
    command = [sys.executable, "-P", "-m", "rig.image.prefetch", str(store.root)]
    with suppress(OSError):
        expect_digests(
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        )


def note_run(store: Store) -> None:
    """Note that a run has verified what it used, where the cache can be written."""
    if _ran_in(store) != boot_id():
        write_unsynced(store.root / NOTE, boot_id())


def _ran_in(store: Store) -> str:
    try:
        return (store.root / NOTE).read_text()
    except (OSError, ValueError):
        return ""


def main() -> None:
    """Print the digests of the newest entries' files. The parent process reports files that cannot be read."""
    store = Store(Path(sys.argv[1]))
    newest = [entry for kind in KINDS if kind not in UNREAD for entry in store.entries(kind)[:1]]
    for path in (entry.file(name) for entry in newest for name in entry.files):
        with suppress(OSError):
            print_digest(path)


if __name__ == "__main__":
    main()
