# SPDX-License-Identifier: MIT
"""A check of one kernel rule: the rule's source, the guest in which it is measured, and how it is judged."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

__all__ = [
    "Batch",
    "Change",
    "Check",
    "Facts",
    "NotMeasured",
    "Result",
    "Source",
    "Status",
    "judge_all",
    "judge_check",
    "judge_negated",
    "parse_release",
]

Batch = Literal["commit", "swap", "oom", "numa", "panic"]
"""The guest that a check is measured in.

commit: charges and refusals; swap: the same with swap on zram; oom: runs out of memory, again and again; numa: has two
nodes; panic: the check ends the kernel, so it gets a guest of its own.
"""

Status = Literal["pass", "fail", "not-applicable", "broken"]
"""broken: the rule could not be measured, or its conditions were not in force. That says nothing about the kernel."""

Release = tuple[int, int]


class NotMeasured(Exception):
    """A fact that a check is judged on is absent."""


@dataclass(frozen=True)
class Source:
    """The source of the rule: a file of the kernel tree, the function, and the commit that introduced the rule.

    File and function are named as in Linux 6.1; other releases may have renamed or moved them.
    """

    file: str
    function: str = ""
    commit: str = ""

    def __str__(self) -> str:
        text = self.file + (f" {self.function}()" if self.function else "")
        return f"{text}, commit {self.commit}" if self.commit else text


@dataclass(frozen=True)
class Change:
    """A commit that changed the rule: the first release that has it, and what held before."""

    since: Release
    commit: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.since[0]}.{self.since[1]} ({self.commit}): {self.after}; before: {self.before}"


@dataclass(frozen=True)
class Facts:
    """What a guest reported for one check: numbers and words by name. Sizes are in kB, errnos are numbers."""

    values: Mapping[str, str]
    release: Release = (0, 0)

    def __getitem__(self, name: str) -> int:
        """Return a number. Raises NotMeasured when it is absent or not a number."""
        try:
            return int(self.text(name))
        except ValueError:
            raise NotMeasured(f"{name}={self.values[name]} is not a number") from None

    def text(self, name: str) -> str:
        """Return a word. Raises NotMeasured when it is absent."""
        try:
            return self.values[name]
        except KeyError:
            raise NotMeasured(f"'{name}' was not measured") from None

    def killed(self) -> set[str]:
        """Return the names of the processes that were killed."""
        text = self.text("killed")
        return set() if text == "nobody" else set(text.split(","))

    def has(self, change: Change) -> bool:
        """Return whether the kernel has a change."""
        return self.release >= change.since


@dataclass(frozen=True)
class Check:
    """One rule.

    given: the conditions that the guest must have read back, or the check is broken.
    judge: what must be true of the facts.
    control: the evidence that the check can also observe the other outcome. It is the name of the check that measures
    the same without the condition; or "~CONDITION" when this check itself is measured once more with that condition
    negated; or "within" when it measures and judges both outcomes.
    counterexamples: facts that a kernel that breaks the rule would report. "+4" is 4 more than the recorded number.
    Each counterexample alone must fail the check.
    changes: the commits that changed the rule.
    """

    name: str
    batch: Batch
    rule: str
    sources: tuple[Source, ...]
    judge: Callable[[Facts], bool]
    control: str
    counterexamples: tuple[Mapping[str, str | int], ...]
    given: Mapping[str, str | int] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()

    @property
    def negated(self) -> str:
        """The condition that is negated in the check's control, or empty when the control is another one."""
        return self.control[1:] if self.control.startswith("~") else ""

    @property
    def control_title(self) -> str:
        """What the control is measured as: CHECK, CHECK~CONDITION, or empty when the check is its own control."""
        if self.control == "within":
            return ""
        return f"{self.name}{self.control}" if self.negated else self.control


@dataclass(frozen=True)
class Result:
    """The outcome of a check on one kernel, with the facts that it was judged on."""

    check: Check
    status: Status
    why: str = ""
    numbers: Mapping[str, str] = field(default_factory=dict)


def parse_release(text: str) -> Release:
    """Return (6, 1) for 6.1.0-50-cloud-amd64; (0, 0) for a text that is not a release."""
    match = re.match(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def judge_check(check: Check, facts: Facts) -> Result:
    """Judge a check by the facts of its guest. judge_all() judges its control."""

    def result(status: Status, why: str = "") -> Result:
        return Result(check, status, why, dict(facts.values))

    absent = facts.values.get("na")
    if absent is not None:
        return result("not-applicable", f"the kernel reports {absent}")
    if "lost" in facts.values:
        return result("broken", f"not measured: {facts.values['lost']}")
    if "broken" in facts.values:
        return result("broken", f"its process reported {facts.values['broken']}")
    try:
        for name, expected in check.given.items():
            if facts.text(name) != str(expected):
                return result("broken", f"a condition is not in force: {name} is {facts.text(name)}, not {expected}")
        held = check.judge(facts)
    except NotMeasured as error:
        # A panic ends a check before it has measured everything. Only the checks of the batch `panic` may end in one.
        if check.batch != "panic" and facts.values.get("panics", "0") != "0":
            return result("fail", f"the kernel panicked: {facts.values.get('panic', 'no reason given')}")
        return result("broken", str(error))
    return result("pass") if held else result("fail", check.rule)


def judge_negated(check: Check, facts: Facts) -> Result:
    """Judge the control of a check by its facts with a condition negated: by the outcome, which must be the other one.

    That the condition is read back as absent is not enough. A panic is the other outcome of no rule that is measured
    this way: it ends the control before the outcome is known, so the control is broken.
    """
    if facts.values.get("panics", "0") != "0":
        why = f"the kernel panicked without the condition: {facts.values.get('panic', 'no reason given')}"
        return Result(check, "broken", why, dict(facts.values))
    return judge_check(replace(check, given={}), facts)


def judge_all(results: Mapping[str, Result]) -> dict[str, Result]:
    """Return the results by title, with the controls taken into account.

    A check that passes while its control does not is broken: nothing shows that it could have failed. A control in
    which a condition of the check is negated has to fail.
    results: title -> result, as judge_check() and judge_negated() return it.
    """
    judged = {}
    for title, result in results.items():
        check = result.check
        control = results.get(check.control_title)
        wanted = "fail" if check.negated else "pass"
        if title == check.name and result.status == "pass" and control is not None and control.status != wanted:
            result = replace(result, status="broken", why=f"its control {check.control_title}: {control.status}")
        judged[title] = result
    return judged
