# SPDX-License-Identifier: MIT
"""Table of what rig does differently between QEMU versions. No other module compares versions.

Add a row when a version needs another option or another command. Other modules ask `has(qemu, FEATURE)`.
"""

from __future__ import annotations

from dataclasses import dataclass

from rig.machine.qemu import Qemu

__all__ = [
    "ACTIVATE_IMAGES",
    "FEATURES",
    "MACHINE",
    "MIGRATE_TO_FILE",
    "NO_REVERSE",
    "RUN_WITH_USER",
    "TCG_CPU",
    "UNSURE_REVERSE",
    "Feature",
    "has",
]


@dataclass(frozen=True)
class Feature:
    """A capability that QEMU has since a version.

    since: (major, minor).
    source: the file of QEMU's source or documentation that states it.
    """

    name: str
    since: tuple[int, int]
    source: str


RUN_WITH_USER = Feature(
    "-run-with user=, in place of -runas",
    (9, 1),
    "docs/about/deprecated.rst, '-runas (since 9.1)'",
)
MIGRATE_TO_FILE = Feature(
    "migration to and from file:/dev/fdset/N, in place of fd: with an open file",
    # QEMU 8.2 has the URI (migration/file.c). 9.1 warns about a regular file behind fd:, and 11.0 refuses it
    # (migration/fd.c).
    (9, 1),
    "docs/about/deprecated.rst, 'fd: URI when used for file migration (since 9.1)'",
)
ACTIVATE_IMAGES = Feature(
    # Since 10.0 the images of a guest that comes from a migration stream are inactive until it runs
    # (migration/block-active.c), and QEMU takes no snapshot on an inactive image (bdrv_can_snapshot, block/snapshot.c).
    "blockdev-set-active, for the images of a guest that was restored and does not run yet",
    (10, 0),
    "qapi/block-core.json, 'blockdev-set-active (Since: 10.0)'",
)
UNSURE_REVERSE = Feature(
    # QEMU 10.0.13 was tried: it goes back by an instruction and to the fork. Beside other work it once did not within
    # 50 s.
    "reverse execution on x86-64 that may not come back: QEMU skips its own test of it (its issue 2922)",
    (10, 0),
    "tests/functional/x86_64/test_reverse_debug.py, skipFlakyTest",
)
NO_REVERSE = Feature(
    # QEMU 11.1.3 was tried. Once the snapshot is loaded the local APIC has a timer interrupt pending that was not
    # pending when it was taken, and its timer is not armed. At the first idle moment the clock therefore jumps to
    # another timer, a day later. The replay leaves its recording there, and waits for ever at the next
    # CHECKPOINT_CLOCK_VIRTUAL: in 4 of 4 attempts at the same instruction. After a second load no interrupt is
    # pending. 10.1 to 11.0 were not tried.
    "reverse execution that never comes back",
    (11, 1),
    "hw/intc/apic.c, apic_timer()",
)
FEATURES = (RUN_WITH_USER, MIGRATE_TO_FILE, ACTIVATE_IMAGES, UNSURE_REVERSE, NO_REVERSE)

MACHINE = "pc-q35-7.2,nvdimm=on,usb=off,vmport=off,smbus=off,hpet=off"
"""The guest's machine type, the same in every supported QEMU. Plain `q35` is another machine in each version.

hpet=off: since 9.1 QEMU keeps the timer of its HPET running after the guest has disabled it (hw/timer/hpet.c), and on
the warp clock each of its ticks costs several turns of the main loop: 3 to 4 times the host's time of the main job. The
guest's clock is the TSC and its timer the local APIC's, so it never uses an HPET.
"""

TCG_CPU = "max,-erms,-fsrm,family=15,model=4,stepping=0"
"""The guest's CPU under TCG, with the same family, model and stepping in every supported QEMU.

QEMU 7.2 defaults to family 15, 10.0 and later to family 6. These ignore a model that is given without a family
(max_x86_cpu_realize, target/i386/cpu.c).

Without ERMS and FSRM the kernel clears and copies pages with plain moves. TCG executes `rep stosb` a byte at a time.
"""


def has(qemu: Qemu, feature: Feature) -> bool:
    """Return whether this QEMU has a feature."""
    return qemu.version >= feature.since
