# SPDX-License-Identifier: MIT
"""Write the plan of one program: sysctls and swap, its root and cgroup, its start, and the wait for its end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from rig.errors import UsageError
from rig.image.layer.config import ImageConfig
from rig.image.rootfs import HOSTNAME
from rig.machine.disk import DISK_LABEL
from rig.program.request import ProgramRequest
from rig.scenario.plan import SWAP_DEVICE, RenderedPlan, RenderedStep
from rig.scenario.settings import Settings

__all__ = ["CGROUP", "ENDED", "WORK", "Command", "program_command", "program_plan", "sampling_period"]

WORK = "/work"
"""The default working directory of a program, and the default destination of copied files."""
CGROUP = "exec"
ROOT = "program"
STARTED, ENDED = "started", "ended"
"""Ids of the steps that start the program and wait for its end."""
LARGEST_PLAN = 120 << 10
"""Bytes; the agent keeps a plan in 128 KiB (PLAN_BYTES of guest/agent/agent.h)."""
MOST_WORDS = 500
NAME_LENGTH = 47
BASE_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


@dataclass(frozen=True)
class Command:
    """A command in the guest.

    name: the program's name in the agent's records.
    env: its complete environment.
    """

    name: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    user: str


def _mounted(path: str) -> RenderedStep:
    return RenderedStep("mount", (("label", DISK_LABEL), ("path", path), ("root", ROOT)))


def program_command(request: ProgramRequest, config: ImageConfig, argv: tuple[str, ...]) -> Command:
    """Return the command; the image's configuration supplies what the request leaves out.

    argv: the program and its arguments; empty for the image's ENTRYPOINT and CMD.
    Raises UsageError if neither names a program, and for more words than the agent accepts.
    """
    argv = argv or (*config.entrypoint, *config.cmd)
    if not argv:
        raise UsageError(
            "no program was given"
            if request.root is None
            else "no program was given, and the root names none of its own",
            where="rig exec",
            remedy="write it after --, as in rig exec -- true",
        )
    env = dict(BASE_ENVIRONMENT)
    env |= dict(text.partition("=")[::2] for text in config.env)
    env |= request.env
    if len(argv) > MOST_WORDS or len(env) > MOST_WORDS:
        raise UsageError(
            f"more than {MOST_WORDS} arguments or variables",
            where="rig exec",
            remedy="put them into a file and copy it: --copy",
        )
    name = PurePosixPath(argv[0]).name.replace(":", "_")[:NAME_LENGTH] or "program"
    return Command(name, argv, env, request.cwd or config.workdir or WORK, request.user or config.user)


def sampling_period(timeout: float) -> float:
    """Return the guest seconds between two samples of a program: at most 600 samples, however long it may run."""
    return max(1.0, timeout / 600)


def program_plan(
    request: ProgramRequest,
    settings: Settings,
    command: Command,
    *,
    layers: tuple[str, ...],
    ids: tuple[int, int] | None,
    stdin: str | None,
) -> RenderedPlan:
    """Return the plan of one program.

    layers: layers of its root, uppermost first: labels or directories.
    ids: uid and gid; None for root.
    stdin: path in the guest of a file for standard input.
    Raises UsageError if the plan is not UTF-8, or larger than the agent accepts.
    """
    steps = [RenderedStep("sysctl", (("name", name), ("value", value))) for name, value in settings.sysctls.items()]
    if settings.swap:
        steps.append(RenderedStep("swapon", (("path", SWAP_DEVICE), ("mkswap", "1"))))
    if settings.zram:
        steps.append(RenderedStep("swapon", (("zram", str(settings.zram)),)))
    period = sampling_period(request.timeout)
    beside_disk = () if request.disk is None else (("label", DISK_LABEL),)
    memory_events = f"/sys/fs/cgroup/{CGROUP}/memory.events"
    steps += [
        RenderedStep("root", (("name", ROOT), *(("layer", layer) for layer in layers), ("hostname", HOSTNAME))),
        *([] if request.disk is None else [_mounted(request.disk)]),
        RenderedStep("cgroup", (("name", CGROUP), *request.cgroup.items())),
        # A kernel without memfd_create cannot have a heartbeat, and runs the program all the same.
        RenderedStep("heartbeat", (*beside_disk, ("on_error", "go"))),
        RenderedStep("sample", (("every", f"{period:g}"), ("now", "1"), ("label", "start"), ("cgroup", CGROUP))),
        RenderedStep("spawn", _spawn_words(request, command, ids, stdin), id=STARTED),
        RenderedStep(
            "wait_exit",
            (("program", command.name), ("timeout", f"{request.timeout:f}"), ("on_error", "go")),
            id=ENDED,
        ),
        RenderedStep("sample", (("every", "0"), ("now", "1"), ("label", "end"))),
        RenderedStep("read", (("path", memory_events), ("label", "memory.events"), ("on_error", "go"))),
    ]
    plan = RenderedPlan(tuple(steps), ())
    _refuse_large_plan(plan)
    return plan


def _spawn_words(
    request: ProgramRequest, command: Command, ids: tuple[int, int] | None, stdin: str | None
) -> tuple[tuple[str, str], ...]:
    """Return the words of the step that starts the program."""
    words = [
        ("program", command.name),
        *(("arg", word) for word in command.argv),
        *(("env", f"{name}={value}") for name, value in command.env.items()),
        ("root", ROOT), ("cgroup", CGROUP), ("cwd", command.cwd), ("stream", "1"),
    ]  # fmt: skip
    if request.oom_score_adj:
        words.append(("oom_score_adj", str(request.oom_score_adj)))
    if ids is not None:
        words += [("uid", str(ids[0])), ("gid", str(ids[1]))]
    if stdin is not None:
        words.append(("stdin", stdin))
    if request.tty:
        words.append(("tty", "1"))
    return tuple(words)


def _refuse_large_plan(plan: RenderedPlan) -> None:
    """Raise UsageError if the plan is not UTF-8, or larger than the agent accepts."""
    try:
        size = len(plan.text().encode())
    except UnicodeEncodeError:
        raise UsageError("an argument or a variable is not UTF-8", where="rig exec", remedy="copy a file") from None
    if size > LARGEST_PLAN:
        raise UsageError(
            f"arguments and variables are {size >> 10} KiB, more than the {LARGEST_PLAN >> 10} KiB that a plan holds",
            where="rig exec",
            remedy="put them into a file and copy it: --copy",
        )
