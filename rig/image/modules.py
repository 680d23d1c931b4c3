# SPDX-License-Identifier: MIT
"""Resolve which kernel modules a guest loads, and in which order.

The input is modules.dep, modules.softdep and modules.builtin (depmod(8)).
"""

from __future__ import annotations

import lzma
from collections.abc import Iterable
from pathlib import Path

from rig.errors import RigError
from rig.image.hosttools import run_tool

__all__ = ["ModuleTree", "read_module"]


def _name(path: str) -> str:
    """Return a module's name with underscores, because the kernel treats hyphens and underscores alike."""
    return Path(path).name.split(".ko")[0].replace("-", "_")


class ModuleTree:
    """The modules of one kernel, below lib/modules/RELEASE."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._path: dict[str, str] = {}
        self._needs: dict[str, list[str]] = {}
        for line in (directory / "modules.dep").read_text().splitlines():
            path, _, needs = line.partition(":")
            self._path[_name(path)] = path
            self._needs[_name(path)] = [_name(each) for each in needs.split()]
        self._read_softdeps()
        builtin = directory / "modules.builtin"
        self._builtin = {_name(line) for line in builtin.read_text().split()} if builtin.is_file() else set()

    def _read_softdeps(self) -> None:
        """Read the `pre` modules of modules.softdep as dependencies: only there does zram name its compressor."""
        file = self.directory / "modules.softdep"
        for line in file.read_text().splitlines() if file.is_file() else ():
            words = line.split()
            if words[:1] != ["softdep"] or "pre:" not in words:
                continue
            wishes = words[words.index("pre:") + 1 :]
            wishes = wishes[: wishes.index("post:")] if "post:" in wishes else wishes
            for wish in map(_name, wishes):
                if _name(words[1]) in self._needs and wish in self._path:
                    self._needs[_name(words[1])] += [*self._needs[wish], wish]

    def order(self, names: Iterable[str], *, required: bool) -> list[str]:
        """Return the modules to load for these, dependencies first, each once.

        What is built in is passed over. Raises RigError for a required module that the kernel lacks.
        """
        ordered: list[str] = []

        def visit(name: str) -> None:
            if name in ordered:
                return
            # modules.dep lists all dependencies, the deepest last.
            for need in reversed(self._needs[name]):
                visit(need)
            ordered.append(name)

        for raw in names:
            name = _name(raw)
            if name in self._path:
                visit(name)
            elif required and name not in self._builtin:
                raise RigError(
                    f"the kernel has no {raw}, neither built in nor as a module",
                    where=self.directory,
                    remedy="choose another kernel, or build one with rig's fragments",
                )
        return ordered

    def file(self, name: str) -> Path:
        """Return the module's file."""
        return self.directory / self._path[name]


def read_module(path: Path) -> bytes:
    """Return a module's content, decompressed, because not every kernel can decompress modules itself."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".zst":
        out = path.with_suffix("")
        run_tool(["zstd", "-q", "-d", "-f", path, "-o", out], what="unpacking a module")
        return out.read_bytes()
    return data
