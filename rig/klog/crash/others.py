# SPDX-License-Identifier: MIT
"""Reports that belong to no family: corrupted pages and mounts, leaks, reboots, and programs that panic.

Sources: mm/page_alloc.c bad_page(), mm/memory.c print_bad_pte(), fs/dcache.c, mm/kmemleak.c, kernel/fork.c
check_mm(), net/core/dev.c.
"""

from __future__ import annotations

from rig.klog.crash.blame import after, first_trace
from rig.klog.crash.rules import Rule

__all__ = ["RULES"]

RULES = (
    Rule("bug", r"BUG: Bad rss-counter state", "BUG: Bad rss-counter state", needs_trace=False),
    Rule(
        "bug",
        r"BUG: non-zero (?P<what>nr_ptes|nr_pmds|pgtables_bytes) on freeing mm",
        "BUG: non-zero {what} on freeing mm",
        needs_trace=False,
    ),
    Rule(
        "bug",
        r"BUG: Dentry .* still in use",
        "BUG: Dentry still in use in {what}",
        (),
        ("BUG: Dentry still in use [{what} of {where}]",),
        detail=r"BUG: Dentry .* still in use \(\d+\) \[(?P<what>unmount) of (?P<where>[^\]]+)\]",
    ),
    Rule(
        "bug",
        r"BUG: Bad page (?P<what>state|cache)",
        "BUG: Bad page {what} in {f}",
        (after(r"page last allocated"),),
        (),
        r"(?:free|put|get|update|release)_page|free_unref|^_*folio|truncate_inode_pages|page_frag_free|alloc|vmap"
        r"|page_owner",
    ),
    Rule("bug", r"BUG: Bad page map", "BUG: Bad page map"),
    Rule("bug", r"BUG kmalloc-.*: Object already free", "BUG: Object already free"),
    Rule(
        "memory-leak",
        r"BUG: memory leak",
        "memory leak in {f}",
        (after(r"backtrace(?: \(crc \w+\))?:"),),
        (),
        r"kmemleak|mmap|kmem|slab|alloc|create_object|idr_get|list_lru_init|asprintf|pcpu_create|(?:str|mem)n?dup",
    ),
    Rule(
        "bug",
        r"unregister_netdevice: waiting for .* to become free",
        "unregister_netdevice: waiting for DEV to become free",
        needs_trace=False,
    ),
    Rule(
        "bug",
        r"VFS: Close: file count is 0",
        "VFS: Close: file count is zero (use-after-free)",
        needs_trace=False,
    ),
    Rule(
        "bug",
        r"VFS: Busy inodes after unmount",
        "VFS: Busy inodes after unmount (use-after-free)",
        needs_trace=False,
    ),
    Rule("reboot", r"^Booting the kernel", "unexpected kernel reboot", needs_trace=False),
    Rule(
        "bug",
        r"rust_kernel: panicked",
        "{what} in {f}",
        (first_trace,),
        (),
        r"rust_begin_unwind",
        detail=r"rust_kernel: panicked at [^\n]*?\n(?P<what>.+?)\n",
    ),
    Rule(
        "program",
        r"trusty: panic.*ASSERT FAILED at \(.*?\): (?P<what>.+)",
        "trusty: ASSERT FAILED: {what}",
        needs_trace=False,
    ),
    Rule("program", r"trusty: panic \(.*?\): (?P<what>.+)", "trusty: panic: {what}", needs_trace=False),
    Rule("program", r"fatal error:", "go runtime error", needs_trace=False),
    Rule(
        "program",
        r"(?P<tool>SYZFAIL|SYZFATAL):(?P<what>.*)",
        "{tool}:{what}",
        (),
        ("{tool}",),
        needs_trace=False,
    ),
    Rule("program", r"panic:(?P<what>.*)", "panic:{what}", needs_trace=False),
    Rule("bug", r"BUG:\s*$", "BUG: corrupted", corrupt="the first line is cut"),
    Rule("warning", r"WARNING:\s*$", "WARNING: corrupted", corrupt="the first line is cut"),
    Rule(
        "bug",
        r"INFO: (?P<what>Freed|Allocated) in (?P<where>.*)",
        "INFO: {what} in {where}",
        corrupt="the report's first line is missing",
    ),
    Rule("bug", r"INFO:\s*$", "INFO: corrupted", corrupt="the first line is cut"),
)
