# SPDX-License-Identifier: MIT
"""Host memory of guests restored from one snapshot: the sum of their PSS, one guest beside eight, in the same run.

    python -m tests.benchmarks.guest_memory [--guests 8]

Each guest is restored, runs idle for as long as its agent needs to look for a payload some times, and is then stopped
and measured. PSS (/proc/PID/smaps_rollup) counts a page that n processes map as a n-th of it to each; so the sum is what
the host holds for them: QEMU's own memory, and what of the snapshot's file they have used. The reference is a guest
that shares nothing, whose memory was read from the snapshot as a whole.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from rig.experiment.booted import ensure_snapshot
from rig.experiment.execution import Deadlines, Execution
from rig.experiment.prepare import prepare_guest
from rig.image.continuation import write_continuation
from rig.image.payload import blank_payload
from rig.machine.restoring import restored
from rig.machine.session import Listeners, Session, runtime_directory
from rig.run.progress import NullProgress
from rig.scenario.settings import guest_settings

IDLE = 1.0
"""Host seconds that a guest runs before it is measured."""
BOUND = 3.0


def pss(pid: int) -> dict[str, int]:
    """Return kB of a process: Pss, and what of it is its own (Private_Dirty)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {name: int(kilobytes) for name, kilobytes in re.findall(r"^(\w+): +(\d+) kB", text, flags=re.MULTILINE)}


async def measured(count: int, memory: str, *words: str) -> tuple[int, int]:
    """Restore so many guests and return the sum of their PSS and of their own dirty pages, kB. words: for QEMU."""
    guest = await prepare_guest(guest_settings([f"memory={memory}"]), qemu_args=words)
    snapshot = await ensure_snapshot(guest, Deadlines(120, 120), Execution(), NullProgress())
    sessions: list[Session] = []
    # Leaving the stack ends every QEMU by its own pid.
    async with AsyncExitStack() as stack:
        for number in range(count):
            directory = stack.enter_context(runtime_directory(f"memory-{number}"))
            out = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rig-bench-")))
            blank_payload(directory / "payload")
            write_continuation(directory / "continuation")
            wiring = guest.wiring(f"memory-{number}", directory, out)
            session = await stack.enter_async_context(
                restored(guest.spec, wiring, guest.qemu, out, Listeners(), snapshot)
            )
            sessions.append(session)
            await session.monitor.execute("cont")
            await asyncio.sleep(IDLE)
            await session.monitor.execute("stop")
        found = [pss(session.process.pid) for session in sessions]
    return sum(each["Pss"] for each in found), sum(each["Private_Dirty"] for each in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--guests", type=int, default=8)
    parser.add_argument("--memory", default="512M")
    arguments = parser.parse_args()
    unshared = ("-object", f"memory-backend-ram,id=own,size={arguments.memory}", "-numa", "node,memdev=own")
    reference, _ = asyncio.run(measured(1, arguments.memory, *unshared))
    one, own = asyncio.run(measured(1, arguments.memory))
    many, all_own = asyncio.run(measured(arguments.guests, arguments.memory))
    print(f"guests of {arguments.memory}, restored from one snapshot, idle; load {os.getloadavg()[0]:.1f}")
    print(f"1 guest: {one / 1024:.1f} MB of the host's memory (PSS), {own / 1024:.1f} MB its own dirty pages")
    print(
        f"{arguments.guests} guests: {many / 1024:.1f} MB (sum of PSS), {all_own / 1024:.1f} MB their own;"
        f" {many / one:.2f} times one (at most {BOUND:g})"
    )
    print(
        f"1 guest that shares nothing: {reference / 1024:.1f} MB; {arguments.guests} that share are"
        f" {many / reference:.2f} times that"
    )


if __name__ == "__main__":
    main()
