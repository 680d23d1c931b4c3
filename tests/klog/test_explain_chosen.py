# SPDX-License-Identifier: MIT
"""Only the events that are printed keep their tables of processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rig.cli import explain_chosen
from rig.cli.explain_chosen import ChosenEvents
from rig.cli.explain_stream import explain_json
from rig.klog import Log, read
from rig.klog.document import document
from rig.klog.explain import explain
from rig.klog.kinds import Kind
from rig.klog.oom.oom_event import OomEvent
from tests.klog import made

CRASH = [
    "BUG: kernel NULL pointer dereference, address: 0000000000000028",
    "Oops: 0000 [#1] SMP",
    "CPU: 0 PID: 77 Comm: made Not tainted 6.12.9 #1",
    "RIP: 0010:made_fault+0x10/0x20",
    "Call Trace:",
    " made_ioctl+0x10/0x20",
    "---[ end trace 0000000000000000 ]---",
]
SEGFAULT = "made[77]: segfault at 10 ip 0000000000401000 sp 00007ffd00000000 error 6 in made[400000+1000]"
REPORTS = made.serial(made.oom_report()) * 3


def _through(events: ChosenEvents) -> Log:
    return read([REPORTS], keep=events.keep)


def test_most_severe_event_is_explained_with_its_table_and_no_other_is_kept_with_one() -> None:
    events = ChosenEvents(None, everything=False)

    log = _through(events)
    ((chosen, explanation),) = events.chosen()

    assert [(event.tasks, event.zones, event.mem_info) for event in log.events if isinstance(event, OomEvent)] == [
        ((), (), {})
    ] * 3
    assert explanation == explain(read([REPORTS]).events[0])
    assert (chosen.number, events.count) == (1, 1)


@pytest.mark.parametrize(("number", "events"), [(None, 3), (2, 1)])
def test_json_that_is_written_while_the_log_is_read_is_that_of_the_whole_log(
    number: int | None, events: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log").write_bytes(REPORTS)
    whole = [event for event in read([REPORTS]).events if number in (None, event.number)]

    log = explain_json(str(tmp_path / "log"), lambda event: event, number)

    assert len(whole) == events
    assert capsys.readouterr().out == document(log.lines, whole, map(explain, whole)) + "\n"


def test_event_of_a_number_is_explained() -> None:
    events = ChosenEvents(2, everything=False)

    _through(events)

    assert [explanation for _event, explanation in events.chosen()] == [explain(read([REPORTS]).events[1])]


@pytest.mark.parametrize("in_memory", [1, 1 << 20], ids=["in a file", "in memory"])
def test_all_events_are_explained_while_they_are_read(in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain_chosen, "IN_MEMORY", in_memory)
    events = ChosenEvents(None, everything=True)
    log = REPORTS + made.serial([SEGFAULT, *CRASH])

    read([log], keep=events.keep)
    chosen = list(events.chosen())

    assert {event.kind for event, _explanation in chosen} == {Kind.OOM, Kind.OOPS, Kind.SEGFAULT}
    assert [explanation for _event, explanation in chosen] == [explain(event) for event in read([log]).events]
    assert not any(isinstance(event, OomEvent) and event.tasks for event, _explanation in chosen)


def test_change_is_made_before_the_explanation() -> None:
    events = ChosenEvents(None, lambda event: replace(event, title="changed"), everything=True)

    log = _through(events)

    assert {event.title for event in log.events} == {"changed"}


@pytest.mark.parametrize("zones", [1, 200])
def test_zones_of_a_large_machine_are_explained_like_those_of_a_small_one(zones: int) -> None:
    lines = made.oom_report()
    zone = next(line for line in lines if line.startswith("Node 0 DMA32 free"))
    at = lines.index(zone)
    many = [*lines[:at], *(zone.replace("Node 0", f"Node {node}") for node in range(zones)), *lines[at:]]

    (event,) = read([made.serial(many)]).events
    (bars,) = (each.bars for each in explain(event).pictures if each.title.startswith("Free by zone"))

    assert len(bars) >= zones
