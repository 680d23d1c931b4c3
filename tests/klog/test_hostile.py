# SPDX-License-Identifier: MIT
"""Hostile logs: numbers, nesting and the time of patterns are bounded where they are read."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from tests.klog.test_guest_logs import DATA

REPORT = made.oom_report()
LOGS = Path(__file__).parent / "events"
WORTH = re.IGNORECASE | re.MULTILINE | re.DOTALL | re.VERBOSE
"""Flags that change what a pattern matches."""


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


def patterns(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    """Return every pattern of the reader with its flags: those that it compiles while it is imported and while it reads
    and explains logs of guests and of rare events, and those of the rules, which it compiles when it needs them.

    The reader is imported a second time here. A pattern counts wherever it stands: in a table, a tuple or a call.
    """
    found = {(rule.start, 0) for rule in RULES} | {(rule.detail, 0) for rule in RULES if rule.detail}
    found |= {(rule.pattern, 0) for rule in ONE_LINE_RULES}
    compiled = re._compile  # type: ignore[attr-defined] # all functions of re go through it

    def spy(pattern: Any, flags: int) -> Any:
        result = compiled(pattern, flags)
        if sys._getframe(2).f_globals.get("__name__", "").startswith("rig.klog"):
            text = result.pattern
            found.add((text if isinstance(text, str) else text.decode("latin-1"), result.flags & WORTH))
        return result

    modules = ["rig.klog", *(module.name for module in pkgutil.walk_packages(rig.klog.__path__, "rig.klog."))]
    # Each is imported before it is taken out, so that monkeypatch puts it back and no later test gets the second one.
    for name in modules:
        importlib.import_module(name)
    for name in modules:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(rig, "klog", rig.klog)
    monkeypatch.setattr(re, "_compile", spy)
    for name in modules:
        importlib.import_module(name)
    reader, explainer = importlib.import_module("rig.klog"), importlib.import_module("rig.klog.explain")
    redactor = importlib.import_module("rig.klog.redact").Redactor()
    for path in sorted([*LOGS.glob("*.log"), *DATA.glob("*bookworm*.log")]):
        for event in reader.read([path.read_bytes()]).events:
            explainer.explain(redactor(event))
    return found


def test_no_pattern_is_exponential(monkeypatch: pytest.MonkeyPatch) -> None:
    """An analyser of regular expressions finds nothing worse than quadratic; lines are bounded against the rest."""
    found = {
        pattern: [attack for attack in redos.find(SreOpParser().parse_sre(pattern, flags)) if attack.starriness > 2]
        for pattern, flags in patterns(monkeypatch)
    }

    assert len(found) > 250
    assert {pattern: attacks for pattern, attacks in found.items() if attacks} == {}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.start[:40])
def test_keyword_of_a_rule_does_not_miss_its_lines(rule: object) -> None:
    """The literal that a pattern begins with stands for it only where the pattern has no alternative outside brackets."""
    start = re.sub(r"\\\\.|\[[^\]]*\]", "", rule.start)
    while (shorter := re.sub(r"\([^()]*\)", "", start)) != start:
        start = shorter

    assert "|" not in start or len(rule.keywords) > 1 or all(rule.keywords[0] in part for part in start.split("|"))
