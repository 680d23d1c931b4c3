# SPDX-License-Identifier: MIT
"""`rig verify`: the kernel's overcommit and OOM rules, checked in guests, and what a first write costs on the host."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import typer

from rig.cli import event_loop
from rig.cli.options import TimeoutScale
from rig.cli.outputs import write_output, write_outputs
from rig.cli.stdout import check_outputs
from rig.errors import UsageError
from rig.image.guestcode import build_guest_code
from rig.image.store import Store
from rig.report.console import output_console
from rig.report.kcidb import ORIGIN, check_origin, kcidb_document
from rig.report.verify_table import checks_table, kernels_table, markdown_table, suites_of, summary
from rig.scenario.suggestion import did_you_mean
from rig.verify.check import Check
from rig.verify.checks import catalogue
from rig.verify.cost import COST_CHECKS, verify_cost
from rig.verify.cost import PROGRAM as COST_PROGRAM
from rig.verify.host import judge_output, verify_host
from rig.verify.kernels import Verified, as_json, verify_kernels
from rig.verify.measure import PROGRAM

app = typer.Typer()
SUITES: dict[str, Mapping[str, Check]] = {"overcommit": catalogue(), "cost": COST_CHECKS}


@app.callback()
def _group() -> None:
    """Keeps the one command below a command of a group."""


@app.command()
def verify(
    suite: str = typer.Argument("overcommit", help="overcommit, or cost, with --host"),
    kernel: list[str] = typer.Option(
        [], help="debian:SUITE, source:SUITE, tree:DIR or a path; once for each kernel to compare."
    ),
    check: list[str] = typer.Option([], help="Only this check; once for each."),
    list_: bool = typer.Option(False, "--list", help="List the checks with their rules, controls and sources."),
    jobs: int = typer.Option(None, min=1, help="Guests at once."),
    timeout_scale: TimeoutScale = 1.0,
    host: bool = typer.Option(
        False, "--host", help="Run the checks that change nothing on this machine's kernel, without a guest."
    ),
    harmful: bool = typer.Option(
        False, "--harmful", help="With --host: also the checks that change the machine, kill or panic (as root)."
    ),
    program: Path = typer.Option(
        None, metavar="FILE", help="Write the static program of --host to FILE, for a machine without rig."
    ),
    judge: Path = typer.Option(
        None, metavar="FILE", help="Judge the output of `FILE --host`, with the FILE of --program, on another machine."
    ),
    junit: str = typer.Option(None, metavar="FILE", help="Write JUnit XML; - is standard output."),
    ktap: str = typer.Option(None, metavar="FILE", help="Write KTAP; - is standard output."),
    kcidb: str = typer.Option(None, metavar="FILE", help="Write KernelCI's JSON (kcidb-io 5.0); - is standard output."),
    origin: str = typer.Option(ORIGIN, metavar="NAME", help="With --kcidb: the CI system's name in that database."),
    json_: bool = typer.Option(False, "--json", help="Print the results as JSON, a list of kernels."),
    markdown: bool = typer.Option(False, "--markdown", help="Print the table of kernels by checks as Markdown."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Print only the checks that do not pass."),
) -> None:
    """Check on kernels the rules of overcommit and of the OOM killer that documentation and code state.

    `rig verify cost --host` measures in cycles of this machine's CPU what a first write after fork costs. It runs the
    static program of the scenario cow-cost without a guest, because a guest without KVM has no CPU's cycles.

    Exit status: 0 all pass or do not apply, 1 a check fails, 3 a check could not be measured or nothing was verified,
    64 usage error.
    """
    check_outputs(
        ("--list", list_), ("--junit", junit), ("--ktap", ktap), ("--kcidb", kcidb),
        ("--json", json_), ("--markdown", markdown), ("-q", quiet),
    )  # fmt: skip
    known = SUITES.get(suite)
    if known is None:
        raise UsageError(f"there is no suite '{suite}'", where="rig verify", remedy=did_you_mean(suite, SUITES))
    check_origin(origin)
    _refuse_conflicts(host=host, harmful=harmful, program=program, judge=judge, kernel=kernel)
    if suite == "cost" and not list_ and (harmful or not host):
        raise UsageError(
            "this suite runs on the host alone, and harms nothing",
            where="rig verify cost",
            remedy="rig verify cost --host, or rig run cow-cost in a guest",
        )
    checks = _chosen(check, known)
    console = output_console()
    if list_:
        console.print(checks_table(checks))
        return
    if program is not None:
        _write_program(program)
        return
    if suite == "cost":
        verified = [verify_cost(build_guest_code(Store()).programs[COST_PROGRAM], checks)]
    elif host or judge is not None:
        verified = [_without_guest(checks, harmful=harmful, judge=judge)]
    else:
        verified = event_loop.run(verify_kernels([*kernel] or [None], checks, jobs=jobs, timeout_scale=timeout_scale))
    suites = suites_of(verified)
    write_outputs(suites, junit=junit, ktap=ktap)
    if kcidb is not None:
        write_output(kcidb, json.dumps(kcidb_document(verified, origin), indent=1) + "\n", "--kcidb")
    if json_:
        print(json.dumps([as_json(each) for each in verified], indent=1))
    elif markdown:
        print(markdown_table(verified))
    elif "-" not in (junit, ktap, kcidb):
        console.print(kernels_table(verified, everything=not quiet))
        for each in verified:
            print(summary(each))
    raise typer.Exit(_status(verified))


def _chosen(names: list[str], known: Mapping[str, Check]) -> list[Check]:
    for name in names:
        if name not in known:
            raise UsageError(f"there is no check '{name}'", where="--check", remedy=did_you_mean(name, known))
    return [known[name] for name in names] if names else list(known.values())


def _refuse_conflicts(
    *, host: bool, harmful: bool, program: Path | None, judge: Path | None, kernel: list[str]
) -> None:
    ways = [
        name
        for name, chosen in (("--host", host), ("--program", program), ("--judge", judge), ("--kernel", kernel))
        if chosen
    ]
    if len(ways) > 1:
        raise UsageError("these options exclude each other", where=", ".join(ways), remedy="choose one")
    if harmful and not host:
        raise UsageError("applies to --host only", where="--harmful", remedy="add --host, or leave it out")


def _static_program() -> Path:
    return build_guest_code(Store()).programs[PROGRAM]


def _write_program(target: Path) -> None:
    source = _static_program()
    try:
        shutil.copy(source, target)
    except OSError as error:
        raise UsageError(f"it cannot be written: {error.strerror}", where=target) from error
    print(f"{target}: run `{target} --host` on the other machine, then `rig verify --judge` its output")


def _without_guest(checks: list[Check], *, harmful: bool, judge: Path | None) -> Verified:
    if judge is None:
        return verify_host(_static_program(), checks, harmful=harmful)
    try:
        text = judge.read_text(errors="replace")
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", where=judge) from error
    return judge_output(text, checks)


def _status(verified: list[Verified]) -> int:
    statuses = {result.status for each in verified for result in each.results}
    if "broken" in statuses or not statuses & {"pass", "fail"}:
        return 3
    return 1 if "fail" in statuses else 0
