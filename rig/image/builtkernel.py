# SPDX-License-Identifier: MIT
"""Lay out a kernel built on this host as the cache keeps it: boot files and configuration, and symbols apart."""

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
    """Copy bzImage, stripped vmlinux and configuration into a directory, and return the name of the file to boot.

    With CONFIG_PVH QEMU enters the vmlinux at its PVH entry point, so the guest spends no instructions on
    decompressing a bzImage.
    """
    shutil.copyfile(bzimage, result / BZIMAGE)
    run_tool(
        ["objcopy", "--strip-debug", vmlinux, result / VMLINUX],
        what="leaving debug information out of the vmlinux to boot",
    )
    (result / "config").write_text(config)
    return VMLINUX if read_config(config).get("PVH") == "y" else BZIMAGE


def keep_symbols(store: Store, vmlinux: Path, about: dict[str, Any]) -> None:
    """Add a vmlinux with debug information to the cache, under its build id: post-mortem and debugger look there.

    about: facts about the kernel for the entry's manifest.
    """
    with store.staging_directory() as work:
        result = work / "result"
        result.mkdir()
        shutil.copyfile(vmlinux, result / VMLINUX)
        store.add("symbols", boot_build_id(vmlinux), result, about)
