# SPDX-License-Identifier: MIT
"""Judge whether what the plan set was in force to the end: a program can have changed it.

The plan sets sysctls, and files below /proc and /sys (steps `write` and `cgroup`). The agent reads them again before it
ends the plan. A kernel that panics leaves it no time for that: the words of the panic tell vm.panic_on_oom then, and
the agent's last samples tell the others. A program can also set one back before the end, so what samples and the plan's
reads tell of the time between counts as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from rig.klog.kinds import Kind
from rig.run.document import Claimed, ClaimVerdict, Shown
from rig.scenario.evidence import CLOCK_SLACK, Evidence
from rig.scenario.machine_held import machine_changes
from rig.scenario.settings_made import (
    Made,
    Seen,
    made_at_end,
    made_by,
    made_verbose,
    path_of,
    same_words,
    seen_in,
    taken,
    text_of,
    time_of,
)

__all__ = ["SETTINGS", "settings_held"]

SETTINGS = "settings-held"
MAKE_VERBOSE = frozenset((Kind.OOPS, Kind.BUG, Kind.PANIC, Kind.LOCKDEP))
"""Crashes for which the kernel calls console_verbose(): oops_begin() of arch/x86/kernel/dumpstack.c, panic(), and
debug_locks_off() of lib/debug_locks.c."""
TEXT = "what the plan set was in force to the end"
TEXT_OF_PANIC = "what the plan set was in force when it was last seen, before the panic"


def settings_held(evidence: Evidence) -> Claimed | None:
    """Return the judged condition.

    None where the plan set nothing, or where the agent did not read it at the end and no panic explains that, unless a
    program changed what no file shows (machine_held.py).
    """
    made = made_at_end(evidence)
    at_end = _at_end(evidence, made)
    if at_end:
        return _judged(TEXT, evidence, {name: made[name] for name in at_end}, at_end)
    if made and evidence.end() is None and evidence.panics():
        return _judged(TEXT_OF_PANIC, evidence, made, {name: _last(evidence, name) for name in made})
    return _judged(TEXT, evidence, {}, {}) if any(machine_changes(evidence)) else None


def _judged(text: str, evidence: Evidence, made: Mapping[str, Made], seen: Mapping[str, Seen]) -> Claimed:
    """Return the condition.

    seen: by name, the last known value.
    """
    between = _between(evidence)
    verdict: ClaimVerdict = "held"
    written = _written(evidence)
    changed, unread, unknown, values = list(machine_changes(evidence)), [], [], []
    for name, each in made.items():
        last = seen[name]
        never = each.is_file and each.got is None
        values.append(Shown(name=name, value=last.value, shown=_shown(each, last)))
        if each.is_file and each.got is not None and taken(each.asked, each.got) is False:
            changed.append(f"{name} was set to {each.asked}, and read {each.got} right after that")
        elif last.value is not None and not each.lively and not _same(evidence, each, last.value):
            changed.append(f"{name} was set to {_asked(each)}, and was {last.value} {last.when}")
        elif name in between:
            changed.append(between[name])
        elif name in written and not each.lively:
            unread.append(f"a program wrote to {name} after the plan had set it: what it was for a while is not known")
        elif last.unread:
            unread.append(f"{name} could not be read {last.when}")
        elif not last.since and not never:
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


def _shown(made: Made, last: Seen) -> str:
    if made.is_file and made.got is None:
        return f"{made.asked} (written; the file cannot be read)"
    if made.ends_with_a_process and last.value is None:
        return f"{made.asked} (its process has ended)"
    return f"{last.value} ({last.when})"


def _asked(made: Made) -> str:
    """Return what was asked, with what the file read then where that is another text."""
    return made.asked if same_words(made.asked, made.wanted) else f"{made.asked} (it read {made.wanted})"


def _at_end(evidence: Evidence, made: Mapping[str, Made]) -> dict[str, Seen]:
    """Return what the agent read before it ended the plan. Some can never be read, as vm.drop_caches."""
    seen = {}
    for record in (*evidence.records.of("sysctl_at_end"), *evidence.records.of("file_at_end")):
        name = str(record.get("name", record.get("path")))
        if name not in made:
            continue
        got = text_of(record.get("got"))
        expected = made[name].got is not None and not made[name].ends_with_a_process
        seen[name] = Seen(got, "at the end", unread=got is None and expected)
    return seen


def _written(evidence: Evidence) -> set[str]:
    """Return the names of the settings that programs wrote to after the plan had set them."""
    found: set[str] = set()
    for record in evidence.records.items:
        names = record.get("written")
        if record["ev"] == "sample" and isinstance(names, list):
            found.update(str(name) for name in names)
        elif record["ev"] in ("sysctl_at_end", "file_at_end") and names is True:
            found.add(str(record.get("name", record.get("path"))))
    return found


def _between(evidence: Evidence) -> dict[str, str]:
    """Return, by name, how a setting first differed from what the plan had asked until then.

    A value that could not be read tells nothing: open(2) allocates memory, of which there may be none left.
    """
    made: dict[str, Made] = {}
    found: dict[str, str] = {}
    for record in evidence.records.items:
        now = made_by(record)
        if now is not None:
            made[now.name] = now
            # A sysctl may be set by a write to its file, too.
            made = {name: _again(each, now) for name, each in made.items()}
        for name, seen in seen_in(record, [name for name, each in made.items() if not each.lively]):
            if seen.value is not None and not _same(evidence, made[name], seen.value, float(record["t"])):
                found.setdefault(name, f"{name} was set to {_asked(made[name])}, and was {seen.value} {seen.when}")
    return found


def _same(evidence: Evidence, made: Made, value: str, time: float = float("inf")) -> bool:
    """Return whether a value that was read at that time is the plan's, or what the kernel made of it in a crash."""
    if same_words(value, made.wanted):
        return True
    if not made_verbose(made.name, value, made.wanted):
        return False
    events = (event for event in evidence.log.events if event.kind in MAKE_VERBOSE)
    return any(event.time is None or event.time <= time + CLOCK_SLACK for event in events)


def _again(made: Made, now: Made) -> Made:
    """Return a setting after another step: with the value of that step if it set the same file."""
    if made.name == now.name or path_of(made.name) != path_of(now.name):
        return made
    return Made(made.name, now.asked, now.got, made.is_file)


def _last(evidence: Evidence, name: str) -> Seen:
    """Return what is known last of a setting in a run that ended in a panic."""
    told = _printed(evidence, name)
    if told is not None:
        return told
    last = Seen(None, "never", since=False)
    for record in evidence.records.items:
        now = made_by(record)
        if now is not None and now.name == name:
            last = Seen(now.got, f"{time_of(record)}, when it was set", since=now.got is None)
        last = next((seen for _, seen in seen_in(record, (name,))), last)
    return last


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
