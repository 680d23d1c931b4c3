# SPDX-License-Identifier: MIT
"""Parse call traces and registers of every architecture, a line at a time.

Formats: arch/x86/kernel/dumpstack.c and process_64.c, arch/arm64/kernel/{stacktrace,process,traps}.c,
arch/arm/kernel/traps.c, arch/powerpc/kernel/process.c, arch/riscv/kernel/{stacktrace,process}.c,
arch/s390/kernel/dumpstack.c.
"""

from __future__ import annotations

import re

from rig.klog.event import Frame, Registers, Trace

__all__ = ["TraceReader", "read_frame", "read_frames"]

_SYMBOL = r"(?P<function>[A-Za-z_.$][\w.$]*(?:\.\w+)*)"
_OFFSET = r"\+0x(?P<offset>[0-9a-f]+)/0x(?P<size>[0-9a-f]+)"
_MODULE = r"(?: \[(?P<module>[\w-]+)(?: [0-9a-f]{6,})?(?:\([A-Z+-]*\))?\])?"
_SOURCE = r"(?: \(?(?P<source>[\w./+-]+\.[chSs]:\d+)\)?(?: \((?:discriminator \d+)\))?)?"
_ADDRESS = r"(?:\(?\[ *<?(?P<address>(?:0x)?[0-9a-f]{8,16})>?\]\)? )"
_FRAME = re.compile(
    r"\s*(?:#\d+:?\s+)?"
    + _ADDRESS
    + r"?(?:\[[0-9a-f]{8,16}\] )?(?P<mark>\? )?\s*\(?(?:0x[0-9a-f]+\))?"
    + _SYMBOL + r"(?:" + _OFFSET + r")?" + _MODULE + r"\)?" + _SOURCE
    + r"(?P<inline> ?\[inline\])?(?P<tail>.*)$"
)  # fmt: skip
# arm: `[<c010d8a4>] (unwind_backtrace) from [<c0109d20>] (show_stack+0x10/0x14)`, and since 5.16
# `unwind_backtrace from show_stack+0x10/0x14`: the function, and the return address in its caller.
_ARM = re.compile(
    r"\s*(?:\[<(?P<address>[0-9a-f]{8})>\] )?\(?(?P<function>[A-Za-z_][\w.]*)(?:\+0x[0-9a-f]+/0x[0-9a-f]+)?"
    r"(?: \[[\w-]+\])?\)? from (?:\[<(?P<return>[0-9a-f]{8})>\] )?\(?(?P<caller>[A-Za-z_][\w.]*)"
    r"(?:\+0x(?P<offset>[0-9a-f]+)/0x(?P<size>[0-9a-f]+))?(?: \[(?P<module>[\w-]+)\])?\)?"
)
# The first frame of a trace on arm. With CONFIG_ARM_UNWIND, dump_backtrace() in arch/arm/kernel/traps.c prints no line
# such as `Backtrace:` above it, so that the trace starts with the frame itself.
_ARM_BEGINS = re.compile(
    r"\s*(?:(?:unwind|dump)_backtrace from |\[<[0-9a-f]{8}>\] \([^()]{1,200}\) from \[<[0-9a-f]{8}>\] \()"
)
_STARTS = re.compile(
    r"\s*(?:Call [Tt]race|Call Trace|Backtrace|Krnl Code|Stack ?"
    r"(?:trace)?)\s*:?",
    re.IGNORECASE,
)
_CONTEXT = re.compile(
    r"\s*</?(?:TASK|IRQ|SOFTIRQ|NMI|#DF|#DB|#MC|#VC\d?|HARDIRQ|ENTRY_TRAMPOLINE"
    r"|UNKNOWN)>\s*$"
)
_EXCEPTION = re.compile(
    r"\s*(?:---? ?(?:interrupt|Exception)|--- ?<EOE>|<(?:EOI|EOE|IRQ|NMI|SOFTIRQ|DF)>"
    r"|--- interrupt)"
)

# arm and arm64 print the registers that an exception saved on the stack.
_EXCEPTION_STACK = re.compile(
    r"\s*(?:Exception stack\(0x[0-9a-f]+ to 0x[0-9a-f]+\)|[0-9a-f]{4}:(?:\s+[0-9a-f]{8,16})+)$"
)
_NAMELESS = re.compile(r"\s*(?:\? )?0x[0-9a-f]{8,16}$")  # an address on the stack in no known function
_WHERE = re.compile(r"\s*(?:RIP|EIP|pc|PC is at|epc|NIP|PSW|Krnl PSW|LR is at)\b ?:? ?(?P<where>.*)$")
_REGISTER = re.compile(
    r"\b([A-Za-z][A-Za-z0-9_]{1,7}|[xrstafR]\d{1,2}"
    r"|[A-Za-z]{2}) ?[:=] ?((?:0x)?[0-9a-fA-F]{4,16})\b"
)
_X86_REGISTERS = re.compile(
    r"\s*(?:RSP|RAX|RDX|RBP|R10|R13|EAX|ESI|DS|FS|CS|CR2|DR0|DR3|ESP|EBP|EFLAGS|PKRU|EIP|RBX)\s?: ?\S"
)
_OTHER_REGISTERS = re.compile(
    r"\s*(?:x\d{1,2} ?:|sp :|lr :|pc :|pstate:|pmr_save:|r\d{1,2} ?:|psr:|epc ?:|ra ?:|gp ?:|t\d ?:|s\d ?:"
    r"|a\d ?:"
    r"|status:|GPR\d\d:|Krnl GPRS:|MSR:|CFAR:|NIP:|Flags:|Control:|REGS:|LR \[|NIP \[)"
)  # fmt: skip
_CODE = re.compile(r"\s*(?:Code|Krnl Code|Instruction dump):\s?(?P<code>.*)$")


def read_frame(text: str, line: int) -> Frame | None:
    """Return the frame that a line of a call trace holds, or None."""
    match = _FRAME.match(text)
    if match is None:
        return None
    offset, source, inline, tail = match.group("offset", "source", "inline", "tail")
    if offset is None and not (source and inline) and not (match["address"] and not tail.strip()):
        return None
    tail = tail.strip()
    if tail and not tail.startswith("(") and offset is None:
        return None
    return Frame(
        function=match["function"],
        offset=_hex(offset),
        size=_hex(match["size"]),
        module=match["module"],
        reliable=match["mark"] is None and "(unreliable)" not in tail,
        line=line,
        address=_hex(match["address"]),
        source=source,
        inlined=inline is not None,
    )


def read_frames(text: str, line: int) -> tuple[Frame, ...]:
    """Return the frames of a line: none, one, or two on arm, where a line has a function and its caller."""
    arm = _ARM.match(text) if " from " in text else None
    if arm is None:
        frame = read_frame(text, line)
        return () if frame is None else (frame,)
    caller = Frame(
        function=arm["caller"],
        offset=_hex(arm["offset"]),
        size=_hex(arm["size"]),
        module=arm["module"],
        reliable=True,
        line=line,
        address=_hex(arm["return"]),
    )
    return Frame(arm["function"], None, None, None, True, line, _hex(arm["address"])), caller


def _hex(digits: str | None) -> int | None:
    return None if digits is None else int(digits, 16)


class TraceReader:
    """Collects one trace. Call `take` with each line; it returns False for a line that is not part of a trace."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.registers: list[_OpenRegisters] = []
        self.line: int | None = None
        self._open = False
        self._stack_words = False

    def begin(self, line: int) -> None:
        """Start the trace: its head (`Call Trace:`) was on this line, and frames follow."""
        self.line = line
        self._open = True

    def take(self, text: str, line: int) -> bool:
        """Parse one line. Returns whether it belongs to the trace."""
        if self._open:
            frames = read_frames(text, line)
            if frames:
                known = self.frames[-1].function if self.frames and len(frames) == 2 else None
                self.frames.extend(frames[1:] if known == frames[0].function else frames)
                return True
            if _CONTEXT.match(text) or _EXCEPTION.match(text):
                return True
        if not self._open and _ARM_BEGINS.match(text):
            self.begin(line)
            return self.take(text, line)
        if _STARTS.fullmatch(text):
            if self.line is None:
                self.line = line
            self._open = True
            return True
        return self._take_registers(text, line) or self._take_stack_words(text)

    def take_back(self, line: int) -> list[Frame]:
        """Remove the last frames if they are of this line, and return them."""
        kept = len(self.frames)
        while kept and self.frames[kept - 1].line == line:
            kept -= 1
        removed = self.frames[kept:]
        del self.frames[kept:]
        return removed

    def _take_registers(self, text: str, line: int) -> bool:
        code = _CODE.match(text)
        if code is not None:
            self._current(line).code = code["code"].strip()
            return True
        where = _WHERE.match(text)
        if where is not None and (text.lstrip()[:3] in ("RIP", "EIP") or "+0x" in text or ":" in text):
            registers = _OpenRegisters(line, where["where"].strip())
            registers.add(text)
            self.registers.append(registers)
            return True
        if _X86_REGISTERS.match(text) or _OTHER_REGISTERS.match(text):
            self._current(line).add(text)
            return True
        return False

    def _take_stack_words(self, text: str) -> bool:
        """Skip raw stack contents, which kernels before 4.9 print under `Stack:` or before `Call Trace:`."""
        if _EXCEPTION_STACK.match(text) or _NAMELESS.match(text):
            return True
        words = text.split()
        return len(words) >= 2 and all(len(word) in (8, 16) and _is_hex(word) for word in words)

    def _current(self, line: int) -> _OpenRegisters:
        if not self.registers:
            self.registers.append(_OpenRegisters(line, None))
        return self.registers[-1]

    def close(self) -> Trace:
        """Return the trace."""
        return Trace(
            frames=tuple(self.frames),
            registers=tuple(registers.close() for registers in self.registers),
            line=self.line,
        )


class _OpenRegisters:
    def __init__(self, line: int, where: str | None) -> None:
        self.line = line
        self.where = where
        self.code: str | None = None
        self.values: dict[str, int] = {}

    def add(self, text: str) -> None:
        for name, value in _REGISTER.findall(text):
            self.values.setdefault(name, int(value, 16))

    def close(self) -> Registers:
        return Registers(where=self.where, values=self.values, code=self.code, line=self.line)


def _is_hex(word: str) -> bool:
    return not word.strip("0123456789abcdef")
