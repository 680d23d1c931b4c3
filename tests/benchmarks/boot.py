# SPDX-License-Identifier: MIT
"""Cold boots to the agent's READY, image beside image, each in turn; the first named is the reference.

python -m tests.benchmarks.boot [--rounds N] [--clock warp|live] quick buildroot quick+source:bookworm
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from rig.experiment.prepare import find_parts, guest_spec
from rig.image.continuation import write_continuation
from rig.image.payload import blank_payload
from rig.image.store import Store
from rig.machine.qemu import find_qemu
from rig.machine.session import Listeners, runtime_directory, started
from rig.machine.spec import GuestSpec, Wiring
from rig.scenario.settings import guest_settings

DEADLINE = 120


async def boot(spec: GuestSpec) -> float:
    """Return the host seconds from the first instruction to READY."""
    with tempfile.TemporaryDirectory(prefix="rig-bench-") as name, runtime_directory("bench") as directory:
        payload = Path(name) / "payload"
        blank_payload(payload)
        write_continuation(directory / "continuation")
        wiring = Wiring(
            name="bench",
            directory=directory,
            payload=payload,
            shell=spec.clock == "live",
            continuation=directory / "continuation",
        )
        async with started(spec, wiring, find_qemu(), Path(name), Listeners()) as session:
            began = time.perf_counter()
            await session.monitor.execute("cont")
            await session.record("ready", DEADLINE)
            return time.perf_counter() - began


def spec_of(named: str, clock: str) -> GuestSpec:
    """Return the guest of `IMAGE` or `IMAGE+KERNEL`."""
    image, _, kernel = named.partition("+")
    return guest_spec(find_parts(Store(), kernel or None, image), guest_settings([f"clock={clock}"]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", default="warp")
    parser.add_argument("images", nargs="+")
    asked = parser.parse_args()
    specs = {named: spec_of(named, asked.clock) for named in asked.images}
    took: dict[str, list[float]] = {named: [] for named in specs}
    for _ in range(asked.rounds):
        for named, spec in specs.items():
            took[named].append(asyncio.run(boot(spec)))
    reference = statistics.median(took[asked.images[0]])
    for named, seconds in took.items():
        middle = statistics.median(seconds)
        kernel = specs[named].kernel.stat().st_size / (1 << 20)
        root = specs[named].rootfs.stat().st_size / (1 << 20)
        print(
            f"{named}: {middle:.2f} s to READY (median of {len(seconds)}, {min(seconds):.2f} to {max(seconds):.2f}), "
            f"{middle / reference:.2f} of {asked.images[0]}'s; kernel {kernel:.1f} MB, root {root:.1f} MB"
        )


if __name__ == "__main__":
    main()
