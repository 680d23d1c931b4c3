# SPDX-License-Identifier: MIT
"""The content of run.json: a run's parameters, its environment, what happened, and the verdict."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from rig.run.document_model import Many, Model, Named
from rig.run.observations import (
    Collected,
    EventSummary,
    Footprint,
    Frame,
    OomReport,
    Ranked,
    Stall,
    StepResult,
)
from rig.run.recorded_guest import RecordedGuest, RecordedLayer, Recording
from rig.run.verdict import EXIT_STATUS, ClaimVerdict, Verdict, worst

__all__ = [
    "EXIT_STATUS",
    "SCHEMA_VERSION",
    "Branch",
    "ClaimVerdict",
    "Claimed",
    "Collected",
    "Environment",
    "EventSummary",
    "Footprint",
    "Frame",
    "OomReport",
    "Phase",
    "Prefix",
    "ProgramRun",
    "Ranked",
    "RecordedGuest",
    "RecordedLayer",
    "Recording",
    "Run",
    "Shown",
    "Stall",
    "StepResult",
    "UsedLayer",
    "Verdict",
    "worst",
]

SCHEMA_VERSION = 1


class UsedLayer(Model):
    """A layer of the program's root file system.

    size: bytes. The guest needs 16 KiB of RAM for each MiB of it (struct page, 64 bytes per 4 KiB page).
    """

    source: str
    digest: str
    size: int
    packages: dict[str, str] = Field(default_factory=dict)
    """Version of each installed package, by name."""


class Environment(Model):
    """The host, QEMU and guest kernel of a run."""

    host: str = ""
    """Kernel release and machine of the host."""
    rig: str = ""
    qemu: str = ""
    accelerator: str = ""
    accelerator_reason: str = ""
    clock: Literal["warp", "live"] = "warp"
    kernel: str = ""
    """Release of the guest's kernel, as uname gives it."""
    kernel_name: str = ""
    """The kernel as the user named it, for example `debian:bookworm` or a path."""
    kernel_reason: str = ""
    """Where the default came from: RIG_KERNEL, `rig kernel use`, or the host's suite; empty if the user named it."""
    kernel_package: str = ""
    kernel_hash: str = ""
    image_name: str = ""
    image_reason: str = ""
    image_hash: str = ""
    snapshot_hash: str = ""
    payload_hash: str = ""
    append: Many[str] = ()
    """Words that the user added to the kernel's command line."""
    qemu_args: Many[str] = ()
    """Words that the user added to QEMU's command line."""
    notes: tuple[str, ...] = ()
    """Differences of this QEMU from other versions that are visible to a guest."""
    layers: tuple[UsedLayer, ...] = ()


class Phase(Model):
    """The duration of a phase in host seconds, and in guest seconds where the guest's clock ran."""

    name: str
    host_seconds: float
    guest_seconds: float | None = None


class Shown(Model):
    """A value that a claim was judged on. shown: the value as it is displayed to a user."""

    name: str
    value: Any = None
    unit: str = ""
    shown: str = ""


class Claimed(Model):
    """A claim and its verdict. reason: why the verdict is not `held`; empty where the values say enough."""

    id: str
    text: str
    kind: Literal["claim", "condition"] = "claim"
    verdict: ClaimVerdict
    values: Many[Shown] = ()
    expr: str = ""
    reason: str = ""


class ProgramRun(Model):
    """The arguments of `rig exec`, which runs a single program in the guest."""

    argv: tuple[str, ...]
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str = ""
    user: str = ""
    cgroup: dict[str, str] = Field(default_factory=dict)
    packages: tuple[str, ...] = ()
    root: str = ""
    copies: tuple[str, ...] = ()
    timeout: float | None = None
    """Guest seconds."""


class Branch(Model):
    """Where a run was branched off another one, and what differs from it since."""

    parent: str
    """Id of the other run."""
    point: str
    """The branch point as the user named it."""
    key: str
    """Key of the branch point in the cache."""
    step: int
    """Index of the first step of the plan that differs, or that is done again."""
    time: float
    """Guest seconds at which the guest was saved."""
    changes: tuple[str, ...] = ()
    """What is different since: settings as NAME=VALUE, and acts, as a user reads them. Empty for a control."""
    sets: Many[str] = ()
    """The settings among the changes."""
    acts: Many[str] = ()
    """The acts among the changes, each as a step of the plan."""
    past: str = ""
    """How console and records up to the point differ from the parent's; empty if they are the same to the byte."""
    number: int = 0
    """Position among the futures of one call."""


class Prefix(Model):
    """The kept past that a run began with, in place of running these steps again."""

    point: str
    """Name of the branch point: a step `branch` of the plan."""
    key: str
    """Key of the branch point in the cache."""
    step: int
    """Index of the first step of the plan that this run executed itself."""
    time: float
    """Guest seconds at which the past ends. The recording begins there."""
    made: bool = False
    """Whether this run made the prefix, rather than finding it in the cache."""
    content: str = ""
    """Key of the payload that this run would have had from the boot on: its plan and its programs."""


class Run(Model):
    """The content of run.json."""

    schema_version: int = SCHEMA_VERSION
    id: str
    scenario: str
    scenario_directory: str = ""
    title: str = ""
    started: str
    """Start of the run in host time, ISO 8601 with the time zone."""
    ended: str = ""
    verdict: Verdict
    reason: str = ""
    """Why the verdict is `invalid` or `error`, as one sentence."""
    claims: Many[Claimed] = ()
    parameters: dict[str, Any] = Field(default_factory=dict)
    parameters_shown: Named[str] = Field(default_factory=dict)
    """The parameters as a user writes them, for example 200M or 30s."""
    sysctls: Named[str] = Field(default_factory=dict)
    guest: Named[int] = Field(default_factory=dict)
    """The guest's size: memory, swap and zram in bytes, and the number of CPUs."""
    settings: Named[str] = Field(default_factory=dict)
    """The settings of the command line as the user wrote them: `--set` with these repeats the run."""
    to_the_end: bool = False
    environment: Environment = Environment()
    command: Many[str] = ()
    recording: Recording = Recording()
    phases: Many[Phase] = ()
    host_seconds: float | None = None
    guest_seconds: float | None = None
    footprint: Footprint = Footprint()
    heard: Collected = Collected()
    left_out: Named[int] = Field(default_factory=dict)
    """Bytes missing from each file, by file name, because the guest printed more than the limit."""
    program: ProgramRun | None = None
    parent: str | None = None
    """Id of the run that this one was branched off."""
    branch: Branch | None = None
    prefix: Prefix | None = None
    """The kept past that the run began with; None for a run that began at the boot."""
    stalls: tuple[Stall, ...] = ()
    end_reason: str = ""
    steps: Many[StepResult] = ()
    roles: Named[int] = Field(default_factory=dict)
    """Process id by role."""
    events: Many[EventSummary] = ()
    ooms: Many[OomReport] = ()
    panic: str | None = None
    panic_dump: str | None = None
    """File in the run's directory with the panicked guest's memory (ELF core dump, zstd-compressed)."""
    files: Named[str] = Field(default_factory=dict)
    """SHA-256 of each file that the run wrote beside run.json, by its path in the run's directory."""

    @property
    def exit_status(self) -> int:
        return EXIT_STATUS[self.verdict]
