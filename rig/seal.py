# SPDX-License-Identifier: MIT
"""Seal a JSON text with its own SHA-256, so that a reader notices a byte that changed on the disk.

A seal finds damage and no forgery: whoever changes a file on purpose can write its seal anew.
"""

from __future__ import annotations

import re
from hashlib import sha256

__all__ = ["is_sealed", "seal", "seal_is_broken"]

# The last key of the object. Texts of earlier versions do not have it.
_SEAL = re.compile(rb',\s{0,16}"seal":\s?"([0-9a-f]{64})"\s{0,16}\}\s{0,16}\Z')
_LONGEST = 160


def seal(text: str) -> str:
    """Return the text of a JSON object with `seal` as its last key: the SHA-256 of all that is before it.

    text: an object that is not empty.
    """
    before = text.rstrip().removesuffix("}").rstrip()
    # A text with lines keeps its lines and their indentation, and one in a line stays one.
    indent = re.match(r"\{(\n *)?", before)[1] or ""  # type: ignore[index] # it begins with a bracket
    return f'{before},{indent}"seal": "{sha256(before.encode()).hexdigest()}"{indent[:1]}}}'


def seal_is_broken(text: bytes) -> bool:
    """Return whether a sealed text is not what its seal says. False for a text without a seal."""
    found = _find(text)
    return found is not None and sha256(text[: found.start()]).hexdigest().encode() != found[1]


def is_sealed(text: bytes) -> bool:
    """Return whether a text has a seal, which may be broken."""
    return _find(text) is not None


def _find(text: bytes) -> re.Match[bytes] | None:
    return _SEAL.search(text, max(0, len(text) - _LONGEST))
