# SPDX-License-Identifier: MIT
"""Logs of rig's own guests are understood to the last line."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.klog import Log, OomEvent, PanicEvent, read
from rig.klog.explain import explain
from rig.klog.explain.victim import chosen_otherwise

DATA = Path(__file__).parent / "data"
LOGS = sorted(path.stem for path in DATA.glob("*.log"))
WITH_OOM = [
    name
    for name in LOGS
    if name.split("-")[2] in {"oom", "memcg", "group", "panicoom", "deadlock", "alloctask", "tmpfs", "sysrqf"}
]


def log_of(name: str) -> Log:
    return read([(DATA / f"{name}.log").read_bytes()])


def first_oom(name: str) -> OomEvent:
    event = next(event for event in log_of(name).events if event.kind == "oom")
    assert isinstance(event, OomEvent)
    return event


def test_every_kernel_and_architecture_is_there() -> None:
    suites = {tuple(name.split("-")[:2]) for name in WITH_OOM}

    assert suites == {
        ("amd64", "bullseye"), ("amd64", "bookworm"), ("amd64", "trixie"), ("amd64", "sid"),
        ("arm64", "trixie"), ("armhf", "bookworm"),
    }  # fmt: skip


@pytest.mark.parametrize("name", LOGS)
def test_no_line_within_a_report_is_left_over(name: str) -> None:
    assert [event.unknown for event in log_of(name).events if event.unknown] == []


@pytest.mark.parametrize("name", WITH_OOM)
def test_oom_report_is_complete(name: str) -> None:
    event = first_oom(name)

    assert not event.corrupted
    assert event.invoker is not None
    assert event.gfp_mask is not None
    assert event.gfp_flags
    assert event.order is not None
    assert event.oom_score_adj is not None
    assert None not in (event.cpu, event.kernel, event.hardware, event.time)
    assert len(event.trace.frames) > 5
    assert event.tasks
    assert event.task_columns[-1] == "name"
    if event.scope == "memcg":
        assert [usage.name for usage in event.cgroup] == ["memory", "swap"]
        assert "anon" in event.cgroup_stats
        assert event.oom_memcg == "/job"
    else:
        assert {"free", "active_anon", "slab_unreclaimable"} <= set(event.mem_info)
        assert event.totals["pages_ram"] > 0
        assert all(zone.buddy and zone.lowmem_reserve for zone in event.zones)


@pytest.mark.parametrize("name", WITH_OOM)
def test_every_self_check_of_a_whole_report_holds(name: str) -> None:
    checks = explain(first_oom(name)).checks

    assert [check for check in checks if check.ok is False] == []
    assert len(checks) >= 1


@pytest.mark.parametrize("name", [name for name in WITH_OOM if name.endswith(("-oom", "-memcg", "-tmpfs"))])
def test_badness_recomputed_names_the_victim_that_the_kernel_chose(name: str) -> None:
    event = first_oom(name)

    assert event.victim is not None
    assert event.victim.comm == "busybox"
    assert not chosen_otherwise(event)


@pytest.mark.parametrize(
    ("name", "split"),
    [("amd64-bullseye-oom", False), ("amd64-bookworm-oom", False), ("amd64-trixie-oom", True), ("amd64-sid-oom", True)],
)
def test_rss_comes_in_parts_where_the_kernel_prints_them(name: str, split: bool) -> None:
    event = first_oom(name)

    assert all((row.rss_anon is not None) == split for row in event.tasks)
    assert all(row.oom_score_adj in (0, -1000) for row in event.tasks)
    assert all(row.pgtables_bytes is not None and row.pgtables_bytes % 4096 == 0 for row in event.tasks)


@pytest.mark.parametrize("suite", ["bullseye", "trixie", "sid"])
def test_memory_oom_group_is_one_event_with_all_its_kills(suite: str) -> None:
    events = log_of(f"amd64-{suite}-group").events

    assert [event.kind for event in events] == ["oom"]
    event = first_oom(f"amd64-{suite}-group")
    assert event.oom_group
    assert len(event.kills) == 2


@pytest.mark.parametrize("name", [name for name in LOGS if name.endswith("-panicoom")])
def test_panic_on_oom_is_told_apart_and_linked(name: str) -> None:
    oom, panic = log_of(name).events

    assert isinstance(oom, OomEvent)
    assert isinstance(panic, PanicEvent)
    assert oom.kills == ()
    assert panic.by_oom
    assert panic.caused_by == oom.number
    assert oom.panicked
    summary = " ".join(sentence.text for sentence in explain(oom).summary)
    assert "Nobody was killed: the kernel panicked, as vm.panic_on_oom asks." in summary
    assert "the report's end is missing" not in summary


def test_machine_without_anybody_to_kill_is_deadlocked() -> None:
    oom, panic = log_of("amd64-trixie-deadlock").events

    assert isinstance(oom, OomEvent)
    assert not oom.killable
    assert panic.title == "kernel panic: System is deadlocked on memory"
    assert panic.caused_by == oom.number


def test_allocating_task_is_killed_without_a_choice() -> None:
    event = first_oom("amd64-trixie-alloctask")

    assert event.victim is not None
    assert event.invoker is not None
    assert event.victim.pid == event.invoker.pid
    assert "oom_kill_allocating_task" in event.victim.reason
    assert any("No victim was chosen" in s.text for section in explain(event).sections for s in section.sentences)


@pytest.mark.parametrize("name", [name for name in LOGS if name.endswith("-sysrqf")])
def test_sysrq_is_no_lack_of_memory(name: str) -> None:
    event = first_oom(name)

    assert event.scope == "sysrq"
    assert event.order == -1


@pytest.mark.parametrize("name", [name for name in LOGS if name.endswith("-sysrqc")])
def test_crash_by_sysrq_is_a_panic(name: str) -> None:
    (panic,) = [event for event in log_of(name).events if event.kind == "panic"]

    assert panic.title == "kernel panic: sysrq triggered crash"
    assert panic.trace.frames


@pytest.mark.parametrize("name", [name for name in LOGS if name.endswith("-killinit")])
def test_init_that_exits_is_a_panic(name: str) -> None:
    (panic,) = log_of(name).events

    assert panic.title == "kernel panic: Attempted to kill init!"
    assert not panic.corrupted


@pytest.mark.parametrize("suite", ["trixie", "sid"])
def test_refused_commitments_are_events(suite: str) -> None:
    events = log_of(f"amd64-{suite}-refuse").events

    assert {event.kind for event in events} == {"commit-refused"}
    assert all(event.task is not None and event.task.comm == "busybox" for event in events)


def test_memory_dump_by_sysrq_is_no_oom() -> None:
    (event,) = log_of("amd64-trixie-sysrqm").events

    assert event.kind == "memory-info"


def test_tmpfs_is_named_among_the_holders() -> None:
    event = first_oom("amd64-trixie-tmpfs")

    shared = next(
        s for section in explain(event).sections for s in section.sentences if s.text.startswith("Shared memory")
    )
    assert event.mem_info["shmem"] * 4 >= 60 * 1024
    assert shared.lines == (event.mem_info_lines["shmem"],)
    assert "no kill gives it back" in str(explain(event).sections)
    assert "no kill gives it back" not in str(explain(first_oom("amd64-trixie-oom")).sections)


@pytest.mark.parametrize(
    ("cause", "title"),
    [
        ("null", "BUG: unable to handle kernel NULL pointer dereference in deref"),
        ("paging", "BUG: unable to handle kernel paging request in deref"),
        ("gpf", "general protection fault in deref"),
        ("bug", "kernel BUG in made_bug"),
        ("warn", "WARNING in made_warn"),
        ("warn_once", "WARNING in made_warn_once"),
        ("list", "BUG: corrupted list in made_list"),
        ("atomic", "BUG: scheduling while atomic in msleep"),
        ("hang", "INFO: task hung in msleep"),
        ("panic", "kernel panic: made: a panic with words"),
        ("recursion", "BUG: stack guard page was hit in finit_module"),
        ("soft", "BUG: soft lockup in finit_module"),
        ("rcu", "INFO: rcu detected stall in finit_module"),
        ("bigalloc", "page allocation failure of order 10 in made_init"),
    ],
)
def test_crash_made_on_purpose_has_the_title_of_its_cause(cause: str, title: str) -> None:
    event = log_of(f"amd64-bookworm-crash_{cause}").events[0]

    assert event.title == title
    assert not event.corrupted
    assert explain(event).summary


@pytest.mark.parametrize("cause", ["recursion", "soft", "rcu"])
def test_panic_that_a_crash_led_to_is_linked_and_whole(cause: str) -> None:
    crash, panic = log_of(f"amd64-bookworm-crash_{cause}").events

    assert panic.kind == "panic"
    assert panic.caused_by == crash.number
    assert not panic.corrupted


def test_every_hung_task_is_an_event_of_its_own() -> None:
    events = log_of("amd64-bookworm-crash_hang").events

    assert [event.kind for event in events] == ["hung-task"] * 4
    assert {event.title for event in events} == {"INFO: task hung in msleep", "INFO: task hung in hang"}


def test_trace_of_unsure_entries_blames_nobody_and_shows_them() -> None:
    (event,) = log_of("amd64-bookworm-crash_exec").events

    assert event.function is None
    assert event.corrupted
    assert "made_init" in str(explain(event).sections)
