# SPDX-License-Identifier: MIT
"""docs/article.md is what the recorded runs give, and each of its statements is shown by claims that have come true."""

from __future__ import annotations

import json

import pytest

from tests.article.host import HOST_FILE, judge_cost, parse, percentiles
from tests.article.statements import STATEMENTS, Statement
from tests.article.write import ARTICLE, article, claimed


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda each: each.says[:40])
def test_every_statement_is_answered_by_claims_of_real_runs(statement: Statement) -> None:
    assert statement.proofs or statement.holds == "not run"
    for proof in statement.proofs:
        assert claimed(proof).verdict == proof.verdict, proof


def test_what_changed_with_a_kernel_says_with_which() -> None:
    assert all(each.since for each in STATEMENTS if each.holds == "no longer")


def test_document_is_current() -> None:
    assert ARTICLE.read_text() == article(), "make docs"


def test_cost_on_the_host_is_judged_and_can_fail() -> None:
    passes = json.loads(HOST_FILE.read_text())["passes"]

    assert len(passes) == 2
    for each in passes:
        assert judge_cost(each["first"], each["second"])
        assert not judge_cost(each["second"], each["second"])
        # A tenth of the pages that cost no more than a second write are too many.
        assert not judge_cost([each["second"][1], *each["first"][1:]], each["second"])


def test_output_of_the_cost_program_is_read() -> None:
    hypervisor, passes = parse(
        "hypervisor KVMKVMKVM\nfilled 8192\ncycles first 0 30 10\ncycles first 2 20\nminflt first 3\n"
    )

    assert (hypervisor, passes) == ("KVMKVMKVM", {"first": [30, 10, 20]})
    assert percentiles(list(range(100))) == [10, 50, 90]
