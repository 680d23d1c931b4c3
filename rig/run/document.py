# SPDX-License-Identifier: MIT
"""A run, as run.json holds it: what was asked, what it ran on, what happened, and what was made of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

from rig.run.verdict import EXIT_STATUS, ClaimVerdict, Verdict, worst

__all__ = [
    "EXIT_STATUS",
    "SCHEMA_VERSION",
    "ClaimVerdict",
    "Claimed",
    "Collected",
    "Environment",
    "EventSummary",
    "Footprint",
    "Frame",
    "OomReport",
    "Phase",
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

Item = TypeVar("Item")
# A list of a million wrong items would be a million errors of a kilobyte each; the first one is enough.
Many = Annotated[tuple[Item, ...], FailFast()]


def _few(found: Any) -> Any:
    if isinstance(found, dict) and len(found) > 10_000:
        raise ValueError("more than 10,000 keys")
    return found


Named = Annotated[dict[str, Item], BeforeValidator(_few)]


class Model(BaseModel):
    # A run.json of a later rig may hold more than this one knows: it is read all the same.
    # Built at first use: beside a run, not before it.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class UsedLayer(Model):
    """A layer that the program's root was made of. size: bytes, of which the guest's RAM pays 16 KiB a MiB."""

    source: str
    digest: str
    size: int
    packages: dict[str, str] = Field(default_factory=dict)
    """name -> version of what was installed."""


class Environment(Model):
    """What the run ran on."""

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
    """The kernel as it was asked for: debian:bookworm, a path."""
    kernel_reason: str = ""
    """Why it is this one: RIG_KERNEL, `rig kernel use`, this host's suite; empty where the call named it."""
    kernel_package: str = ""
    kernel_hash: str = ""
    image_name: str = ""
    image_reason: str = ""
    image_hash: str = ""
    snapshot_hash: str = ""
    payload_hash: str = ""
    notes: tuple[str, ...] = ()
    """What this QEMU does differently from others that a guest can see."""
    layers: tuple[UsedLayer, ...] = ()


class RecordedLayer(Model):
    """A layer of a program's root that the guest had on an NVDIMM of its own. size: bytes."""

    digest: str
    size: int
    path: str = ""


MACHINE_PATTERN = r"^(pc-)?q35(-\d+\.\d+)?(,(nvdimm|usb|vmport|smbus|hpet)=(on|off))*$"
"""The switches of a machine that a recording may name. Others would let an imported run name files of this host."""


CPU_PATTERN = r"^max(,-[a-z0-9-]+|,(family|model|stepping)=\d+)*$"


class RecordedGuest(Model):
    """The guest that a replay has to start again. Files by SHA-256, with the path that each had on that host."""

    memory: int = Field(gt=0, le=1 << 44)
    """Bytes."""
    cpus: int = Field(gt=0, le=4096)
    payload_size: int = Field(gt=0, le=1 << 30)
    """Bytes. An imported run must not fill the disk by it."""
    append: Many[str] = ()
    qemu_args: Many[str] = ()
    kernel: str
    kernel_path: str = ""
    initramfs: str
    initramfs_path: str = ""
    rootfs: str
    rootfs_path: str = ""
    snapshot: str
    """SHA-256 of the saved state: two snapshots of one guest are not the same to the byte."""
    prealloc: bool = False
    layers: tuple[RecordedLayer, ...] = ()
    machine: str = Field("q35,nvdimm=on,usb=off,vmport=off,smbus=off", pattern=MACHINE_PATTERN)
    """The value of QEMU's -machine; the default is that of recordings that do not name theirs."""
    cpu_model: str = Field("max,-erms,-fsrm,model=4,stepping=0", pattern=CPU_PATTERN)
    """The value of -cpu, likewise."""


class Recording(Model):
    """Where the recording lies in the run's folder, or why there is none, and what a replay must match."""

    path: str | None = None
    size: int | None = None
    reason: str | None = None
    sha256: str = ""
    console_sha256: str = ""
    events_sha256: str = ""
    guest: RecordedGuest | None = None


class Phase(Model):
    """How long a phase took: host seconds, and guest seconds where the guest's clock ran."""

    name: str
    host_seconds: float
    guest_seconds: float | None = None


class Footprint(Model):
    """What the observer itself cost in the guest, in kB."""

    agent_rss_kb: int | None = None
    agent_rss_at_end_kb: int | None = None
    mem_total_kb: int | None = None
    mem_free_kb: int | None = None
    mem_available_kb: int | None = None


class Collected(Model):
    """How many of the agent's records were collected, lost and unreadable."""

    records: int = 0
    samples: int = 0
    lost: int = 0
    bad_lines: int = 0
    problems: Many[str] = ()
    cut: bool = False


class Frame(Model):
    """One frame of a trace; role is its part (rig.klog.functions), empty where it plays none."""

    function: str
    offset: int | None = None
    size: int | None = None
    module: str | None = None
    reliable: bool = True
    role: str = ""


class Ranked(Model):
    """A task of an OOM report in the order of its badness. Counts in pages; points None: exempt."""

    pid: int
    name: str
    points: int | None
    rss: int
    swap: int
    page_tables: int
    oom_score_adj: int
    killed: bool = False
    tied: bool = False
    ours: bool = False
    """Whether it is a process of the scenario."""


class OomReport(Model):
    """An OOM report of the kernel: who asked for what, in which state memory was, and who had to go."""

    time: float | None = None
    line: int | None = None
    invoker: str = ""
    invoker_pid: int | None = None
    gfp_flags: Many[str] = ()
    order: int | None = None
    scope: str = "global"
    constraint: str | None = None
    frames: Many[Frame] = ()
    free_kb: int | None = None
    min_kb: int | None = None
    ranking: Many[Ranked] = ()
    slack_pages: int = 0
    killed: Many[str] = ()
    """`name (pid)` of each task that was killed."""


class EventSummary(Model):
    """An event of the kernel's log, on one line."""

    kind: str
    time: float | None = None
    line: int | None = None
    last_line: int | None = None
    summary: str = ""


class Shown(Model):
    """A value that a claim was judged on; shown is how a person reads it."""

    name: str
    value: Any = None
    unit: str = ""
    shown: str = ""


class Claimed(Model):
    """A claim and what became of it. reason says why it is not `held`, where there is more to say."""

    id: str
    text: str
    kind: Literal["claim", "condition"] = "claim"
    verdict: ClaimVerdict
    values: Many[Shown] = ()
    expr: str = ""
    reason: str = ""


class StepResult(Model):
    """A step of the plan that was begun, in the order of the plan."""

    index: int
    verb: str
    ok: bool
    time: float | None = None
    took: float | None = None
    error: str = ""
    saw: str = ""


class Stall(Model):
    """A span in which programs got nothing done for want of memory. Guest seconds; share: of it, waited for memory."""

    begin: float
    length: float
    share: float
    cause: Literal["throttled", "thrashing", "swapping", "no-progress", "io"]


class ProgramRun(Model):
    """A program that was run by itself (`rig exec`): what was asked for."""

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


class Run(Model):
    """A run as a whole."""

    schema_version: int = SCHEMA_VERSION
    id: str
    scenario: str
    scenario_folder: str = ""
    title: str = ""
    started: str
    """When it began, host time, ISO 8601 with the zone."""
    ended: str = ""
    verdict: Verdict
    reason: str = ""
    """Why the verdict is `invalid` or `error`, in a sentence."""
    claims: Many[Claimed] = ()
    parameters: dict[str, Any] = Field(default_factory=dict)
    parameters_shown: Named[str] = Field(default_factory=dict)
    """The parameters as the user writes them: 200M, 30s."""
    sysctls: Named[str] = Field(default_factory=dict)
    guest: Named[int] = Field(default_factory=dict)
    """memory, swap and zram in bytes; cpus."""
    settings: Named[str] = Field(default_factory=dict)
    """The settings that the call named, in its words: `--set` with these repeats the run."""
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
    """Bytes that a file of the run lacks because the guest printed more than is kept: by the file's name."""
    program: ProgramRun | None = None
    stalls: tuple[Stall, ...] = ()
    end_reason: str = ""
    steps: Many[StepResult] = ()
    roles: Named[int] = Field(default_factory=dict)
    """pid by role."""
    events: Many[EventSummary] = ()
    ooms: Many[OomReport] = ()
    panic: str | None = None
    panic_dump: str | None = None
    """The memory of the guest that panicked: a file of the run's folder (ELF, zstd)."""

    @property
    def exit_status(self) -> int:
        return EXIT_STATUS[self.verdict]
