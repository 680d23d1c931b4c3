# SPDX-License-Identifier: MIT
"""Kernels built from source with rig's fragments: `source:SUITE`, Debian's linux-source; `tree:DIR`, the user's own.

The cache key of a build is a digest of its source, configuration and compiler, so nothing is built twice. The build
directory of a tree stays in the cache, which makes the next build incremental. The build directory of a linux-source
package is removed once its kernel is in the cache.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rig.errors import RigError, UsageError
from rig.image.apt import PrivateApt
from rig.image.bootfile import BZIMAGE, VMLINUX, Kernel, boot_build_id, kernel_of_entry
from rig.image.builds_use import ASKED, bounded_build, hold_build
from rig.image.builtkernel import keep_symbols, lay_out_kernel
from rig.image.digest import digest_text
from rig.image.entry import Entry
from rig.image.fragments import Fragment, own_fragments, read_fragment
from rig.image.hosttools import run_tool
from rig.image.kbuild import Tree, check_tree, compile_kernel, configure, toolchain
from rig.image.kconfig import read_config
from rig.image.programs import BUILD, STREAM
from rig.image.ref import KernelRef
from rig.image.sourceid import source_id
from rig.image.store import Store
from rig.whole_file import sync_directory, write_whole

__all__ = [
    "Asked",
    "build_source_kernel",
    "build_tree_kernel",
    "find_source_kernel",
    "find_tree_kernel",
]

Tell = Callable[[str], None]
FILES = 1350
"""About how many files are compiled for a kernel with rig's fragments alone: 1,346 for linux-source 6.1.176."""
LAYOUT = "1"  # part of the cache key; raise it when the set of files kept from a build changes
# scripts/kconfig writes this as the second line of every .config; a fragment does not have it.
FULL_CONFIG = "# Automatically generated file; DO NOT EDIT."
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """The options of a build.

    config: text of a fragment, or of a whole .config to start from in place of tinyconfig.
    debug_info: whether to build with symbols for post-mortem and debugger.
    """

    config: str = ""
    debug_info: bool = False

    @classmethod
    def read(cls, config: Path | None, *, debug_info: bool) -> Asked:
        """Read the user's configuration file. Raises UsageError for a file that is not a kernel configuration."""
        if config is None:
            return cls("", debug_info)
        try:
            text = config.read_text()
        except (OSError, UnicodeDecodeError) as error:
            words = getattr(error, "strerror", None) or "it is not text"
            raise UsageError(f"the configuration cannot be read: {words}", where=config) from error
        if FULL_CONFIG not in text:
            read_fragment(config)
        return cls(text, debug_info)

    @property
    def base(self) -> str | None:
        """The whole configuration to start from, or None for tinyconfig."""
        return self.config if FULL_CONFIG in self.config else None

    def fragments(self, directory: Path) -> Sequence[Fragment]:
        """Return the fragments in the order of merging. The user's comes last, so it overrides rig's."""
        ours = own_fragments(debug_info=self.debug_info)
        if not self.config or self.base is not None:
            return ours
        file = directory / "config"
        file.write_text(self.config)
        return (*ours, read_fragment(file))

    @property
    def key(self) -> str:
        """The configuration's part of a build's cache key."""
        ours = own_fragments(debug_info=self.debug_info)
        return digest_text(LAYOUT, self.config, *(fragment.text for fragment in ours))


def find_source_kernel(store: Store, suite: str, tell: Tell) -> Kernel:
    """Return the kernel last built from a suite's source; build one if the cache has none."""
    entry = store.get_verified("kernel", store.ref(_ref(str(KernelRef("source", suite)))))
    return kernel_of_entry(entry) if entry else build_source_kernel(store, suite, tell=tell)


def find_tree_kernel(store: Store, directory: str, tell: Tell) -> Kernel:
    """Build the kernel of a tree in its present state, with the options of the last build, and return it."""
    source = _directory(directory)
    return build_tree_kernel(store, directory, _asked_last(_out_of(store, source) / ASKED), tell=tell)


def _asked_last(remembered: Path) -> Asked:
    """Return the options of the last build; the default ones, with a warning, where the file is damaged."""
    try:
        found = json.loads(remembered.read_bytes())
        config, debug_info = found["config"], found["debug_info"]
        if not (isinstance(config, str) and isinstance(debug_info, bool)):
            raise TypeError
    except FileNotFoundError:
        return Asked()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        logger.warning("%s is damaged: the kernel is built without the options of the last build", remembered)
        return Asked()
    return Asked(config, debug_info)


def build_source_kernel(
    store: Store, suite: str, asked: Asked | None = None, *, jobs: int | None = None, tell: Tell = lambda text: None
) -> Kernel:
    """Build the kernel of a suite's newest linux-source package and return it.

    jobs: make's -j; the number of CPUs if None.
    Raises RigError where the suite has no such package or a tool is missing, and with the compiler's messages.
    """
    asked = asked or Asked()
    compiler = toolchain()
    with store.lock(f"kernel-source-{suite}", BUILD), store.staging_directory() as work:
        tell(f"look up linux-source of {suite}")
        apt = PrivateApt(work / "apt", suite)
        apt.update()
        meta = apt.package("linux-source")
        name = next((name for name in meta.depends if name.startswith("linux-source-")), None) if meta else None
        package = apt.package(name) if name else None
        if package is None:
            raise RigError(f"the suite {suite} has no package linux-source", where=apt.mirror)
        package_text = f"{package.name} {package.version}"
        key = digest_text("source", package_text, asked.key, compiler)
        entry = store.get_verified("kernel", key)
        if entry is None:
            # The directory's name depends on the package alone, so a build that failed resumes where it stopped.
            directory = store.root / "build" / f"source-{digest_text(package_text)[:16]}"
            source = directory / "source"
            with store.writing():
                directory.mkdir(parents=True, exist_ok=True)
            # Before it is looked into: another rig that keeps its bound may empty it.
            with bounded_build(store, directory):
                if not (source / "Makefile").is_file():
                    tell(f"unpack {package_text}")
                    _unpack_source(apt.download(package.name, work), work, source)
                about = {"spec": str(KernelRef("source", suite)), "package": package_text, "config": asked.config}
                tree = Tree(source, directory / "out", check_tree(source))
                entry = _build(store, tree, asked, key, about, jobs, tell)
                shutil.rmtree(directory, ignore_errors=True)
        store.set_ref(_ref(str(KernelRef("source", suite))), entry.key)
        return kernel_of_entry(entry)


def build_tree_kernel(
    store: Store, directory: str, asked: Asked, *, jobs: int | None = None, tell: Tell = lambda text: None
) -> Kernel:
    """Build the kernel of the user's own tree in its present state. The tree itself is not written to.

    Raises UsageError for a directory that is not a kernel tree, or was built in place (Kbuild then refuses O=).
    Raises RigError with the compiler's messages.
    """
    source = _directory(directory)
    version = check_tree(source)
    compiler = toolchain()
    out = _out_of(store, source)
    with store.lock(f"kernel-tree-{out.name}", BUILD):
        with store.writing():
            out.mkdir(parents=True, exist_ok=True)
            hold_build(out)
            write_whole(out / ASKED, json.dumps({"config": asked.config, "debug_info": asked.debug_info}).encode())
        identity = source_id(source)
        spec = f"tree:{source}"
        key = digest_text("tree", identity.key, asked.key, compiler) if identity else None
        entry = store.get_verified("kernel", key) if key else None
        if entry is None:
            tree = Tree(source, out, version)
            package = identity.text if identity else f"linux {version}"
            with bounded_build(store, out):
                entry = _build(store, tree, asked, key, {"spec": spec, "package": package}, jobs, tell)
        # The cached entry may come from another tree with the same content, so its spelling is replaced by this one.
        return replace(kernel_of_entry(entry), spec=spec)


def _build(
    store: Store,
    tree: Tree,
    asked: Asked,
    key: str | None,
    about: dict[str, str],
    jobs: int | None,
    tell: Tell,
) -> Entry:
    """Configure and compile a kernel, and add it to the cache.

    key: None where the source has no identity (source_id); the key then is a digest of the build's result.
    """
    with store.staging_directory() as work:
        tell(f"configure kernel {tree.version}")
        config = configure(tree, asked.fragments(work), asked.base)
        tell(f"compile kernel {tree.version}")
        expected = _files_to_compile(store, tree, asked)
        compiled = compile_kernel(tree, jobs or os.cpu_count() or 1, tell, expected=expected)
        result = work / "result"
        result.mkdir()
        vmlinux = tree.out / VMLINUX
        boots = lay_out_kernel(result, tree.out / "arch/x86/boot" / BZIMAGE, vmlinux, config)
        release = (tree.out / "include/config/kernel.release").read_text().strip()
        if read_config(config).get("DEBUG_INFO") == "y":
            keep_symbols(store, vmlinux, {"source": about["package"], "release": release, "spec": about["spec"]})
        key = key or digest_text("made", boot_build_id(result / VMLINUX), config)
        made = {**about, "release": release, "boots": boots}
        if expected is not None:
            made["compiled"] = str(compiled)
        return store.add("kernel", key, result, made)


def _files_to_compile(store: Store, tree: Tree, asked: Asked) -> int | None:
    """Return about how many files make has to compile: as many as for the last such kernel that is in the cache.

    None where objects of an earlier build are there: make compiles only what changed since.
    """
    if (tree.out / "init/main.o").exists():
        return None
    for entry in store.entries("kernel"):
        if entry.about.get("config", "") == asked.config and str(entry.about.get("compiled", "")).isdecimal():
            return int(entry.about["compiled"])
    return None if asked.base is not None else FILES


def _unpack_source(deb: Path, work: Path, target: Path) -> None:
    """Unpack the kernel tree of a linux-source package, which holds it as usr/src/linux-source-*.tar.xz."""
    run_tool(["dpkg-deb", "-x", deb, work / "deb"], what="unpacking the kernel's source")
    archive = next((work / "deb/usr/src").glob("linux-source-*.tar.xz"), None)
    if archive is None:
        raise RigError("the package contains no source", where=deb.name)
    aside = work / "source"
    aside.mkdir()
    run_tool(["tar", "-xf", archive, "-C", aside, "--strip-components=1"], what="unpacking the kernel's source")
    # Renamed when complete, so that an interrupted run leaves no partial tree for the next one to build.
    # With the whole file system, for a tree of 80,000 files, each synced alone, would take minutes.
    # It writes what other programs have left to be written there, too.
    run_tool(["sync", "-f", aside], what="writing the kernel's source to the disk", deadline=STREAM)
    aside.rename(target)
    sync_directory(target.parent)


def _directory(directory: str) -> Path:
    source = Path(directory or ".").expanduser().resolve()
    if not source.is_dir():
        raise UsageError(
            "there is no such directory", where=f"tree:{directory}", remedy="as in tree:. or tree:../linux"
        )
    return source


def _out_of(store: Store, source: Path) -> Path:
    return store.root / "build" / f"tree-{digest_text(str(source))[:16]}"


def _ref(spec: str) -> str:
    # The name contains a digest of rig's fragments, so that a change to them builds the kernel again.
    ours = digest_text(LAYOUT, *(fragment.text for fragment in own_fragments()))
    return f"kernel/{spec}-{ours[:12]}"
