# SPDX-License-Identifier: MIT
"""Templates and expressions of a scenario neither fill memory nor run for ever: they are refused, by name and place."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.scenario import expressions
from rig.scenario.expressions import Undecidable, evaluate, parse_expression
from rig.scenario.templates import check_template, render
from rig.scenario.views import View
from rig.scenario.vocabulary import PLAIN_FUNCTIONS

ROOM = 400 << 20

NESTED = "[[z for i in range(3000)] for z in [[y for j in range(3000)] for y in [[1 for k in range(3000)]]]]"
"""A list of 2.7e10 numbers in little memory: it holds one list 3,000 times. Comparing it would take minutes."""
NESTED_TUPLES = "[(" + "b, " * 300 + ") for b in [(" + "a, " * 300 + ") for a in [(" + "1, " * 300 + ")]]][0]"


@pytest.fixture(autouse=True)
def _little_memory() -> Iterator[None]:
    """What would fill the host's memory fails here instead."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def rendered(text: str, **context: object) -> str:
    check_template(text, where="scenario.toml:7", names=set(context))
    return render(text, context, where="scenario.toml:7")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ 'x' * 3000000000 }}", "a product of more than"),
        ("{{ 3000000000 * 'x' }}", "a product of more than"),
        ("{{ [1] * 3000000000 }}", "a product of a list"),
        ("{{ [[1] * 60000] * 60000 }}", "a product of a list"),
        ("{{ 60000 * ['x' * 60000] }}", "a product of a list"),
        ("{{ ([[n]] * 60000) | sum(none, []) }}", "a product of a list"),
        ("{{ ((1, 2) * 60000) | max }}", "a product of a list"),
        ("{{ " + " ~ ".join(["'x' * 60000"] * 200) + " }}", "together"),
        ("{{ [" + ", ".join(["'x' * 60000"] * 200) + "] }}", "together"),
        ("{{ [" + ", ".join(["('x' * 250) | join('x' * 250)"] * 200) + "] }}", "together"),
        ("{{ 'x' * 60000 }}" * 200, "together"),
        ("{{ long }}" * 200, "a text of more than"),
        ("{{ ('x' * 600) | join('x' * 600) }}", "a text of more than"),
        ("{{ 1.5 | round(400000000, 'ceil') }}", "a precision of more than"),
        ("{{ 9**9**9 }}", "a power"),
        ("{{ n * n * n * n * n * n * n * n }}", "bits"),
        ("{{ '%3000000000d' % 1 }}", "a width of more than"),
        ("{{ '%*d' % (3000000000, 1) }}", "a width of more than"),
        ("{{ '%.3000000000f' % 1 }}", "a width of more than"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}", "a loop"),
        ("{{ '{:3000000000}'.format(1) }}", "a call"),
        ("{{ range(99999) }}", "a call"),
        ("{{ lipsum(99999) }}", "a call"),
        ("{% set a = 'x' %}", "an assignment"),
        ("{{ 'x'|center(3000000000) }}", "there is no filter 'center'"),
        ("{{ 'x'|replace('x', 'y') }}", "there is no filter 'replace'"),
    ],
)
def test_template_that_would_cost_too_much_is_refused(text: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        rendered(text, n=10**300, long="x" * 60000)

    assert why in refused.value.what
    assert refused.value.where == "scenario.toml:7"


@pytest.mark.parametrize(
    ("text", "gives"),
    [
        ("{{ size * 2 // 4096 * 4096 }}", "8192"),
        ("{{ '--kill=%d' % size if size else '' }}", "--kill=4096"),
        ("{{ [size, 1]|max }}", "4096"),
        ("{{ 'ab' * 3 }}", "ababab"),
        ("{% if size > 1 %}more{% endif %}", "more"),
        ("{{ size|size }}", "4K"),
    ],
)
def test_what_scenarios_write_is_rendered(text: str, gives: str) -> None:
    assert rendered(text, size=4096) == gives


@pytest.mark.parametrize(
    ("expr", "why"),
    [
        ("sum([sum([1 for b in range(9999)]) for a in range(9999)]) > 0", "too many elements"),
        (f"len([[{'1, ' * 300}] for a in range(9999)]) > 0", "steps"),
        ("'%3000000000d' % 1 == ''", "not formatted"),
        ("'x' * 3000000000 == ''", "that long"),
        ("[[1] * 90000] * 90000 == [[1] * 90000] * 90000", "not repeated"),
        ("90000 * (1, 2) == ()", "not repeated"),
        ("len(['x' * 90000 for a in range(9999)]) > 0", "steps"),
        ("len([('x' * 90000).lower() for a in range(9999)]) > 0", "steps"),
        ("len([(a + 'x')[1:] for a in ['x' * 90000] for b in range(9990)]) > 0", "steps"),
        (f"len([{'9' * 4000} * {'9' * 4000}{(' * ' + '9' * 4000) * 20} for a in range(9990)]) > 0", "bits"),
        (f"{NESTED} == {NESTED}", "steps"),
        (f"len({{{NESTED_TUPLES}}}) > 0", "steps"),
    ],
)
def test_expression_that_would_cost_too_much_cannot_be_judged(
    expr: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expressions, "MOST_STEPS", expressions.MOST_STEPS // 10)
    expression = parse_expression(expr, where="", names=(), functions=PLAIN_FUNCTIONS)

    with pytest.raises(Undecidable, match=why):
        evaluate(expression, {}, PLAIN_FUNCTIONS)


def test_power_is_refused_when_the_scenario_is_loaded() -> None:
    with pytest.raises(UsageError, match="Pow is not part of the language"):
        parse_expression("9**9**9 > 0", where="scenario.toml:7", names=(), functions=PLAIN_FUNCTIONS)


def test_claim_may_walk_the_samples_of_a_long_run_for_each_of_them() -> None:
    text = "len([1 for one in samples if len([1 for other in samples[:90] if other.t > one.t]) > 3]) > 0"
    samples = tuple(View({"t": moment}, "sample") for moment in range(100))
    expression = parse_expression(text, where="", names={"samples"}, functions=PLAIN_FUNCTIONS)

    held = evaluate(expression, {"samples": samples}, PLAIN_FUNCTIONS)

    assert held


def test_expression_of_which_the_compiler_warns_prints_nothing(recwarn: pytest.WarningsRecorder) -> None:
    parse_expression("1and 2", where="scenario.toml:7", names=(), functions=PLAIN_FUNCTIONS)

    assert list(recwarn) == []
