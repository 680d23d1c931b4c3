# SPDX-License-Identifier: MIT
"""The identity of a snapshot: all inputs that shaped the guest, as data. Its hash is the snapshot's key.

The identity is stored with the snapshot. Two snapshots can so be compared, and rig can report what changed when a guest
needs a new one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rig.image.digest import digest_text
from rig.machine.command import build_command, memory_is_a_file
from rig.machine.host import host_cpu
from rig.machine.qemu import Qemu
from rig.machine.spec import Accel, Clock, GuestSpec, RamFile, Wiring
from rig.sanitize import plain

__all__ = ["Identity", "differences", "identity_of", "key_of"]

Identity = Mapping[str, Any]
FORMAT = 1
"""The version of the snapshot format. Increase it when a snapshot's files, or the way they are made, change."""


def identity_of(spec: GuestSpec, qemu: Qemu) -> Identity:
    """Return the identity of the snapshot of a guest under this QEMU: name -> text, number or list of texts.

    It names files by their SHA-256, never by their path.
    """
    neutral = replace(spec, kernel=Path("kernel"), initramfs=Path("initramfs"), rootfs=Path("rootfs"))
    wiring = Wiring(
        name="",
        directory=Path("/"),
        payload=Path("payload"),
        swap=Path("swap") if spec.swap else None,
        disk=Path("disk") if spec.disk else None,
        shell=spec.clock is Clock.LIVE,
        ram=RamFile(Path("ram")) if memory_is_a_file(spec) else None,
        blank_layers=Path("layers"),
        continuation=Path("continuation"),
    )
    identity = {
        "format": FORMAT,
        "qemu": qemu.text,
        "kernel": spec.kernel_digest,
        "initramfs": spec.initramfs_digest,
        "rootfs": spec.rootfs_digest,
        "memory": spec.memory,
        "cpus": spec.cpus,
        "swap": spec.swap,
        "clock": spec.clock.value,
        "accelerator": spec.accel.value,
        # Index 0 is the path of QEMU, which does not shape the guest.
        "command": build_command(neutral, wiring, qemu)[1:],
    }
    if spec.disk:
        identity["disk"] = spec.disk
    if spec.accel is Accel.KVM:
        # With -cpu host a snapshot from another host may use a CPU feature that this host lacks.
        identity |= {f"host {name}": value for name, value in host_cpu().items()}
    return identity


def key_of(identity: Identity) -> str:
    """Return the key of the snapshot with this identity: the SHA-256 of its JSON with sorted names."""
    return digest_text(json.dumps(identity, sort_keys=True, separators=(",", ":")))


def differences(old: Identity, new: Identity) -> list[str]:
    """Return the differences of two identities, one line each, such as `memory: 402653184 → 536870912`."""
    lines = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if isinstance(before, list) and isinstance(after, list):
            gone = [word for word in before if word not in after]
            added = [word for word in after if word not in before]
            lines += [f"{name}: without {plain(word)}" for word in gone]
            lines += [f"{name}: with {plain(word)}" for word in added]
            if not gone and not added:
                lines.append(f"{plain(name)}: the same words in another order")
        else:
            lines.append(f"{plain(name)}: {_shown(before)} → {_shown(after)}")
    return lines


def _shown(value: object) -> str:
    # The identity of an imported snapshot comes from another host and is not trusted: plain() escapes it.
    text = "nothing" if value is None else plain(value)
    # 16 of the 64 hex digits of a SHA-256 are enough to tell two apart.
    return text[:16] if len(text) == 64 and " " not in text else text
