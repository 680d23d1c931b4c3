# SPDX-License-Identifier: MIT
"""Parse the settings of a run.

Parameters (plain names), sysctls (names with a dot) and the guest's settings (reserved names) share one name space.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from rig.errors import UsageError
from rig.scenario.expressions import AbsentSubject, Undecidable, evaluate
from rig.scenario.parameter import GUEST_SETTINGS, Value
from rig.scenario.suggestion import did_you_mean
from rig.scenario.templates import render
from rig.scenario.views import view
from rig.scenario.vocabulary import PLAIN_FUNCTIONS
from rig.units import format_size, parse_size

if TYPE_CHECKING:
    from rig.scenario.load import Scenario

__all__ = ["SMALLEST_MEMORY", "Settings", "guest_settings", "parse_settings"]

SMALLEST_MEMORY = 96 << 20
"""Measured with Debian's kernel 6.1: a guest of 80M reaches the agent, one of 72M does not. 16M more for others."""
LARGEST_MEMORY = 64 << 30
DEFAULT_MEMORY = 512 << 20
SMALLEST_DISK, LARGEST_DISK = 8 << 20, 64 << 30
"""Bytes; mke2fs makes a journal from 8 MB on."""

SYSCTL = re.compile(r"[a-z0-9_]+(\.[A-Za-z0-9_/:-]+)+")
# The first part of a sysctl's name is a directory of /proc/sys.
SYSCTL_ROOTS = ("abi", "debug", "dev", "fs", "kernel", "net", "user", "vm")


@dataclass(frozen=True)
class Settings:
    """All settings of a run. Sizes are in bytes, durations in seconds.

    sysctls: those of the scenario, overridden by those of the command line; values are text.
    kernel, image: as the user wrote them; None for the default.
    given: the settings that the user named, as text; None if they were not recorded.
    """

    parameters: Mapping[str, Value]
    sysctls: Mapping[str, str]
    memory: int
    cpus: int
    swap: int
    zram: int
    disk: int = 0
    prealloc: bool = False
    kernel: str | None = None
    image: str | None = None
    clock: Literal["warp", "live"] = "warp"
    accel: Literal["auto", "kvm", "tcg"] = "auto"
    to_the_end: bool = False
    given: Mapping[str, str] | None = None

    def context(self) -> dict[str, Any]:
        """Return the variables of templates: each parameter by its name, `params`, `guest`, `sysctls` (those that
        the run sets, as texts) and `to_the_end`.
        """
        return {
            **self.parameters,
            "params": dict(self.parameters),
            "sysctls": dict(self.sysctls),
            "guest": {**self.guest(), "clock": self.clock},
            "to_the_end": self.to_the_end,
        }

    def guest(self) -> dict[str, int]:
        return {"memory": self.memory, "cpus": self.cpus, "swap": self.swap, "zram": self.zram, "disk": self.disk}

    def names(self) -> dict[str, Any]:
        """Return the names that expressions may use before the run: `params`, `guest` and `to_the_end`."""
        return {
            "params": view(dict(self.parameters), "params"),
            "guest": view({**self.guest(), "clock": self.clock}, "guest"),
            "to_the_end": self.to_the_end,
        }


def _fills_the_guest(scenario: Scenario, settings: Settings) -> bool:
    """Return whether the sizes among the parameters add up to half of the guest's memory, or there are none.

    QEMU preallocates all of the memory: for a guest of 8 GB that takes 4 to 8 s, whatever is filled.
    """
    sizes = [name for name, parameter in scenario.file.parameters.items() if parameter.type == "size"]
    return not sizes or 2 * sum(int(settings.parameters[name]) for name in sizes) >= settings.memory


def parse_settings(scenario: Scenario, sets: Sequence[str] = (), *, to_the_end: bool = False) -> Settings:
    """Return the settings of a run of `scenario`.

    sets: `NAME=VALUE` texts, of which later ones override earlier ones; `--memory 384M` is `memory=384M` here.
    Raises UsageError, with the setting and the remedy, for an unknown name, for a value that does not parse or is out
    of bounds, and for settings that the scenario's checks refuse.
    """
    file = scenario.file
    settings = Settings(
        parameters={name: parameter.parse(parameter.default) for name, parameter in file.parameters.items()},
        sysctls={name: str(value) for name, value in file.sysctls.items()},
        memory=file.guest.memory,
        cpus=file.guest.cpus,
        swap=file.guest.swap,
        zram=file.guest.zram,
        disk=file.guest.disk,
        prealloc=file.guest.prealloc,
        to_the_end=to_the_end,
    )
    given: dict[str, str] = {}
    for text in sets:
        name, value = _split(text)
        given[name] = value
        settings = _set(scenario, settings, name, value)
    settings = replace(settings, given=given, prealloc=settings.prealloc and _fills_the_guest(scenario, settings))
    _check_guest(settings)
    _run_checks(scenario, settings)
    return settings


def guest_settings(sets: Sequence[str] = ()) -> Settings:
    """Return the settings of a guest without a scenario. Raises UsageError for any other setting."""
    settings = Settings({}, {}, memory=DEFAULT_MEMORY, cpus=1, swap=0, zram=0)
    for text in sets:
        name, value = _split(text)
        if name not in GUEST_SETTINGS:
            raise UsageError(f"'{name}' is not a setting of a guest", remedy=did_you_mean(name, GUEST_SETTINGS))
        settings = _set_guest(settings, name, value)
    _check_guest(settings)
    return settings


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or not name:
        raise UsageError(f"'{text}' is not a setting", where="--set", remedy="write NAME=VALUE, as in every=5s")
    return name, value.strip()


def _set(scenario: Scenario, settings: Settings, name: str, text: str) -> Settings:
    if name in GUEST_SETTINGS:
        return _set_guest(settings, name, text)
    if "." in name:
        return replace(settings, sysctls={**settings.sysctls, name: _sysctl(name, text)})
    if name not in scenario.parameters:
        if not scenario.parameters:
            raise UsageError(f"'{name}' is not a setting of a guest", remedy=did_you_mean(name, GUEST_SETTINGS))
        known = [*scenario.parameters, *GUEST_SETTINGS]
        raise UsageError(
            f"'{scenario.name}' has no parameter '{name}'",
            where=f"--set {name}={text}",
            remedy=did_you_mean(name, known),
        )
    try:
        value = scenario.parameters[name].parse(text)
    except ValueError as error:
        raise UsageError(
            str(error),
            where=f"--set {name}={text}",
            remedy=f"'rig show {scenario.name}' lists the parameters",
        ) from None
    return replace(settings, parameters={**settings.parameters, name: value})


def _sysctl(name: str, text: str) -> str:
    if not SYSCTL.fullmatch(name) or ".." in name:
        raise UsageError(f"'{name}' is not the name of a sysctl", remedy="write it as in vm.panic_on_oom=1")
    # The names below these directories differ by kernel and configuration: the guest's kernel checks them.
    root = name.split(".", 1)[0]
    if root not in SYSCTL_ROOTS:
        raise UsageError(
            f"there is no sysctl '{name}': /proc/sys has no directory '{root}'",
            remedy=did_you_mean(root, SYSCTL_ROOTS),
        )
    # A plan has one step a line, and the agent reads it as C strings.
    if not text or any(character in text for character in "\n\0"):
        raise UsageError(f"the sysctl '{name}' needs a value on one line", remedy=f"write {name}=VALUE")
    return text


def _set_guest(settings: Settings, name: str, text: str) -> Settings:
    where = f"--set {name}={text}"
    if name in ("memory", "swap", "zram", "disk"):
        try:
            return replace(settings, **{name: parse_size(text)})  # type: ignore[arg-type] # the name is one of four
        except ValueError as error:
            raise UsageError(str(error), where=where, remedy="write a size") from None
    if name == "cpus":
        if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 64:
            raise UsageError(f"'{text}' is not a number of CPUs", where=where, remedy="write 1 to 64")
        return replace(settings, cpus=int(text))
    if name == "clock":
        _one_of(text, ("warp", "live"), where)
        return replace(settings, clock=cast('Literal["warp", "live"]', text))
    if name == "accel":
        _one_of(text, ("auto", "kvm", "tcg"), where)
        return replace(settings, accel=cast('Literal["auto", "kvm", "tcg"]', text))
    if not text:
        raise UsageError(f"'{name}' needs a value", where=where, remedy="leave it out for the default")
    return replace(settings, kernel=text) if name == "kernel" else replace(settings, image=text)


def _one_of(text: str, choices: tuple[str, ...], where: str) -> None:
    if text not in choices:
        raise UsageError(
            f"'{text}' is not one of {', '.join(choices)}", where=where, remedy=did_you_mean(text, choices)
        )


def _size(size: int) -> str:
    return f"{size} bytes" if size < 1 << 10 else format_size(size)


def _meant(memory: int) -> str:
    """Return the remedy for memory that is out of bounds: a plain `512` most likely means 512M."""
    if SMALLEST_MEMORY <= memory << 20 <= LARGEST_MEMORY:
        return f"did you mean {memory}M?"
    return "write it as in 384M"


def _check_guest(settings: Settings) -> None:
    if not SMALLEST_MEMORY <= settings.memory <= LARGEST_MEMORY:
        raise UsageError(
            f"{_size(settings.memory)} is not a guest's memory, which is {format_size(SMALLEST_MEMORY)} to "
            f"{format_size(LARGEST_MEMORY)}",
            where="memory",
            remedy=_meant(settings.memory),
        )
    if settings.memory % (1 << 20):
        raise UsageError(
            f"{settings.memory} bytes of memory are not whole megabytes",
            where="memory",
            remedy="write it as in 384M",
        )
    if settings.disk and not SMALLEST_DISK <= settings.disk <= LARGEST_DISK:
        raise UsageError(
            f"{_size(settings.disk)} is not the size of a disk, which is {format_size(SMALLEST_DISK)} to "
            f"{format_size(LARGEST_DISK)}",
            where="disk",
            remedy="write it as in 1G",
        )
    if settings.clock == "warp" and settings.cpus > 1:
        raise UsageError(
            "the warp clock has one CPU: QEMU never starts a second one while it counts instructions",
            where="cpus",
            remedy="leave cpus out, or use --clock live",
        )
    if settings.clock == "warp" and settings.accel == "kvm":
        raise UsageError(
            "the warp clock needs TCG: KVM runs on the host's time",
            where="accel",
            remedy="leave --accel out, or use --clock live",
        )


def _run_checks(scenario: Scenario, settings: Settings) -> None:
    for index, (check, expression) in enumerate(zip(scenario.file.checks, scenario.checks, strict=True)):
        where = f"{scenario.path}: checks[{index}]"
        try:
            holds = evaluate(expression, settings.names(), PLAIN_FUNCTIONS)
        except (Undecidable, AbsentSubject) as error:
            raise UsageError(
                f"the check cannot be evaluated: {error}",
                where=where,
                remedy="correct it",
                detail=expression.text,
            ) from None
        if not holds:
            raise UsageError(
                render(check.message, settings.context(), where=where),
                where=scenario.name,
                remedy=f"'rig show {scenario.name}' lists the parameters",
            )
