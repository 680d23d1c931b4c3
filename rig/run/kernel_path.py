# SPDX-License-Identifier: MIT
"""The kernel's path from a page fault to the OOM killer: which function of a trace plays which part.

Static functions may be inlined by the compiler, so that a part is known by any one of its names.
"""

from __future__ import annotations

__all__ = ["COPY_ON_WRITE", "PAGE_FAULT", "part_of"]

# Where a user page fault enters: arch/x86/entry (asm_exc_page_fault from 5.8, page_fault before),
# arch/x86/mm/fault.c (exc_page_fault and do_user_addr_fault from 5.8, do_page_fault before),
# arch/arm64/mm/fault.c (do_page_fault, do_mem_abort).
PAGE_FAULT = frozenset(
    {
        "asm_exc_page_fault", "exc_page_fault", "do_user_addr_fault", "do_page_fault", "__do_page_fault",
        "page_fault", "async_page_fault", "do_mem_abort",
    }
)  # fmt: skip

FAULT_HANDLER = frozenset({"handle_mm_fault", "__handle_mm_fault", "handle_pte_fault"})

# mm/memory.c: do_wp_page() sees the write to a shared page, wp_page_copy() makes the copy; do_cow_fault() is
# the first write to a private file page. mm/huge_memory.c: do_huge_pmd_wp_page(); mm/hugetlb.c: hugetlb_wp()
# (hugetlb_cow() to 5.19).
COPY_ON_WRITE = frozenset(
    {
        "do_wp_page", "wp_page_copy", "do_cow_fault", "do_huge_pmd_wp_page", "do_huge_pmd_wp_page_fallback",
        "hugetlb_wp", "hugetlb_cow",
    }
)  # fmt: skip

ALLOCATION_PREFIXES = (
    "__alloc_pages",
    "alloc_pages",
    "__alloc_frozen_pages",
    "__folio_alloc",
    "vma_alloc_folio",
    "folio_prealloc",
)
OOM = frozenset(
    {"out_of_memory", "oom_kill_process", "dump_header", "mem_cgroup_out_of_memory", "oom_kill_memcg_member"}
)


def part_of(function: str) -> str:
    """Return the part of `function`: `page-fault`, `fault-handler`, `copy-on-write`, `allocation`, `oom` or ``.

    Suffixes that compilers add (`.constprop.0`, `.cold`, `.isra.0`) are not looked at.
    """
    name = function.split(".", 1)[0]
    if name in PAGE_FAULT:
        return "page-fault"
    if name in FAULT_HANDLER:
        return "fault-handler"
    if name in COPY_ON_WRITE:
        return "copy-on-write"
    if name in OOM:
        return "oom"
    return "allocation" if name.startswith(ALLOCATION_PREFIXES) else ""
