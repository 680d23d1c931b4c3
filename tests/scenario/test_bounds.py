# SPDX-License-Identifier: MIT
"""Templates and expressions of a scenario neither fill memory nor run for ever: they are refused, by name and place."""

from __future__ import annotations

import pytest

from rig.errors import UsageError
from rig.scenario.expressions import Undecidable, evaluate, parse_expression
from rig.scenario.templates import check_template, render
from rig.scenario.vocabulary import PLAIN_FUNCTIONS


def rendered(text: str, **context: object) -> str:
    check_template(text, where="scenario.toml:7", names=set(context))
    return render(text, context, where="scenario.toml:7")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{ 'x' * 3000000000 }}", "a product of more than"),
        ("{{ 3000000000 * 'x' }}", "a product of more than"),
        ("{{ [1] * 3000000000 }}", "a product of more than"),
        ("{{ ([1] * 60000) | join('x' * 60000) }}", "a text of more than"),
        ("{{ ('x' * 60000) | join('x' * 60000) }}", "a text of more than"),
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
        rendered(text, n=10**300)

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
    ],
)
def test_expression_that_would_cost_too_much_cannot_be_judged(expr: str, why: str) -> None:
    expression = parse_expression(expr, where="", names=(), functions=PLAIN_FUNCTIONS)

    with pytest.raises(Undecidable, match=why):
        evaluate(expression, {}, PLAIN_FUNCTIONS)


def test_power_is_refused_when_the_scenario_is_loaded() -> None:
    with pytest.raises(UsageError, match="Pow is not part of the language"):
        parse_expression("9**9**9 > 0", where="scenario.toml:7", names=(), functions=PLAIN_FUNCTIONS)


def test_expression_of_which_the_compiler_warns_prints_nothing(recwarn: pytest.WarningsRecorder) -> None:
    parse_expression("1and 2", where="scenario.toml:7", names=(), functions=PLAIN_FUNCTIONS)

    assert list(recwarn) == []
