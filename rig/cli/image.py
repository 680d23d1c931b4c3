# SPDX-License-Identifier: MIT
"""`rig image`: build, list and remove what guests boot."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import typer

from rig.cli.build_progress import BuildProgress
from rig.cli.cache_entries import list_entries, remove_entries, the_entry
from rig.cli.default_choice import show_or_choose
from rig.cli.options import AsJson
from rig.errors import RigError, UsageError
from rig.experiment.cache_use import keep_bound
from rig.experiment.prepare import find_parts
from rig.image.buildroot.build import build_image, check_only
from rig.image.buildroot.recipe import DEFAULT, read_recipe
from rig.image.buildroot.tree import find_buildroot
from rig.image.defaults import default_kernel
from rig.image.kernel import build_debian_kernel
from rig.image.layer.layer import LayerImage, check_name, forget_name, name_layer, names_layer
from rig.image.layer.packages import package_layer
from rig.image.ref import KernelRef
from rig.image.rootfs import build_quick, check_image
from rig.image.store import Store
from rig.machine.snapshot import kept_identity, nearest_snapshots
from rig.program.roots import root_layer
from rig.report.console import output_console

app = typer.Typer()
image = typer.Typer(help="Root filesystems, and the cache of all that guests boot.", no_args_is_help=True)
app.add_typer(image, name="image")


@image.command()
def build(
    name: str = typer.Argument(None, metavar="[NAME]", help="With --deb: the name of the image."),
    deb: list[str] = typer.Option(
        [], metavar="PACKAGE", help="Make a root filesystem for programs of this Debian package."
    ),
    builder: str = typer.Option("quick", help="quick: from Debian's packages; buildroot: from source, by Buildroot."),
    kernel: str = typer.Option(None, help="Fetch or build this kernel too: debian:SUITE, source:SUITE, tree:DIR."),
    recipe: str = typer.Option(None, help="With buildroot: full, small, or your own .toml file."),
    buildroot: str = typer.Option(
        None, metavar="DIR", help="Buildroot's source tree; default: the variable BUILDROOT."
    ),
    jobs: int = typer.Option(None, min=1, help="With buildroot: parallel jobs of make; default: one per CPU."),
    primary_site: str = typer.Option(
        None, metavar="DIR", help="With buildroot: the directory to take all sources from."
    ),
    defconfig_only: bool = typer.Option(
        False, "--defconfig-only", help="Render and check Buildroot's configuration, print it, build nothing."
    ),
) -> None:
    """Build the guest image anew: root filesystem, kernel, agent and programs. With --deb: a root for programs."""
    if deb or name:
        if not (deb and name):
            raise UsageError(
                "an image for programs needs a name and packages",
                where="rig image build",
                remedy="write rig image build NAME --deb PACKAGE",
            )
        _print_layer(name, lambda store: package_layer(store, deb, tell))
        return
    if builder == "buildroot":
        _build_with_buildroot(recipe, buildroot, jobs, primary_site, kernel, defconfig_only)
        return
    if builder != "quick":
        raise UsageError(f"there is no builder '{builder}'", where="--builder", remedy="quick or buildroot")
    given = {
        "--recipe": recipe, "--buildroot": buildroot, "--jobs": jobs, "--primary-site": primary_site,
        "--defconfig-only": defconfig_only,
    }  # fmt: skip
    for option, value in given.items():
        if value:
            raise UsageError(
                "applies to the other builder only", where=option, remedy="rig image build --builder buildroot …"
            )
    _build_quick(kernel)


def _build_quick(kernel: str | None) -> None:

    began = time.monotonic()
    store = Store()
    spec = kernel or default_kernel().spec
    with ThreadPoolExecutor(2) as pool:
        rootfs = pool.submit(build_quick, store)
        if (ref := KernelRef.parse(spec)).kind == "debian":
            build_debian_kernel(store, ref.name)
        rootfs.result()
    parts = find_parts(store, spec, "quick")
    keep_bound(store)
    print(f"kernel  {parts.kernel.release}  {parts.kernel.package or parts.kernel.image}")
    print(f"image   {parts.rootfs.digest[:16]}  {len(parts.rootfs.packages)} packages")
    print(f"built in {time.monotonic() - began:.1f} s")


def _build_with_buildroot(
    recipe_name: str | None,
    directory: str | None,
    jobs: int | None,
    primary_site: str | None,
    kernel: str | None,
    defconfig_only: bool,
) -> None:

    if kernel is not None:
        raise UsageError(
            "an image of Buildroot contains its kernel", where="--kernel", remedy="choose the kernel in the recipe"
        )
    recipe = read_recipe(recipe_name or DEFAULT)
    store = Store()
    jobs = jobs or os.cpu_count() or 1
    named = bool(directory or os.environ.get("BUILDROOT"))
    if defconfig_only:
        tree = find_buildroot(directory) if named else None
        print(check_only(store, tree, recipe, jobs=jobs, primary_site=primary_site), end="")
        checked = f"in force in Buildroot {tree.version}" if tree else "not tried, as no Buildroot tree was given"
        print(f"{recipe.image}: the recipe and its fragments are valid; {checked}", file=sys.stderr)
        return
    tree = find_buildroot(directory)
    with BuildProgress(output_console()) as progress:
        made = build_image(
            store, tree, recipe, jobs=jobs, primary_site=primary_site, progress=progress.step, expect=progress.expect
        )
        progress.finish(made.seconds)
    keep_bound(store)
    print(f"kernel  {made.kernel.about['release']}  {made.kernel.about['spec']}")
    size = made.rootfs.file("root.img").stat().st_size / (1 << 20)
    print(f"image   {made.rootfs.key[:16]}  {size:.1f} MB, {len(made.rootfs.about['packages'])} packages")
    print(f"built in {made.seconds / 60:.1f} min; run it: rig run SCENARIO --image {recipe.image}")


@image.command()
def use(
    name: str = typer.Argument(None, help="quick, buildroot, or a file; without it, show the default."),
    reset: bool = typer.Option(False, "--reset", help="Go back to the quick image."),
) -> None:
    """Choose the default image of runs. Nothing but this command changes it."""
    show_or_choose("image", None if name is None else check_image(name), reset=reset)


@image.command("import")
def import_(
    name: str = typer.Argument(help="The image's name, for rig exec --image NAME."),
    source: str = typer.Argument(metavar="DIR|TAR|ARCHIVE", help="A directory, a tar, a docker or OCI archive."),
) -> None:
    """Import a root filesystem for programs."""
    _print_layer(name, lambda store: root_layer(store, source, tell))


def tell(line: str) -> None:
    """Say on standard error what takes long."""
    print(f"rig: {line}", file=sys.stderr, flush=True)


def _print_layer(name: str, make: Callable[[Store], LayerImage]) -> None:
    began = time.monotonic()
    store = Store()
    check_name(name)
    layer = make(store)
    name_layer(store, name, layer)
    keep_bound(store)
    packages = f", {len(layer.packages)} packages" if layer.packages else ""
    print(f"image   {name}  {layer.key[:12]}  {layer.size >> 20} MB{packages}")
    print(f"made in {time.monotonic() - began:.1f} s; run a program of it: rig exec --image {name} -- PROGRAM")


@image.command("list")
def list_images(
    why: str = typer.Option(None, "--why", metavar="KEY", help="Show how this snapshot differs from the others."),
    as_json: AsJson = False,
) -> None:
    """List what is in the cache."""
    if why is not None:
        explain_snapshot(why)
        return
    list_entries(None, as_json=as_json)


@image.command()
def rm(
    keys: list[str] = typer.Argument(
        None, help="Names of images for programs; keys, or their first letters, as `rig image list` prints them."
    ),
    all_: bool = typer.Option(False, "--all", help="Everything."),
) -> None:
    """Remove images and other entries from the cache. A run that needs one builds it again."""
    store = Store()
    names = {key: str(store.ref(f"layer/{key}")) for key in keys or [] if names_layer(store, key)}
    kept = {key for name, key in store.refs().items() if name.removeprefix("layer/") not in names}
    chosen = dict.fromkeys(names.get(key, key) for key in keys or [] if names.get(key) not in kept)
    # Where an image is in use, this raises and its name stays.
    if chosen or all_ or not names:
        remove_entries(list(chosen), all_, None, command="rig image")
    for name in names:
        forget_name(store, name)
        print(f"{name} is no longer a name here")


def explain_snapshot(key: str) -> None:
    """Print in what a snapshot differs from every other one in the cache, the most alike first.

    key: its first letters. Raises UsageError where no snapshot, or more than one, begins with them.
    """
    store = Store()
    entry = the_entry(store.entries("snapshot"), key, "snapshot", where="rig image list --why")
    identity = kept_identity(entry)
    if identity is None:
        raise RigError(
            "an earlier version of rig made this snapshot and kept no identity beside it",
            where=entry.path,
            remedy=f"rig image rm {entry.key[:12]}; the next run makes it anew",
        )
    print(f"{entry.key[:12]}  {identity['qemu']}, {identity['memory'] >> 20} MB, {identity['clock']}")
    for other, lines in nearest_snapshots(store, identity):
        print(f"\ncompared with {other.key[:12]}:")
        for line in lines:
            print(f"  {line}")
