# SPDX-License-Identifier: MIT
"""Digests of what was used last, taken while the rig still reads its modules: most likely it is used again.

In a process of its own: a thread would wait for the interpreter's lock at every block that it reads.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from rig.image.digest import expect_digests, print_digest
from rig.image.store import KINDS, Store

__all__ = ["look_ahead"]

UNREAD = "symbols"
"""Half a gigabyte that no run reads."""


def look_ahead(store: Store) -> None:
    """Begin to digest what was used last of each kind. A wrong guess costs a second CPU a tenth of a second."""
    command = [sys.executable, "-P", "-m", "rig.image.prefetch", str(store.root)]
    with suppress(OSError):
        expect_digests(
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        )


def main() -> None:
    """Print the digests of the newest entries' files. What cannot be read is the asker's to find."""
    store = Store(Path(sys.argv[1]))
    newest = [entry for kind in KINDS if kind != UNREAD for entry in store.entries(kind)[:1]]
    for path in (entry.file(name) for entry in newest for name in entry.files):
        with suppress(OSError):
            print_digest(path)


if __name__ == "__main__":
    main()
