# SPDX-License-Identifier: MIT
"""What is begun in other processes while Python still reads the modules of a run."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread

from rig.errors import RigError

__all__ = ["prefetch"]


def prefetch() -> None:
    """Begin what takes time in other processes: ask QEMU for its version, take the digests of what was used last."""
    from rig.image.prefetch import prefetch_digests
    from rig.image.store import Store
    from rig.machine.qemu import find_qemu

    def find() -> None:
        # An error is raised again where the result is needed.
        with suppress(RigError):
            find_qemu()

    Thread(target=find, name="find-qemu", daemon=True).start()
    prefetch_digests(Store())
