# SPDX-License-Identifier: MIT
"""The options that several commands share, and the groups of them that commands take as one value."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from rig.deadline_scale import LARGEST_FACTOR, SCALE_VARIABLE, SMALLEST_FACTOR, set_deadline_scale
from rig.errors import UsageError
from rig.machine.spec import VIRTIO_CONSOLE
from rig.run.verdict import VERDICTS
from rig.units import parse_duration

__all__ = [
    "AsJson", "At", "ChosenRun", "ChosenScenario", "Fast", "GuestOptions", "Jobs", "Junit", "Ktap", "OtherRun",
    "PointOptions", "Quiet", "TimeoutScale", "VirtioConsole", "appended", "asked_for", "check_verdict",
    "flatten_options", "named_settings", "parse_budget", "parse_option",
]  # fmt: skip


def _scale_deadlines(factor: float) -> float:
    set_deadline_scale(factor)
    return factor


ChosenRun = Annotated[str, typer.Argument(metavar="RUN", help="A run: path, id, unique prefix, or last.")]
OtherRun = Annotated[str, typer.Argument(metavar="RUN", help="The other run.")]
ChosenScenario = Annotated[str, typer.Argument(metavar="SCENARIO", help="A name (see `rig list`) or a directory.")]
Fast = Annotated[
    bool, typer.Option("--fast", help="Short for --set thp=always: huge pages fill the scenario's memory faster.")
]
Maps = Annotated[
    bool, typer.Option("--maps", help="Short for --set maps=all: page maps also between the fork and the OOM.")
]
VirtioConsole = Annotated[
    bool,
    typer.Option(
        "--virtio-console",
        help="Print on a virtio console: a noisy guest is twice as fast, and the run is not recorded.",
    ),
]
At = Annotated[
    str | None,
    typer.Option(metavar="POINT", help="oom, panic, fork, start, mark:NAME or t=TIME; default: oom, else panic."),
]
Jobs = Annotated[int | None, typer.Option(min=1, metavar="N", help="Guests at once.")]
TimeoutScale = Annotated[
    float,
    typer.Option(
        min=SMALLEST_FACTOR, max=LARGEST_FACTOR, metavar="FACTOR", help="Multiplies every deadline, for slow machines.",
        envvar=SCALE_VARIABLE, show_envvar=False, callback=_scale_deadlines,
    ),
]  # fmt: skip
Junit = Annotated[str | None, typer.Option(metavar="FILE", help="Write JUnit XML; - is standard output.")]
Ktap = Annotated[str | None, typer.Option(metavar="FILE", help="Write KTAP; - is standard output.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the result.")]


@dataclass(frozen=True)
class GuestOptions:
    """What the guest is and what is set in it: `--set` and its short forms."""

    sets: Annotated[
        list[str],
        typer.Option("--set", metavar="NAME=VALUE", help="A parameter, a sysctl (with a dot), memory, cpus, swap, …"),
    ] = field(default_factory=list)
    sysctl: Annotated[list[str], typer.Option(metavar="NAME=VALUE", help="Short for --set with a sysctl.")] = field(
        default_factory=list
    )
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="The guest's memory, as in 384M.")] = None
    cpus: Annotated[str | None, typer.Option(metavar="N", help="The guest's CPUs.")] = None
    swap: Annotated[str | None, typer.Option(metavar="SIZE", help="Swap on a second disk, as in 256M.")] = None
    kernel: Annotated[
        str | None,
        typer.Option(
            metavar="KERNEL",
            help="debian:SUITE, source:SUITE, buildroot:VERSION, tree:DIR, or the path of a bzImage or vmlinux.",
        ),
    ] = None
    image: Annotated[str | None, typer.Option(metavar="IMAGE", help="quick, buildroot, or a path.")] = None
    clock: Annotated[
        str | None,
        typer.Option(metavar="CLOCK", help="warp: guest time jumps over idle time; live: guest time is the host's."),
    ] = None
    accel: Annotated[str | None, typer.Option(metavar="ACCEL", help="auto, kvm or tcg.")] = None

    def settings(self) -> tuple[str, ...]:
        """Return all of them as NAME=VALUE, the short forms last. Raises UsageError for a --sysctl without a dot."""
        for text in self.sysctl:
            if "." not in text.partition("=")[0]:
                raise UsageError(
                    f"'{text}' is not the name of a sysctl", where="--sysctl", remedy="write it as in vm.panic_on_oom=1"
                )
        short = ("memory", "cpus", "swap", "kernel", "image", "clock", "accel")
        named = ((name, getattr(self, name)) for name in short)
        return (*self.sets, *self.sysctl, *(f"{name}={value}" for name, value in named if value is not None))


@dataclass(frozen=True)
class PointOptions:
    """What all points of a sweep or of a threshold search share."""

    sets: Annotated[list[str], typer.Option("--set", metavar="NAME=VALUE", help="A setting that all points share.")] = (
        field(default_factory=list)
    )
    jobs: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Guests at once; default: one per CPU, as far as memory allows."),
    ] = None
    fast: Fast = False
    maps: Maps = False
    timeout_scale: TimeoutScale = 1.0

    def fixed(self, scenario: str) -> tuple[tuple[str, str], ...]:
        """Return the shared settings as (name, value). Raises UsageError where --fast or --maps do not fit it."""
        sets = (*named_settings(scenario, fast=self.fast, maps=self.maps), *self.sets)
        return tuple((name, value) for name, _, value in (text.partition("=") for text in sets))


def appended(append: list[str], *, virtio_console: bool) -> tuple[str, ...]:
    """Return the words that --append and --virtio-console add to the kernel's command line."""
    return (*(word for text in append for word in text.split()), *([VIRTIO_CONSOLE] if virtio_console else []))


def asked_for(*, fast: bool, maps: bool) -> list[tuple[str, str, str]]:
    """Return (option, parameter, value) of the options given that stand for a parameter of the scenario."""
    return [("--fast", "thp", "always")] * fast + [("--maps", "maps", "all")] * maps


def named_settings(scenario: str, *, fast: bool, maps: bool) -> tuple[str, ...]:
    """Return the settings that --fast and --maps stand for. Raises UsageError for a scenario without the parameter."""
    wanted = asked_for(fast=fast, maps=maps)
    if not wanted:
        return ()
    from rig.scenario.load import load_scenario

    parameters = load_scenario(scenario).parameters
    for option, name, _ in wanted:
        if name not in parameters:
            raise UsageError(f"'{scenario}' has no parameter '{name}'", where=option, remedy="leave it out")
    return tuple(f"{name}={value}" for _, name, value in wanted)


def check_verdict(verdict: str | None, option: str) -> None:
    """Raise UsageError where an option names a verdict that there is not."""
    if verdict is not None and verdict not in VERDICTS:
        raise UsageError(f"'{verdict}' is not a verdict", where=option, remedy=f"one of {', '.join(VERDICTS)}")


def parse_budget(text: str) -> float:
    """Return the seconds of `--budget`. Raises UsageError for a text that is not a duration of 1s to 24h."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(str(error), where="--budget", remedy="write it as in 60s") from None
    if not 1 <= seconds <= 86400:
        raise UsageError(f"'{text}' is not a budget", where="--budget", remedy="write 1s to 24h")
    return seconds


Result = TypeVar("Result")


def parse_option(parse: Callable[[str], Result], text: str, option: str) -> Result:
    """Return an option's value, parsed. Raises UsageError, naming the option, where `parse` raises ValueError."""
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(str(error), where=option) from None


def flatten_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Let Typer see the fields of those parameters of `command` that are dataclasses as options of their own.

    Typer makes an option of each parameter. A command with thirty of them would pass thirty values on.
    """
    parameters: list[inspect.Parameter] = []
    groups: dict[str, tuple[Any, list[str]]] = {}
    hints = get_type_hints(command, include_extras=True)
    for parameter in inspect.signature(command).parameters.values():
        hint = hints[parameter.name]
        if not is_dataclass(hint):
            parameters.append(parameter.replace(annotation=hint, kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        of_group = get_type_hints(hint, include_extras=True)
        groups[parameter.name] = hint, [each.name for each in fields(hint)]
        for each in fields(hint):
            default = each.default if each.default_factory is MISSING else each.default_factory()
            if default is MISSING:
                default = inspect.Parameter.empty
            parameters.append(
                inspect.Parameter(
                    each.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=of_group[each.name]
                )
            )

    @wraps(command)
    def flattened(**values: Any) -> Result:
        grouped = {name: group(**{each: values.pop(each) for each in names}) for name, (group, names) in groups.items()}
        return command(**values, **grouped)

    flattened.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # read by inspect.signature()
    flattened.__annotations__ = {}
    return flattened
