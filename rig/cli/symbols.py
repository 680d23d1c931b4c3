# SPDX-License-Identifier: MIT
"""`rig symbols`: the kernel's debug symbols, for post-mortems and the debugger."""

from __future__ import annotations

from pathlib import Path

import typer

from rig.experiment.cache_use import keep_bound
from rig.image.defaults import default_kernel
from rig.image.ref import KernelRef
from rig.image.store import Store
from rig.image.symbols import add_file, add_package
from rig.units import format_megabytes

app = typer.Typer()
symbols = typer.Typer(help="The kernel's debug symbols.", no_args_is_help=True)
app.add_typer(symbols, name="symbols")


@symbols.command()
def add(
    spec: str = typer.Argument(help="debian:SUITE: its debug package; or the path of a vmlinux."),
    kernel: str = typer.Option(None, help="With a vmlinux: the kernel that it belongs to."),
) -> None:
    """Fetch the debug package of a kernel and keep its vmlinux, if its build id is the kernel's."""
    store = Store()
    if KernelRef.parse(spec, "rig symbols add").kind != "file":
        added = add_package(store, spec)
    else:
        added = add_file(store, Path(spec), kernel or default_kernel().spec)
    keep_bound(store)
    print(f"{added.build_id[:16]}  {added.source}  {format_megabytes(added.vmlinux.stat().st_size)}")


@symbols.command("list")
def list_symbols() -> None:
    """List the symbols in the cache."""
    for entry in Store().entries("symbols"):
        about = entry.about
        print(f"{entry.key[:16]}  {about.get('release')}  {about.get('source')}  {format_megabytes(entry.size)}")
