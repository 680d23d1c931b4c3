# SPDX-License-Identifier: MIT
"""What stands before the kernel's text: read in any pieces, with its time, and joined where a line was broken."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig.klog import read
from tests.klog import made
from tests.klog.shape import shape
from tests.klog.test_forms import FORMS


@given(form=st.sampled_from(sorted(FORMS)), start=st.integers(0, 900), piece=st.integers(1, 5000))
@settings(max_examples=60, deadline=None)
def test_form_and_pieces_change_nothing(form: str, start: int, piece: int) -> None:
    lines = made.oom_report()
    plain = ("\n".join(lines) + "\n").encode()
    dressed = ("\n".join(FORMS[form](start + index, line) for index, line in enumerate(lines)) + "\n").encode()

    pieces = [dressed[at : at + piece] for at in range(0, len(dressed), piece)]

    assert shape(read(pieces)) == shape(read([plain]))


def test_time_and_caller_are_read_where_they_stand() -> None:
    lines = made.oom_report()

    (event,) = read([made.serial(lines, start=12.5, caller="T7")]).events

    assert event.time == pytest.approx(12.5)
    assert event.caller == "T7"


def test_line_ends_that_rsyslog_escaped_are_line_ends() -> None:
    lines = made.oom_report()
    first = next(index for index, line in enumerate(lines) if line.startswith("active_anon"))
    joined = [*lines[:first], "#012".join(lines[first : first + 7]), *lines[first + 7 :]]

    (event,) = read(["\n".join(joined).encode()]).events

    assert event.unknown == ()
    assert event.mem_info == read(["\n".join(lines).encode()]).events[0].mem_info


@pytest.mark.parametrize("width", [72, 76, 80])
def test_lines_that_a_mail_client_wrapped_are_joined(width: int) -> None:
    lines = made.oom_report()
    wrapped = []
    for line in lines:
        short = line.startswith((" ", "[", "RIP", "RSP", "RAX", "Code"))
        wrapped += [line] if short else textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False)

    (event,) = read(["\n".join(wrapped).encode()]).events
    (whole,) = read(["\n".join(lines).encode()]).events

    assert [zone.values for zone in event.zones] == [zone.values for zone in whole.zones]
    assert [node.values for node in event.nodes] == [node.values for node in whole.nodes]
    assert [(kill.pid, kill.pgtables_kb, kill.oom_score_adj) for kill in event.kills] == [
        (kill.pid, kill.pgtables_kb, kill.oom_score_adj) for kill in whole.kills
    ]
    assert event.unknown == ()


def test_lines_that_a_pager_cut_are_read_as_far_as_they_go_and_said_to_be_cut() -> None:
    lines = [line if len(line) <= 90 else f"{line[:89]}>" for line in made.oom_report()]

    (event,) = read(["\n".join(lines).encode()]).events

    assert event.corrupted
    assert event.zones[1].free == 2292
    assert event.victim is not None
