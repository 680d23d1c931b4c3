# SPDX-License-Identifier: MIT
"""Run one program in a guest: collect its files, write its plan, run it, and judge how it ended."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from rig.errors import UsageError
from rig.experiment.prepare import Parts, find_parts
from rig.experiment.request import Job, Request
from rig.experiment.run import run_job
from rig.image.bootfile import Kernel, config_beside
from rig.image.daximage import has_file
from rig.image.layer.config import ImageConfig
from rig.image.layer.layer import named_layer, names_layer
from rig.image.payload import Payload
from rig.image.rootfs import HOSTNAME, HOSTS
from rig.image.store import Store
from rig.program.files import HostFiles, collect_copies, collect_executable
from rig.program.hints import hint_for
from rig.program.interpreter import refuse_missing_interpreter
from rig.program.outcome import BROKEN, Outcome, judge_program, outcome_of
from rig.program.plan import WORK, program_command, program_plan, sampling_period
from rig.program.python_needs import refuse_missing_modules
from rig.program.request import ProgramRequest
from rig.program.roots import Root, copies_layer, find_root
from rig.run.progress import Progress
from rig.scenario.load import Scenario
from rig.scenario.schema import GuestNeeds, Plan, ScenarioFile
from rig.scenario.settings import parse_settings

if TYPE_CHECKING:
    from rig.run.document import ProgramRun, Run
    from rig.scenario.evidence import Evidence
    from rig.scenario.judge import Judgement

__all__ = ["program_job", "run_program"]

COPIES = "copy"
"""Directory of the payload for copied files; it is the uppermost layer of the program's root."""
STDIN = "stdin"
LARGEST_COPIES = 24 << 20
"""Bytes; up to this size copied files are put into the payload, beyond it into a layer of their own."""
LARGEST_STDIN = 8 << 20
HOST_SECONDS_PER_GUEST_SECOND = 4
"""For the time limits: a busy guest second took 0.5 to 1 s of the host; slow hosts get four times as much."""
SILENCE = 120.0
"""Host seconds beside those of the guest's sampling period. Beside 8 busy processes on two CPUs, with a sample a guest
second, two records were at most 5.5 s apart where a program flooded the console, and 12.3 s where it forked without
end."""


async def run_program(
    request: ProgramRequest,
    progress: Progress,
    store: Store | None = None,
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[Run, Path, Outcome]:
    """Run a program and return its run, the run's directory, and how the program ended.

    meanwhile: called in a thread while the guest runs.
    Raises UsageError for an invalid request, before a guest starts.
    Raises RigError when rig or the guest fails before the plan has begun.
    """
    store = store or Store()
    job, outcomes = program_job(store, request, progress.phase)
    asked = Request("exec", record=request.record, reuse=True, append=request.append, qemu_args=request.qemu_args,
                    timeout_scale=request.timeout_scale)  # fmt: skip
    run, directory = await run_job(job, asked, progress, store, meanwhile=meanwhile)
    return run, directory, outcomes[0] if outcomes else Outcome(BROKEN, problem=run.reason)


def program_job(
    store: Store, request: ProgramRequest, tell: Callable[[str], None] = lambda line: None
) -> tuple[Job, list[Outcome]]:
    """Return the job of a program, and a list that gets its outcome when the job's run is judged.

    tell: called with a line for the user before something is fetched or built.
    Raises UsageError for an invalid request.
    """
    scenario = _bare_scenario(shlex.join(request.command) or Path(request.root or "").name)
    settings = parse_settings(scenario, request.sets)
    root = find_root(store, request.packages, request.root, tell)
    if settings.image is not None and names_layer(store, settings.image):
        if root.whole:
            raise UsageError(
                "these options exclude each other", where="--root, --image", remedy="leave out one of them"
            )
        root = Root((*root.layers, named_layer(store, settings.image)))
        settings = replace(settings, image=None)

    @cache
    def parts() -> Parts:
        return find_parts(store, settings.kernel, settings.image)

    # Only a whole root has a configuration (entrypoint, user, workdir); packages over rig's own root have none.
    config = next((layer.config for layer in root.layers if layer.whole), ImageConfig())
    cwd = request.cwd or config.workdir or WORK
    copies = collect_copies(request.copies, cwd, root.place)
    argv = request.command
    if argv and _is_the_hosts(argv[0], root, lambda: parts().rootfs.image):
        if not root.layers:
            refuse_missing_interpreter(Path(argv[0]), parts().rootfs.image)
        own, name = collect_executable(argv[0], cwd, root.place)
        copies = own.with_copies(copies)
        argv = (name, *argv[1:])
    command = program_command(request, config, argv)
    if "PYTHONPATH" not in command.env:
        refuse_missing_modules(
            command.argv,
            copies,
            root,
            own_image=lambda: parts().rootfs.image,
            guest_path=lambda name: root.place(str(PurePosixPath(command.cwd) / name)),
        )
    extra, layers, root = _placed(store, copies, root, _surroundings(parts().kernel, root, copies))
    ids = root.user(command.user) if command.user else None
    if request.stdin is not None:
        _refuse_long_input(request.stdin)
        extra = replace(extra, files={**extra.files, STDIN: request.stdin})
    stdin = f"{{payload}}/{STDIN}" if request.stdin is not None else None
    plan = program_plan(request, settings, command, layers=layers, ids=ids, stdin=stdin)
    outcomes: list[Outcome] = []

    def configuration() -> tuple[str, Mapping[str, str]]:
        from rig.image.bootfile import kernel_config
        from rig.image.kconfig import read_config

        kernel = parts().kernel
        return f"{kernel.spec}, {kernel.release}", read_config(kernel_config(kernel) or "")

    def judge(evidence: Evidence) -> Judgement:
        outcome = outcome_of(evidence)
        outcomes.append(replace(outcome, hint=hint_for(request, command.argv, outcome, evidence, configuration)))
        return judge_program(evidence, request.expect)

    def noted() -> ProgramRun:
        from rig.run.document import ProgramRun

        return ProgramRun(
            argv=command.argv,
            env=command.env,
            cwd=command.cwd,
            user=command.user,
            cgroup=request.cgroup,
            packages=request.packages,
            root=request.root or "",
            copies=request.copies,
            timeout=request.timeout,
        )

    deadline = 300 + HOST_SECONDS_PER_GUEST_SECOND * request.timeout
    silence = SILENCE + HOST_SECONDS_PER_GUEST_SECOND * sampling_period(request.timeout)
    job = Job(scenario, settings, plan, extra, root.layers, judge, deadline, noted, longest_silence=silence)
    return job, outcomes


def _bare_scenario(title: str) -> Scenario:
    """Return a scenario without parameters, steps and claims: a run needs one."""
    # It has nothing that a user wrote, so there is nothing for pydantic to validate.
    file = ScenarioFile.model_construct(
        title=title,
        summary=f"One program: {title}",
        parameters={},
        guest=GuestNeeds.model_construct(),
        sysctls={},
        programs=(),
        checks=(),
        plan=Plan.model_construct(steps=()),
        claims=(),
    )
    return Scenario("exec", Path.cwd(), file, (), (), {})


def _refuse_long_input(stdin: Path) -> None:
    """Raise UsageError for a standard input that does not fit into the payload."""
    if stdin.stat().st_size > LARGEST_STDIN:
        raise UsageError(
            f"is larger than {LARGEST_STDIN >> 20} MB",
            where="standard input",
            remedy="copy it: --copy FILE, and let the program open it",
        )


def _is_the_hosts(program: str, root: Root, own_image: Callable[[], Path]) -> bool:
    """Return whether to copy the program from the host: an existing path that the guest's root does not have."""
    if "/" not in program or not Path(program).is_file():
        return False
    # A relative path is one of the host's: in the guest there is no directory yet that it could start from.
    if not program.startswith("/"):
        return True
    # The user has said what the program runs in, so a path is one of that root.
    if root.layers:
        return False
    return not has_file(own_image(), root.place(program))


def _surroundings(kernel: Kernel, root: Root, copies: HostFiles) -> dict[str, str]:
    """Return the files that a program expects and its root may lack, by their paths in the root.

    They are the kernel's configuration and, for the root of a container, the names that docker run gives it.
    """
    texts = {}
    if (config := config_beside(kernel)) is not None:
        texts[root.place(f"boot/config-{kernel.release}")] = config
    if root.whole:
        texts |= {root.place("etc/hostname"): f"{HOSTNAME}\n", root.place("etc/hosts"): HOSTS}
    return {path: text for path, text in texts.items() if path not in copies.files}


def _placed(
    store: Store, copies: HostFiles, root: Root, texts: Mapping[str, str]
) -> tuple[Payload, tuple[str, ...], Root]:
    """Put the copied files into the payload, or into a layer of their own if they exceed LARGEST_COPIES.

    texts: further files of the payload, by their paths in the guest.
    Return the content of the payload, the layers as the plan names them (a label or a directory), and the root.
    """
    extra = Payload(texts={f"{COPIES}/{path}": text for path, text in texts.items()})
    if copies.size > LARGEST_COPIES:
        root = Root((copies_layer(store, copies), *root.layers))
    else:
        extra = replace(
            extra,
            files={f"{COPIES}/{target}": source for target, source in copies.files.items()},
            links={f"{COPIES}/{target}": to for target, to in copies.links.items()},
            modes={f"{COPIES}/{target}": mode for target, mode in copies.modes.items()},
            directories=tuple(f"{COPIES}/{target}" for target in copies.directories),
        )
    names = [f"{{payload}}/{COPIES}"] if extra != Payload() else []
    names += [layer.label for layer in root.layers]
    if not root.whole:
        names.append("/")
    return extra, tuple(names), root
