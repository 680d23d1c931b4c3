# SPDX-License-Identifier: MIT
"""Made logs: reports from a small grammar of the kernel's formats, for any number of tasks and any kernel.

No kernel printed these. What kernels printed is in data/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

__all__ = ["MadeTask", "journal_line", "oom_report", "oops", "panic", "serial", "warning"]


@dataclass(frozen=True)
class MadeTask:
    pid: int
    name: str
    anon: int  # pages
    file: int = 200
    shmem: int = 0
    swapents: int = 0
    oom_score_adj: int = 0
    uid: int = 0

    @property
    def rss(self) -> int:
        return self.anon + self.file + self.shmem


TASKS = (
    MadeTask(101, "agent", 50, oom_score_adj=-1000),
    MadeTask(120, "parent", 51200),
    MadeTask(121, "child", 20480),
    MadeTask(122, "hog", 40960, uid=1000),
)


def oom_report(
    tasks: Iterable[MadeTask] = TASKS, *, kernel: str = "6.12.9-cloud-amd64", cgroup: str | None = None
) -> list[str]:
    """Return the lines of one report, global or of a cgroup, without any prefix."""
    tasks = tuple(tasks)
    victim = max(tasks, key=lambda task: -1 if task.oom_score_adj == -1000 else task.rss)
    lines = [
        "child invoked oom-killer: gfp_mask=0x140dca(GFP_HIGHUSER_MOVABLE|__GFP_ZERO|__GFP_COMP), order=0, "
        "oom_score_adj=0",
        f"CPU: 0 UID: 0 PID: 121 Comm: child Not tainted {kernel} #1  Debian",
        "Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2 04/01/2014",
        "Call Trace:",
        " <TASK>",
        " dump_stack_lvl+0x5d/0x80",
        " dump_header+0x44/0x1a2",
        " oom_kill_process.cold+0xb/0x5d",
        " ? srso_return_thunk+0x5/0x5f",
        " out_of_memory+0x10f/0x5a0",
        " __alloc_pages_noprof+0xdb4/0x1080",
        " do_anonymous_page+0x13a/0x640 [made]",
        " asm_exc_page_fault+0x26/0x30",
        "RIP: 0033:0x401b2f",
        "Code: 48 89 c7 e8 <c6> 00 01",
        "RSP: 002b:00007ffd84637ec0 EFLAGS: 00010206",
        "RAX: 0000000000015fd1 RBX: 0000000000001010 RCX: 00005658cf73d030",
        " </TASK>",
    ]
    lines += _cgroup(cgroup) if cgroup else _mem_info(tasks)
    lines += ["Tasks state (memory values in pages):"]
    split = kernel.startswith(("6.12", "7."))
    lines += [
        "[  pid  ]   uid  tgid total_vm      rss "
        + ("rss_anon rss_file rss_shmem " if split else "")
        + "pgtables_bytes swapents oom_score_adj name"
    ]
    for task in tasks:
        parts = f"{task.anon:8d} {task.file:8d} {task.shmem:9d} " if split else ""
        lines.append(
            f"[{task.pid:7d}] {task.uid:5d} {task.pid:5d} {task.rss + 400:8d} {task.rss:8d} {parts}"
            f"{8 * task.rss + 40960:8d} {task.swapents:8d}         {task.oom_score_adj:5d} {task.name}"
        )
    where = f"oom_memcg={cgroup},task_memcg={cgroup}" if cgroup else "global_oom,task_memcg=/"
    lines.append(
        f"oom-kill:constraint=CONSTRAINT_{'MEMCG' if cgroup else 'NONE'},nodemask=(null),cpuset=/,"
        f"mems_allowed=0,{where},task={victim.name},pid={victim.pid},uid={victim.uid}"
    )
    lines.append(
        f"{'Memory cgroup out' if cgroup else 'Out'} of memory: Killed process {victim.pid} ({victim.name}) "
        f"total-vm:{4 * (victim.rss + 400)}kB, anon-rss:{4 * victim.anon}kB, file-rss:{4 * victim.file}kB, "
        f"shmem-rss:{4 * victim.shmem}kB, UID:{victim.uid} pgtables:{(8 * victim.rss + 40960) // 1024}kB "
        f"oom_score_adj:{victim.oom_score_adj}"
    )
    return lines


def _mem_info(tasks: tuple[MadeTask, ...]) -> list[str]:
    anon = sum(task.anon for task in tasks)
    return [
        "Mem-Info:",
        f"active_anon:0 inactive_anon:{anon} isolated_anon:0",
        " active_file:5 inactive_file:9 isolated_file:0",
        " unevictable:0 dirty:0 writeback:0",
        " slab_reclaimable:1500 slab_unreclaimable:2900",
        " mapped:20 shmem:4 pagetables:310",
        " sec_pagetables:0 bounce:0",
        " kernel_misc_reclaimable:0",
        " free:1041 free_pcp:0 free_cma:0",
        f"Node 0 active_anon:0kB inactive_anon:{4 * anon}kB active_file:20kB inactive_file:36kB "
        f"unevictable:0kB "
        "isolated(anon):0kB isolated(file):0kB mapped:80kB dirty:0kB writeback:0kB shmem:16kB "
        "kernel_stack:1056kB "
        "pagetables:1240kB all_unreclaimable? yes",
        "Node 0 DMA free:1872kB boost:0kB min:92kB low:112kB high:132kB reserved_highatomic:0KB "
        "active_anon:0kB "
        "inactive_anon:13000kB present:15992kB managed:15360kB mlocked:0kB bounce:0kB free_pcp:0kB "
        "local_pcp:0kB",
        "lowmem_reserve[]: 0 446 446 446 446",
        "Node 0 DMA32 free:2292kB boost:0kB min:2708kB low:3384kB high:4060kB reserved_highatomic:0KB "
        "active_anon:0kB "
        "inactive_anon:430000kB present:507776kB managed:457268kB mlocked:0kB bounce:0kB free_pcp:0kB "
        "local_pcp:0kB",
        "lowmem_reserve[]: 0 0 0 0 0",
        "Node 0 DMA: 0*4kB 0*8kB 1*16kB (U) 0*32kB 1*64kB (U) 0*128kB 1*256kB (U) 1*512kB (U) 1*1024kB "
        "(U) 0*2048kB "
        "0*4096kB = 1872kB",
        "Node 0 DMA32: 111*4kB (UME) 31*8kB (UME) 6*16kB (UE) 1*32kB (E) 3*64kB (U) 0*128kB 1*256kB (U) "
        "0*512kB "
        "1*1024kB (E) 0*2048kB 0*4096kB = 2292kB",
        "Node 0 hugepages_total=0 hugepages_free=0 hugepages_surp=0 hugepages_size=2048kB",
        "18 total pagecache pages",
        "0 pages in swap cache",
        "Free swap  = 0kB",
        "Total swap = 0kB",
        "130942 pages RAM",
        "0 pages HighMem/MovableOnly",
        "12785 pages reserved",
        "0 pages hwpoisoned",
    ]


def _cgroup(path: str) -> list[str]:
    return [
        "memory: usage 102400kB, limit 102400kB, failcnt 512",
        "swap: usage 0kB, limit 0kB, failcnt 0",
        f"Memory cgroup stats for {path}:",
        "anon 104136704",
        "file 32768",
        "kernel_stack 16384",
        "slab_unreclaimable 98304",
    ]


def panic(reason: str = "Out of memory: compulsory panic_on_oom is enabled") -> list[str]:
    """Return the lines of a panic."""
    return [
        f"Kernel panic - not syncing: {reason}",
        "CPU: 0 UID: 0 PID: 121 Comm: child Not tainted 6.12.9-cloud-amd64 #1  Debian",
        "Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2 04/01/2014",
        "Call Trace:",
        " <TASK>",
        " dump_stack_lvl+0x5d/0x80",
        " panic+0x2b0/0x2f0",
        " out_of_memory.cold+0x10/0x6b",
        " asm_exc_page_fault+0x26/0x30",
        " </TASK>",
        "Kernel Offset: disabled",
        f"---[ end Kernel panic - not syncing: {reason} ]---",
    ]


def oops(function: str = "made_release", *, kernel: str = "6.12.9-cloud-amd64") -> list[str]:
    """Return the lines of a NULL pointer dereference in a function, below a function that locks."""
    return [
        "BUG: kernel NULL pointer dereference, address: 0000000000000028",
        "#PF: supervisor read access in kernel mode",
        "#PF: error_code(0x0000) - not-present page",
        "PGD 0 P4D 0",
        "Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI",
        f"CPU: 1 UID: 0 PID: 77 Comm: worker Tainted: G        W  O       {kernel} #1  Debian",
        "Tainted: [W]=WARN, [O]=OOT_MODULE",
        "Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2 04/01/2014",
        "RIP: 0010:mutex_lock+0x1f/0x50",
        "Code: 90 90 90 0f 1f 44 00 00 53 48 89 fb <48> 8b 47 28 c3 90 90 90",
        "RSP: 0018:ffffb6c0c0123e28 EFLAGS: 00010246",
        "RAX: 0000000000000000 RBX: 0000000000000028 RCX: 0000000000000000",
        "CR2: 0000000000000028 CR3: 0000000102e2a000 CR4: 00000000003506f0",
        "Call Trace:",
        " <TASK>",
        " ? __die+0x23/0x70",
        f" {function}+0x3c/0xa0 [made]",
        " __fput+0xe5/0x2b0",
        " do_syscall_64+0x82/0x190",
        " entry_SYSCALL_64_after_hwframe+0x76/0x7e",
        " </TASK>",
        "Modules linked in: made(O)",
        "CR2: 0000000000000028",
        "---[ end trace 0000000000000000 ]---",
    ]


def warning(function: str = "made_probe") -> list[str]:
    """Return the lines of a WARN in a function."""
    return [
        "------------[ cut here ]------------",
        f"WARNING: CPU: 0 PID: 12 at drivers/made/made.c:99 {function}+0x1b/0x40 [made]",
        "Modules linked in: made(O)",
        "CPU: 0 UID: 0 PID: 12 Comm: kworker/0:1 Not tainted 6.12.9-cloud-amd64 #1  Debian",
        "Hardware name: QEMU Standard PC (Q35 + ICH9, 2009), BIOS 1.16.2 04/01/2014",
        f"RIP: 0010:{function}+0x1b/0x40 [made]",
        "RSP: 0018:ffffb6c0c0123e28 EFLAGS: 00010246",
        "RAX: 0000000000000000 RBX: 0000000000000028 RCX: 0000000000000000",
        "Call Trace:",
        " <TASK>",
        " made_init+0x12/0x30 [made]",
        " process_one_work+0x17c/0x390",
        " worker_thread+0x251/0x360",
        " </TASK>",
        "---[ end trace 0000000000000000 ]---",
    ]


def serial(lines: Iterable[str], *, start: float = 275.123456, caller: str | None = None) -> bytes:
    """Return the lines as a serial console shows them."""
    mark = f"[{caller:>6}]" if caller else ""
    return b"".join(f"[{start + index / 1e6:12.6f}]{mark} {line}\r\n".encode() for index, line in enumerate(lines))


def journal_line(line: str) -> str:
    """Return a line as `journalctl -k` prints it."""
    return f"Nov 24 14:10:00 host kernel: {line}"


Prefixer = Callable[[str], str]
