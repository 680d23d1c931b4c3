# SPDX-License-Identifier: MIT
"""Read kernel configurations, and check that a guest can boot with them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rig.errors import UsageError

__all__ = ["check_boots", "read_config"]

# Option -> purpose: what a kernel needs built in for the agent to report ready when no module can be loaded.
BOOT_NEEDS = {
    "64BIT": "the agent is a 64-bit program",
    "BLK_DEV_INITRD": "the agent comes in an initramfs",
    "BINFMT_ELF": "the agent is an ELF program",
    "DEVTMPFS": "the agent mounts /dev",
    "PROC_FS": "the agent mounts /proc",
    "SYSFS": "the agent mounts /sys",
    "TMPFS": "what is written lies in a tmpfs",
    "OVERLAY_FS": "a tmpfs lies above the read-only root",
    "EXT4_FS": "root and payload are ext4",
    "SERIAL_8250_CONSOLE": "the kernel's console is ttyS0",
    "VIRTIO_PCI": "virtio devices are on PCI",
    "VIRTIO_CONSOLE": "the agent speaks on a virtio port",
    "LIBNVDIMM": "root and payload are NVDIMMs",
    "ACPI_NFIT": "ACPI names the NVDIMMs",
    "BLK_DEV_PMEM": "root and payload are NVDIMMs",
}


def read_config(text: str) -> dict[str, str]:
    """Return option -> value of a .config: `y`, `m`, a number or a quoted string. An unset option is absent."""
    return dict(re.findall(r"^CONFIG_(\w+)=(.*)$", text, flags=re.MULTILINE))


def check_boots(config: Mapping[str, str], where: str) -> None:
    """Raise UsageError naming each missing option without which a guest cannot boot when it loads no modules."""
    lacking = {name: why for name, why in BOOT_NEEDS.items() if config.get(name) != "y"}
    if not lacking:
        return
    lines = [
        f"CONFIG_{name} {'is a module, and none is loaded' if config.get(name) == 'm' else 'is not set'}: {why}"
        for name, why in lacking.items()
    ]
    raise UsageError(
        f"this kernel cannot boot a guest: {len(lacking)} options that must be built in are not",
        where=where,
        remedy="build it with rig's fragments: rig kernel build tree:DIR",
        detail="\n".join(lines),
    )
