# SPDX-License-Identifier: MIT
"""Refuse a script whose interpreter the guest's own root does not have, before a guest is started."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

from rig.errors import UsageError
from rig.image.daximage import has_file, list_directory
from rig.image.layer.closure import read_executable
from rig.image.rootfs import merged_path
from rig.program.hints import package_of

__all__ = ["refuse_missing_interpreter"]


def refuse_missing_interpreter(script: Path, image: Path) -> None:
    """Raise UsageError for a script with #! whose interpreter is not in rig's own root.

    image: of that root. Nothing is refused where its files cannot be listed, as those of squashfs.
    """
    try:
        executable = read_executable(script)
    except OSError:
        return  # whoever copies it says so
    words = executable.interpreter.split() if executable.kind == "script" else []
    named = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    by_name = bool(named) and PurePosixPath(words[0]).name == "env"
    if not words or not list_directory(image, "usr/bin"):
        return
    name = named[0] if by_name else words[0]
    places = [f"usr/bin/{name}", f"usr/sbin/{name}"] if by_name else [merged_path(name.lstrip("/"))]
    if any(has_file(image, place) for place in places):
        return
    here = shutil.which(name)
    package = package_of(here) if here else ""
    raise UsageError(
        f"its interpreter {name} is not in the guest",
        where=script,
        remedy=f"rig exec --deb {package} -- {script}"
        if package
        else f"name the Debian package that has it: rig exec --deb PACKAGE -- {script}",
    )
