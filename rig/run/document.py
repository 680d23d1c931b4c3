# SPDX-License-Identifier: MIT
"""The content of run.json: a run's parameters, its environment, what happened, and the verdict."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

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

Item = TypeVar("Item")
# Without FailFast, a list of a million invalid items makes pydantic build a million errors of a kilobyte each.
Many = Annotated[tuple[Item, ...], FailFast()]


def _few(found: Any) -> Any:
    if isinstance(found, dict) and len(found) > 10_000:
        raise ValueError("more than 10,000 keys")
    return found


Named = Annotated[dict[str, Item], BeforeValidator(_few)]


class Model(BaseModel):
    # extra="ignore": a run.json that a later rig wrote may have fields that this version does not know.
    # defer_build: the validators are built at first use, so that they do not delay the start of a guest.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


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


class RecordedLayer(Model):
    """A layer of a program's root file system that the guest had on a separate NVDIMM. size: bytes."""

    digest: str
    size: int = Field(gt=0, le=1 << 40)
    path: str = ""


MACHINE_PATTERN = r"^(pc-)?q35(-\d+\.\d+)?(,(nvdimm|usb|vmport|smbus|hpet)=(on|off))*$"
"""The -machine options that a recording may use. Other options could let an imported run open files of this host."""


CPU_PATTERN = r"^max(,-[a-z0-9-]+|,(family|model|stepping)=\d+)*$"


class RecordedGuest(Model):
    """The guest that a replay must start again. Each file has its SHA-256 and its path on the recording host."""

    memory: int = Field(gt=0, le=1 << 44)
    """Bytes."""
    cpus: int = Field(gt=0, le=4096)
    payload_size: int = Field(gt=0, le=1 << 30)
    """Bytes. The upper bound keeps an imported run from filling the disk."""
    append: Many[str] = ()
    qemu_args: Many[str] = ()
    kernel: str
    kernel_path: str = ""
    initramfs: str
    initramfs_path: str = ""
    rootfs: str
    rootfs_path: str = ""
    snapshot: str
    """SHA-256 of the saved state. A replay needs this very snapshot: two snapshots of one guest differ in bytes."""
    prealloc: bool = False
    layers: tuple[RecordedLayer, ...] = Field((), max_length=8)
    continuation_size: int = Field(0, ge=0, le=1 << 26)
    """Bytes of the NVDIMM for a continuation. Guests of earlier versions have none."""
    continuation: str = ""
    """SHA-256 of that image."""
    point: str = ""
    """Key of the branch point from which the run began; empty for a run that began at its guest's snapshot."""
    machine: str = Field("q35,nvdimm=on,usb=off,vmport=off,smbus=off", pattern=MACHINE_PATTERN)
    """The value of QEMU's -machine. The default applies to old recordings, which do not name it."""
    cpu_model: str = Field("max,-erms,-fsrm,model=4,stepping=0", pattern=CPU_PATTERN)
    """The value of QEMU's -cpu. The default applies to old recordings, which do not name it."""


class Recording(Model):
    """The recording's path in the run's directory (or why there is none), and what a replay must match."""

    path: str | None = None
    size: int | None = None
    reason: str | None = None
    sha256: str = ""
    console_sha256: str = ""
    events_sha256: str = ""
    guest: RecordedGuest | None = None


class Phase(Model):
    """The duration of a phase in host seconds, and in guest seconds where the guest's clock ran."""

    name: str
    host_seconds: float
    guest_seconds: float | None = None


class Footprint(Model):
    """The agent's own memory use in the guest, in kB."""

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
    """One frame of a trace. role: the function's part (rig.klog.functions); empty where it has none."""

    function: str
    offset: int | None = None
    size: int | None = None
    module: str | None = None
    reliable: bool = True
    role: str = ""


class Ranked(Model):
    """A task of an OOM report, ranked by badness.

    Counts are in pages.
    points: None for a task that the OOM killer never chooses.
    """

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
    """Whether the task is a process of the scenario."""


class OomReport(Model):
    """An OOM report of the kernel: the failed allocation, the state of memory, and the victims."""

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

    @property
    def victims(self) -> str:
        """Who was killed, by name, and who might as well have been: `child, in a tie with hog`. `nobody` for none."""
        killed = ", ".join(name.rsplit(" (", 1)[0] for name in self.killed) or "nobody"
        return f"{killed}, in a tie with {' and '.join(self.tied_with)}" if self.tied_with else killed

    @property
    def tied_with(self) -> list[str]:
        """The names of the tasks that might as well have been killed; none where the victim had the highest badness."""
        if not any(row.killed and row.tied for row in self.ranking):
            return []
        return sorted(row.name for row in self.ranking if row.tied and not row.killed)


class EventSummary(Model):
    """An event of the kernel log, as one line."""

    kind: str
    time: float | None = None
    line: int | None = None
    last_line: int | None = None
    summary: str = ""


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


class StepResult(Model):
    """A step of the plan that was started."""

    index: int
    verb: str
    ok: bool
    time: float | None = None
    took: float | None = None
    error: str = ""
    saw: str = ""


class Stall(Model):
    """A span in which programs made no progress because they waited for memory.

    Times are guest seconds.
    share: the fraction of the span in which all tasks waited for memory.
    """

    begin: float
    length: float
    share: float
    cause: Literal["throttled", "thrashing", "swapping", "no-progress", "io"]


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
