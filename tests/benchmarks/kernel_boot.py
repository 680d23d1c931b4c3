# SPDX-License-Identifier: MIT
"""Cold boots, from QEMU's start to the agent's READY, of several kernels in turn.

    python -m tests.benchmarks.kernel_boot [--boots N] [KERNEL …]

The first kernel is the reference, Debian's of the host's suite where none is named. Of a kernel from source both forms
are measured: the vmlinux, which QEMU enters by PVH, and the bzImage, which unpacks itself first. Turn by turn, so that
a machine that is busy for a while is busy for all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from dataclasses import replace
from pathlib import Path

from rig.experiment.prepare import find_parts, guest_spec
from rig.image.apt import host_suite
from rig.image.bootfile import BZIMAGE, VMLINUX
from rig.image.continuation import write_continuation
from rig.image.digest import digest_file
from rig.image.payload import blank_payload
from rig.image.store import Store
from rig.machine.qemu import find_qemu
from rig.machine.session import Listeners, runtime_directory, started
from rig.machine.spec import GuestSpec, Wiring
from rig.scenario.settings import guest_settings

DEADLINE = 120.0


def specs_of(store: Store, kernel: str) -> dict[str, GuestSpec]:
    """Return the guests to boot, by name: one for each form that the kernel is here in."""
    parts = find_parts(store, kernel, None)
    spec = guest_spec(parts, guest_settings())
    forms = [path for name in (VMLINUX, BZIMAGE) if (path := parts.kernel.image.with_name(name)).is_file()]
    if len(forms) < 2:
        return {kernel: spec}
    return {f"{kernel} {path.name}": replace(spec, kernel=path, kernel_digest=digest_file(path)) for path in forms}


async def boot(store: Store, spec: GuestSpec) -> tuple[float, float]:
    """Boot a guest and return host seconds and guest seconds to READY."""
    with store.staging_directory() as work, runtime_directory("boot") as directory:
        blank_payload(work / "payload")
        write_continuation(work / "continuation")
        wiring = Wiring(name="boot", directory=directory, payload=work / "payload", continuation=work / "continuation")
        began = time.monotonic()
        async with started(spec, wiring, find_qemu(), work, Listeners()) as session:
            await session.monitor.execute("cont")
            record = await session.record("ready", DEADLINE)
            return time.monotonic() - began, float(record["t"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boots", type=int, default=5)
    parser.add_argument("kernels", nargs="*")
    asked = parser.parse_args()
    kernels = asked.kernels or [f"debian:{host_suite()}", f"source:{host_suite()}"]
    store = Store()
    specs = {name: spec for kernel in kernels for name, spec in specs_of(store, kernel).items()}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in specs}
    for _ in range(asked.boots):
        for name, spec in specs.items():
            took[name].append(asyncio.run(boot(store, spec)))
    reference = statistics.median(host for host, _ in next(iter(took.values())))
    for name, times in took.items():
        hosts = [host for host, _ in times]
        median = statistics.median(hosts)
        size = Path(specs[name].kernel).stat().st_size / 1e6
        print(
            f"{name}: {median:.2f} s to READY ({min(hosts):.2f} to {max(hosts):.2f}, {asked.boots} boots), "
            f"{median / reference:.2f} of the reference; guest clock {times[0][1]:.2f} s; {size:.1f} MB"
        )


if __name__ == "__main__":
    main()
