# SPDX-License-Identifier: MIT
"""Disassemble the `Code:` bytes of an oops. Format: show_opcodes() in arch/x86/kernel/dumpstack.c.

The bytes may begin in the middle of an instruction, so leading bytes are skipped until an instruction begins at the
marked byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Instruction", "NoDisassembler", "disassemble"]

_BYTE = re.compile(r"(?P<mark>[<(])?(?P<hex>[0-9a-f]{2}(?:[0-9a-f]{2}){0,3})[>)]?", re.IGNORECASE)
_MOST_CUT = 15  # bytes of the longest x86 instruction


class NoDisassembler(Exception):
    """Raised where the library capstone is not installed."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """A disassembled instruction.

    offset: distance in bytes from the instruction that trapped; negative before it.
    """

    offset: int
    text: str
    trapped: bool


def disassemble(code: str, *, machine: str = "x86_64") -> tuple[Instruction, ...]:
    """Return the instructions around the one that trapped; empty where the line has no mark or cannot be decoded.

    machine: `x86_64`, `i386`, `aarch64` or `arm`. Raises NoDisassembler without capstone.
    """
    try:
        import capstone
    except ImportError as error:
        raise NoDisassembler from error
    data, at = _bytes(code, machine)
    if at is None:
        return ()
    engine = {
        "x86_64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
        "i386": (capstone.CS_ARCH_X86, capstone.CS_MODE_32),
        "aarch64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN),
        "arm": (capstone.CS_ARCH_ARM, capstone.CS_MODE_LITTLE_ENDIAN),
    }.get(machine)
    if engine is None:
        return ()
    decoder = capstone.Cs(*engine)
    # Only x86 instructions vary in length: elsewhere the bytes begin with a whole instruction.
    cuts = range(min(_MOST_CUT, at) + 1) if machine in ("x86_64", "i386") else range(1)
    best: tuple[Instruction, ...] = ()
    for cut in cuts:
        found = tuple(
            Instruction(address - at, f"{mnemonic} {operands}".strip(), address == at)
            for address, _size, mnemonic, operands in decoder.disasm_lite(data[cut:], cut)
        )
        # Of the starts with an instruction at the marked byte, the one that keeps most instructions is taken.
        if any(instruction.trapped for instruction in found) and len(found) > len(best):
            best = found
    return best


def _bytes(code: str, machine: str) -> tuple[bytes, int | None]:
    data, at = bytearray(), None
    for match in _BYTE.finditer(code):
        if match["mark"]:
            at = len(data)
        word = bytes.fromhex(match["hex"])
        data += word[::-1] if machine in ("aarch64", "arm") else word
    return bytes(data), at
