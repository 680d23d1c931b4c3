# SPDX-License-Identifier: MIT
"""Write a replica as a scenario: scenario.toml and README.md, as a person would write them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from rig.reproduce.fingerprint import Holder
from rig.reproduce.replica import KERNEL, OTHERS, Actor, Replica
from rig.units import format_size

__all__ = ["probe_files", "scenario_files"]

MIB = 1 << 20
SHOWN = ("swapped", "anon", "shared", "own", "shmem", "slab", "pipes", "tables", "locked", "cache", "file", "mapped")
WHAT = {
    "anon": "anonymous memory", "swapped": "anonymous memory that is in swap", "shared": "memory shared with its forks",
    "own": "memory of each fork besides", "shmem": "shared memory", "slab": "unreclaimable slab",
    "pipes": "kernel memory in no counter of a report", "tables": "page tables", "locked": "locked memory",
    "cache": "page cache", "file": "mapped pages of a file", "mapped": "mapped shared memory",
}  # fmt: skip
RANKED = 5


def scenario_files(name: str, replica: Replica, source: str) -> dict[str, str]:
    """Return the files of the scenario: file name -> text.

    source: name of the log that the report is from.
    """
    return {"scenario.toml": "\n".join(_toml(name, replica)) + "\n", "README.md": _story(name, replica, source)}


def probe_files(replica: Replica) -> dict[str, str]:
    """Return the files of a scenario that starts the same guest without any actor, and looks at its memory."""
    lines = ['title = "An empty guest"', 'summary = "What a guest can spare."', ""]
    lines += [*_guest(replica), *_step("sample", label="start"), *_step("end", reason="decided")]
    lines += ["[[claims]]", 'id = "looked"', 'text = "there is a sample"', "expr = \"sample('start') is not None\""]
    return {"scenario.toml": "\n".join(lines) + "\n"}


def _toml(name: str, replica: Replica) -> Iterator[str]:
    report = replica.report
    yield f"title = {_text(f'{name}: an OOM report, in small')}"
    yield f"summary = {_text(_summary(replica))}"
    yield ""
    for actor in replica.actors:
        yield from _parameters(actor)
    if replica.limit is not None:
        yield from _parameter("limit", "size", format_size(replica.limit), "memory.max of the cgroup that runs full")
        yield from _parameter("high", "text", "max", "memory.high of that cgroup")
        swap = "max" if replica.swap_limit is None else str(replica.swap_limit)
        yield from _parameter("swap_max", "text", swap, "memory.swap.max of that cgroup")
        yield from _parameter("oom_group", "bool", report.group, "memory.oom.group of the victim's cgroup")
    elif replica.swap_limit is not None:
        what = "memory.swap.max of the actors: in the report swap was free, and they are not to go there"
        yield from _parameter("swap_max", "text", str(replica.swap_limit), what)
    yield from _guest(replica)
    yield "[[programs]]"
    yield 'name = "cast"'
    yield 'source = "cast"'
    yield "# An actor ends when the kernel refuses what it asks for. The claims say what came of that."
    yield 'may_fail = ["*"]'
    yield ""
    yield from _plan(replica)
    yield from _claims(replica)


def _guest(replica: Replica) -> Iterator[str]:
    yield "[guest]"
    yield f'memory = "{format_size(replica.memory)}"'
    if replica.swap:
        yield f'zram = "{format_size(replica.swap)}"'
    yield "prealloc = true"
    yield ""
    yield "# The actors are promised more than there is; without overcommit the kernel would refuse that at once."
    yield "[sysctls]"
    for sysctl, value in _sysctls(replica).items():
        yield f"{_text(sysctl)} = {value}"
    yield ""


def _summary(replica: Replica) -> str:
    report = replica.report
    where = (
        "the OOM killer is called by hand"
        if replica.by_hand
        else ("a cgroup reaches its limit" if replica.limit is not None else "memory runs out")
    )
    return f"{where[0].upper()}{where[1:]}, and the kernel kills {_safe(report.victim or 'nobody')}, as in the report."


def _parameters(actor: Actor) -> Iterator[str]:
    stands = f"{_safe(actor.comm)} (pid {actor.row.pid} of the report)" if actor.row else actor.comm
    for kind in SHOWN:
        if actor.sizes.get(kind, 0) >= MIB:
            what = f"{WHAT[kind]} of {stands}"
            yield from _parameter(_size_name(actor, kind), "size", format_size(actor.sizes[kind]), what)
    if actor.row is not None and actor.held >= MIB:
        yield from _parameter(f"{actor.name}_adj", "int", actor.adj, f"oom_score_adj of {stands}")


def _parameter(name: str, kind: str, default: str | int | bool, what: str) -> Iterator[str]:
    yield f"[parameters.{name}]"
    yield f'type = "{kind}"'
    value = (
        str(default).lower() if isinstance(default, bool) else default if isinstance(default, int) else _text(default)
    )
    yield f"default = {value}"
    yield f"help = {_text(what)}"
    yield ""


def _size_name(actor: Actor, kind: str) -> str:
    return f"{actor.name.replace('-', '_')}_{kind}"


def _sysctls(replica: Replica) -> dict[str, int]:
    """Return what the kernel must allow for these actors. Watermarks do not scale with memory, so they are set."""
    found = {"vm.overcommit_memory": 1}
    kinds = {kind for actor in replica.actors for kind in actor.sizes}
    triggers = {actor.trigger for actor in replica.actors}
    if replica.min_free_kb:
        found["vm.min_free_kbytes"] = replica.min_free_kb
    if replica.huge_pages:
        found["vm.nr_hugepages"] = replica.huge_pages
    if "slab" in kinds or "slab" in triggers:
        # One message of 28 KB at a time, in queues of up to 512 MB (send_messages(), guest/programs/cast/memory.c).
        found |= {"kernel.msgmax": 65536, "kernel.msgmnb": 1 << 30}
        found |= {"kernel.keys.root_maxbytes": 1 << 30, "kernel.keys.root_maxkeys": 1 << 20}
        found |= {"kernel.keys.maxbytes": 1 << 30, "kernel.keys.maxkeys": 1 << 20}
    return found


def _plan(replica: Replica) -> Iterator[str]:
    if replica.disk:
        yield "# The root filesystem is mapped by DAX and has no page cache, so what is read lies on a compressed disk."
        yield from _step("modprobe", name="zram")
        yield from _step("write", path="/sys/block/zram0/disksize", value=str(replica.disk))
    if replica.limit is not None:
        limits = {"memory.max": "{{ limit }}", "memory.high": "{{ high }}", "memory.swap.max": "{{ swap_max }}"}
        yield from _step("cgroup", name=replica.limit_owner, **limits)
        group = replica.cgroup if replica.cgroup.startswith(replica.limit_owner) else replica.limit_owner
        yield from _step("cgroup", name=group, **{"memory.oom.group": "{{ oom_group }}"})
        yield from _step("sample", label="start", cgroup=replica.limit_owner)
    else:
        if replica.swap_limit is not None:
            yield from _step("cgroup", name=replica.cgroup, **{"memory.swap.max": "{{ swap_max }}"})
        yield from _step("sample", label="start")
        yield from _step("read", path="/proc/zoneinfo", label="start")
    arguments = [*(["--disk", "/dev/zram0"] if replica.disk else []), "--short-free-lists"]
    yield "[[plan.steps]]"
    yield 'do = "spawn"'
    yield 'program = "cast"'
    yield "oom_score_adj = -1000"
    yield "arg = ["
    for argument in (*arguments, *(_argument(actor) for actor in replica.actors)):
        yield f"  {_text(argument)},"
    yield "]"
    yield ""
    yield from _step("wait_line", program="cast", text="all hold", timeout=3600)
    yield from _step("wait_state", program="cast", comm="cast", state="T", timeout=60)
    yield from _step("sample", label="held")
    if replica.limit is not None:
        path = f"/sys/fs/cgroup/{replica.limit_owner}/memory.current"
        yield from _step("read", path=path, label="held")
    yield from _step("mark", name="trigger")
    if replica.by_hand:
        yield from _step("write", path="/proc/sysrq-trigger", value="f")
    else:
        yield from _step("signal", program="cast", comm="cast", signal="CONT")
    yield from _step("wait_any", oom=True, settle=1, timeout=3600)
    yield from _step("end", reason="decided", when="not to_the_end")
    yield from _step("sleep", seconds=60)


def _step(verb: str, **keys: str | int | bool) -> Iterator[str]:
    yield "[[plan.steps]]"
    yield f'do = "{verb}"'
    for key, value in keys.items():
        shown = str(value).lower() if isinstance(value, bool) else value if isinstance(value, int) else _text(value)
        yield f"{_text(key) if '.' in key else key} = {shown}"
    yield ""


def _argument(actor: Actor) -> str:
    words = []
    if actor.uid:
        words.append(f"uid={actor.uid}")
    adj = f"{{{{ {actor.name}_adj }}}}" if actor.row is not None and actor.held >= MIB else str(actor.adj)
    words.append(f"adj={adj}")
    if actor.cgroup:
        words.append(f"cgroup={actor.cgroup}")
    for kind in SHOWN:
        size = actor.sizes.get(kind, 0)
        if size >= MIB:
            words.append(f"{kind}={{{{ {_size_name(actor, kind)} }}}}")
        elif size:
            words.append(f"{kind}={size}")
    if actor.forks:
        words.append(f"forks={actor.forks}")
    if actor.child:
        words.append(f"child={_plain(actor.child).replace(' ', '_')}")
    if actor.trigger:
        words.append(f"trigger={actor.trigger}")
    if actor.order:
        words.append(f"order={actor.order}")
    words.append(f"comm={_plain(actor.comm)}")
    return " ".join(words)


def _plain(comm: str) -> str:
    """Return a comm without the characters that templates and control codes are made of."""
    return re.sub(r"[{}%#\\\x00-\x1f\x7f-\xff]", "_", comm, flags=re.ASCII)[:15] or "task"


def _claims(replica: Replica) -> Iterator[str]:
    report = replica.report
    yield "[[claims]]"
    yield 'id = "all-hold"'
    yield 'kind = "condition"'
    yield 'text = "every actor took its memory, and none was killed while it did"'
    yield "values.lost = \"[line for line in lines_of('cast') if line.startswith('lost')]\""
    yield "values.killed = \"sample('held').vmstat.oom_kill - sample('start').vmstat.oom_kill\""
    yield 'expr = "len(lost) == 0 and killed == 0"'
    yield ""
    yield from _claim(
        "oom-came",
        f"the OOM killer was called as in the report: {_scope(replica)}",
        "oom.scope",
        "scope",
        _scope(replica),
    )
    if report.order is not None and not replica.by_hand:
        yield from _claim(
            "same-order", "the request was of the report's order", "oom.order", "order", min(report.order, 3)
        )
    if report.path in _TOLD and report.path and not replica.by_hand:
        yield from _claim("same-path", "memory was requested by the report's path", "purpose(oom)", "path", report.path)
    if report.victim is not None:
        victim = _plain(report.victim)
        yield from _claim(
            "same-victim", f"the kernel killed {victim}, as it did in the report", "oom.victim.comm", "victim", victim
        )


# Paths that cast takes and the trace of a run shows by name.
_TOLD = ("anonymous", "copy-on-write", "file-read", "shared", "page-table", "fork", "pipe", "network", "swap-in")


def _claim(name: str, text: str, expr: str, value: str, wanted: str | int) -> Iterator[str]:
    yield "[[claims]]"
    yield f'id = "{name}"'
    yield f"text = {_text(text)}"
    yield f"values.{value} = {_text(expr)}"
    yield f"expr = {_text(f'{value} == {wanted!r}')}"
    yield 'needs = ["all-hold"]'
    yield ""


def _scope(replica: Replica) -> str:
    if replica.by_hand:
        return "sysrq"
    return "memcg" if replica.limit is not None else "global"


def _text(text: str) -> str:
    """Return a TOML string: JSON's escapes are those of TOML's basic strings."""
    return json.dumps(text, ensure_ascii=False)


def _safe(text: str) -> str:
    """Return text from a log without characters that have a meaning in Markdown."""
    return re.sub(r"[^\w .:/+@-]", "?", text, flags=re.ASCII)


def _story(name: str, replica: Replica, source: str) -> str:
    report = replica.report
    rows = "\n".join(
        f"| {_safe(actor.comm)} | {_stands_for(actor.row)} | {_sizes(actor)} | {actor.adj} |"
        for actor in replica.actors
    )
    left = "\n".join(f"- {each.field}: {each.why}." for each in replica.left_out) or "Nothing."
    invoker = _safe(report.invoker or "somebody")
    asked = (
        f"{invoker} is not played: the plan writes f to /proc/sysrq-trigger."
        if replica.by_hand
        else f"{invoker} asks for the last memory, by the path that the report shows ({report.path or 'not shown'})."
    )
    limit = f" The cgroup {replica.limit_owner} has {format_size(replica.limit)}." if replica.limit is not None else ""
    killed = _safe(report.victim) if report.victim else "nobody"
    return f"""# {name}

Made from the OOM report in `{_safe(source)}`, in which the kernel killed {killed}.

Every size is that of the report, divided by {replica.scale:.1f}. The guest has {format_size(replica.memory)}, which
includes what its own kernel needs, and {format_size(replica.swap) if replica.swap else "no"} swap.{limit} {asked}

| process | task of the report | holds | oom_score_adj |
|---|---|---|---|
{rows}

{KERNEL} holds what no task of the report does, {OTHERS} what its small tasks do together.

## Left out

{left}

    rig run ./{name}
    rig show ./{name}
"""


def _stands_for(row: Holder | None) -> str:
    return f"{_safe(row.comm)} ({row.pid})" if row is not None else "–"


def _sizes(actor: Actor) -> str:
    parts = [f"{format_size(actor.sizes[kind])} {WHAT[kind]}" for kind in SHOWN if kind in actor.sizes]
    return ", ".join(parts) or "–"
