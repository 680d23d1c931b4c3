# SPDX-License-Identifier: MIT
"""`rig kernel`: fetch, build, list and remove kernels."""

from __future__ import annotations

import os
import time
from pathlib import Path

import typer

from rig.cli.build_progress import BuildProgress
from rig.cli.cache_entries import list_entries, remove_entries
from rig.cli.default_choice import show_or_choose
from rig.cli.options import AsJson
from rig.errors import RigError, UsageError
from rig.experiment.cache_use import keep_bound
from rig.image.buildroot.build import build_kernel
from rig.image.buildroot.recipe import kernel_recipe
from rig.image.buildroot.tree import find_buildroot
from rig.image.builds_use import remove_builds
from rig.image.defaults import default_kernel
from rig.image.kernel import build_debian_kernel, check_spelling
from rig.image.ref import KernelRef
from rig.image.sourcekernel import Asked, build_source_kernel, build_tree_kernel
from rig.image.store import Store
from rig.report.console import output_console
from rig.report.live import progress_for
from rig.units import format_megabytes

app = typer.Typer()
kernel = typer.Typer(help="Kernels.", no_args_is_help=True)
app.add_typer(kernel, name="kernel")


@kernel.command()
def build(
    spec: str = typer.Argument(
        help="debian:SUITE (fetched); source:SUITE (Debian's linux-source), tree:DIR or buildroot:VERSION (built)."
    ),
    config: Path = typer.Option(
        None, help="A fragment that is merged last, or a whole .config to start from in place of tinyconfig."
    ),
    debug_info: bool = typer.Option(False, "--debug-info", help="Keep debug information for post-mortem and debug."),
    jobs: int = typer.Option(None, min=1, help="Parallel compilers; default: one per CPU."),
    buildroot: str = typer.Option(
        None, metavar="DIR", help="Buildroot's source tree; default: the variable BUILDROOT."
    ),
    primary_site: str = typer.Option(
        None, metavar="DIR", help="With buildroot: the directory to take all sources from."
    ),
) -> None:
    """Fetch a kernel, or build one from source with rig's fragments, all built in.

    The build fails if an option that a fragment asks for is not set. --kernel finds the built kernel by this name.
    """
    ref = KernelRef.parse(spec, "rig kernel build")
    how, what = ref.kind, ref.name
    if how == "file" or not what:
        raise UsageError(
            f"'{spec}' cannot be built",
            where="rig kernel build",
            remedy="as in debian:bookworm, source:bookworm, tree:., buildroot:6.12.60",
        )
    if how == "buildroot":
        if config is not None:
            raise UsageError(
                "applies to source: and tree: only", where="--config", remedy="choose `features` in a recipe"
            )
        _build_with_buildroot(what, debug_info, jobs, buildroot, primary_site)
        return
    if buildroot is not None or primary_site is not None:
        raise UsageError(
            "applies to buildroot:VERSION only", where="--buildroot, --primary-site", remedy="leave it out"
        )
    if how == "debian" and (config is not None or debug_info):
        raise UsageError(
            "applies to a kernel that rig builds; this one is Debian's build",
            where="--config, --debug-info",
            remedy=f"build it yourself: rig kernel build source:{what}; for symbols: rig symbols add {spec}",
        )
    began = time.monotonic()
    store = Store()
    with progress_for() as progress:
        if how == "debian":
            made = build_debian_kernel(store, what)
        elif how == "source":
            asked = Asked.read(config, debug_info=debug_info)
            made = build_source_kernel(store, what, asked, jobs=jobs, tell=progress.phase)
        else:
            asked = Asked.read(config, debug_info=debug_info)
            made = build_tree_kernel(store, what, asked, jobs=jobs, tell=progress.phase)
    keep_bound(store)
    print(f"{made.spec}  {made.release}  {made.package}")
    if how != "debian":
        sizes = (
            f"{name} {format_megabytes((made.image.parent / name).stat().st_size)}" for name in ("bzImage", "vmlinux")
        )
        print(f"{made.image}  {', '.join(sizes)}  in {time.monotonic() - began:.0f} s")
    if default_kernel().spec != made.spec:
        print(f"runs boot it with --kernel {made.spec}; 'rig kernel use {made.spec}' makes it the default")


def _build_with_buildroot(
    version: str, debug_info: bool, jobs: int | None, directory: str | None, primary_site: str | None
) -> None:

    recipe = kernel_recipe(version, debug_info=debug_info)
    store = Store()
    with BuildProgress(output_console()) as progress:
        made = build_kernel(
            store,
            find_buildroot(directory),
            recipe,
            jobs=jobs or os.cpu_count() or 1,
            primary_site=primary_site,
            progress=progress.step,
        )
    keep_bound(store)
    print(f"{made.about['spec']}  {made.about['release']}  {made.path}")


@kernel.command()
def use(
    spec: str = typer.Argument(
        None, help="debian:SUITE, source:SUITE, tree:DIR, or a file; without it, show the default."
    ),
    reset: bool = typer.Option(False, "--reset", help="Go back to Debian's kernel of the host's suite."),
) -> None:
    """Choose the default kernel of runs. Nothing but this command changes it."""
    show_or_choose("kernel", None if spec is None else check_spelling(spec), reset=reset)


@kernel.command("list")
def list_kernels(as_json: AsJson = False) -> None:
    """List the kernels in the cache."""
    list_entries("kernel", as_json=as_json)


@kernel.command("rm")
def remove_kernels(
    keys: list[str] = typer.Argument(None, help="Keys, or their first letters."),
    all_: bool = typer.Option(False, "--all", help="All kernels, and the directories that trees were built in."),
) -> None:
    """Remove kernels from the cache."""
    remove_entries(keys or [], all_, "kernel", command="rig kernel")
    if all_ and (in_use := remove_builds(Store())):
        raise RigError(
            f"build directories that another rig builds in stay: {len(in_use)}",
            where=in_use[0].parent,
            remedy="wait until it has ended",
        )
