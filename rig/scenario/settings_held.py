# SPDX-License-Identifier: MIT
"""Judge whether the sysctls that the plan set were in force to the end: a program can have changed them.

The agent reads them again before it ends the plan. A kernel that panics leaves it no time for that: the words of the
panic tell vm.panic_on_oom then, and the agent's last samples the others. A program can also set one back before the
end, so what samples and the plan's reads tell of the time between counts as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rig.run.document import Claimed, ClaimVerdict, Shown
from rig.run.records import Record
from rig.scenario.evidence import Evidence

__all__ = ["SETTINGS", "settings_held"]

SETTINGS = "settings-held"
TEXT = "the sysctls that were set were in force to the end"
TEXT_OF_PANIC = "the sysctls that were set were in force when they were last seen, before the panic"


@dataclass(frozen=True)
class Seen:
    """The last known value of a sysctl, or None where it cannot be read.

    when: the source and its time in words, for the reason.
    since: whether the value was read after it had been set, and not only by the step that set it. It is true as well
        for a sysctl that can never be read, of which nothing is expected.
    unread: whether it could be read when it was set, and not at the end.
    """

    value: str | None
    when: str
    since: bool = True
    unread: bool = False


def settings_held(evidence: Evidence) -> Claimed | None:
    """Return the judged condition.

    None where the plan set no sysctl, or where the agent did not read them at the end and no panic explains that.
    """
    asked = {str(record.get("name")): str(record.get("asked")) for record in evidence.records.of("sysctl")}
    at_end = evidence.records.of("sysctl_at_end")
    if at_end:
        asked = {str(record.get("name")): str(record.get("asked")) for record in at_end}
        return _judged(TEXT, asked, _at_end(evidence), _between(evidence))
    if not asked or evidence.end() is not None or not evidence.panics():
        return None
    return _judged(TEXT_OF_PANIC, asked, {name: _last(evidence, name) for name in asked}, _between(evidence))


def _judged(text: str, asked: Mapping[str, str], seen: Mapping[str, Seen], between: Mapping[str, str]) -> Claimed:
    """Return the condition.

    between: by name, how a sysctl differed from what had been asked before it was last seen.
    """
    verdict: ClaimVerdict = "held"
    changed, unread, unknown, values = [], [], [], []
    for name, wanted in asked.items():
        last = seen[name]
        values.append(Shown(name=name, value=last.value, shown=f"{last.value} ({last.when})"))
        if last.value is not None and not _same(last.value, wanted):
            changed.append(f"{name} was set to {wanted}, and was {last.value} {last.when}")
        elif name in between:
            changed.append(between[name])
        elif last.unread:
            unread.append(f"{name} could not be read {last.when}")
        elif not last.since:
            unknown.append(f"{name} was last read {last.when}: nothing tells what it was later")
    if changed:
        verdict = "failed"
    elif unread:
        verdict = "invalid"
    elif unknown:
        verdict = "not-applicable"
    return Claimed(
        id=SETTINGS,
        text=text,
        kind="condition",
        verdict=verdict,
        values=tuple(values),
        reason="; ".join(changed or unread or unknown),
    )


def _at_end(evidence: Evidence) -> dict[str, Seen]:
    """Return what the agent read before it ended the plan. Some sysctls can never be read, as vm.drop_caches."""
    never = {record.get("name") for record in evidence.records.of("sysctl") if record.get("got") is None}
    return {
        str(record.get("name")): Seen(
            _text(record.get("got")), "at the end", unread=record.get("got") is None and record.get("name") not in never
        )
        for record in evidence.records.of("sysctl_at_end")
    }


def _between(evidence: Evidence) -> dict[str, str]:
    """Return, by name, how a sysctl first differed from what the plan had asked until then.

    A value that could not be read tells nothing: open(2) allocates memory, of which there may be none left.
    """
    asked: dict[str, str] = {}
    found: dict[str, str] = {}
    for record in evidence.records.items:
        if record["ev"] == "sysctl":
            asked[str(record.get("name"))] = str(record.get("asked"))
        elif record["ev"] == "write":
            # The plan itself may write to the file.
            asked.update({name: str(record.get("asked")) for name in asked if record.get("path") == _path(name)})
        for name, seen in _seen_in(record, asked):
            if seen.value is not None and not _same(seen.value, asked[name]):
                found.setdefault(name, f"{name} was set to {asked[name]}, and was {seen.value} {seen.when}")
    return found


def _last(evidence: Evidence, name: str) -> Seen:
    """Return what is known last of a sysctl in a run that ended in a panic."""
    told = _printed(evidence, name)
    if told is not None:
        return told
    last = Seen(None, "never", since=False)
    for record in evidence.records.items:
        if record["ev"] == "sysctl" and record.get("name") == name:
            since = record.get("got") is None
            last = Seen(_text(record.get("got")), f"{_time(record)}, when it was set", since=since)
        last = next((seen for _, seen in _seen_in(record, (name,))), last)
    return last


def _seen_in(record: Record, names: Iterable[str]) -> Iterator[tuple[str, Seen]]:
    """Yield what a sample, or a file that the plan read, tells of these sysctls."""
    values = record.get("sysctls")
    for name in names:
        if record["ev"] == "sample" and isinstance(values, dict) and name in values:
            yield name, Seen(_text(values[name]), f"{_time(record)}, in a sample")
        elif record["ev"] == "read" and record.get("path") == _path(name):
            yield name, Seen(str(record.get("text", "")).strip(), f"{_time(record)}, in a file that the plan read")


def _path(name: str) -> str:
    return f"/proc/sys/{name.replace('.', '/')}"


def _time(record: Record) -> str:
    return f"at {float(record['t']):.1f} s"


def _same(value: str, wanted: str) -> bool:
    # The kernel prints vectors such as kernel.printk with TABs, whatever blanks they were written with.
    return value.split() == wanted.split()


def _printed(evidence: Evidence, name: str) -> Seen | None:
    """Return the value that the words of a panic tell, which they do of vm.panic_on_oom alone, or None."""
    if name != "vm.panic_on_oom":
        return None
    for panic in evidence.panics():
        # check_panic_on_oom(), mm/oom_kill.c.
        for word, value in (("compulsory panic_on_oom", "2"), ("system-wide panic_on_oom", "1")):
            if word in panic.reason:
                return Seen(value, f"by the words of the panic, '{panic.reason}'")
    return None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
