# SPDX-License-Identifier: MIT
"""The functions between a page fault and the OOM killer: which layer of the kernel each belongs to, and what it does.

Names and files are those of Linux 5.10 to 6.12 on x86-64; where a function moved, its later place is given. A function
that is not in the table is shown all the same, in the layer of the frame around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rig.run.document import Frame

__all__ = ["LAYERS", "Known", "Layered", "known", "layers", "source_link"]

LAYERS = {
    "entry": "Page fault: the processor hands the write to the kernel",
    "syscall": "System call: the program asks the kernel",
    "mm": "Memory manager: what the process is entitled to",
    "allocator": "Page allocator: a free page is looked for",
    "reclaim": "Reclaim: pages are taken back from others",
    "oom": "OOM killer: somebody has to go",
    "report": "The report is printed",
    "other": "Elsewhere in the kernel",
}


@dataclass(frozen=True)
class Known:
    """What is known of a kernel function: its layer, its file, and one line on what it does."""

    layer: str
    file: str
    does: str


@dataclass(frozen=True)
class Layered:
    """Frames that follow each other within one layer, the outermost first."""

    layer: str
    frames: tuple[tuple[Frame, Known | None], ...]

    @property
    def title(self) -> str:
        return LAYERS[self.layer]


_X86_FAULT, _MEMORY, _PAGE_ALLOC = "arch/x86/mm/fault.c", "mm/memory.c", "mm/page_alloc.c"
_OOM, _VMSCAN, _MEMPOLICY = "mm/oom_kill.c", "mm/vmscan.c", "mm/mempolicy.c"

_TABLE = {
    "asm_exc_page_fault": Known("entry", "arch/x86/include/asm/idtentry.h", "the processor's exception lands here"),
    "exc_page_fault": Known("entry", _X86_FAULT, "reads the address that was touched (CR2)"),
    "page_fault": Known("entry", "arch/x86/entry/entry_64.S", "the processor's exception lands here"),
    "async_page_fault": Known("entry", "arch/x86/entry/entry_64.S", "the same entry in a guest that knows of KVM"),
    "do_user_addr_fault": Known("entry", _X86_FAULT, "finds the mapping and checks that the access is allowed"),
    "do_page_fault": Known("entry", _X86_FAULT, "finds the mapping and checks that the access is allowed"),
    "__do_page_fault": Known("entry", _X86_FAULT, "finds the mapping and checks that the access is allowed"),
    "do_mem_abort": Known("entry", "arch/arm64/mm/fault.c", "arm64: the processor's data abort"),
    "entry_SYSCALL_64_after_hwframe": Known("syscall", "arch/x86/entry/entry_64.S", "a system call enters the kernel"),
    "do_syscall_64": Known("syscall", "arch/x86/entry/common.c", "looks up the system call by its number"),
    "handle_mm_fault": Known("mm", _MEMORY, "the fault is counted (pgfault) and handled for this process"),
    "__handle_mm_fault": Known("mm", _MEMORY, "walks the page table down to the entry"),
    "handle_pte_fault": Known("mm", _MEMORY, "decides by the entry: missing, swapped out, or write-protected"),
    "do_wp_page": Known("mm", _MEMORY, "a write to a page that is shared: it must be copied"),
    "wp_page_copy": Known("mm", _MEMORY, "copy-on-write: takes a new page, copies the old one, maps the new"),
    "do_cow_fault": Known("mm", _MEMORY, "first write to a private page of a file: a copy is made"),
    "do_anonymous_page": Known("mm", _MEMORY, "first touch of anonymous memory: a zeroed page is due"),
    "do_read_fault": Known("mm", _MEMORY, "a page of a file is read in"),
    "do_fault": Known("mm", _MEMORY, "the page belongs to a file"),
    "__do_fault": Known("mm", _MEMORY, "asks the file system for the page"),
    "do_swap_page": Known("mm", _MEMORY, "the page was swapped out and comes back"),
    "filemap_fault": Known("mm", "mm/filemap.c", "looks for the page of the file in the page cache"),
    "do_huge_pmd_wp_page": Known("mm", "mm/huge_memory.c", "a write to a huge page that is shared"),
    "do_huge_pmd_anonymous_page": Known("mm", "mm/huge_memory.c", "first touch: a huge page is tried"),
    "hugetlb_wp": Known("mm", "mm/hugetlb.c", "a write to a shared page of hugetlbfs"),
    "hugetlb_fault": Known("mm", "mm/hugetlb.c", "a fault in a mapping of hugetlbfs"),
    "copy_page_range": Known("mm", _MEMORY, "fork: the parent's page table is copied, pages are not"),
    "dup_mm": Known("mm", "kernel/fork.c", "fork: the address space is duplicated"),
    "copy_process": Known("mm", "kernel/fork.c", "fork: the new task is put together"),
    "kernel_clone": Known("mm", "kernel/fork.c", "fork, vfork and clone all come through here"),
    "__pte_alloc": Known("mm", _MEMORY, "a page for the page table itself"),
    "pte_alloc_one": Known("mm", "arch/x86/mm/pgtable.c", "a page for the page table itself"),
    "vma_alloc_folio": Known("allocator", _MEMPOLICY, "chooses the node by the mapping's memory policy"),
    "vma_alloc_folio_noprof": Known("allocator", _MEMPOLICY, "chooses the node by the mapping's memory policy"),
    "alloc_pages_vma": Known("allocator", _MEMPOLICY, "chooses the node by the mapping's memory policy"),
    "alloc_pages_mpol_noprof": Known("allocator", _MEMPOLICY, "chooses the node by the memory policy"),
    "alloc_pages_current": Known("allocator", _MEMPOLICY, "chooses the node by the task's memory policy"),
    "alloc_pages": Known("allocator", _MEMPOLICY, "chooses the node by the task's memory policy"),
    "folio_prealloc": Known("allocator", _MEMORY, "takes the new page before locks are held"),
    "__folio_alloc": Known("allocator", _PAGE_ALLOC, "asks for one page, as a folio"),
    "__folio_alloc_noprof": Known("allocator", _PAGE_ALLOC, "asks for one page, as a folio"),
    "folio_alloc": Known("allocator", _MEMPOLICY, "asks for one page, as a folio"),
    "get_zeroed_page": Known("allocator", _PAGE_ALLOC, "asks for one page full of zeros"),
    "__get_free_pages": Known("allocator", _PAGE_ALLOC, "asks for pages by their address"),
    "__alloc_pages": Known("allocator", _PAGE_ALLOC, "the fast path: a page above the low watermark, if there is one"),
    "__alloc_pages_noprof": Known("allocator", _PAGE_ALLOC, "the fast path: a page above the low watermark"),
    "__alloc_pages_nodemask": Known("allocator", _PAGE_ALLOC, "the fast path: a page above the low watermark"),
    "__alloc_frozen_pages_noprof": Known("allocator", _PAGE_ALLOC, "the fast path: a page above the low watermark"),
    "__alloc_pages_slowpath": Known(
        "allocator", _PAGE_ALLOC, "nothing above the watermark: wakes kswapd, reclaims, compacts, tries again"
    ),
    "__alloc_pages_may_oom": Known("allocator", _PAGE_ALLOC, "reclaim gave nothing: the OOM killer may be called"),
    "get_page_from_freelist": Known("allocator", _PAGE_ALLOC, "goes through the zones against their watermarks"),
    "try_to_free_pages": Known("reclaim", _VMSCAN, "direct reclaim: who asks for memory frees some itself"),
    "do_try_to_free_pages": Known("reclaim", _VMSCAN, "scans harder and harder, priority 12 down to 0"),
    "shrink_node": Known("reclaim", _VMSCAN, "reclaims on one node, cgroup by cgroup"),
    "shrink_lruvec": Known("reclaim", _VMSCAN, "balances file pages against anonymous ones"),
    "shrink_slab": Known("reclaim", "mm/shrinker.c", "asks the kernel's own caches to shrink"),
    "__alloc_pages_direct_compact": Known("reclaim", _PAGE_ALLOC, "moves pages to make a larger free block"),
    "try_charge_memcg": Known("reclaim", "mm/memcontrol.c", "charges the cgroup; over its limit it reclaims there"),
    "try_charge": Known("reclaim", "mm/memcontrol.c", "charges the cgroup; over its limit it reclaims there"),
    "charge_memcg": Known("reclaim", "mm/memcontrol.c", "charges a new page to the cgroup"),
    "__mem_cgroup_charge": Known("reclaim", "mm/memcontrol.c", "charges a new page to the cgroup"),
    "mem_cgroup_out_of_memory": Known("oom", "mm/memcontrol.c", "the cgroup's limit is reached, not the machine's"),
    "out_of_memory": Known("oom", _OOM, "checks panic_on_oom, chooses the task with the highest badness"),
    "oom_kill_process": Known("oom", _OOM, "prints the report and kills the victim"),
    "__oom_kill_process": Known("oom", _OOM, "sends SIGKILL to all who share the victim's memory"),
    "dump_header": Known("report", _OOM, "prints who asked, the state of memory, and the tasks"),
    "show_stack": Known("report", "arch/x86/kernel/dumpstack.c", "prints a stack"),
    "dump_stack": Known("report", "lib/dump_stack.c", "prints this very trace"),
    "dump_stack_lvl": Known("report", "lib/dump_stack.c", "prints this very trace"),
    "panic": Known("report", "kernel/panic.c", "the kernel stops, as vm.panic_on_oom asks"),
}


def known(function: str) -> Known | None:
    """Return what the table says of a function; suffixes that compilers add (`.constprop.0`) are not looked at."""
    return _TABLE.get(function.split(".", 1)[0])


def layers(frames: Sequence[Frame]) -> list[Layered]:
    """Return the reliable frames by layer in the order in which they were called, outermost first."""
    grouped: list[tuple[str, list[tuple[Frame, Known | None]]]] = []
    for frame in reversed([frame for frame in frames if frame.reliable]):
        about = known(frame.function)
        layer = about.layer if about else (grouped[-1][0] if grouped else "other")
        if not grouped or grouped[-1][0] != layer:
            grouped.append((layer, []))
        grouped[-1][1].append((frame, about))
    return [Layered(layer, tuple(members)) for layer, members in grouped]


def source_link(function: str, release: str) -> str | None:
    """Return where the source of a known function can be read, for a release such as 6.1.0-50-cloud-amd64."""
    numbers = release.split("-", 1)[0].split(".")[:2]
    if known(function) is None or len(numbers) < 2 or not _all_digits(numbers):
        return None
    return f"https://elixir.bootlin.com/linux/v{numbers[0]}.{numbers[1]}/A/ident/{function.split('.', 1)[0]}"


def _all_digits(numbers: Iterable[str]) -> bool:
    return all(number.isascii() and number.isdigit() and len(number) < 5 for number in numbers)
