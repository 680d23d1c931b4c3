# SPDX-License-Identifier: MIT
"""Words of the language of claims: one declaration gives vocabulary, evaluation, documentation and what it rests on."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from rig.klog import read
from rig.run.records import Records
from rig.scenario import declare
from rig.scenario.declare import Declared, function
from rig.scenario.evidence import Evidence
from rig.scenario.expressions import AbsentSubject, Undecidable, evaluate, parse_expression
from rig.scenario.model_tables import MODEL, with_tables
from rig.scenario.vocabulary import BEFORE, from_records, functions_of, names_of, words
from tests.scenario.recorded import recorded

EXAMPLES = {word: declared for word, declared in words().items() if declared.example.expr}


def holds(example: str, evidence: Evidence) -> bool:
    """Whether the example is true of the run; what it needs may be missing, and then it is not."""
    names, functions = names_of(evidence), functions_of(evidence)
    expression = parse_expression(example, where="example", names=names, functions=functions)
    try:
        return evaluate(expression, names, functions) is True
    except (Undecidable, AbsentSubject):
        return False


def lost(evidence: Evidence) -> Evidence:
    """The run without any record."""
    return replace(evidence, records=Records(lost=len(evidence.records.items)))


@cache
def run_of(name: str) -> Evidence:
    """The recorded run of SCENARIO or SCENARIO/VARIANT."""
    return recorded(*name.split("/")).evidence()


@pytest.mark.parametrize("word", EXAMPLES)
def test_example_of_a_word_holds_for_a_recorded_run(word: str) -> None:
    example = words()[word].example

    assert holds(example.expr, run_of(example.run))


@pytest.mark.parametrize("word", EXAMPLES)
def test_word_is_judged_without_records_unless_it_says_that_it_rests_on_them(word: str) -> None:
    declared = words()[word]
    example, run = declared.example.expr, run_of(declared.example.run)

    assert word in parse_expression(example, where="", names=names_of(run), functions=functions_of(run)).names, (
        "the example has to use the word"
    )
    assert holds(example, lost(run)) == (declared.source != "records")


def test_every_word_over_a_run_has_an_example() -> None:
    assert not [word for word, declared in words().items() if declared.source != "value" and not declared.example.expr]


def test_words_known_before_the_run_rest_on_its_settings() -> None:
    assert {word for word, declared in words().items() if declared.source == "settings"} == BEFORE
    assert not BEFORE & from_records()


def test_tables_of_the_model_are_those_that_the_declarations_give() -> None:
    text = MODEL.read_text(encoding="utf-8")

    assert text == with_tables(text), "write them anew: make docs"
    assert all(f"`{word}" in text for word in words())


def test_word_without_documentation_cannot_be_declared() -> None:
    def silent(evidence: Evidence) -> int:
        return 0

    with pytest.raises(ValueError, match="'silent' has no line of documentation"):
        function("log", "silent() == 0")(silent)


def test_word_cannot_be_declared_twice() -> None:
    def again(evidence: Evidence) -> int:
        """a second one"""
        return 0

    with pytest.raises(ValueError, match="'pid' is declared twice"):
        function("log", "pid() == 0", word="pid")(again)


def test_declaring_a_function_is_all_that_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    declared: dict[str, Declared] = dict(words())
    monkeypatch.setattr(declare, "DECLARED", declared)
    monkeypatch.setattr("rig.scenario.vocabulary.DECLARED", declared)

    @function("records", "spawned() == 2")
    def spawned(evidence: Evidence) -> int:
        """how many programs the plan started"""
        return len(evidence.records.of("spawn"))

    assert holds("spawned() == 2", run_of("overcommit-oops"))
    assert "spawned" in from_records()
    assert "| `spawned()` ● | how many programs the plan started |" in with_tables(MODEL.read_text(encoding="utf-8"))


def test_log_without_records_still_has_its_reports() -> None:
    run = recorded("overcommit-oops")
    evidence = Evidence(run.evidence().settings, run.evidence().plan, Records(lost=9), read([run.console]))

    assert len(evidence.ooms()) == 1
