# SPDX-License-Identifier: MIT
"""`rig verify overcommit`: the kernel's overcommit and OOM rules, checked in guests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from rig.cli.outputs import write_outputs
from rig.cli.stdout import check_outputs
from rig.errors import UsageError

if TYPE_CHECKING:
    from rig.verify.check import Check
    from rig.verify.kernels import Verified

app = typer.Typer()


@app.callback()
def _group() -> None:
    """Keeps the one command below a command of a group."""


@app.command()
def verify(
    suite: str = typer.Argument("overcommit", help="overcommit"),
    kernel: list[str] = typer.Option(
        [], help="debian:SUITE, source:SUITE, tree:DIR or a path; once for each kernel to compare."
    ),
    check: list[str] = typer.Option([], help="Only this check; once for each."),
    list_: bool = typer.Option(False, "--list", help="List the checks with their rules, controls and sources."),
    jobs: int = typer.Option(None, min=1, help="Guests at once."),
    timeout_scale: float = typer.Option(1.0, min=0.1, max=100, help="Multiplies every deadline."),
    junit: str = typer.Option(None, metavar="FILE", help="Write JUnit XML; - is standard output."),
    ktap: str = typer.Option(None, metavar="FILE", help="Write KTAP; - is standard output."),
    json_: bool = typer.Option(False, "--json", help="Print the results as JSON, a list of kernels."),
    markdown: bool = typer.Option(False, "--markdown", help="Print the table of kernels by checks as Markdown."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Print only what does not pass."),
) -> None:
    """Check the documented and coded rules of overcommit and of the OOM killer on kernels.

    Exit status: 0 all pass or do not apply, 1 a check fails, 3 a check could not be measured or nothing was verified,
    64 usage error.
    """
    import asyncio
    import json

    from rig.report.verify_table import checks_table, kernels_table, markdown_table, suites_of, summary
    from rig.verify.kernels import as_json

    check_outputs(
        ("--list", list_), ("--junit", junit), ("--ktap", ktap),
        ("--json", json_), ("--markdown", markdown), ("-q", quiet),
    )  # fmt: skip
    if suite != "overcommit":
        raise UsageError(f"there is no suite '{suite}'", where="rig verify", remedy="rig verify overcommit")
    from rich.console import Console

    checks = _chosen(check)
    console = Console()
    if list_:
        console.print(checks_table(checks))
        return
    kernels: list[str | None] = [*kernel] or [None]
    verified = [asyncio.run(_one(name, checks, jobs, timeout_scale)) for name in kernels]
    suites = suites_of(verified)
    write_outputs(suites, junit=junit, ktap=ktap)
    if json_:
        print(json.dumps([as_json(each) for each in verified], indent=1))
    elif markdown:
        print(markdown_table(verified))
    elif "-" not in (junit, ktap):
        console.print(kernels_table(verified, everything=not quiet))
        for each in verified:
            print(summary(each))
    raise typer.Exit(_status(verified))


def _chosen(names: list[str]) -> list[Check]:
    from rig.scenario.suggestion import did_you_mean
    from rig.verify.checks import catalogue

    known = catalogue()
    for name in names:
        if name not in known:
            raise UsageError(f"there is no check '{name}'", where="--check", remedy=did_you_mean(name, known))
    return [known[name] for name in names] if names else list(known.values())


async def _one(kernel: str | None, checks: list[Check], jobs: int | None, scale: float) -> Verified:
    from rig.verify.kernels import verify_kernel

    return await verify_kernel(kernel, checks, jobs=jobs, timeout_scale=scale)


def _status(verified: list[Verified]) -> int:
    statuses = {result.status for each in verified for result in each.results}
    if "broken" in statuses or not statuses & {"pass", "fail"}:
        return 3
    return 1 if "fail" in statuses else 0
