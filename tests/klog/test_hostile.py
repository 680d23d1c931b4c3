# SPDX-License-Identifier: MIT
"""Hostile logs: numbers, nesting and the time of patterns are bounded where they are read."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Callable

import pytest
from regexploit import redos
from regexploit.ast.sre import SreOpParser

import rig.klog
from rig.klog import Event, OomEvent, read, text
from rig.klog.crash.starts import RULES
from rig.klog.document import document
from rig.klog.explain import explain
from rig.klog.oneline import RULES as ONE_LINE_RULES
from rig.klog.oom.totalpages import MOST_NODES, parse_nodes
from tests.klog import made

REPORT = made.oom_report()


def events(lines: list[str]) -> tuple[Event, ...]:
    log = read([made.serial(lines)])
    document(log.lines, log.events, [explain(event) for event in log.events])
    return log.events


@pytest.mark.parametrize("order", ["99999999999", "-3", "21", "9" * 5000])
def test_order_that_no_allocator_has_is_not_believed(order: str) -> None:
    (event,) = events([line.replace("order=0", f"order={order}") for line in REPORT])

    assert isinstance(event, OomEvent)
    assert event.order is None


@pytest.mark.parametrize("order", [0, 3, 10, -1])
def test_order_that_an_allocator_has_is_read(order: int) -> None:
    (event,) = events([line.replace("order=0", f"order={order}") for line in REPORT])

    assert isinstance(event, OomEvent)
    assert event.order == order


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: re.sub(r"\b\d+\b", "9" * 5000, line),
        lambda line: re.sub(r"\d", "\u00b2", line),
        lambda line: re.sub(r"\d", "\u0663", line),
        lambda line: line.replace("parent", "#088"),
        lambda line: line.replace(" ", "#0129"),
        lambda line: re.sub(r"(\d+)", r"-\1", line),
        lambda line: line + "0x" * 8000,
        lambda line: "A" * 20000 + line,
    ],
    ids=["huge", "superscript", "Arabic digits", "octal", "line ends", "negative", "long", "late"],
)
def test_numbers_that_are_none_make_nothing_raise(damage: Callable[[str], str]) -> None:
    events([damage(line) for line in [*REPORT, *made.oops()]])


def test_number_of_thousands_of_digits_is_cut() -> None:
    assert text.bounded("free:" + "9" * 5000 + "kB") == "free:" + "9" * 18
    assert text.bounded("a " + "9" * 300 + " b") == "a " + "9" * 18 + " b"
    assert text.bounded("ip 0x" + "f" * 40) == "ip 0x" + "f" * 40


def test_record_of_nothing_but_brackets_is_passed_over() -> None:
    record = '{"MESSAGE": ' + "[" * 16000

    (event,) = read([(record + "\n").encode() + made.serial(REPORT)]).events

    assert event.line == 2


def test_list_of_nodes_is_bounded() -> None:
    assert len(parse_nodes("0-4000000000," * 100)) <= MOST_NODES + 1
    assert parse_nodes("\u00b2") == frozenset()


def test_json_of_a_hostile_report_is_json() -> None:
    log = read(
        [made.serial([line.replace("hog", '"\\x00\ud800'.encode("utf-8", "replace").decode()) for line in REPORT])]
    )

    assert json.loads(document(log.lines, log.events))["events"]


def patterns() -> list[str]:
    """Every pattern of the reader: those of the rules, and those that stand in a module as they are."""
    found = {rule.start for rule in RULES} | {rule.detail for rule in RULES if rule.detail}
    found |= {rule.pattern for rule in ONE_LINE_RULES}
    for module in pkgutil.walk_packages(rig.klog.__path__, "rig.klog."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, re.Pattern):
                found.add(value.pattern if isinstance(value.pattern, str) else value.pattern.decode("latin-1"))
    return sorted(found)


@pytest.mark.parametrize("pattern", patterns())
def test_pattern_is_not_exponential(pattern: str) -> None:
    """An analyser of regular expressions finds nothing worse than quadratic; lines are bounded against the rest."""
    found = [attack for attack in redos.find(SreOpParser().parse_sre(pattern, 0)) if attack.starriness > 2]

    assert found == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.start[:40])
def test_keyword_of_a_rule_does_not_miss_its_lines(rule: object) -> None:
    """The literal that a pattern begins with stands for it only where the pattern has no alternative outside brackets."""
    start = re.sub(r"\\\\.|\[[^\]]*\]", "", rule.start)
    while (shorter := re.sub(r"\([^()]*\)", "", start)) != start:
        start = shorter

    assert "|" not in start or len(rule.keywords) > 1 or all(rule.keywords[0] in part for part in start.split("|"))
