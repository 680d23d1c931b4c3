# SPDX-License-Identifier: MIT
"""Explain taint letters. Source: Documentation/admin-guide/tainted-kernels.rst and kernel/panic.c taint_flags[]."""

from __future__ import annotations

__all__ = ["taints"]

_LETTERS = {
    "P": "a proprietary module was loaded",
    "F": "a module was forced in",
    "S": "the CPU or firmware is out of its specification",
    "R": "a module was forced out",
    "M": "the CPU reported a machine check: suspect the hardware",
    "B": "a page was in a bad state before",
    "U": "user space asked for the taint",
    "D": "the kernel had died (oops or BUG) before",
    "A": "an ACPI table was overridden",
    "W": "a warning was issued before",
    "C": "a staging driver was loaded",
    "I": "a workaround for a firmware bug was applied",
    "O": "a module from outside the kernel's tree was loaded",
    "E": "an unsigned module was loaded",
    "L": "a soft lockup occurred before",
    "K": "the kernel was live-patched",
    "X": "auxiliary taint of the distribution",
    "T": "structure layout was randomised",
    "N": "an in-kernel test was run",
    "J": "user space used a mutating debug operation of fwctl",
}


def taints(text: str | None) -> list[str]:
    """Return the meaning of each letter of `Tainted: G        W  O`; empty for an untainted kernel."""
    if text is None or not text.startswith("Tainted:"):
        return []
    letters = text.removeprefix("Tainted:").split("[")[0]
    words = [_LETTERS[letter] for letter in letters if letter in _LETTERS]
    return [f"Before this, {word}." for word in words]
