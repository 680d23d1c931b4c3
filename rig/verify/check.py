# SPDX-License-Identifier: MIT
"""A check of one of the kernel's rules: where the rule stands, in which guest it is measured, and how it is judged."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Batch", "Check", "NotMeasured", "Result", "Saw", "Source", "Status", "judged", "release_of"]

Batch = Literal["commit", "swap", "oom", "numa", "panic"]
"""commit: charges and refusals; swap: the same with swap; oom: out of memory, again and again; numa: with two nodes;
panic: a guest for each check, which does not outlive it."""

Status = Literal["pass", "fail", "not-applicable", "broken"]
"""broken: it could not be measured; that says nothing about the kernel."""


class NotMeasured(Exception):
    """A number that a check is judged on is not there."""


@dataclass(frozen=True)
class Source:
    """Where the rule stands: a document or file of the kernel's tree, the function, and the commit that made it so."""

    file: str
    function: str = ""
    commit: str = ""

    def __str__(self) -> str:
        text = self.file + (f" {self.function}()" if self.function else "")
        return f"{text}, commit {self.commit}" if self.commit else text


@dataclass(frozen=True)
class Saw:
    """What a guest showed for one check: numbers and words by name. Sizes are in kB, errnos are numbers."""

    facts: Mapping[str, str]
    release: tuple[int, int] = (0, 0)
    """The kernel's version, for rules that a commit has changed."""

    def __getitem__(self, name: str) -> int:
        """Return a number. Raises NotMeasured when it is not there or is none."""
        try:
            return int(self.facts[name])
        except KeyError:
            raise NotMeasured(f"'{name}' was not measured") from None
        except ValueError:
            raise NotMeasured(f"{name}={self.facts[name]} is not a number") from None

    def text(self, name: str) -> str:
        """Return a word. Raises NotMeasured when it is not there."""
        try:
            return self.facts[name]
        except KeyError:
            raise NotMeasured(f"'{name}' was not measured") from None

    def killed(self) -> set[str]:
        """Return the names of the processes that were killed."""
        text = self.text("killed")
        return set() if text == "nobody" else set(text.split(","))


@dataclass(frozen=True)
class Check:
    """One rule. judge: what must be true of what was seen."""

    name: str
    batch: Batch
    rule: str
    sources: tuple[Source, ...]
    judge: Callable[[Saw], bool]

    @property
    def sentence(self) -> str:
        """The rule on one line."""
        return " ".join(self.rule.split())


@dataclass(frozen=True)
class Result:
    """What became of a check on one kernel, with the numbers that it was judged on."""

    check: Check
    status: Status
    why: str = ""
    numbers: Mapping[str, str] = field(default_factory=dict)


def release_of(text: str) -> tuple[int, int]:
    """Return (6, 1) for 6.1.0-50-cloud-amd64; (0, 0) for what is no release."""
    match = re.match(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def judged(check: Check, saw: Saw) -> Result:
    """Return what a check makes of what was seen."""
    missing = saw.facts.get("na")
    if missing is not None:
        return Result(check, "not-applicable", f"the kernel says {missing}", dict(saw.facts))
    if "broken" in saw.facts:
        return Result(check, "broken", f"its process ended with status {saw.facts['broken']}", dict(saw.facts))
    try:
        held = check.judge(saw)
    except NotMeasured as error:
        return Result(check, "broken", str(error), dict(saw.facts))
    return Result(check, "pass" if held else "fail", "" if held else check.sentence, dict(saw.facts))
