# SPDX-License-Identifier: MIT
"""Write docs/article.md from recorded runs: `python -m tests.article.write`, which `make docs` calls.

The runs are those of tests/scenario/data, judged again, and host.json, which tests/article/host.py measures.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from textwrap import wrap

from rig.run.document import Claimed
from rig.verify.check import Facts
from tests.article.host import read_host
from tests.article.numbers import numbers
from tests.article.statements import STATEMENTS, Proof, Statement
from tests.scenario.recorded import Recorded, recorded

__all__ = ["ARTICLE", "article", "claimed"]

ARTICLE = Path(__file__).resolve().parents[2] / "docs" / "article.md"
WIDTH = 120
HEAD = """\
# What is written on fork, and what holds

<!-- written by `make docs` from the runs below tests/scenario/data: `make article` makes the runs anew -->

The statements are those of an article for C programmers on fork's pitfalls, in our own words. Each has what holds today,
and the claims of a run that show it, with the values they were judged on. The runs are of Linux {kernel}
in a guest of 512 MB on the warp clock. "Since" names the version that brought what holds today, and where in its source.
"Since Linux 2.6.12-rc2, where git begins" is what the first commit of its git has (1da177e4c3f4); it may be older.
"""


@cache
def _run(scenario: str, variant: str) -> tuple[Recorded, dict[str, Claimed]]:
    run = recorded(scenario, variant)
    return run, {claim.id: claim for claim in run.judged().claims}


def claimed(proof: Proof) -> Claimed:
    """Return the claim of a proof, judged over its recorded run."""
    return _run(proof.scenario, proof.variant)[1][proof.claim]


def _proof(proof: Proof) -> str:
    run, _ = _run(proof.scenario, proof.variant)
    claim = claimed(proof)
    sets = "".join(f" --set {each}" for each in run.sets)
    values = ", ".join(f"{value.name} {value.shown}" for value in claim.values)
    shown = values if len(values) <= 200 else f"{values[:200]} …"
    text = f"{claim.verdict}, {claim.text}" + (f" ({shown})" if shown else "")
    return "\n".join(
        [f"- `rig run {proof.scenario}{sets}`", *wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")]
    )


def _statement(number: int, each: Statement) -> str:
    answer = f"**{each.holds.capitalize()}.** {each.today.format_map(numbers())} Since Linux {each.since}."
    lines = [f"## {number}. {each.says}", "", *wrap(answer, width=WIDTH), ""]
    return "\n".join([*lines, *(_proof(proof) for proof in each.proofs)]).rstrip()


def _costs() -> str:
    rows = [
        "## The cost of a first write (13)", "",
        "| where | a page gets | first write | second write | factor |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for variant, what in (("default", "one store"), ("page", "512 stores")):
        values = {value.name: value.value for value in _run("cow-cost", variant)[1]["instructions-of-a-copy"].values}
        rows.append(
            f"| guest, warp clock, counted | {what} | {values['first']:,} instructions |"
            f" {values['second']:,} instructions | {values['factor']:,.1f} |"
        )
    for result in read_host():
        facts = Facts(result.numbers)
        first, second = ([facts[f"{name}_{part}"] for part in (10, 50, 90)] for name in ("first", "second"))
        under = {"none": ""}.get(facts.text("hypervisor"), f", itself a guest of {facts.text('hypervisor')}")
        what = {"first-write-word": "one store", "first-write-page": "512 stores"}[result.check.name]
        rows.append(
            f"| host ({facts.text('cpu')}{under}) | {what} | {first[1]:,} cycles ({first[0]:,} to {first[2]:,}) |"
            f" {second[1]:,} cycles ({second[0]:,} to {second[2]:,}) | {first[1] / second[1]:.1f} |"
        )
    rows += [
        "",
        f"Cycles are medians of {int(read_host()[0].numbers['pages']):,} pages, with the 10th and the 90th percentile, of"
        " the same static program, run on the",
        "host and not in a guest: under TCG there are no cycles to measure. `rig verify cost --host` measures them on your",
        "machine, and checks that the first write takes at least three times as long as the median second one, for nine",
        f"pages of ten. Here both checks {_verdict()}.",
    ]
    return "\n".join(rows)


def _verdict() -> str:
    return "passed" if all(result.status == "pass" for result in read_host()) else "did not pass"


def _two_programs() -> str:
    run, _ = _run("pipe-exec", "default")
    lines = [str(each["text"]) for each in run.records if each["ev"] == "line"]
    return "\n".join(["## What the two programs print (28)", "", "```", *lines, "```"])


def article() -> str:
    """Return the whole document."""
    ready = next(each for each in _run("overcommit-oops", "default")[0].records if each["ev"] == "ready")
    parts = [HEAD.format(kernel=ready["kernel"]).rstrip()]
    parts += [_statement(number, each) for number, each in enumerate(STATEMENTS, start=1)]
    return "\n\n".join([*parts, _costs(), _two_programs()]) + "\n"


if __name__ == "__main__":
    ARTICLE.write_text(article())
