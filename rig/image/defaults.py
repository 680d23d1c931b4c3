# SPDX-License-Identifier: MIT
"""The default kernel and image of a run, and the reason for each.

Only the user changes a default; building a kernel does not. The choices are stored in `defaults.json` in $RIG_CONFIG or
in `rig` in the user's configuration directory.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rig.errors import RigError
from rig.image.apt import host_suite
from rig.whole_file import write_whole

__all__ = ["Default", "What", "choose_default", "default_image", "default_kernel", "defaults_file"]

What = Literal["kernel", "image"]
FILE = "defaults.json"
QUICK = "quick"


@dataclass(frozen=True)
class Default:
    """A default kernel or image, and the reason for it in a few words."""

    spec: str
    why: str


def default_kernel() -> Default:
    """Return the default kernel: RIG_KERNEL, the choice of `rig kernel use`, or Debian's kernel of the host's suite.

    Raises RigError when the host's suite is unknown.
    """
    return _chosen("kernel", "RIG_KERNEL") or Default(f"debian:{host_suite()}", "this host's suite")


def default_image() -> Default:
    """Return the default image: RIG_IMAGE, the choice of `rig image use`, or `quick`."""
    return _chosen("image", "RIG_IMAGE") or Default(QUICK, "rig's default")


def choose_default(what: What, spec: str | None) -> None:
    """Store the user's choice, or remove it when spec is None. Raises RigError when the file cannot be written."""
    path = defaults_file()
    choices = _read(path)
    if spec is None:
        choices.pop(what, None)
    else:
        choices[what] = spec
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(choices, indent=2) + "\n").encode())
    except OSError as error:
        raise RigError(f"cannot be written: {error.strerror}", where=path, remedy="set RIG_CONFIG") from error


def defaults_file() -> Path:
    """Return the path of the file with the user's choices."""
    if chosen := os.environ.get("RIG_CONFIG"):
        return Path(chosen).expanduser().absolute() / FILE
    from platformdirs import user_config_path

    return user_config_path("rig") / FILE


def _chosen(what: What, variable: str) -> Default | None:
    if named := os.environ.get(variable):
        return Default(named, variable)
    spec = _read(defaults_file()).get(what)
    return Default(spec, f"rig {what} use") if spec else None


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RigError(f"cannot be read: {error}", where=path, remedy="remove it, or correct it") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise RigError("is not a JSON object of strings", where=path, remedy="remove it, or correct it")
    return found
