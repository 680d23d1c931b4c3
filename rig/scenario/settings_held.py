# SPDX-License-Identifier: MIT
"""Judge whether the sysctls that the plan set were still in force at the end: a program can have changed them.

The agent reads them again before it ends the plan. A kernel that panics leaves it no time for that: the kernel's own
words tell some of them then, and the agent's last samples the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rig.run.document import Claimed, ClaimVerdict, Shown
from rig.scenario.evidence import Evidence

__all__ = ["SETTINGS", "settings_held"]

SETTINGS = "settings-held"
TEXT = "the sysctls that were set were in force to the end"
TEXT_OF_PANIC = "the sysctls that were set were in force when they were last seen, before the panic"


@dataclass(frozen=True)
class Seen:
    """The last known value of a sysctl, or None where it cannot be read.

    when: the source and its time in words, for the reason.
    since: whether the value was read after it had been set, and not only by the step that set it.
    """

    value: str | None
    when: str
    since: bool = True


def settings_held(evidence: Evidence) -> Claimed | None:
    """Return the judged condition, or None for a run whose plan set no sysctl or whose agent sent no end of it."""
    asked = {str(record.get("name")): str(record.get("asked")) for record in evidence.records.of("sysctl")}
    at_end = evidence.records.of("sysctl_at_end")
    if at_end:
        asked = {str(record.get("name")): str(record.get("asked")) for record in at_end}
        seen = {str(record.get("name")): Seen(_text(record.get("got")), "at the end") for record in at_end}
        return _judged(TEXT, asked, seen)
    if not asked or evidence.end() is not None or not evidence.panics():
        return None
    return _judged(TEXT_OF_PANIC, asked, {name: _last(evidence, name) for name in asked})


def _judged(text: str, asked: Mapping[str, str], seen: Mapping[str, Seen]) -> Claimed:
    verdict: ClaimVerdict = "held"
    changed, unknown, values = [], [], []
    for name, wanted in asked.items():
        last = seen[name]
        values.append(Shown(name=name, value=last.value, shown=f"{last.value} ({last.when})"))
        # The kernel prints vectors such as kernel.printk with TABs, whatever blanks they were written with.
        if last.value is not None and last.value.split() != wanted.split():
            changed.append(f"{name} was set to {wanted}, and was {last.value} {last.when}")
        elif not last.since:
            unknown.append(f"{name} was last read {last.when}: nothing tells what it was later")
    if changed:
        verdict = "failed"
    elif unknown:
        verdict = "not-applicable"
    return Claimed(
        id=SETTINGS,
        text=text,
        kind="condition",
        verdict=verdict,
        values=tuple(values),
        reason="; ".join(changed or unknown),
    )


def _last(evidence: Evidence, name: str) -> Seen:
    """Return what is known last of a sysctl in a run that ended in a panic."""
    told = _printed(evidence, name)
    if told is not None:
        return told
    last = Seen(None, "never", since=False)
    for record in evidence.records.items:
        when = f"at {float(record['t']):.1f} s"
        values = record.get("sysctls")
        if record["ev"] == "sysctl" and record.get("name") == name:
            last = Seen(_text(record.get("got")), f"{when}, when it was set", since=record.get("got") is None)
        elif record["ev"] == "sample" and isinstance(values, dict) and name in values:
            last = Seen(_text(values[name]), f"{when}, in a sample")
        elif record["ev"] == "read" and record.get("path") == f"/proc/sys/{name.replace('.', '/')}":
            last = Seen(str(record.get("text", "")).strip(), f"{when}, in a file that the plan read")
    return last


def _printed(evidence: Evidence, name: str) -> Seen | None:
    """Return the value that the kernel's own words tell, or None."""
    return next((Seen(value, when) for told, value, when in _words(evidence) if told == name), None)


def _words(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    """Yield (sysctl, value, when) of what the log tells."""
    for panic in evidence.panics():
        # check_panic_on_oom(), mm/oom_kill.c.
        for word, value in (("compulsory panic_on_oom", "2"), ("system-wide panic_on_oom", "1")):
            if word in panic.reason:
                yield "vm.panic_on_oom", value, f"by the words of the panic, '{panic.reason}'"


def _text(value: object) -> str | None:
    return None if value is None else str(value)
