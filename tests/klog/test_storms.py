# SPDX-License-Identifier: MIT
"""What several events mean together: reports that are one shortage, and tasks that waited where nothing was killed."""

from __future__ import annotations

import json

import pytest

from rig.cli.explain_chosen import listed
from rig.klog import Event, read
from rig.klog.document import document
from rig.klog.explain import explain
from rig.klog.explain.stalled import stalled_on_memory
from rig.klog.explain.storms import storms
from tests.klog import made


def log(*reports: tuple[float, list[str]]) -> tuple[Event, ...]:
    text = "".join(f"[{time:12.6f}] {line}\n" for time, lines in reports for line in lines)
    return read([text.encode()]).events


REPORT = made.oom_report()
CGROUP = made.oom_report(cgroup="/pod")


def test_kills_that_follow_each_other_are_one_storm_with_its_interval() -> None:
    events = log(*((100 + 2.0 * at, REPORT) for at in range(5)))

    (storm,) = storms(events)

    assert storm.events == (1, 2, 3, 4, 5)
    assert "5 OOM reports for one shortage of memory within 8.0 s, one every 2.0 s" in storm.text
    assert "parent (5 times)" in storm.text


def test_second_kill_right_after_the_first_says_what_the_reaper_did() -> None:
    reaped = "oom_reaper: reaped process 120 (parent), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB"
    unable = "oom_reaper: unable to reap pid:120 (parent)"
    logs = [log((100, [*REPORT, *line]), (100.4, REPORT)) for line in ([], [reaped], [unable])]
    texts = [storms(events)[0].text for events in logs]

    assert all("two OOM reports for one shortage of memory, 0.4 s apart" in text for text in texts)
    assert "No line of the reaper" in texts[0]
    assert "had taken back the memory of parent" in texts[1]
    assert "could not take back the memory of parent" in texts[2]
    assert [storms(tuple(map(listed, events)))[0].text for events in logs] == texts


@pytest.mark.parametrize(
    "reports",
    [
        [(100, REPORT)],
        [(100, REPORT), (500, REPORT)],
        [(100, REPORT), (101, CGROUP)],
        [(100, CGROUP), (101, made.oom_report(cgroup="/other"))],
        [(100, REPORT), (1, REPORT)],
    ],
    ids=["one", "far apart", "another limit", "another cgroup", "after a reboot"],
)
def test_reports_that_have_nothing_to_do_with_each_other_are_no_storm(reports: list[tuple[float, list[str]]]) -> None:
    assert storms(log(*reports)) == ()


def test_storm_of_a_cgroup_is_found_between_others() -> None:
    events = log((100, CGROUP), (101, REPORT), (102, CGROUP))

    (storm,) = storms(events)

    assert storm.events == (1, 3)
    assert "for the limit of /pod" in storm.text
    assert json.loads(document(0, events))["storms"] == [{"events": [1, 3], "seconds": 2.0, "text": storm.text}]


HUNG = [
    "INFO: task postgres:812 blocked for more than 120 seconds.",
    "      Not tainted 6.1.0 #1",
    '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.',
    "task:postgres        state:D stack:0     pid:812   ppid:1      flags:0x00004002",
    "Call Trace:",
    " <TASK>",
    " __schedule+0x34d/0x9e0",
    " schedule+0x5a/0xd0",
    " {}+0x5a/0xd0",
    " do_user_addr_fault+0x1b0/0x550",
    " </TASK>",
]
STALL = [
    "java: page allocation stalls for 10345ms, order:0, mode:0x14200ca(GFP_HIGHUSER_MOVABLE), nodemask=(null)",
    "java cpuset=/ mems_allowed=0",
    "CPU: 0 PID: 77 Comm: java Not tainted 4.12.0 #1",
]


@pytest.mark.parametrize("function", ["shrink_lruvec", "throttle_direct_reclaim", "mem_cgroup_handle_over_high"])
def test_log_with_tasks_that_waited_for_memory_says_why_nothing_was_killed(function: str) -> None:
    sentence = stalled_on_memory(log((100, [line.format(function) for line in HUNG])))

    assert sentence is not None
    assert "1 task was stuck in reclaim" in sentence.text
    assert sentence.lines == (1,)


def test_request_that_took_long_was_not_refused() -> None:
    events = log((100, STALL))

    sentence = stalled_on_memory(events)

    assert sentence is not None
    assert "1 request for memory took longer than 10 s" in sentence.text
    assert "waited for 10345ms; it was not refused so far" in explain(events[0]).summary[0].text


def test_task_that_waits_for_a_disk_or_a_log_with_a_kill_says_nothing_of_it() -> None:
    hung = [line.format("io_schedule") for line in HUNG]
    reclaiming = [line.format("shrink_lruvec") for line in HUNG]

    assert stalled_on_memory(log((100, hung))) is None
    assert stalled_on_memory(log((100, reclaiming), (200, REPORT))) is None
