# SPDX-License-Identifier: MIT
"""`rig doctor`: what this host has and lacks."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.table import Table
from rich.text import Text

from rig.cli import event_loop
from rig.cli.options import AsJson
from rig.experiment.doctor import examine, examine_kvm
from rig.report.console import output_console
from rig.report.list_documents import print_json

app = typer.Typer()
SIGNS = {"ok": ("✓", "green"), "note": ("–", "yellow"), "bad": ("✗", "red")}


@app.command()
def doctor(
    ci: bool = typer.Option(False, "--ci", help="For a CI runner: also print the lines that its configuration needs."),
    require_kvm: bool = typer.Option(False, "--require-kvm", help="Try KVM, and fail if no kernel boots under it."),
    again: bool = typer.Option(False, "--again", help="Try KVM again instead of using the remembered result."),
    as_json: AsJson = False,
) -> None:
    """Check whether rig can run here, what is missing, and whether KVM works. Exit 1 when the main job cannot run."""
    findings = list(examine())
    broken = any(finding.level == "bad" for finding in findings)
    if not broken:
        findings.append(event_loop.run(examine_kvm(again=again or require_kvm)))
    kvm = any(finding.what == "kvm" and finding.level == "ok" for finding in findings)
    status = 1 if broken or (require_kvm and not kvm) else 0
    if as_json:
        print_json({"can_run": not broken, "kvm": kvm, "findings": [asdict(finding) for finding in findings]})
        raise typer.Exit(status)
    table = Table.grid(padding=(0, 1))
    for finding in findings:
        sign, style = SIGNS[finding.level]
        table.add_row(Text(sign, style), Text(finding.what, "bold"), Text(finding.saw))
        if finding.remedy:
            table.add_row("", "", Text(f"try: {finding.remedy}" if finding.level == "bad" else finding.remedy, "dim"))
    console = output_console()
    console.print(table)
    if ci and not kvm:
        console.print("A runner with KVM needs /dev/kvm open to its user: a udev rule", style="dim")
        console.print('  KERNEL=="kvm", GROUP="kvm", MODE="0666", OPTIONS+="static_node=kvm"', style="dim")
    console.print("The main job cannot run here." if broken else "The main job can run here.")
    raise typer.Exit(status)
