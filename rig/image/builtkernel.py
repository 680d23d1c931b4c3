# SPDX-License-Identifier: MIT
"""A kernel built here, laid out as the cache keeps it: what boots, its configuration, and its symbols apart."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from rig.image.bootfile import BZIMAGE, VMLINUX, boot_build_id
from rig.image.hosttools import run_tool
from rig.image.kconfig import read_config
from rig.image.store import Store

__all__ = ["keep_symbols", "lay_out_kernel"]


def lay_out_kernel(result: Path, bzimage: Path, vmlinux: Path, config: str) -> str:
    """Put both forms of a kernel and its configuration into a folder, and return the name of the one to boot.

    With a PVH entry QEMU starts the vmlinux itself: nothing is unpacked in the guest.
    """
    shutil.copyfile(bzimage, result / BZIMAGE)
    run_tool(
        ["objcopy", "--strip-debug", vmlinux, result / VMLINUX],
        what="leaving debug information out of the vmlinux to boot",
    )
    (result / "config").write_text(config)
    return VMLINUX if read_config(config).get("PVH") == "y" else BZIMAGE


def keep_symbols(store: Store, vmlinux: Path, about: dict[str, Any]) -> None:
    """Put a vmlinux with debug information where a post-mortem and a debugger look for it."""
    with store.staging_directory() as work:
        result = work / "result"
        result.mkdir()
        shutil.copyfile(vmlinux, result / VMLINUX)
        store.add("symbols", boot_build_id(vmlinux), result, about)
