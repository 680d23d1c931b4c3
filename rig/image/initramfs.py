# SPDX-License-Identifier: MIT
"""Build the initramfs: the agent as /init, and the modules that the kernel needs to mount its root."""

from __future__ import annotations

import os
from pathlib import Path

from rig.image.digest import digest_text
from rig.image.entry import Entry
from rig.image.guestcode import GuestCode
from rig.image.hosttools import run_tool
from rig.image.kernel import Kernel
from rig.image.modules import ModuleTree, read_module
from rig.image.programs import STEP
from rig.image.recipe import quick_recipe
from rig.image.store import Store

__all__ = ["INITRAMFS", "build_initramfs"]

INITRAMFS = "initramfs.cpio"
LAYOUT = "3"  # increase when the content changes for a reason that is not in the key


def build_initramfs(store: Store, kernel: Kernel, code: GuestCode) -> Entry:
    """Return the initramfs for a kernel and an agent, from the cache or built. The same inputs make the same bytes."""
    recipe = quick_recipe()
    key = digest_text(LAYOUT, kernel.digest, code.agent_digest, repr(recipe))
    if (found := store.get_verified("initramfs", key)) is not None:
        return found
    with store.lock(f"initramfs-{key[:16]}", STEP), store.staging_directory() as work:
        if (found := store.get("initramfs", key)) is not None:
            return found
        tree = work / "tree"
        (tree / "modules").mkdir(parents=True)
        for name in ("dev", "proc", "sys", "root"):
            (tree / name).mkdir()
        (tree / "init").write_bytes(code.agent.read_bytes())
        (tree / "init").chmod(0o755)
        if kernel.modules is not None:
            _add_modules(tree, ModuleTree(kernel.modules / "lib/modules" / kernel.release))
        result = work / "result"
        result.mkdir()
        _archive(tree, result / INITRAMFS)
        return store.add("initramfs", key, result, {"kernel": kernel.spec, "release": kernel.release})


def _add_modules(tree: Path, modules: ModuleTree) -> None:
    recipe = quick_recipe()
    required = modules.order(recipe.required, required=True)
    wanted = [name for name in modules.order(recipe.wanted, required=False) if name not in required]
    loaded = required + wanted
    # Each optional module with its dependencies, in the order of loading.
    optional = {
        wish: [name for name in modules.order([*more, wish], required=False) if name not in loaded]
        for wish, more in recipe.optional
    }
    for name in {*loaded, *(name for names in optional.values() for name in names)}:
        (tree / "modules" / f"{name}.ko").write_bytes(read_module(modules.file(name)))
    lines = [f"/modules/{name}.ko" for name in required] + [f"-/modules/{name}.ko" for name in wanted]
    (tree / "modules/order").write_text("".join(f"{line}\n" for line in lines))
    lines = [f"{wish}: {' '.join(f'{name}.ko' for name in names)}" for wish, names in optional.items() if names]
    (tree / "modules/optional").write_text("".join(f"{line}\n" for line in lines))


def _archive(tree: Path, out: Path) -> None:
    """Write an uncompressed newc archive with fixed times and owners. Decompression would cost time in the guest."""
    paths = sorted(path for path in tree.rglob("*"))
    for path in (*paths, tree):
        os.utime(path, (0, 0))
    listing = "".join(f"{path.relative_to(tree)}\n" for path in paths)
    run_tool(
        ["cpio", "--quiet", "--create", "--format=newc", "--reproducible", "--owner=0:0", f"--file={out}"],
        what="packing the initramfs",
        cwd=tree,
        stdin=listing.encode(),
    )
