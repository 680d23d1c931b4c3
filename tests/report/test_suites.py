# SPDX-License-Identifier: MIT
"""Runs in the formats of CI (JUnit XML, KTAP, GitHub's annotations), each with hostile text from a guest."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import junitparser
import pytest
from tap.parser import Parser

from rig.report.annotations import annotation_lines
from rig.report.junit import junit_xml
from rig.report.ktap import ktap_text
from rig.report.summary import LARGEST, summary_markdown
from rig.run.document import Claimed, Phase, Run, Shown
from rig.run.observations import OomReport, Ranked
from rig.run.suite import Case, Suite, cases_of_claims, suite_of_run
from rig.sweep.axes import SweepPlan
from rig.sweep.suites import suites_of_rows
from tests.sweep.made import row

# Element -> (attributes, children) that the schema of Jenkins' xUnit plugin (junit-10.xsd) allows.
ALLOWED = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname", "id", "package", "file"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name", "time", "classname", "group"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()),
    "system-out": (set(), set()),
}
NASTY = 'a \x1b[31m & <b> "q" # SKIP \x00 \ud800 \uffff é'


def claim(id_: str, verdict: str, kind: str = "claim", reason: str = "") -> Claimed:
    value = Shown(name="held", value=1, shown="1 kB\nand more")
    return Claimed(id=id_, text=id_, verdict=verdict, kind=kind, reason=reason, values=(value,))  # type: ignore[arg-type] # words of the model


@pytest.fixture
def suites() -> list[Suite]:
    claims = [
        claim("good", "held"),
        claim("bad", "failed", reason=NASTY),
        claim("ground", "failed", kind="condition"),
        claim("unasked", "not-applicable", reason="it applies when\nswap > 0"),
        claim("unknown", "invalid", reason="a sample is missing"),
    ]
    cases = cases_of_claims(claims, "invalid", "")
    return [Suite("one # two", cases, 1234.5678, properties=(("k", NASTY),)), Suite("two", (Case("x", "passed"),))]


def test_claims_are_cases_by_their_verdict(suites: list[Suite]) -> None:
    assert [case.status for case in suites[0].cases] == ["passed", "failed", "broken", "skipped", "broken"]
    assert [suite.status for suite in suites] == ["broken", "passed"]


def test_verdict_that_no_claim_explains_is_a_case() -> None:
    cases = cases_of_claims([claim("good", "held")], "error", "the guest ended")

    assert (cases[-1].status, cases[-1].message) == ("broken", "the guest ended")


def test_junit_has_only_what_its_readers_schema_allows(suites: list[Suite]) -> None:
    root = ElementTree.fromstring(junit_xml(suites))

    for element in root.iter():
        attributes, children = ALLOWED[element.tag]
        assert set(element.attrib) <= attributes, element.tag
        assert {child.tag for child in element} <= children, element.tag
    for suite in root:
        assert {"name", "tests", "failures", "errors"} <= set(suite.attrib)
        assert re.fullmatch(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?", suite.attrib["time"])


def test_junit_counts_are_those_of_the_cases(suites: list[Suite]) -> None:
    read = junitparser.JUnitXml.fromstring(junit_xml(suites).encode())

    first = next(iter(read))
    assert (first.tests, first.failures, first.errors, first.skipped) == (5, 1, 2, 1)
    assert (read.tests, read.failures, read.errors) == (6, 1, 2)


def test_junit_has_the_times_of_the_run_and_invents_none_for_its_claims() -> None:
    run = Run(
        id="r", scenario="s", started="2026-11-25T22:00:00+00:00", verdict="reproduced", host_seconds=2.2,
        guest_seconds=251.0, phases=(Phase(name="restore", host_seconds=0.31), Phase(name="plan", host_seconds=1.6)),
        claims=(claim("good", "held"),),
    )  # fmt: skip

    root = ElementTree.fromstring(junit_xml([suite_of_run(run)] * 2))

    suite = root[0]
    assert (len(root), root.get("time")) == (2, "4.4")
    assert (suite.get("time"), suite.get("timestamp")) == ("2.2", "2026-11-25T22:00:00+00:00")
    properties = {each.get("name"): each.get("value") for each in suite.iter("property")}
    assert properties["guest_seconds"] == "251.000"
    assert properties["host_seconds.restore"] == "0.310"
    assert [case.get("time") for case in suite.iter("testcase")] == [None]
    assert "held: 1 kB" in (suite.findtext("testcase/system-out") or "")


def test_ktap_follows_the_kernels_rules(suites: list[Suite]) -> None:
    lines = ktap_text(suites).splitlines()

    assert lines[0] == "KTAP version 1"
    assert lines[1] == "1..2"
    inner = [line[2:] for line in lines if line.startswith("  ")]
    for line in inner:
        assert re.fullmatch(r"KTAP version 1|1\.\.\d+|# .*|(not )?ok \d+ [^#]+( # SKIP .*)?", line), line
    outer = [line for line in lines[2:] if not line.startswith("  ")]
    assert [line.split(" ")[0] for line in outer] == ["not", "ok"]
    assert "1..5" in inner


def test_another_reader_of_tap_sees_the_same_results(suites: list[Suite]) -> None:
    text = "\n".join(line[2:] for line in ktap_text(suites[:1]).splitlines() if line.startswith("  "))

    results = [line for line in Parser().parse_text(text) if line.category == "test"]

    assert [(result.number, result.ok, result.skip) for result in results] == [
        (1, True, False), (2, False, False), (3, False, False), (4, True, True), (5, False, False),
    ]  # fmt: skip


def test_annotations_are_one_line_each_and_escaped(suites: list[Suite]) -> None:
    lines = list(annotation_lines(suites))

    assert len(lines) == 3
    assert all(line.startswith(("::error ", "::warning ")) and "\n" not in line for line in lines)


def test_more_annotations_than_are_shown_are_counted() -> None:
    many = Suite("s", tuple(Case(f"c{number}", "failed", "no") for number in range(25)))

    lines = list(annotation_lines([many]))

    assert len(lines) == 10
    assert lines[-1].endswith("16 more did not pass")


def test_message_cannot_begin_a_command_of_its_own() -> None:
    (line,) = annotation_lines([Suite("a,b::c", (Case("x", "failed", "one\n::set-env name=x::y"),))])

    assert "\n" not in line
    assert line.split("::")[1] == "error title=a%2Cb%3A%3Ac%3A x"


def test_summary_has_a_row_a_claim_with_its_verdict_and_values(suites: list[Suite]) -> None:
    lines = summary_markdown(suites).splitlines()

    rows = [line for line in lines if line.startswith("| ") and "claim" not in line]
    assert [line.split(" | ")[2] for line in rows[:5]] == ["held", "failed", "invalid", "not applicable", "invalid"]
    assert "held&#58; 1 kB" in rows[0]
    assert len(rows) == 6


def test_guest_writes_no_markdown_into_the_summary() -> None:
    nasty = "[x](http://y) <img src=z> | `a` @all"

    (row,) = [
        line for line in summary_markdown([Suite("s", (Case("c", "failed", nasty),))]).splitlines() if "&#" in line
    ]

    assert row.count("|") == 5
    assert not set("[]<>`@") & set(row)


def test_summary_stays_below_the_size_that_github_refuses() -> None:
    suites = [Suite(f"s{number}", (Case("c", "failed", "x" * 100_000),)) for number in range(12)]

    text = summary_markdown(suites)

    assert len(text.encode()) < LARGEST + 100
    assert text.rstrip().endswith("more are not shown.")


def ranked(pid: int, name: str, **marks: bool) -> Ranked:
    return Ranked(pid=pid, name=name, points=9, rss=9, swap=0, page_tables=0, oom_score_adj=0, **marks)


def run_in_a_tie() -> Suite:
    """Return the suite of a run whose victim, of a name that tries to write commands, is in a tie with `hog`."""
    name = "a\n::error::b"
    rows = (ranked(1, name, tied=True, killed=True), ranked(2, "hog", tied=True), ranked(3, "idle"))
    oom = OomReport(ranking=rows, slack_pages=256, killed=(f"{name} (1)",))
    return suite_of_run(Run(id="x", scenario="s", started="", verdict="reproduced", ooms=(oom,)))


def test_tie_is_told_in_each_form() -> None:
    suite = run_in_a_tie()

    forms = (junit_xml([suite]), ktap_text([suite]), *annotation_lines([suite]), summary_markdown([suite]))

    assert len(forms) == 4
    for form in forms:
        assert "256 pages" in form
        assert "in a tie with hog" in form
        assert not re.search("^::error", form, re.MULTILINE)


def test_tie_breaks_no_readers_rules() -> None:
    suite = run_in_a_tie()

    assert all(child.tag in ALLOWED["testsuite"][1] for child in ElementTree.fromstring(junit_xml([suite]))[0])
    assert [
        line for line in ktap_text([suite]).splitlines() if not re.match(r" *(KTAP|#|\d+\.\.|ok|not ok)", line)
    ] == []


def test_tie_of_a_point_is_noted_too() -> None:
    tied, other = suites_of_rows(SweepPlan("s"), [row(oom_victim="parent", oom_tied="child,hog"), row()])

    assert tied.notes == ("killed: parent, in a tie with child and hog",)
    assert other.notes == ()


def test_victim_of_the_highest_badness_is_no_tie() -> None:
    rows = (ranked(1, "child", tied=True, killed=True), ranked(3, "idle"))
    oom = OomReport(ranking=rows, killed=("child (1)",))

    assert suite_of_run(Run(id="x", scenario="s", started="", verdict="reproduced", ooms=(oom,))).notes == ()


def test_more_notes_than_are_shown_are_counted() -> None:
    lines = list(annotation_lines([Suite(f"s{number}", (), notes=("n",)) for number in range(25)]))

    assert len(lines) == 10
    assert lines[-1] == "::notice title=rig::16 more notes"
