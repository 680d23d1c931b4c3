# SPDX-License-Identifier: MIT
"""Rules for oopses: the CPU or the MMU raised an exception in kernel code.

Sources: arch/x86/mm/fault.c show_fault_oops(), arch/x86/kernel/traps.c, arch/arm64/mm/fault.c
die_kernel_fault(), arch/arm/mm/fault.c, arch/powerpc/mm/fault.c, lib/bug.c.
"""

from __future__ import annotations

from rig.klog.crash import choose
from rig.klog.crash.blame import fault, first_trace, pointer_only
from rig.klog.crash.rules import Rule
from rig.klog.kinds import Kind

__all__ = ["RULES"]

_BAD_ACCESS = ("bad-access in {f}",)

RULES = (
    Rule(
        Kind.OOPS,
        r"BUG: (?:unable to handle kernel paging request|unable to handle page fault for address"
        r"|Unable to handle kernel data access)",
        "BUG: unable to handle kernel paging request in {f}",
        (fault,),
        _BAD_ACCESS,
    ),
    Rule(
        Kind.OOPS,
        r"BUG: (?:unable to handle kernel NULL pointer dereference|[kK]ernel NULL pointer dereference)",
        "BUG: unable to handle kernel NULL pointer dereference in {f}",
        (fault,),
        _BAD_ACCESS,
    ),
    Rule(
        Kind.OOPS,
        r"BUG: [uU]nable to handle kernel",
        "BUG: unable to handle kernel",
        corrupt="the first line is cut",
    ),
    Rule(
        Kind.OOPS,
        r"BUG: .*stack guard page was hit at",
        "BUG: stack guard page was hit in {f}",
        (fault,),
        ("stack-overflow in {f}",),
        choose=choose.looping,
    ),
    Rule(
        Kind.OOPS,
        r"Unable to handle kernel (?P<what>paging request|NULL pointer dereference|access to user memory)",
        "BUG: unable to handle kernel {what} in {f}",
        (fault,),
        _BAD_ACCESS,
    ),
    Rule(
        Kind.OOPS,
        r"general protection fault.*:",
        "general protection fault in {f}",
        (fault,),
        _BAD_ACCESS,
    ),
    Rule(Kind.OOPS, r"stack segment: ", "stack segment fault in {f}", (fault,)),
    # `double fault: 0000 [#1]` until 3.x, `PANIC: double fault` since (arch/x86/kernel/traps.c).
    Rule(
        Kind.OOPS,
        r"PANIC: double fault|\bdouble fault: [0-9a-f]",
        "PANIC: double fault in {f}",
        (pointer_only,),
        keywords=("double fault",),
    ),
    Rule(
        Kind.OOPS,
        r"divide[ _]error: ",
        "divide error in {f}",
        (pointer_only,),
        keywords=("divide error", "divide_error"),
    ),
    Rule(
        Kind.BUG,
        r"kernel BUG at mm/usercopy\.c",
        "BUG: bad usercopy in {f}",
        (first_trace,),
        (),
        r"usercopy|__check",
    ),
    Rule(Kind.BUG, r"kernel BUG at lib/list_debug\.c", "BUG: corrupted list in {f}", (first_trace,), _BAD_ACCESS),
    # skb_put(), skb_push() and their like assert that the buffer has room: it is their caller that overran it.
    Rule(Kind.BUG, r"kernel BUG at .*", "kernel BUG in {f}", (fault,), (), r"^skb_"),
    Rule(Kind.BUG, r"Kernel BUG (?P<what>.*)", "kernel BUG {what}"),
    Rule(Kind.OOPS, r"invalid opcode: ", "invalid opcode in {f}", (pointer_only,)),
    Rule(Kind.OOPS, r"\bint3: ", "int3 in {f}", (fault,), keywords=("int3: ",)),
    Rule(Kind.OOPS, r"Internal error:", "Internal error in {f}", (fault,), _BAD_ACCESS),
    Rule(Kind.OOPS, r"Unhandled fault:", "Unhandled fault in {f}", (fault,), _BAD_ACCESS),
    Rule(Kind.OOPS, r"Alignment trap:", "Alignment trap in {f}", (fault,)),
    Rule(
        Kind.OOPS,
        r"Oops: (?:Machine check|Exception in kernel mode)",
        "Oops in {f}",
        (fault,),
        _BAD_ACCESS,
    ),
    Rule(Kind.OOPS, r"\bOops(?: - [\w ]+)?: [0-9a-f#\[]", "Oops in {f}", (fault,), _BAD_ACCESS, keywords=("Oops",)),
)
