# SPDX-License-Identifier: MIT
"""OOM reports, parsed: every part with its figures, over made reports of different kernels."""

from __future__ import annotations

import pytest

from rig.klog import OomEvent, PanicEvent, read, read_events
from rig.klog.explain import explain
from tests.klog import made


def only_oom(data: bytes) -> OomEvent:
    (event,) = read([data]).events
    assert isinstance(event, OomEvent)
    return event


@pytest.mark.parametrize("caller", [None, "T121"])
@pytest.mark.parametrize("kernel", ["5.10.0-32-cloud-amd64", "6.1.0-28-cloud-amd64", "6.12.9-cloud-amd64"])
def test_report_from_a_serial_console_is_read_whole(kernel: str, caller: str | None) -> None:
    data = made.serial(made.oom_report(kernel=kernel), caller=caller)

    event = only_oom(data)

    assert event.unknown == ()
    assert not event.corrupted
    assert (event.line, event.last_line) == (1, data.count(b"\n"))
    assert event.time == pytest.approx(275.123456)
    assert event.invoker is not None
    assert (event.invoker.comm, event.invoker.pid) == ("child", 121)
    assert event.gfp_flags == ("GFP_HIGHUSER_MOVABLE", "__GFP_ZERO", "__GFP_COMP")
    assert (event.gfp_mask, event.order, event.oom_score_adj, event.cpu) == (0x140DCA, 0, 0, 0)
    assert (event.scope, event.constraint) == ("global", "CONSTRAINT_NONE")
    assert event.totalpages == 130942 - 12785
    assert [zone.name for zone in event.zones] == ["DMA", "DMA32"]
    assert (event.zones[1].free, event.zones[1].min, event.zones[1].low) == (2292, 2708, 3384)
    assert event.victim is not None
    assert (event.victim.pid, event.victim.anon_rss_kb) == (120, 204800)
    assert [row.name for row in event.tasks] == ["agent", "parent", "child", "hog"]


@pytest.mark.parametrize("before", ["Mem-Info:", "lowmem_reserve[]:", "[    120]", "oom-kill:", "Out of memory:"])
def test_note_of_the_scheduler_within_a_report_is_part_of_it(before: str) -> None:
    lines = made.oom_report()
    at = next(at for at, line in enumerate(lines) if line.startswith(before))
    lines.insert(at, "sched: RT throttling activated")

    event, undisturbed = only_oom(made.serial(lines)), only_oom(made.serial(made.oom_report()))

    assert [note.text for note in event.notes] == ["sched: RT throttling activated"]
    assert (event.unknown, event.corrupted) == ((), undisturbed.corrupted)
    assert len(event.tasks) == len(undisturbed.tasks)
    assert event.victim is not None
    assert undisturbed.victim is not None
    assert event.victim.pid == undisturbed.victim.pid


def test_columns_come_from_the_header_and_not_from_the_kernel() -> None:
    old = only_oom(made.serial(made.oom_report(kernel="6.1.0")))
    new = only_oom(made.serial(made.oom_report(kernel="6.12.9")))

    assert old.tasks[1].rss_anon is None
    assert new.tasks[1].rss_anon == 51200
    assert old.tasks[1].oom_score_adj == new.tasks[1].oom_score_adj == 0
    assert old.tasks[1].pgtables_bytes == new.tasks[1].pgtables_bytes


def test_marked_frames_are_not_reliable() -> None:
    event = only_oom(made.serial(made.oom_report()))

    assert "srso_return_thunk" in [frame.function for frame in event.trace.frames if not frame.reliable]
    assert "srso_return_thunk" not in event.trace.functions
    assert [frame.module for frame in event.trace.frames if frame.function == "do_anonymous_page"] == ["made"]


def test_cgroup_report_names_its_cgroup_and_its_limit() -> None:
    event = only_oom(made.serial(made.oom_report(cgroup="/rig/job,a=b")))

    assert (event.scope, event.oom_memcg, event.task_memcg) == ("memcg", "/rig/job,a=b", "/rig/job,a=b")
    assert event.cgroup[0].limit_kb == 102400
    assert event.totalpages == 25600
    assert event.unknown == ()


def test_panic_on_oom_is_linked_to_its_report() -> None:
    report = made.oom_report()[:-2]

    log = read([made.serial([*report, *made.panic()])])

    oom, panic = log.events
    assert isinstance(oom, OomEvent)
    assert isinstance(panic, PanicEvent)
    assert oom.kills == ()
    assert panic.reason == "Out of memory: compulsory panic_on_oom is enabled"
    assert panic.caused_by == oom.number
    assert panic.unknown == ()


def test_reaper_is_found_behind_other_lines() -> None:
    reaper = "oom_reaper: reaped process 120 (parent), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB"
    lines = [*made.oom_report(), "eth0: link is up", reaper]

    event = only_oom(made.serial(lines))

    assert [reaped.pid for reaped in event.reaped] == [120]


def test_badness_follows_the_kernel() -> None:
    tasks = (
        made.MadeTask(1, "init", 100, oom_score_adj=-1000),
        made.MadeTask(2, "low", 5000, swapents=30, oom_score_adj=-10),
        made.MadeTask(3, "big", 20000),
    )

    event = only_oom(made.serial(made.oom_report(tasks)))

    never, low, big = (event.badness(row) for row in event.tasks)
    assert never is None
    assert big == 20200 + (8 * 20200 + 40960) // 4096
    assert low == 5200 + 30 + (8 * 5200 + 40960) // 4096 - 10 * ((130942 - 12785) // 1000)


@pytest.mark.parametrize(
    ("kernel", "flags"), [("3.10.0-1160.el7.x86_64", ("GFP_HIGHUSER_MOVABLE",)), ("4.5.0-1-amd64", ())]
)
def test_flags_of_a_kernel_that_prints_only_the_mask_are_decoded(kernel: str, flags: tuple[str, ...]) -> None:
    lines = made.oom_report(kernel=kernel)
    lines[0] = lines[0].replace("0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_ZERO|__GFP_COMP)", "0x200da")

    event = only_oom(made.serial(lines))

    assert (event.gfp_flags, event.gfp_decoded) == (flags, bool(flags))


def test_flags_that_the_kernel_named_are_not_decoded() -> None:
    assert not only_oom(made.serial(made.oom_report(kernel="3.10.0-1160.el7.x86_64"))).gfp_decoded


def test_events_stream_in_order_whatever_the_pieces() -> None:
    data = made.serial([*made.oom_report(), *made.oom_report(cgroup="/a"), *made.panic("Fatal exception")])

    whole = read([data]).events
    pieces = tuple(read_events(data[start : start + 7] for start in range(0, len(data), 7)))

    assert pieces == whole
    assert [event.kind for event in whole] == ["oom", "oom", "panic"]


@pytest.mark.parametrize(
    ("lines", "victim"),
    [
        (["Out of Memory: Killed process 1234 (java)."], "java"),
        (
            [
                "mysqld invoked oom-killer: gfp_mask=0x201d2, order=0, oomkilladj=0",
                "Mem-info:",
                "Free pages:       13764kB (0kB HighMem)",
                "Active:499463 inactive:492 dirty:0 writeback:0 unstable:0 free:3441 slab:4209",
                "Node 0 DMA free:10904kB min:24kB low:28kB high:36kB active:0kB inactive:0kB present:10512kB",
                "Out of memory: Killed process 4211, UID 27, (mysqld).",
            ],
            "mysqld",
        ),
    ],
    ids=["2.4", "RHEL 5"],
)
def test_report_of_a_kernel_before_2_6_32_names_the_victim_and_invents_no_cause(lines: list[str], victim: str) -> None:
    (event,) = read(["".join(f"{line}\n" for line in lines).encode()]).events

    explanation = explain(event)

    assert event.title == f"out of memory: killed {victim}"
    assert not event.corrupted
    assert (explanation.cause, explanation.certainty) == ("too-old", "unsure")
    assert "older than 2.6.32" in explanation.summary[0].text
    assert explanation.summary[1].text.startswith(f"The kernel killed {victim} (pid ")
    assert explanation.remedies == ()


def test_line_of_a_program_within_a_report_is_kept_as_not_understood() -> None:
    lines = made.serial(made.oom_report()).splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if b"Mem-Info" in line)

    (event,) = read([b"".join([*lines[:at], b"a program wrote this\n", *lines[at:]])]).events

    assert [(line.line, line.text) for line in event.unknown] == [(at + 1, "a program wrote this")]


def test_message_after_the_constraint_is_not_part_of_it() -> None:
    lines = made.oom_report(kernel="6.1.0")
    at = next(number for number, line in enumerate(lines) if line.startswith("oom-kill:"))

    (event,) = read([made.serial([*lines[: at + 1], "clocksource: made message", *lines[at + 1 :]])]).events

    assert isinstance(event, OomEvent)
    assert event.constraint_values["uid"] == "0"
    assert [line.text for line in event.unknown] == ["clocksource: made message"]
