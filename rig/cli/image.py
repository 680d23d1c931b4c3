"""`rig image` and `rig kernel`: build, list and remove what guests boot."""

from __future__ import annotations

import typer

from rig.errors import WrongCall

app = typer.Typer()
image = typer.Typer(help="Root filesystems, and the cache of all that guests boot.", no_args_is_help=True)
kernel = typer.Typer(help="Kernels.", no_args_is_help=True)
app.add_typer(image, name="image")
app.add_typer(kernel, name="kernel")


@image.command()
def build(
    builder: str = typer.Option("quick", help="quick: from Debian's packages."),
    kernel: str = typer.Option(None, help="Fetch this kernel too: debian:SUITE."),
) -> None:
    """Build the guest image anew: root filesystem from packages, kernel, agent and programs."""
    import time
    from concurrent.futures import ThreadPoolExecutor

    from rig.experiment.prepare import default_kernel, find_parts
    from rig.image.kernel import build_debian_kernel
    from rig.image.rootfs import build_quick
    from rig.image.store import Store

    if builder != "quick":
        raise WrongCall(f"there is no builder '{builder}'", where="--builder", remedy="quick")
    began = time.monotonic()
    store = Store()
    spec = kernel or default_kernel()
    with ThreadPoolExecutor(2) as pool:
        rootfs = pool.submit(build_quick, store)
        if spec.startswith("debian:"):
            build_debian_kernel(store, spec.removeprefix("debian:"))
        rootfs.result()
    parts = find_parts(store, spec, "quick")
    print(f"kernel  {parts.kernel.release}  {parts.kernel.package or parts.kernel.bzimage}")
    print(f"image   {parts.rootfs.digest[:16]}  {len(parts.rootfs.packages)} packages")
    print(f"built in {time.monotonic() - began:.1f} s")


@image.command("list")
def list_images() -> None:
    """List what is in the cache."""
    _list(None)


@image.command()
def rm(
    keys: list[str] = typer.Argument(None, help="Keys, or their first letters, as `rig image list` prints them."),
    all_: bool = typer.Option(False, "--all", help="Everything."),
) -> None:
    """Remove entries from the cache; what is needed is built again."""
    _remove(keys or [], all_, None)


@kernel.command("build")
def build_kernel(spec: str = typer.Argument(help="debian:SUITE.")) -> None:
    """Fetch a kernel, or its newest version."""
    from rig.image.kernel import build_debian_kernel
    from rig.image.store import Store

    if not spec.startswith("debian:"):
        raise WrongCall(f"'{spec}' cannot be built", where="rig kernel build", remedy="as in debian:bookworm")
    made = build_debian_kernel(Store(), spec.removeprefix("debian:"))
    print(f"{made.spec}  {made.release}  {made.package}")


@kernel.command("list")
def list_kernels() -> None:
    """List the kernels in the cache."""
    _list("kernel")


@kernel.command("rm")
def remove_kernels(
    keys: list[str] = typer.Argument(None, help="Keys, or their first letters."),
    all_: bool = typer.Option(False, "--all", help="All kernels."),
) -> None:
    """Remove kernels from the cache."""
    _remove(keys or [], all_, "kernel")


def _list(kind: str | None) -> None:
    from datetime import datetime

    from rich.console import Console
    from rich.table import Table

    from rig.image.store import Store

    store = Store()
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("key", "kind", "what", "size", "last used"):
        table.add_column(name, justify="right" if name == "size" else "left")
    for entry in store.entries(kind):
        about = entry.about
        named = (about.get(name) for name in ("package", "spec", "kernel", "what"))
        what = next((str(value) for value in named if value), "")
        used = datetime.fromtimestamp(entry.used).astimezone().strftime("%Y-%m-%d %H:%M")
        table.add_row(entry.key[:12], entry.kind, what, f"{entry.size / (1 << 20):.1f} MB", used)
    Console().print(table)
    print(f"{store.describe_size()} in {store.root}")


def _remove(keys: list[str], everything: bool, kind: str | None) -> None:
    from rig.image.store import Store

    store = Store()
    entries = store.entries(kind)
    if not keys and not everything:
        raise WrongCall("name what to remove", where="rig image rm", remedy="a key of `rig image list`, or --all")
    chosen = entries if everything else []
    for key in keys:
        found = [entry for entry in entries if entry.key.startswith(key)]
        if len(found) != 1:
            what = f"'{key}' begins {len(found)} keys" if found else f"there is no entry '{key}'"
            raise WrongCall(what, where="rig image rm", remedy="see `rig image list`")
        chosen += found
    for entry in chosen:
        store.remove(entry)
    print(f"removed {len(chosen)} entries")
