# SPDX-License-Identifier: MIT
"""The file of `rig explain --html`: every proof is a link to a line that the file holds, and nothing is left out."""

from __future__ import annotations

import re

from rig.klog import Log, read
from rig.klog.explain import explain
from rig.klog.redact import Redactor
from rig.report.explain_html import html_report, lines_of_reports, redacted_lines
from tests.klog import made


def log_of(*lines: str) -> Log:
    return read([made.serial(lines)], keep_lines=True)


def page_of(log: Log) -> str:
    explanations = [explain(event) for event in log.events]
    return html_report(
        log.events, explanations, heading="a log", lines=lines_of_reports(log.kept, log.events, explanations)
    )


def test_every_proof_is_a_link_to_a_line_of_the_page() -> None:
    page = page_of(log_of("eth0: link is up", *made.oom_report(), "eth0: link is down", *made.oops()))

    links = set(re.findall(r'href="#L(\d+)"', page))
    assert len(links) > 20
    assert links <= set(re.findall(r'id="L(\d+)"', page))
    assert re.findall(r"\[lines? \d", page) == []


def test_lines_outside_of_reports_are_counted_and_not_shown() -> None:
    lines = ["eth0: link is up"] * 50

    page = page_of(log_of(*made.oops(), *lines, *made.panic()))

    assert "link is up" not in page
    assert re.search(r"… \d+ lines of no report", page)


def test_line_numbers_are_those_of_a_log_whose_newest_line_comes_first() -> None:
    lines = made.serial(made.oom_report()).decode().splitlines()
    log = read(["\n".join([*reversed(lines), ""]).encode()], keep_lines=True)

    killed = next(line for line in log.kept if "Killed process" in line.raw)

    assert (
        log.events[0].kills[0].line
        == killed.line
        == 1
        + list(reversed(lines)).index(  # type: ignore[attr-defined] # an OomEvent
            next(line for line in lines if "Killed process" in line)
        )
    )


def test_table_has_every_task_with_the_sum_of_its_points() -> None:
    tasks = [made.MadeTask(100 + at, f"task-{at}", 1000 + at, swapents=7) for at in range(200)]

    page = page_of(log_of(*made.oom_report(tasks)))

    assert page.count("of page tables = ") >= 200
    assert 'class="sortable"' in page
    assert "in memory + 7 in swap" in page


def test_redacted_page_shows_lines_that_were_parsed_and_no_name() -> None:
    secret = [line.replace("parent", "secretd") for line in made.oom_report(cgroup="/customer/secretd")]
    log = log_of(*secret[:4], "customer 10.1.2.3 logged in at secret.example", *secret[4:])
    redactor = Redactor()
    events = [redactor(event) for event in log.events]
    explanations = [explain(event) for event in events]
    lines = redacted_lines(lines_of_reports(log.kept, events, explanations), log.events, redactor)

    page = html_report(events, explanations, heading="a kernel log", lines=lines)

    assert not re.search(r"secret|customer|10\.1\.2\.3", page)
    assert "(hidden)" in page
    assert re.search(r"Killed process \d+ \(task-\d\)", page)


def test_bar_of_a_task_shows_its_swap_and_that_of_a_zone_what_it_holds_back() -> None:
    log = log_of(*made.oom_report([made.MadeTask(100, "hog", 40000, swapents=20000)]))
    (explanation,) = map(explain, log.events)

    holders, zones = explanation.pictures

    assert holders.bars[0].parts == (("in swap", 80000),)
    assert holders.bars[0].value_kb == (40200 + 20000) * 4
    assert any(name == "held back from this request" for bar in zones.bars for name, _kb in bar.parts)
    assert "part0" in page_of(log)


def test_page_has_no_style_attribute_and_names_its_script_by_hash() -> None:
    page = page_of(log_of(*made.oom_report()))

    assert " style=" not in page
    assert page.count("<script>") == 1
    assert "unsafe" not in page.partition("<title>")[0]
