# SPDX-License-Identifier: MIT
"""A table of the kernel functions between a page fault or a system call and the OOM killer.

Names and files are those of Linux 5.10 to 6.12 on x86-64; where a function moved, its later file is given.
The compiler may inline static functions, so one function is enough to recognize a part of the path.
A name that ends in `*` stands for every function with that prefix that has no row of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

__all__ = ["LAYERS", "PARTS", "PURPOSES", "KernelFunction", "known", "part_of", "purpose_of"]

LAYERS = {
    "entry": "Page fault: the CPU hands the write to the kernel",
    "syscall": "System call: the program asks the kernel",
    "mm": "Memory manager: what the process is entitled to",
    "allocator": "Page allocator: a free page is looked for",
    "reclaim": "Reclaim: pages are taken back from others",
    "oom": "OOM killer: somebody has to go",
    "report": "The report is printed",
    "other": "Elsewhere in the kernel",
}

PARTS = ("page-fault", "fault-handler", "copy-on-write", "allocation", "oom")

# Why memory was requested. A trace may hold functions of several purposes (a write to a file on swap-backed shmem), of
# which the first in this order is the most specific.
PURPOSES = {
    "sysrq": "somebody pressed SysRq f (or wrote f to /proc/sysrq-trigger)",
    "fork": "a fork: the child's page tables and structures",
    "copy-on-write": "copy-on-write: it wrote to a page that it shared (since a fork, by KSM, or with a file) and "
    "needed its own copy",
    "private-file": "the first write to a page of a file that it maps privately: the copy that this needs has nothing "
    "to do with a fork",
    "swap-in": "bringing a page back from swap",
    "huge-page": "a huge page for anonymous memory",
    "anonymous": "the first touch of anonymous memory that it had been promised (malloc, mmap)",
    "shared": "shared memory or a tmpfs file",
    "file-read": "reading a file's page back into the page cache (program code, a library or a mapped file)",
    "page-table": "a page for page tables",
    "network": "a network buffer",
    "pipe": "data written to a pipe",
    "vmalloc": "a kernel buffer (vmalloc)",
    "file-write": "a write to a file, by way of the page cache",
    "slab": "a kernel structure (slab)",
}


@dataclass(frozen=True, slots=True)
class KernelFunction:
    """A row of the table.

    layer: a key of LAYERS.
    file: the source file that defines the function.
    does: what the function does, in one line.
    part: its part in the path from a page fault to the OOM killer, one of PARTS, or empty.
    purpose: why memory was requested if the function is on the stack, a key of PURPOSES, or empty.
    """

    layer: str
    file: str
    does: str
    part: str = ""
    purpose: str = ""


_X86_FAULT, _MEMORY, _PAGE_ALLOC = "arch/x86/mm/fault.c", "mm/memory.c", "mm/page_alloc.c"
_OOM_KILL, _VMSCAN, _MEMPOLICY, _MEMCG = "mm/oom_kill.c", "mm/vmscan.c", "mm/mempolicy.c", "mm/memcontrol.c"
_HUGE, _HUGETLB, _FORK, _FILEMAP = "mm/huge_memory.c", "mm/hugetlb.c", "kernel/fork.c", "mm/filemap.c"


def _entry(file: str, does: str) -> KernelFunction:
    return KernelFunction("entry", file, does, "page-fault")


def _handler(does: str) -> KernelFunction:
    return KernelFunction("mm", _MEMORY, does, "fault-handler")


def _copy(file: str, does: str) -> KernelFunction:
    return KernelFunction("mm", file, does, "copy-on-write", "copy-on-write")


def _wants(purpose: str, file: str, does: str) -> KernelFunction:
    return KernelFunction("mm", file, does, "", purpose)


def _allocates(file: str, does: str, part: str = "allocation") -> KernelFunction:
    return KernelFunction("allocator", file, does, part)


def _kills(file: str, does: str, layer: str = "oom") -> KernelFunction:
    return KernelFunction(layer, file, does, "oom")


_FINDS_MAPPING = "finds the mapping and checks that the access is allowed"
_FAST_PATH = "the fast path: a page above the low watermark, if there is one"
_BY_POLICY = "chooses the node by the mapping's memory policy"

_TABLE: dict[str, KernelFunction] = {
    # Entry of a page fault from user space: asm_exc_page_fault, exc_page_fault and do_user_addr_fault since 5.8,
    # page_fault and do_page_fault before.
    "asm_exc_page_fault": _entry("arch/x86/include/asm/idtentry.h", "the CPU's exception lands here"),
    "exc_page_fault": _entry(_X86_FAULT, "reads the address that was touched (CR2)"),
    "page_fault": _entry("arch/x86/entry/entry_64.S", "the CPU's exception lands here"),
    "async_page_fault": _entry("arch/x86/entry/entry_64.S", "the same entry in a guest that knows of KVM"),
    "do_user_addr_fault": _entry(_X86_FAULT, _FINDS_MAPPING),
    "do_page_fault": _entry(_X86_FAULT, _FINDS_MAPPING),
    "__do_page_fault": _entry(_X86_FAULT, _FINDS_MAPPING),
    "do_mem_abort": _entry("arch/arm64/mm/fault.c", "arm64: the CPU's data abort"),
    "entry_SYSCALL_64_after_hwframe": KernelFunction(
        "syscall", "arch/x86/entry/entry_64.S", "a system call enters the kernel"
    ),
    "do_syscall_64": KernelFunction("syscall", "arch/x86/entry/common.c", "looks up the system call by its number"),
    "handle_mm_fault": _handler("the fault is counted (pgfault) and handled for this process"),
    "__handle_mm_fault": _handler("walks the page table down to the entry"),
    "handle_pte_fault": _handler("decides by the entry: missing, swapped out, or write-protected"),
    # mm/memory.c: do_wp_page() handles the write to a shared page, wp_page_copy() makes the copy.
    "do_wp_page": _copy(_MEMORY, "a write to a page that is shared: it must be copied"),
    "wp_page_copy": _copy(_MEMORY, "copy-on-write: takes a new page, copies the old one, maps the new"),
    "do_cow_fault": KernelFunction(
        "mm", _MEMORY, "first write to a private page of a file: a copy is made", "fault-handler", "private-file"
    ),
    "do_huge_pmd_wp_page": _copy(_HUGE, "a write to a huge page that is shared"),
    "do_huge_pmd_wp_page_fallback": _copy(_HUGE, "a huge page that is shared is split for the copy"),
    "hugetlb_wp": _copy(_HUGETLB, "a write to a shared page of hugetlbfs"),
    "hugetlb_cow": _copy(_HUGETLB, "a write to a shared page of hugetlbfs (until 5.19)"),
    "do_anonymous_page": _wants("anonymous", _MEMORY, "first touch of anonymous memory: a zeroed page is due"),
    "alloc_anon_folio": _wants("anonymous", _MEMORY, "first touch of anonymous memory: a zeroed folio is due"),
    "do_huge_pmd_*": _wants("huge-page", _HUGE, "a fault that a huge page may serve"),
    "do_huge_pmd_anonymous_page": _wants("huge-page", _HUGE, "first touch: a huge page is tried"),
    "do_read_fault": _wants("file-read", _MEMORY, "a page of a file is read in"),
    "do_fault": KernelFunction("mm", _MEMORY, "the page belongs to a file"),
    "__do_fault": _wants("file-read", _MEMORY, "asks the file system for the page"),
    "do_shared_fault": _wants("shared", _MEMORY, "first write to a shared mapping of a file"),
    "do_swap_page": _wants("swap-in", _MEMORY, "the page was swapped out and comes back"),
    "swap_cluster_readahead": _wants("swap-in", "mm/swap_state.c", "reads neighbouring pages from swap as well"),
    "read_swap_cache*": _wants("swap-in", "mm/swap_state.c", "reads a page from swap"),
    "swapin_*": _wants("swap-in", "mm/swap_state.c", "reads a page from swap"),
    "filemap_fault": _wants("file-read", _FILEMAP, "looks for the page of the file in the page cache"),
    "ext4_filemap_fault": _wants("file-read", "fs/ext4/inode.c", "looks for the page of the file in the page cache"),
    "xfs_filemap_fault": _wants("file-read", "fs/xfs/xfs_file.c", "looks for the page of the file in the page cache"),
    "pagecache_get_page": _wants("file-read", "mm/folio-compat.c", "finds or makes a page of the page cache"),
    "page_cache_ra*": _wants("file-read", "mm/readahead.c", "reads ahead in a file"),
    "page_cache_sync*": _wants("file-read", "mm/readahead.c", "reads ahead in a file that is waited for"),
    "page_cache_async*": _wants("file-read", "mm/readahead.c", "reads ahead in a file before it is asked for"),
    "ondemand_readahead": _wants("file-read", "mm/readahead.c", "decides how much of a file to read ahead"),
    "filemap_get_pages": _wants("file-read", _FILEMAP, "collects a file's pages for a read"),
    "read_pages": _wants("file-read", "mm/readahead.c", "hands the pages to the file system to be filled"),
    "hugetlb_fault": KernelFunction("mm", _HUGETLB, "a fault in a mapping of hugetlbfs"),
    "copy_page_range": _wants("fork", _MEMORY, "fork: the parent's page table is copied, pages are not"),
    "dup_mm": _wants("fork", _FORK, "fork: the address space is duplicated"),
    "dup_mmap": _wants("fork", _FORK, "fork: the list of mappings is duplicated"),
    "copy_process": _wants("fork", _FORK, "fork: the new task is put together"),
    "kernel_clone": _wants("fork", _FORK, "fork, vfork and clone all come through here"),
    "_do_fork": _wants("fork", _FORK, "fork, vfork and clone all come through here (until 5.9)"),
    "__pte_alloc*": _wants("page-table", _MEMORY, "a page for the page table itself"),
    "pte_alloc_one": _wants("page-table", "arch/x86/mm/pgtable.c", "a page for the page table itself"),
    "__pmd_alloc": _wants("page-table", _MEMORY, "a page for the page table's middle level"),
    "__pud_alloc": _wants("page-table", _MEMORY, "a page for the page table's upper level"),
    "shmem_*": _wants("shared", "mm/shmem.c", "tmpfs and shared memory"),
    "generic_perform_write": _wants("file-write", _FILEMAP, "copies a program's data into the page cache"),
    "ext4_*": _wants("file-write", "fs/ext4", "the ext4 file system"),
    "xfs_*": _wants("file-write", "fs/xfs", "the XFS file system"),
    "btrfs_*": _wants("file-write", "fs/btrfs", "the Btrfs file system"),
    "iomap_write*": _wants("file-write", "fs/iomap/buffered-io.c", "copies a program's data into the page cache"),
    "pipe_write": _wants("pipe", "fs/pipe.c", "a pipe takes data"),
    "anon_pipe_write": _wants("pipe", "fs/pipe.c", "a pipe takes data"),
    "__alloc_skb": _wants("network", "net/core/skbuff.c", "makes a network buffer"),
    "alloc_skb*": _wants("network", "net/core/skbuff.c", "makes a network buffer"),
    "sk_page_frag_refill": _wants("network", "net/core/sock.c", "takes pages for a socket's data"),
    "skb_page_frag*": _wants("network", "net/core/sock.c", "takes pages for a network buffer's data"),
    "vmalloc*": _wants("vmalloc", "mm/vmalloc.c", "a kernel buffer of pages that need not be adjacent"),
    "__vmalloc*": _wants("vmalloc", "mm/vmalloc.c", "a kernel buffer of pages that need not be adjacent"),
    "vmap_*": _wants("vmalloc", "mm/vmalloc.c", "maps pages into the kernel's address space"),
    "kmalloc*": _wants("slab", "mm/slub.c", "a piece of kernel memory"),
    "__kmalloc*": _wants("slab", "mm/slub.c", "a piece of kernel memory"),
    "kmem_cache_alloc*": _wants("slab", "mm/slub.c", "an object of a slab cache"),
    "new_slab*": _wants("slab", "mm/slub.c", "a new page for a slab cache"),
    "allocate_slab": _wants("slab", "mm/slub.c", "a new page for a slab cache"),
    "___slab_alloc": _wants("slab", "mm/slub.c", "an object of a slab cache, the slow way"),
    "moom_callback": KernelFunction("oom", "drivers/tty/sysrq.c", "SysRq f calls the OOM killer", "", "sysrq"),
    "vma_alloc_folio*": _allocates(_MEMPOLICY, _BY_POLICY),
    "alloc_pages_vma": _allocates(_MEMPOLICY, _BY_POLICY),
    "alloc_pages_mpol*": _allocates(_MEMPOLICY, "chooses the node by the memory policy"),
    "alloc_pages_current": _allocates(_MEMPOLICY, "chooses the node by the task's memory policy"),
    "alloc_pages*": _allocates(_MEMPOLICY, "chooses the node by the task's memory policy"),
    "folio_prealloc": _allocates(_MEMORY, "takes the new page before locks are held"),
    "__folio_alloc*": _allocates(_PAGE_ALLOC, "asks for one page, as a folio"),
    "folio_alloc": _allocates(_MEMPOLICY, "asks for one page, as a folio", ""),
    "get_zeroed_page": _allocates(_PAGE_ALLOC, "asks for one page full of zeros", ""),
    "__get_free_pages": _allocates(_PAGE_ALLOC, "asks for pages by their address", ""),
    "__alloc_pages*": _allocates(_PAGE_ALLOC, _FAST_PATH),
    "__alloc_frozen_pages*": _allocates(_PAGE_ALLOC, _FAST_PATH),
    "__alloc_pages_slowpath": _allocates(
        _PAGE_ALLOC, "nothing above the watermark: wakes kswapd, reclaims, compacts, tries again"
    ),
    "__alloc_pages_may_oom": _allocates(_PAGE_ALLOC, "reclaim gave nothing: the OOM killer may be called"),
    "get_page_from_freelist": _allocates(_PAGE_ALLOC, "goes through the zones against their watermarks", ""),
    "try_to_free_pages": KernelFunction("reclaim", _VMSCAN, "direct reclaim: who asks for memory frees some itself"),
    "do_try_to_free_pages": KernelFunction("reclaim", _VMSCAN, "scans harder and harder, priority 12 down to 0"),
    "shrink_node": KernelFunction("reclaim", _VMSCAN, "reclaims on one node, cgroup by cgroup"),
    "shrink_lruvec": KernelFunction("reclaim", _VMSCAN, "balances file pages against anonymous ones"),
    "shrink_slab": KernelFunction("reclaim", "mm/shrinker.c", "asks the kernel's own caches to shrink"),
    "__alloc_pages_direct_compact": KernelFunction(
        "reclaim", _PAGE_ALLOC, "moves pages to make a larger free block", "allocation"
    ),
    "try_charge_memcg": KernelFunction("reclaim", _MEMCG, "charges the cgroup; over its limit it reclaims there"),
    "try_charge": KernelFunction("reclaim", _MEMCG, "charges the cgroup; over its limit it reclaims there"),
    "charge_memcg": KernelFunction("reclaim", _MEMCG, "charges a new page to the cgroup"),
    "__mem_cgroup_charge": KernelFunction("reclaim", _MEMCG, "charges a new page to the cgroup"),
    "mem_cgroup_out_of_memory": _kills(_MEMCG, "the cgroup's limit is reached, not the machine's"),
    "out_of_memory": _kills(_OOM_KILL, "checks panic_on_oom, chooses the task with the highest badness"),
    "oom_kill_process": _kills(_OOM_KILL, "prints the report and kills the victim"),
    "oom_kill_memcg_member": _kills(_OOM_KILL, "kills one task of a cgroup with memory.oom.group"),
    "__oom_kill_process": KernelFunction("oom", _OOM_KILL, "sends SIGKILL to all who share the victim's memory"),
    "dump_header": _kills(_OOM_KILL, "prints who asked, the state of memory, and the tasks", "report"),
    "show_stack": KernelFunction("report", "arch/x86/kernel/dumpstack.c", "prints a stack"),
    "dump_stack": KernelFunction("report", "lib/dump_stack.c", "prints this very trace"),
    "dump_stack_lvl": KernelFunction("report", "lib/dump_stack.c", "prints this very trace"),
    "panic": KernelFunction("report", "kernel/panic.c", "the kernel stops, as vm.panic_on_oom asks"),
}


@cache
def _prefixes() -> tuple[tuple[str, KernelFunction], ...]:
    """Return (prefix, row) for the names that end in `*`, the longest prefix first."""
    rows = [(name[:-1], row) for name, row in _TABLE.items() if name.endswith("*")]
    return tuple(sorted(rows, key=lambda entry: -len(entry[0])))


def known(function: str) -> KernelFunction | None:
    """Return the row of a function, or None. Compiler suffixes such as `.constprop.0` are ignored."""
    name = function.split(".", 1)[0]
    row = _TABLE.get(name)
    if row is None and name.isascii() and name.isidentifier():  # a damaged log may have any text here
        row = next((row for prefix, row in _prefixes() if name.startswith(prefix)), None)
    return row


def part_of(function: str) -> str:
    """Return the part of a function in the path from a page fault to the OOM killer, one of PARTS, or ``."""
    row = known(function)
    return "" if row is None else row.part


def purpose_of(function: str) -> str:
    """Return why memory was requested if this function is on the stack, a key of PURPOSES, or ``."""
    row = known(function)
    return "" if row is None else row.purpose
