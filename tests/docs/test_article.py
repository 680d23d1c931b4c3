# SPDX-License-Identifier: MIT
"""docs/article.md is what the recorded runs give, and each of its statements is shown by claims that have come true."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from rig.verify.cost import judge_cost
from rig.verify.kernels import Verified
from tests.article.host import read_host, write_host
from tests.article.numbers import numbers
from tests.article.statements import GIT, STATEMENTS, Statement
from tests.article.write import ARTICLE, article, claimed
from tests.scenario.recorded import recorded


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda each: each.says[:40])
def test_every_statement_is_answered_by_claims_of_real_runs(statement: Statement) -> None:
    assert statement.proofs or statement.holds == "not run"
    for proof in statement.proofs:
        assert claimed(proof).verdict == proof.verdict, proof


def test_every_statement_names_the_kernel_since_which_its_answer_holds() -> None:
    assert [each.says for each in STATEMENTS if not re.match(r"\d+\.\d+", each.since)] == []
    assert [
        each.says for each in STATEMENTS if each.since.startswith(GIT) and not re.search(r"\w\(\)", each.since)
    ] == []


def test_numbers_in_the_answers_are_those_of_the_runs() -> None:
    used = {name for each in STATEMENTS for _, name, _, _ in Formatter().parse(each.today) if name}

    assert used == set(numbers())


def test_number_in_an_answer_changes_with_its_run() -> None:
    oops = recorded("overcommit-oops")
    third = next(record["t"] for record in oops.records if str(record.get("text")).startswith("step 3 "))
    sooner = oops.changed("oom", lambda record: record.update(t=third - 1))
    less = sooner.changed("sample", lambda record: record["meminfo"].update(MemAvailable=102400), label="filled")

    found = numbers(lambda name, variant: less if name == "overcommit-oops" else recorded(name, variant))

    assert (found["step_of_the_oom"], found["beside_the_parent_mb"]) == ("third", "100")


def test_document_is_current() -> None:
    assert ARTICLE.read_text() == article(), "make docs"


def test_cost_on_the_host_has_passed() -> None:
    assert [(result.check.name, result.status) for result in read_host()] == [
        ("first-write-word", "pass"),
        ("first-write-page", "pass"),
    ]


def test_cost_that_does_not_pass_is_not_kept(tmp_path: Path) -> None:
    word, page = read_host()
    cheap = judge_cost(word.check, {**word.numbers, "first_10": word.numbers["second_50"]}, "6.1.0")

    with pytest.raises(SystemExit, match="first-write-word: fail"):
        write_host(Verified("host", "6.1.0", results=(cheap, page)), tmp_path / "host.json")

    assert list(tmp_path.iterdir()) == []


def test_cost_that_passes_is_kept_and_read_again(tmp_path: Path) -> None:
    results = tuple(read_host())

    write_host(Verified("host", "6.1.0", results=results), tmp_path / "host.json")

    assert [result.numbers for result in read_host(tmp_path / "host.json")] == [each.numbers for each in results]
