# SPDX-License-Identifier: MIT
"""Define the schema of scenario.toml as pydantic models that refuse unknown keys."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rig.scenario.parameter import RESERVED, Parameter, Raw
from rig.scenario.verbs import check_step
from rig.units import parse_size

__all__ = ["Check", "Claim", "GuestNeeds", "Measure", "Plan", "Program", "ScenarioFile", "Step"]

NAME = re.compile(r"[a-z][a-z0-9_-]*")
LIBRARY = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9_+.-]*")
PARAMETER_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


def _bytes(value: Any) -> Any:
    return parse_size(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else value


def _name(value: str) -> str:
    # pydantic's `pattern` searches the text, so it would accept a name that merely contains a valid one.
    if not NAME.fullmatch(value):
        raise ValueError(
            f"'{value}' is not a valid name: a lower-case letter, then lower-case letters, digits, - and _"
        )
    return value


def _library(value: str) -> str:
    if not LIBRARY.fullmatch(value):
        raise ValueError(f"'{value}' is not a library's name: write it as after -l, as in pthread")
    return value


Size = Annotated[int, BeforeValidator(_bytes)]
Name = Annotated[str, AfterValidator(_name)]


class GuestNeeds(Strict):
    """`[guest]`: the machine that the scenario is written for. Sizes are kept in bytes."""

    memory: Size = 512 << 20
    cpus: Annotated[int, Field(ge=1, le=64)] = 1
    swap: Size = 0
    disk: Size = 0
    zram: Size = 0
    prealloc: bool = False
    """Whether QEMU preallocates the guest's memory.

    It is faster than faulting pages in one by one for a scenario that fills memory, and a waste for others. Where the
    parameters of type size add up to less than half of the guest's memory, it is not done.
    """


class Program(Strict):
    """`[[programs]]`: a program of guest/programs or guest/python by its name, or a file beside scenario.toml.

    source: a template over the parameters, so that a parameter can choose the language. It renders to one of
      - a C or Python file: `.c`, `.py`, or no suffix for a C file,
      - an executable or a script (`./server`), which gets a root of its own with its libraries,
      - a Debian package (`deb:PACKAGE`, `deb:PACKAGE:PROGRAM`),
      - a program of an image (`root:IMAGE:/usr/bin/server`, see `rig image import`).
    libs: libraries that a C program is linked with (`m`, `pthread`).
    files: further C files of the program.
    """

    name: Name
    source: str
    libs: tuple[Annotated[str, AfterValidator(_library)], ...] = ()
    files: tuple[str, ...] = ()
    may_fail: bool | tuple[str, ...] = False
    """Whether the program and its children may fail (exit status other than 0, or a signal) although no step waits for
    that; or the comms of the children that may, as patterns of the shell: `["worker*"]`.
    """


class Step(Strict):
    """One step of the plan: the verb and its keys, each value a template over the parameters."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    do: str
    when: str | None = None
    id: str | None = None
    """The name by which claims refer to this step."""
    repeat: str | int | None = None
    """Number of repetitions, a template; in the step's other templates `item` counts them from 1."""

    @property
    def keys(self) -> dict[str, Raw | list[Raw]]:
        """The protocol's keys of this step, in the order written."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _speaks_the_protocol(self) -> Self:
        check_step(self.do, self.keys)
        return self


class Plan(Strict):
    """`[plan]`: the steps, in order."""

    steps: Annotated[tuple[Step, ...], Field(min_length=1)]


class Check(Strict):
    """`[[checks]]`: a condition on the settings, checked before a guest starts.

    message: a template, shown when `expr` is false.
    """

    expr: str
    message: str


class Measure(Strict):
    """A named value of a claim: an expression and the unit it is shown in."""

    expr: str
    unit: Literal["", "bytes", "kB", "pages", "seconds", "percent"] = ""


def _measure(value: Any) -> Any:
    return {"expr": value} if isinstance(value, str) else value


class Claim(Strict):
    """`[[claims]]`: what must be true of the run.

    kind: `claim`, whose failure makes the run not-reproduced, or `condition`, a precondition of the experiment, whose
      failure makes the run invalid.
    when: an expression; the claim applies only if it is true.
    values: named expressions, evaluated in order and shown with the claim. Later values and `expr` may use them.
    needs: claims above this one; if one of them fails, this one is not judged.
    ends_the_plan: whether the failure of this claim explains a plan that stopped early, so that the run stays valid.
    """

    id: Name
    text: str
    expr: str
    when: str | None = None
    kind: Literal["claim", "condition"] = "claim"
    needs: tuple[str, ...] = ()
    ends_the_plan: bool = False
    values: dict[str, Annotated[Measure, BeforeValidator(_measure)]] = Field(default_factory=dict)


class ScenarioFile(Strict):
    """The content of scenario.toml."""

    title: str
    summary: str
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    # A default instance would build pydantic's validator at import, 30 ms that rig exec never needs.
    guest: GuestNeeds = Field(default_factory=GuestNeeds)
    sysctls: dict[str, str | int] = Field(default_factory=dict)
    programs: tuple[Program, ...] = ()
    checks: tuple[Check, ...] = ()
    plan: Plan
    claims: Annotated[tuple[Claim, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        for name in self.parameters:
            if name in RESERVED:
                raise ValueError(f"parameters.{name}: '{name}' is reserved: give the parameter another name")
            if not PARAMETER_NAME.fullmatch(name):
                raise ValueError(f"parameters.{name}: a parameter's name is lower-case letters, digits and _")
        for kind, names in (
            ("program", [program.name for program in self.programs]),
            ("claim", [claim.id for claim in self.claims]),
        ):
            for name, count in Counter(names).items():
                if count > 1:
                    raise ValueError(f"two {kind}s are called '{name}': give one another name")
        earlier: set[str] = set()
        for claim in self.claims:
            for need in claim.needs:
                if need not in earlier:
                    raise ValueError(f"claims: '{claim.id}' needs '{need}', which is not a claim above it")
            earlier.add(claim.id)
        for name in self.sysctls:
            if "." not in name:
                raise ValueError(f'sysctls.{name}: a sysctl\'s name is dotted: quote it, as in "vm.swappiness"')
        return self
