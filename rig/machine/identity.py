# SPDX-License-Identifier: MIT
"""The identity of a snapshot: everything that shaped the guest in it, as data whose hash is the snapshot's key.

It is kept beside the snapshot, so that two can be compared, and so that a new key can say what changed.
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
from rig.machine.spec import Accel, Clock, GuestSpec, Wiring
from rig.sanitize import plain

__all__ = ["Identity", "differences", "identity_of", "key_of"]

Identity = Mapping[str, Any]
FORMAT = 1
"""Counts up when what a snapshot's directory holds, or how it is made, changes."""


def identity_of(spec: GuestSpec, qemu: Qemu) -> Identity:
    """Return the identity of the snapshot of a guest under a QEMU: names to texts, numbers and lists of texts.

    Files are in it by their SHA-256, never by their path.
    """
    neutral = replace(spec, kernel=Path("kernel"), initramfs=Path("initramfs"), rootfs=Path("rootfs"))
    wiring = Wiring(
        name="",
        folder=Path("/"),
        payload=Path("payload"),
        swap=Path("swap") if spec.swap else None,
        shell=spec.clock is Clock.LIVE,
        ram=Path("ram") if memory_is_a_file(spec) else None,
        blank_layers=Path("layers"),
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
        # Without the program's path.
        "command": build_command(neutral, wiring, qemu)[1:],
    }
    if spec.accel is Accel.KVM:
        # The guest's CPU is the host's: a snapshot of another host may hold a feature that this one lacks.
        identity |= {f"host {name}": value for name, value in host_cpu().items()}
    return identity


def key_of(identity: Identity) -> str:
    """Return the key of the snapshot with that identity: the SHA-256 of its JSON with sorted names."""
    return digest_text(json.dumps(identity, sort_keys=True, separators=(",", ":")))


def differences(old: Identity, new: Identity) -> list[str]:
    """Return in what two identities differ, a line each: `memory: 402653184 → 536870912`."""
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
    # What is kept beside an imported snapshot is another host's text.
    text = "nothing" if value is None else plain(value)
    # Enough of a SHA-256 to tell two apart.
    return text[:16] if len(text) == 64 and " " not in text else text
