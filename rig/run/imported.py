# SPDX-License-Identifier: MIT
"""Which cache entries came with an imported run. They are used for that run alone and never replace local entries."""

from __future__ import annotations

import json
from pathlib import Path

from rig.errors import RigError
from rig.whole_file import write_whole

__all__ = ["IMPORTED_FILE", "read_imported", "write_imported"]

IMPORTED_FILE = "imported.json"
LARGEST = 4096


def write_imported(directory: Path, parts: dict[str, str]) -> None:
    """Write the list of imported parts into a run's directory. parts: name -> key of the cache entry.

    A name is the part's kind, and for layers its kind and number: layer-1.
    """
    write_whole(directory / IMPORTED_FILE, (json.dumps({"parts": parts}, indent=1) + "\n").encode())


def read_imported(directory: Path) -> dict[str, str] | None:
    """Return the imported parts of a run, name -> key, or None for a run that was recorded on this host.

    Raises RigError when the file is damaged.
    """
    path = directory / IMPORTED_FILE
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(LARGEST))["parts"]
        return {str(kind): str(key) for kind, key in found.items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RigError("cannot be read", where=path, remedy="import the run again") from None
