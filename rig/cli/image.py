"""`rig image`: build, list and remove what guests boot."""

from __future__ import annotations

import typer

from rig.errors import WrongCall

app = typer.Typer()
image = typer.Typer(help="Root filesystems, and the cache of all that guests boot.", no_args_is_help=True)
app.add_typer(image, name="image")


@image.command()
def build(
    builder: str = typer.Option("quick", help="quick: from Debian's packages."),
    kernel: str = typer.Option(None, help="Fetch or build this kernel too: debian:SUITE, source:SUITE, tree:DIR."),
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
    print(f"kernel  {parts.kernel.release}  {parts.kernel.package or parts.kernel.image}")
    print(f"image   {parts.rootfs.digest[:16]}  {len(parts.rootfs.packages)} packages")
    print(f"built in {time.monotonic() - began:.1f} s")


@image.command("list")
def list_images() -> None:
    """List what is in the cache."""
    list_entries(None)


@image.command()
def rm(
    keys: list[str] = typer.Argument(None, help="Keys, or their first letters, as `rig image list` prints them."),
    all_: bool = typer.Option(False, "--all", help="Everything."),
) -> None:
    """Remove entries from the cache; what is needed is built again."""
    remove_entries(keys or [], all_, None)


def list_entries(kind: str | None) -> None:
    """Print a table of the cache, or of one kind of what is in it."""
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


def remove_entries(keys: list[str], everything: bool, kind: str | None) -> None:
    """Remove entries by the first letters of their keys, or all."""
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
