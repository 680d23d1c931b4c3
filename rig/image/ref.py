# SPDX-License-Identifier: MIT
"""References to kernels and images as users write them: `debian:bookworm`, `tree:.`, `buildroot:small`, a path.

Only this module parses and formats such references.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rig.errors import UsageError

__all__ = ["IMAGE_SPELLINGS", "KERNEL_SPELLINGS", "ImageRef", "KernelRef"]

KernelKind = Literal["debian", "source", "buildroot", "tree", "file"]
ImageKind = Literal["quick", "buildroot", "file"]
KERNEL_SPELLINGS = (
    "write debian:SUITE, as in debian:bookworm, source:SUITE, buildroot:VERSION, tree:DIR, "
    "or the path of a bzImage or vmlinux"
)
IMAGE_SPELLINGS = "write quick, buildroot, or the path of an image"
KINDS: dict[str, KernelKind] = {"debian": "debian", "source": "source", "buildroot": "buildroot", "tree": "tree"}
SUITE = re.compile(r"[a-z][a-z0-9.-]*")


@dataclass(frozen=True)
class KernelRef:
    """A reference to a kernel.

    name: a suite for the kinds debian and source, a version for buildroot, a directory for tree, a path for file.
    """

    kind: KernelKind
    name: str

    @classmethod
    def parse(cls, text: str, where: str = "--kernel") -> KernelRef:
        """Return the reference that a text spells. Whether the kernel exists is not checked.

        where: the option that an error names.
        Raises UsageError for a kind that does not exist and for a malformed suite name.
        """
        kind, colon, name = text.partition(":")
        # A path may contain a colon.
        if not colon or (kind not in KINDS and "/" in text):
            return cls("file", text)
        if kind not in KINDS:
            raise UsageError(f"'{text}' is not a kernel", where=where, remedy=KERNEL_SPELLINGS)
        if kind in ("debian", "source") and SUITE.fullmatch(name) is None:
            raise UsageError(f"'{name}' is not a suite", where=f"{where} {text}", remedy=f"as in {kind}:bookworm")
        return cls(KINDS[kind], name)

    @property
    def built_here(self) -> bool:
        """Whether rig compiles this kernel, so that a rebuild with debug information gives its symbols."""
        return self.kind in ("source", "tree")

    @property
    def path(self) -> Path:
        """The directory of a tree, or a file."""
        return Path(self.name).expanduser()

    def __str__(self) -> str:
        return self.name if self.kind == "file" else f"{self.kind}:{self.name}"


@dataclass(frozen=True)
class ImageRef:
    """A reference to a root filesystem.

    name: empty for the kind quick, a recipe or empty for buildroot, a path for file.
    """

    kind: ImageKind
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> ImageRef:
        """Return the reference that a text spells. Whether the image exists is not checked; every text is accepted."""
        if text == "quick":
            return cls("quick")
        kind, _, name = text.partition(":")
        return cls("buildroot", name) if kind == "buildroot" else cls("file", text)

    @property
    def path(self) -> Path:
        """The path of a file."""
        return Path(self.name).expanduser()

    def __str__(self) -> str:
        if self.kind == "file":
            return self.name
        return f"{self.kind}:{self.name}" if self.name else self.kind
