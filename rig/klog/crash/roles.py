# SPDX-License-Identifier: MIT
"""Functions that a trace shows but that are not to blame: those that check, report, lock, allocate or copy.

The frame to blame is the first one without such a role: a lock, an allocator or memcpy() only does what its caller
asks. A pattern matches anywhere in a function's name, unless ^ or $ keeps a short word from matching too much.
"""

from __future__ import annotations

import re
from functools import cache

__all__ = ["has_role", "without_roles"]

_ROLES: dict[str, tuple[str, ...]] = {
    # Functions that print the report, and the trap handlers that call them.
    "reporting": (
        r"(?:dump|show|walk|save)_(?:stack|backtrace)",
        r"stack_(?:trace|walk)",
        r"panic",
        r"printk",
        r"va_format",
        r"^_*warn",
        r"warn_(?:slowpath|alloc|bogus)",
        r"(?:report|fixup|handle|imbalance|usage)_bug",
        r"print_(?:report|address|tainted|unlock|hex|\w+_bug)",
        r"get_taint$",
        r"assertfail",
        r"fortify",
        r"_trap$|do_trap|do_error|invalid_op",
        r"program_check",
        r"hex_dump",
        r"^_?dev_(?:emerg|alert|crit|err|warn|notice|info)",
        r"ref_tracker",
    ),
    # Sanitizers and debugging aids detect a bug; they do not cause it.
    "checking": (
        r"k[am]san|hwasan|__[am]san|__sanitizer|kcsan|kfence_(?:handle|report)",
        r"check_(?:memory_region|heap_object|object)",
        r"debug_object",
        r"_is_static_object",
        r"lockdep",
        r"might_(?:fault|sleep|resched)",
        r"read_word_at_a_time",
        r"_once_\w*nocheck",
        r"seqprop_",
        r"perf_trace",
        r"trace_(?:hard|soft)irq",
        r"__phys_addr",
        r"indirect_thunk",
    ),
    # The path from an arm64 exception vector to the fault handler (arch/arm64/mm/fault.c do_mem_abort()).
    "exception": (r"^el1_abort|^el1h_64_sync", r"do_mem_abort", r"do_(?:kernel|translation)_fault"),
    "locking": (
        r"lock_(?:acquire|release|class|timer_base)",
        r"mark_(?:lock|held)",
        r"(?:reacquire|mark)_held_locks",
        r"raw_spin_rq",
        r"(?:spin|read|write)_(?:try|un)?lock",
        r"^_*(?:rt_)?mutex_",
        r"^down$|(?:down|up)_(?:read|write)|down_(?:read_|write_)?trylock",
        r"bh_(?:en|dis)able",
        r"osq_(?:un)?lock",
        r"owner_on_cpu",
        r"^(?:un)?lock_page",
        r"srcu_struct",
    ),
    "counting": (
        r"atomic(?:64)?_(?:add|sub|and|or|xor|inc|dec|set|read|fetch|xchg|cmpxchg|try)",
        r"(?:set|clear|change|test)_bit",
        r"^(?:refcount|kref)_",
        r"^put_device$",
        r"^i(?:put|put_final"
        r"|hold)$",
        r"dput$|^dput|fast_dput",
        r"drop_nlink",
        r"ida_free",
    ),
    "allocating": (
        r"k?v?[mzc]alloc|krealloc|alloc_page|alloc_frozen_pages",
        r"kmem_cache|^allocate_slab|slab_",
        r"^kv?free$",
        r"kfree_skb",
        r"folio_(?:alloc|unlock)|alloc_folio|get_folio",
        r"mark_buffer_dirty",
    ),
    # Page cache lookups, which act for the file system that called them.
    "page cache": (
        r"find_or_create_page|grab_cache_page|pagecache_get_page|do_read_cache_folio|read_cache_page|find_lock_entries",
        r"truncate_inode_pages_range",
    ),
    "copying": (
        r"mem(?:cpy|cmp|set|chr|move|dup)",
        r"str(?:n?cmp|[nl]?cpy|scpy|n?len|n?str|n?chr|n?dup)|string"
        r"|pointer",
        r"copy_(?:to|from)_(?:user|iter)|copy_(?:page|folio)_(?:to|from)|^copy(?:in|out)$",
        r"(?:get|put)_user",
        r"sc?n?printf|k?v?asprintf",
        r"extract_(?:user|iter)_to_sg",
        r"^crc\d|crc_itu",
    ),
    "containers": (
        r"list_(?:add|del|move|replace|splice)",
        r"^_*rb_",
        r"^klist_",
        r"xas_(?:start|load|find)",
        r"rhashtable_lookup",
    ),
    "waking": (r"_wake_up", r"^complete$", r"wait_for_completion", r"finish_wait", r"kthread_stop"),
    "deferring": (
        r"del_timer|mod_timer|timer_delete|stop_timer",
        r"(?:flush|cancel|queue|insert|drain|destroy)_work",
        r"cancel_(?:delayed_)?work|cancel_work_timer|queue_delayed_work|try_to_grab_pending",
    ),
    # The driver core and the USB core act for the driver that called them.
    "device core": (
        r"kobject_|add_uevent|get_device_parent|sysfs_remove|device_(?:add|del|unregister|destroy|release|remove_file)",
        r"device_for_each_child|devres_release|unregister_netdev|rollback_registered|hwrng_unregister",
        r"i2c_del_adapter|unregister_client|tty_unregister_device",
        r"usb_(?:kill_(?:anchored_)?urbs?|control_msg|submit_urb|hcd_submit_urb)|dummy_urb_enqueue",
    ),
    "I/O accessors": (r"(?:read|write)[bwlq]$", r"logic_(?:in|out)"),
}

_EVERY_ROLE = "|".join(pattern for patterns in _ROLES.values() for pattern in patterns)


@cache
def _compiled(extra: str) -> re.Pattern[str]:
    return re.compile(f"{_EVERY_ROLE}|{extra}" if extra else _EVERY_ROLE)


def has_role(function: str, extra: str = "") -> bool:
    """Return whether a function has a role that rules it out as the one to blame.

    extra: a regular expression for further functions that are not to blame in this kind of report.
    """
    return _compiled(extra).search(function) is not None


def without_roles(functions: list[str], extra: str = "") -> list[str]:
    """Return the functions that can be to blame, in their order. extra: as for has_role()."""
    pattern = _compiled(extra)
    return [function for function in functions if pattern.search(function) is None]
