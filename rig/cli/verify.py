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
    from rig.verify.guests import Verified

app = typer.Typer()


@app.callback()
def _group() -> None:
    """Keeps the one command below a command of a group."""


@app.command()
def verify(
    suite: str = typer.Argument(help="overcommit"),
    kernel: list[str] = typer.Option(
        [], help="debian:SUITE, source:SUITE, tree:DIR or a path; once for each kernel to compare."
    ),
    check: list[str] = typer.Option([], help="Only this check; once for each."),
    list_: bool = typer.Option(False, "--list", help="List the checks with their rules and sources."),
    jobs: int = typer.Option(None, min=1, help="Guests at once."),
    timeout_scale: float = typer.Option(1.0, min=0.1, max=100, help="Multiplies every deadline."),
    junit: str = typer.Option(None, metavar="FILE", help="Write JUnit XML; - is standard output."),
    ktap: str = typer.Option(None, metavar="FILE", help="Write KTAP; - is standard output."),
    markdown: bool = typer.Option(False, "--markdown", help="Print the table of kernels by checks as Markdown."),
    quiet: bool = typer.Option(False, "-q", "--quiet", help="Print only what does not pass."),
) -> None:
    """Check the documented and coded rules of overcommit and of the OOM killer on kernels.

    Exit status: 0 all pass or do not apply, 1 a check fails, 3 a check could not be measured, 64 usage error.
    """
    import asyncio

    from rig.report.verify_table import checks_table, kernels_table, markdown_table, suites_of

    check_outputs(("--list", list_), ("--junit", junit), ("--ktap", ktap), ("--markdown", markdown), ("-q", quiet))
    if suite != "overcommit":
        raise UsageError(f"there is no suite '{suite}'", where="rig verify", remedy="rig verify overcommit")
    from rich.console import Console

    checks = _chosen(check)
    console = Console()
    if list_:
        console.print(checks_table([(each.name, each.sentence, [str(one) for one in each.sources]) for each in checks]))
        return
    kernels: list[str | None] = [*kernel] or [None]
    verified = [asyncio.run(_one(name, checks, jobs, timeout_scale)) for name in kernels]
    suites = suites_of(verified)
    write_outputs(suites, junit=junit, ktap=ktap)
    if markdown:
        print(markdown_table(verified))
    elif "-" not in (junit, ktap):
        console.print(kernels_table(verified, everything=not quiet))
        for each in verified:
            counts = {status: sum(result.status == status for result in each.results) for status in
                      ("pass", "fail", "not-applicable", "broken")}  # fmt: skip
            words = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
            print(
                f"{each.kernel} {each.release}: {words or 'unavailable: ' + each.unavailable} in {each.seconds:.1f} s"
            )
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
    from rig.verify.guests import verify_kernel

    return await verify_kernel(kernel, checks, jobs=jobs, timeout_scale=scale)


def _status(verified: list[Verified]) -> int:
    statuses = {result.status for each in verified for result in each.results}
    return 3 if "broken" in statuses else 1 if "fail" in statuses else 0
