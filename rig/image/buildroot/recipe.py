# SPDX-License-Identifier: MIT
"""Read and check the recipe of a Buildroot image: images/buildroot/*.toml or a user's own file."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from rig.assets import assets
from rig.errors import UsageError
from rig.validation import describe_first

__all__ = [
    "DEFAULT",
    "BuildrootRecipe",
    "KernelPart",
    "RootfsPart",
    "ToolchainPart",
    "external_tree",
    "kernel_recipe",
    "read_recipe",
]

DEFAULT = "full"
# Kernel fragments that every guest needs to boot. A recipe chooses further ones by `features`.
ALWAYS = ("base", "virtio", "pmem")
Feature = Literal["live", "memory", "debug", "lean"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KernelPart(_Part):
    """The kernel of an image.

    version: of a kernel.org release, or of the kernel in the tarball.
    tarball: a source archive on the host, used in place of a download.
    features: fragments of board/rig/linux, besides those that every guest needs.
    debuginfo: whether to build with symbols for post-mortem and debugger.
    libelf: which libelf objtool is linked with, Buildroot's or the host's.
    """

    version: str
    tarball: Path | None = None
    features: tuple[Feature, ...] = ("live", "memory", "debug", "lean")
    debuginfo: bool = False
    libelf: Literal["buildroot", "host"] = "buildroot"

    @model_validator(mode="after")
    def _is_a_version(self) -> KernelPart:
        if re.fullmatch(r"\d+\.\d+(\.\d+)?", self.version) is None:
            raise ValueError(f"version '{self.version}' is not a kernel version: write it as in 6.12.60")
        if self.tarball is not None and not self.tarball.is_absolute():
            raise ValueError(f"tarball '{self.tarball}' is not an absolute path")
        return self

    @property
    def series(self) -> str:
        """The first two numbers of the version. Buildroot's options for kernel headers are named by them."""
        return ".".join(self.version.split(".")[:2])

    @property
    def has_zstd(self) -> bool:
        """Whether the kernel can be compressed with zstd: init/Kconfig has KERNEL_ZSTD since 5.9."""
        major, minor = self.series.split(".")
        return (int(major), int(minor)) >= (5, 9)

    @property
    def fragments(self) -> tuple[str, ...]:
        """Names of all the kernel's fragments, in the order of merging."""
        return (*ALWAYS, *self.features, *(("debuginfo",) if self.debuginfo else ()))


class RootfsPart(_Part):
    """The programs in the root filesystem, for users at its shell and for scenarios."""

    python: bool = True
    ssh: Literal["dropbear", "openssh"] = "dropbear"


class ToolchainPart(_Part):
    """The cross compiler.

    kind: internal (built by Buildroot), bootlin (downloaded by Buildroot), or custom (a toolchain of the host).
    path: directory of a custom toolchain.
    prefix: prefix of the programs in its bin/.
    gcc: its major version.
    headers: the series of the kernel headers that it was built with.
    """

    kind: Literal["internal", "bootlin", "custom"] = "internal"
    libc: Literal["glibc", "musl"] = "glibc"
    path: Path | None = None
    prefix: str | None = None
    gcc: int | None = None
    headers: str | None = None

    @model_validator(mode="after")
    def _custom_is_complete(self) -> ToolchainPart:
        names = ("path", "prefix", "gcc", "headers")
        given = [name for name in names if getattr(self, name) is not None]
        if self.kind == "custom" and len(given) < len(names):
            missing = ", ".join(name for name in names if name not in given)
            raise ValueError(f"a custom toolchain also needs {missing}")
        if self.kind != "custom" and given:
            raise ValueError(f'{", ".join(given)}: only for kind = "custom"')
        return self


class BuildrootRecipe(_Part):
    """All settings of one image.

    name: of the image: the recipe's file name without .toml.
    ccache: whether to compile through ccache.
    """

    name: str
    ccache: bool = True
    kernel: KernelPart
    rootfs: RootfsPart = RootfsPart()
    toolchain: ToolchainPart = ToolchainPart()

    @property
    def image(self) -> str:
        """The image's spelling for --image: `buildroot`, or `buildroot:NAME`."""
        return "buildroot" if self.name == DEFAULT else f"buildroot:{self.name}"


def external_tree() -> Path:
    """Return our BR2_EXTERNAL tree."""
    return assets("images") / "buildroot"


def read_recipe(name: str) -> BuildrootRecipe:
    """Read a recipe by its name in images/buildroot, or at a path ending in .toml.

    Raises UsageError naming the file and the key.
    """
    path = Path(name).expanduser() if name.endswith(".toml") else external_tree() / f"{name}.toml"
    known = ", ".join(sorted(each.stem for each in external_tree().glob("*.toml")))
    try:
        data = tomllib.loads(path.read_text())
    except OSError as error:
        raise UsageError(
            f"the recipe cannot be read: {error.strerror}", where=path, remedy=f"one of {known}, or your own file"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not valid TOML: {error}", where=path, remedy="see images/buildroot/full.toml") from error
    if re.fullmatch(r"[a-z0-9][a-z0-9-]*", path.stem) is None:
        raise UsageError(
            "is not a valid image name", where=path, remedy="name the file with small letters, digits and hyphens"
        )
    try:
        return BuildrootRecipe(name=path.stem, **data)
    except (ValidationError, TypeError) as error:
        raise UsageError(_first_fault(error), where=path, remedy="see images/buildroot/full.toml") from error


def _first_fault(error: ValidationError | TypeError) -> str:
    if not isinstance(error, ValidationError):
        return "`name` is that of the file and is not written in it"
    return describe_first(error)


def kernel_recipe(version: str, *, debug_info: bool) -> BuildrootRecipe:
    """Return the recipe of the image `buildroot` with another kernel version.

    debug_info: whether to build with symbols.
    Raises UsageError for a malformed version.
    """
    recipe = read_recipe(DEFAULT)
    try:
        return recipe.model_copy(update={"kernel": KernelPart(version=version, debuginfo=debug_info)})
    except ValidationError as error:
        raise UsageError(_first_fault(error), where=f"buildroot:{version}", remedy="as in buildroot:6.12.60") from error
