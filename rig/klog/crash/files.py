# SPDX-License-Identifier: MIT
"""Find the source file that a report blames, where the log names files (`function+0x1/0x2 net/core/sock.c:12`).

As with functions (roles.py), the file to blame is the first one that does not merely serve its caller.
"""

from __future__ import annotations

import re

__all__ = ["file_to_blame"]

_FILE = re.compile(r"(?<![\w/.-])(?:\./)?(?P<file>[a-z][\w+-]*(?:/[\w+.-]+)+\.[chS]):\d+")
# Lines that name a file but not a step of the way to the bug: where memory was allocated, where a lock class began.
_ELSEWHERE = re.compile(r"Modules linked in|(?:hard|soft)irqs last|^irq event stamp")


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


# Exception entry, data structures, locks, the scheduler, timers, interrupts, printing, tracing, the sanitizers, the
# allocators. Inline functions in headers belong to whoever includes the header.
_SERVICES = _any(
    r"\.h$",
    r"^(?:include|init|scripts|lib)/",
    r"^arch/\w+/(?:entry|lib|mm|include)/",
    r"^arch/\w+/kernel/(?:\w*trap|stacktrace|unwind|dumpstack|process|entry|apic|irq|time|smp|signal|nmi|idt|ptrace)",
    r"^drivers/(?:clocksource|irqchip)/",
    r"^kernel/(?:locking|sched|time|rcu|irq|printk|trace|entry|events|kcsan|dma)/",
    r"^kernel/(?:panic|fork|exit|softirq|workqueue|kthread|notifier|hung_task|watchdog|signal|kallsyms|smp|stop_machine"
    r"|cpu|fail_function|kcov|lockdep|mutex|rwsem|rtmutex|spinlock|sched|wait|timer|hrtimer|reboot|stacktrace|task_work"
    r"|user|cred|pid|async|jump_label)[\w-]*\.c$",
    r"^mm/(?:kasan|kmsan|kfence|damon)/",
    r"^mm/(?:slab|slub|slob|util|page_alloc|memory|vmalloc|percpu|mempool|kasan|kmemleak|usercopy|maccess|failslab"
    r"|fail_page_alloc|mempolicy|debug|gup|list_lru|oom_kill|vmscan|memcontrol|mmap)[\w-]*\.c$",
)
# The generic part of a subsystem, which calls the driver, file system or protocol that is to blame.
_GENERIC = _any(
    r"^mm/(?:truncate|filemap|folio|swap|page-writeback|backing-dev|readahead)[\w-]*\.c$",
    r"^net/socket\.c$",
    r"^net/core/(?:dev|skbuff|sock|datagram|stream|neighbour|dst|rtnetlink|scm|iovec|filter|dev_ioctl|gen_estimator"
    r"|lock_debug|net_namespace)\.c$",
    r"^net/(?:ipv4/af_inet|ipv6/af_inet6|netlink/af_netlink)\.c$",
    r"^net/sched/(?:sch_generic|sch_api|cls_api|act_api)\.c$",
    r"^fs/[a-z_-]+\.c$",
    r"^fs/(?:proc|sysfs|kernfs|debugfs|notify|iomap)/",
    r"^drivers/base/",
    r"^drivers/usb/(?:core|gadget)/",
    r"^drivers/(?:net/tun|pci/\w+|char/mem|char/random)\.c$",
    r"^block/(?:blk|bio|elevator|genhd|bdev|fops|ioctl)[\w-]*\.c$",
    r"^crypto/(?:api|algapi|cipher|ahash|shash|aead|skcipher|ablkcipher|blkcipher|scatterwalk|rng|hash)\.c$",
    r"^security/(?:security|commoncap)\.c$",
)


def file_to_blame(texts: list[str]) -> str | None:
    """Return the path of the source file to blame; None where the report names no file.

    A file of a driver, file system or protocol is looked for first, then one of a subsystem's generic part.
    texts: the lines of the report, innermost frame first.
    """
    found = [match["file"] for text in texts if not _ELSEWHERE.search(text) for match in _FILE.finditer(text)]
    beyond = [path for path in found if not _SERVICES.search(path)]
    own = [path for path in beyond if not _GENERIC.search(path)]
    sources = [path for path in found if not path.endswith(".h")]
    return next(iter(own or beyond or sources or found), None)
