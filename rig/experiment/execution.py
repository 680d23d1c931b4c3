# SPDX-License-Identifier: MIT
"""What the host observes of one plan's execution, and the time limits that it sets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rig.errors import RigError
from rig.run.progress import Progress

__all__ = ["BOOT_DEADLINE", "Deadlines", "Execution"]

BOOT_DEADLINE = 60.0
"""Host seconds from the start of QEMU to the agent's first record, before they are scaled."""


@dataclass(frozen=True)
class Deadlines:
    """Time limits, in host seconds.

    boot: from the start of QEMU to the agent's first record.
    plan: from `go` to the agent's `end` record.
    exit: from the `end` record to the exit of QEMU.
    scale: factor for the time limits of QMP and migration, which are fixed elsewhere.
    silence: between two of the agent's records; None for a plan that does not report periodically.
    """

    boot: float
    plan: float
    exit: float = 10.0
    scale: float = 1.0
    silence: float | None = None

    def scaled(self, scale: float) -> Deadlines:
        """Return the time limits for a host that is slower by the factor `scale`."""
        silence = None if self.silence is None else self.silence * scale
        return Deadlines(self.boot * scale, self.plan * scale, self.exit * scale, self.scale * scale, silence)


@dataclass
class Execution:
    """What the host observed of a run.

    phases: name -> host seconds.
    left_out: file name -> bytes of output that exceeded its limit and were not kept.
    problem: why the run ended early; None if the plan ran to its end and QEMU exited.
    """

    command: list[str] = field(default_factory=list)
    phases: dict[str, float] = field(default_factory=dict)
    snapshot: str = ""
    snapshot_digest: str = ""
    payload_hash: str = ""
    continuation_hash: str = ""
    recorded: bool = False
    panicked: bool = False
    log_at_panic: tuple[str, ...] | None = None
    """The newest records of the kernel's own log when it panicked, as /dev/kmsg has them; None if not known."""
    panic_dump: str | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problem: RigError | None = None
    stopped: RigError | None = None
    """Why QEMU stopped the guest by itself, or rig ended it for its recording (stops.py); None if neither happened."""

    @contextmanager
    def phase(self, name: str, progress: Progress) -> Iterator[None]:
        """Report the start of a phase, and record its duration."""
        progress.phase(name)
        began = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = time.monotonic() - began
