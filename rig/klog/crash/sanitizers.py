# SPDX-License-Identifier: MIT
"""Rules for the findings of KASAN, KMSAN, KCSAN, KFENCE and UBSAN.

Sources: mm/kasan/report.c, mm/kmsan/report.c, kernel/kcsan/report.c, mm/kfence/report.c, lib/ubsan.c.
"""

from __future__ import annotations

from rig.klog.crash.blame import after, first_trace, title_then, title_then_trace
from rig.klog.crash.rules import Rule
from rig.klog.kinds import Kind

__all__ = ["RULES"]

_BAD_ACCESS = ("bad-access in {f}",)
_USB = r"alloc_skb|usb_(?:submit_urb|start_wait_urb|bulk_msg|interrupt_msg|control_msg)"
_FILLED_IN = r"Local variable .* created at:|Uninit was created at:"
_UBSAN_PASSED = r"ubsan|overflow"


def _kfence(what: str, title: str, *, also: tuple[str, ...] = ()) -> Rule:
    return Rule(
        Kind.KFENCE,
        rf"BUG: KFENCE: {what} in \w",
        title,
        (title_then(after(r"BUG: KFENCE:")),),
        also,
        needs_trace=False,
    )


RULES = (
    Rule(
        Kind.KASAN,
        r"BUG: KASAN: (?:double-free or invalid-free|double-free|invalid-free) in \w",
        "KASAN: invalid-free in {f}",
        (title_then_trace,),
        ("invalid-free in {f}",),
        r"slab_|kfree|vunmap|vfree",
    ),
    Rule(
        Kind.KASAN,
        r"BUG: KASAN: (?P<rest>[a-z-]+ in \w+[.+].*)",
        "KASAN: {what} {access} in {f}",
        (title_then_trace,),
        _BAD_ACCESS,
        # With hardware tags (CONFIG_KASAN_HW_TAGS) the CPU checks the tag, so an exception handler prints the report.
        r"kernel_fault|tag_check|mem_abort|^el1_|^el1h_",
        detail=r"BUG: KASAN: (?P<what>[a-z-]+) in \w+[.+].*\n[\s\S]*?(?P<access>Read|Write) (?:of size"
        r"|at addr) [0-9a-f]",
        otherwise="KASAN: {rest}",
    ),
    Rule(
        Kind.KASAN,
        r"BUG: KASAN: (?P<what>[a-z-]+) on address",
        "KASAN: {what} {access}",
        detail=r"(?P<access>Read|Write) of size \d+",
    ),
    Rule(Kind.KASAN, r"BUG: KASAN: (?P<what>.*)", "KASAN: {what}", corrupt="the first line names no function"),
    Rule(
        Kind.KMSAN,
        r"BUG: KMSAN: kernel-usb-infoleak in \w",
        "KMSAN: kernel-usb-infoleak in {f}",
        (after(r"BUG: KMSAN:", _FILLED_IN),),
        passed_over=_USB,
        needs_trace=False,
    ),
    Rule(
        Kind.KMSAN,
        r"BUG: KMSAN: (?P<what>[a-z-]+) in \w",
        "KMSAN: {what} in {f}",
        (after(r"BUG: KMSAN:", _FILLED_IN),),
        _BAD_ACCESS,
        # Ciphers and the netlink core read memory that their callers left uninitialised.
        r"alloc_skb|netlink_(?:ack|rcv_skb)|_encrypt$|^(?:crypto|cipher|drbg|rng)_",
        needs_trace=False,
    ),
    # The first line names one function where KCSAN did not see the other access (`race at unknown origin`), and two
    # where it did, also if one access is an assertion (print_report() in kernel/kcsan/report.c).
    Rule(
        Kind.KCSAN,
        r"BUG: KCSAN: (?P<what>(?:assert: race|data-race) in (?P<function>[\w.]+)(?:\+0x\S+)?(?: \[[\w-]+\])?)\s*$",
        "KCSAN: {what}",
        needs_trace=False,
    ),
    Rule(Kind.KCSAN, r"BUG: KCSAN: (?P<what>.*)", "KCSAN: {what}", needs_trace=False),
    _kfence(
        "(?P<what>use-after-free|out-of-bounds) (?P<access>read|write)",
        "KFENCE: {what} {access} in {f}",
        also=_BAD_ACCESS,
    ),
    _kfence("invalid free", "KFENCE: invalid free in {f}", also=("invalid-free in {f}",)),
    _kfence("invalid (?P<access>read|write)", "KFENCE: invalid {access} in {f}", also=_BAD_ACCESS),
    _kfence("memory corruption", "KFENCE: memory corruption in {f}"),
    Rule(
        Kind.UBSAN,
        r"UBSAN: Undefined behaviour in",
        "UBSAN: undefined-behaviour in {f}",
        (first_trace,),
        (),
        _UBSAN_PASSED,
    ),
    Rule(
        Kind.UBSAN,
        r"UBSAN: array-index-out-of-bounds in",
        "UBSAN: array-index-out-of-bounds in {f}",
        (first_trace,),
        _BAD_ACCESS,
        _UBSAN_PASSED,
    ),
    Rule(Kind.UBSAN, r"UBSAN: (?P<what>.*?) in", "UBSAN: {what} in {f}", (first_trace,), (), _UBSAN_PASSED),
)
