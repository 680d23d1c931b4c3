# SPDX-License-Identifier: MIT
"""Rules for reports outside the other families: bad pages and mounts, leaks, reboots, and programs that panic.

Sources: mm/page_alloc.c bad_page(), mm/memory.c print_bad_pte(), fs/dcache.c, mm/kmemleak.c, kernel/fork.c
check_mm(), net/core/dev.c.
"""

from __future__ import annotations

from rig.klog.crash.blame import after, first_trace
from rig.klog.crash.rules import Rule
from rig.klog.kinds import Kind

__all__ = ["RULES"]

RULES = (
    Rule(Kind.BUG, r"BUG: Bad rss-counter state", "BUG: Bad rss-counter state", needs_trace=False),
    Rule(
        Kind.BUG,
        r"BUG: non-zero (?P<what>nr_ptes|nr_pmds|pgtables_bytes) on freeing mm",
        "BUG: non-zero {what} on freeing mm",
        needs_trace=False,
    ),
    Rule(
        Kind.BUG,
        r"BUG: Dentry .* still in use",
        "BUG: Dentry still in use in {what}",
        (),
        ("BUG: Dentry still in use [{what} of {where}]",),
        detail=r"BUG: Dentry .* still in use \(\d+\) \[(?P<what>unmount) of (?P<where>[^\]]+)\]",
    ),
    Rule(
        Kind.BUG,
        r"BUG: Bad page (?P<what>state|cache)",
        "BUG: Bad page {what} in {f}",
        (after(r"page last allocated"),),
        (),
        r"(?:free|put|get|update|release)_page|free_unref|^_*folio|truncate_inode_pages|page_frag_free|alloc|vmap"
        r"|page_owner",
    ),
    Rule(Kind.BUG, r"BUG: Bad page map", "BUG: Bad page map"),
    Rule(Kind.BUG, r"BUG kmalloc-.*: Object already free", "BUG: Object already free"),
    Rule(
        Kind.MEMORY_LEAK,
        r"BUG: memory leak",
        "memory leak in {f}",
        (after(r"backtrace(?: \(crc \w+\))?:"),),
        (),
        r"kmemleak|mmap|kmem|slab|alloc|create_object|idr_get|list_lru_init|asprintf|pcpu_create|(?:str|mem)n?dup",
    ),
    Rule(
        Kind.BUG,
        r"unregister_netdevice: waiting for .* to become free",
        "unregister_netdevice: waiting for DEV to become free",
        needs_trace=False,
    ),
    Rule(
        Kind.BUG,
        r"VFS: Close: file count is 0",
        "VFS: Close: file count is zero (use-after-free)",
        needs_trace=False,
    ),
    Rule(
        Kind.BUG,
        r"VFS: Busy inodes after unmount",
        "VFS: Busy inodes after unmount (use-after-free)",
        needs_trace=False,
    ),
    # kernel/irq/spurious.c __report_bad_irq() lists the IRQ's handlers, but none of them is necessarily to blame, so
    # the title names none.
    Rule(Kind.WARNING, r"irq \d+: nobody cared", "irq: nobody cared", keywords=(": nobody cared",)),
    # include/linux/rtnetlink.h ASSERT_RTNL(): the caller of the asserting function did not take the lock.
    Rule(
        Kind.WARNING,
        r"RTNL: assertion failed at",
        "RTNL: assertion failed in {f}",
        (first_trace,),
        (),
        r"^(?:__)?dev_|^netdev_|^register_netdev|netif_",
    ),
    # kernel/cfi.c report_cfi_failure(), since 6.1.
    Rule(Kind.BUG, r"CFI failure at (?P<f>[A-Za-z_]\w*)[.+]", "CFI failure in {f}"),
    Rule(Kind.REBOOT, r"^Booting the kernel", "unexpected kernel reboot", needs_trace=False),
    Rule(
        Kind.BUG,
        r"rust_kernel: panicked",
        "{what} in {f}",
        (first_trace,),
        (),
        r"rust_begin_unwind",
        detail=r"rust_kernel: panicked at [^\n]*?\n(?P<what>.+?)\n",
    ),
    Rule(
        Kind.PROGRAM,
        r"trusty: panic.*ASSERT FAILED at \(.*?\): (?P<what>.+)",
        "trusty: ASSERT FAILED: {what}",
        needs_trace=False,
    ),
    Rule(Kind.PROGRAM, r"trusty: panic \(.*?\): (?P<what>.+)", "trusty: panic: {what}", needs_trace=False),
    Rule(Kind.PROGRAM, r"fatal error:", "go runtime error", needs_trace=False),
    Rule(
        Kind.PROGRAM,
        r"(?P<tool>SYZFAIL|SYZFATAL):(?P<what>.*)",
        "{tool}:{what}",
        (),
        ("{tool}",),
        needs_trace=False,
        keywords=("SYZF",),
    ),
    Rule(Kind.PROGRAM, r"panic:(?P<what>.*)", "panic:{what}", needs_trace=False),
    Rule(Kind.BUG, r"BUG:\s*$", "BUG: corrupted", corrupt="the first line is cut"),
    Rule(Kind.WARNING, r"WARNING:\s*$", "WARNING: corrupted", corrupt="the first line is cut"),
    Rule(
        Kind.BUG,
        r"INFO: (?P<what>Freed|Allocated) in (?P<where>.*)",
        "INFO: {what} in {where}",
        corrupt="the report's first line is missing",
    ),
    Rule(Kind.BUG, r"INFO:\s*$", "INFO: corrupted", corrupt="the first line is cut"),
)
