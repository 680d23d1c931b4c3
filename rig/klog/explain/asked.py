# SPDX-License-Identifier: MIT
"""What asked for memory, how much, and from where."""

from __future__ import annotations

import re

from rig.klog.explain.explanation import Section, Sentence
from rig.klog.explain.words import size
from rig.klog.oom.gfp import decode
from rig.klog.oom.oom_event import OomEvent

__all__ = ["asked", "origin"]

# The first that the trace holds says why memory was wanted.
_ORIGINS: tuple[tuple[str, str], ...] = (
    (r"^moom_callback", "somebody pressed SysRq f (or wrote f to /proc/sysrq-trigger)"),
    (
        r"^(?:copy_process|dup_mm|dup_mmap|copy_page_range|kernel_clone|_do_fork)",
        "a fork: the child's page tables and structures",
    ),
    (
        r"^(?:wp_page_copy|do_wp_page|do_cow_fault)",
        "copy-on-write: it wrote to a page that it still shared since a fork, and needed its own copy",
    ),
    (r"^(?:do_swap_page|swap_cluster_readahead|read_swap_cache|swapin_)", "bringing a page back from swap"),
    (r"^do_huge_pmd", "a huge page for anonymous memory"),
    (
        r"^(?:do_anonymous_page|alloc_anon_folio)",
        "the first touch of anonymous memory that it had been promised (malloc, mmap)",
    ),
    (r"^(?:shmem_|do_shared_fault)", "shared memory or a tmpfs file"),
    (
        r"^(?:filemap_fault|ext4_filemap_fault|xfs_filemap_fault|__do_fault|do_read_fault|pagecache_get_page|"
        r"page_cache_(?:ra|sync|async)|ondemand_readahead|filemap_get_pages|read_pages)",
        "reading a file's page back into the page cache (program code, a library or a mapped file)",
    ),
    (r"^(?:__pte_alloc|pte_alloc_one|__pmd_alloc|__pud_alloc)", "a page for page tables"),
    (r"^(?:__alloc_skb|alloc_skb|sk_page_frag_refill|skb_page_frag)", "a network buffer"),
    (r"^(?:pipe_write|anon_pipe_write)", "data written to a pipe"),
    (r"^(?:vmalloc|__vmalloc|vmap_)", "a kernel buffer (vmalloc)"),
    (
        r"^(?:generic_perform_write|ext4_|xfs_|btrfs_|iomap_write)",
        "a write to a file, by way of the page cache",
    ),
    (
        r"^(?:kmalloc|__kmalloc|kmem_cache_alloc|new_slab|allocate_slab|___slab_alloc)",
        "a kernel structure (slab)",
    ),
)
_FAULT = re.compile(r"page_fault|do_user_addr_fault|handle_mm_fault|el0_da|do_mem_abort|do_translation_fault")


def asked(event: OomEvent) -> Section:
    """Return who asked, for how much, under which conditions."""
    sentences: list[Sentence] = []
    if event.invoker is None:
        sentences.append(Sentence("The line that says who asked for memory is not in this log."))
        return Section("What asked for memory", tuple(sentences))
    who = event.invoker.comm + (f" (pid {event.invoker.pid})" if event.invoker.pid is not None else "")
    if event.scope == "sysrq":
        sentences.append(Sentence("Nothing lacked memory: the OOM killer was called by hand (SysRq f).", (event.line,)))
        return Section("What asked for memory", tuple(sentences))
    order = event.order or 0
    amount = size(event.page_kb << order)
    pages = "one page" if order == 0 else f"{1 << order} pages in one piece (order {order})"
    sentences.append(Sentence(f"{who} asked for {pages}, {amount}.", (event.line,)))
    cause, lines = origin(event)
    if cause is not None:
        sentences.append(Sentence(f"It was {cause}.", lines))
    flags = event.gfp_flags
    if not flags and event.gfp_mask is not None:
        decoded = decode(event.gfp_mask, event.kernel)
        if decoded is not None:
            flags = decoded
            sentences.append(
                Sentence(f"This kernel prints the mask alone; it reads {'|'.join(decoded)}.", (event.line,))
            )
    sentences.extend(_conditions(flags, event))
    if event.invoker.pid is not None and event.victim is not None and event.victim.pid != event.invoker.pid:
        sentences.append(
            Sentence(
                f"{event.invoker.comm} is only who asked last: whoever asks when nothing is left brings "
                f"the OOM "
                "killer, and need not be the one that holds the memory.",
                (event.line, event.victim.line),
            )
        )
    return Section("What asked for memory", tuple(sentences))


def origin(event: OomEvent) -> tuple[str | None, tuple[int, ...]]:
    """Return in words why memory was wanted, from the trace, and the line that shows it."""
    frames = [frame for frame in event.trace.frames if frame.reliable]
    for pattern, words in _ORIGINS:
        for frame in frames:
            if re.match(pattern, frame.function):
                return words, (frame.line,)
    fault = next((frame for frame in frames if _FAULT.search(frame.function)), None)
    if fault is not None:
        # Later kernels inline the functions that would tell; the flags do: a page for first use is cleared.
        if "__GFP_ZERO" in event.gfp_flags:
            return "the first touch of anonymous memory that it had been promised (malloc, mmap)", (
                fault.line,
                event.line,
            )
        return "a page fault: it touched memory that had no page yet", (fault.line,)
    return None, ()


def _conditions(flags: tuple[str, ...], event: OomEvent) -> list[Sentence]:
    sentences = []
    if "GFP_HIGHUSER_MOVABLE" in flags or "GFP_HIGHUSER" in flags:
        sentences.append(Sentence("The page was for a program; any zone would have done.", (event.line,)))
    elif any(flag.startswith(("GFP_KERNEL", "GFP_NOFS", "GFP_NOIO")) for flag in flags):
        sentences.append(
            Sentence(
                "The memory was for the kernel itself: it must be directly mapped and cannot be moved.",
                (event.line,),
            )
        )
    if any(flag.startswith("GFP_ATOMIC") for flag in flags):
        sentences.append(Sentence("It could not wait for memory to be freed (GFP_ATOMIC).", (event.line,)))
    if "__GFP_NOFAIL" in flags:
        sentences.append(Sentence("It must not fail (__GFP_NOFAIL): the kernel had to kill or wait.", (event.line,)))
    return sentences
