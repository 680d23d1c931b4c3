# SPDX-License-Identifier: MIT
"""gdb commands for a guest's kernel: rig-tasks, rig-oom, rig-cow. gdb sources this file after the kernel's symbols.

It runs in the Python inside gdb, where rig is not installed, so it imports nothing of rig. It supports x86-64 kernels
from 5.10 on.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import gdb

PAGE = 4096
PAGE_KB = 4
# _PAGE_PRESENT and _PAGE_PSE of arch/x86/include/asm/pgtable_types.h; the bits of an entry that are an address.
PRESENT = 1
HUGE = 1 << 7
FRAME_MASK = 0x000FFFFFFFFFF000
# A kernel without CONFIG_DYNAMIC_MEMORY_LAYOUT has no such variables but these constants, with 4-level page tables
# (arch/x86/include/asm/page_64_types.h and pgtable_64_types.h).
FIXED = {"page_offset_base": 0xFFFF888000000000, "vmemmap_base": 0xFFFFEA0000000000}


def evaluate(expression: str) -> Any:
    return gdb.parse_and_eval(expression)


def container(member: Any, kind: str, name: str) -> Any:
    """Return the structure that contains a member, as the kernel's container_of() does."""
    field = next(field for field in gdb.lookup_type(kind).fields() if field.name == name)
    pointer = gdb.lookup_type(kind).pointer()
    return gdb.Value(int(member.address) - field.bitpos // 8).cast(pointer).dereference()


def processes() -> Iterator[Any]:
    """Yield every process as a struct task_struct: the thread group leaders on the list of init_task.tasks."""
    first = evaluate("init_task")
    at = first["tasks"]["next"]
    while int(at) != int(first["tasks"].address):
        task = container(at.dereference(), "struct task_struct", "tasks")
        yield task
        at = task["tasks"]["next"]


def current() -> Any:
    """Return the task (struct task_struct) that runs on the current CPU.

    Per-CPU variables are relative to GS. In user mode the kernel's GS base is swapped out into k_gs_base (swapgs).
    """
    for base in ("$gs_base", "$k_gs_base"):
        address = int(evaluate(base)) & (1 << 64) - 1
        if address < 1 << 63:
            continue
        for variable in ("&current_task", "&pcpu_hot.current_task"):
            try:
                offset = int(evaluate(variable))
            except gdb.error:
                continue
            kind = gdb.lookup_type("struct task_struct").pointer().pointer()
            return gdb.Value((address + offset) & (1 << 64) - 1).cast(kind).dereference().dereference()
    raise gdb.GdbError("the CPU's per-CPU data cannot be found")


def name_of(task: Any) -> str:
    return str(task["comm"].string("utf-8", "replace"))


def counters(mm: Any) -> tuple[int, int, int, int]:
    """Return the counters of a struct mm_struct in pages: file, anonymous, swap, shared memory.

    Their order is that of MM_FILEPAGES and its siblings (include/linux/mm_types_task.h). They are read as the kernel's
    OOM killer reads them; rig.replay.postmortem.tasks says since when it does so.
    """
    stat = mm["rss_stat"]
    if stat.type.strip_typedefs().code == gdb.TYPE_CODE_ARRAY:
        values = [int(stat[index]["count"]) for index in range(4)]
        if oom_killer_sums():
            values = [max(0, value + held_back(stat[index])) for index, value in enumerate(values)]
    else:
        values = [int(stat["count"][index]["counter"]) for index in range(4)]
    return values[0], values[1], values[2], values[3]


def oom_killer_sums() -> bool:
    """Return whether the OOM killer adds what each CPU holds back of a process's counters."""
    try:
        gdb.decode_line("get_mm_rss_sum")
    except gdb.error:
        return False
    return True


def held_back(counter: Any) -> int:
    """Return what the CPUs hold back of a struct percpu_counter: what __percpu_counter_sum() adds to its count."""
    # Without CONFIG_SMP there is nothing to add.
    if all(field.name != "counters" for field in counter.type.strip_typedefs().fields()):
        return 0
    mask = evaluate("__cpu_online_mask")
    online = int.from_bytes(read(int(mask.address), mask.type.sizeof), "little")
    total = 0
    for cpu in range(online.bit_length()):
        if online >> cpu & 1:
            address = int(counter["counters"]) + int(evaluate(f"__per_cpu_offset[{cpu}]")) & (1 << 64) - 1
            total += int(struct.unpack("<i", read(address, 4))[0])
    return total


def read(address: int, size: int) -> bytes:
    return bytes(gdb.selected_inferior().read_memory(address, size))


def base(variable: str) -> int:
    """Return the start of a region of the kernel's address space.

    It is read from the variable; a kernel that lacks the variable has it at the constant of FIXED.
    """
    try:
        return int(evaluate(variable)) & (1 << 64) - 1
    except gdb.error:
        return FIXED[variable]


def frame_of(mm: Any, address: int) -> int | None:
    """Return the page frame number that an address of a process maps to, or None.

    mm: the struct mm_struct whose page tables are walked.
    """
    direct = base("page_offset_base")
    try:
        levels = 5 if int(evaluate("__pgtable_l5_enabled")) else 4
    except gdb.error:
        levels = 4
    at = int(mm["pgd"])
    for level in range(levels, 0, -1):
        shift = 12 + 9 * (level - 1)
        (entry,) = struct.unpack("<Q", read(at + (address >> shift & 511) * 8, 8))
        if not entry & PRESENT:
            return None
        if level == 1 or entry & HUGE:
            below = (1 << shift - 12) - 1
            return int(((entry & FRAME_MASK) >> 12 & ~below) + (address >> 12 & below))
        at = direct + (entry & FRAME_MASK)
    return None


def variable_of_stack(name: str, member: str) -> Any:
    """Return what the pointer variable `name` points to, or None if no stack frame knows its value.

    The innermost frame whose value is not optimised out counts. Reading `member` proves that the pointer is valid.
    """
    frame = gdb.newest_frame()
    while frame is not None:
        try:
            value = frame.read_var(name)
            if not value.is_optimized_out:
                int(value[member])
                return value.dereference()
        except (ValueError, gdb.error):
            pass
        frame = frame.older()
    return None


class Tasks(gdb.Command):
    """rig-tasks: every process with its memory by kind, in kB."""

    def __init__(self) -> None:
        super().__init__("rig-tasks", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        print(f"{'pid':>6} {'anon':>9} {'file':>7} {'shmem':>7} {'swap':>7} {'tables':>7} {'adj':>6}  task")
        running = int(current()["pid"])
        for task in processes():
            mm = task["mm"]
            if not int(mm):
                continue
            file, anon, swap, shmem = (pages * PAGE_KB for pages in counters(mm))
            tables = int(mm["pgtables_bytes"]["counter"]) >> 10
            adj = int(task["signal"]["oom_score_adj"])
            mark = "  <- on the CPU" if int(task["pid"]) == running else ""
            print(
                f"{int(task['pid']):>6} {anon:>9} {file:>7} {shmem:>7} {swap:>7} {tables:>7} {adj:>6}"
                f"  {name_of(task)}{mark}"
            )


class Oom(gdb.Command):
    """rig-oom: the oom_control of the stack, and the zones' free pages against their watermarks.

    Held back: what a zone keeps from an allocation that could be served by a higher one (lowmem_reserve).
    """

    def __init__(self) -> None:
        super().__init__("rig-oom", gdb.COMMAND_DATA)

    def invoke(self, argument: str, from_tty: bool) -> None:
        control = variable_of_stack("oc", "order")
        if control is None:
            print("no function of this stack has an oom_control: stop at oom_kill_process")
        else:
            print(
                f"order {int(control['order'])}, gfp_mask {int(control['gfp_mask']):#x}, {control['constraint']},"
                f" {int(control['totalpages'])} pages in all, {'memcg' if int(control['memcg']) else 'global'}"
            )
            # select_bad_process() leaves -1 where somebody is dying already.
            chosen = int(control["chosen"])
            if chosen and chosen != (1 << 64) - 1:
                task = control["chosen"].dereference()
                print(f"chosen {name_of(task)} ({int(task['pid'])}), {int(control['chosen_points'])} points")
        context = variable_of_stack("ac", "highest_zoneidx")
        for zone in self._zones():
            free = int(zone["vm_stat"][int(evaluate("NR_FREE_PAGES"))]["counter"])
            boost = int(zone["watermark_boost"])
            marks = [(int(zone["_watermark"][index]) + boost) * PAGE_KB for index in range(3)]
            name = zone["name"].string()
            held = ""
            if context is not None:
                held = f", held back {int(zone['lowmem_reserve'][int(context['highest_zoneidx'])]) * PAGE_KB}"
            print(f"zone {name:<8} free {free * PAGE_KB} kB, min {marks[0]}, low {marks[1]}, high {marks[2]}{held}")

    def _zones(self) -> Iterator[Any]:
        node = evaluate("node_data[0]")
        for index in range(int(node["nr_zones"])):
            zone = node["node_zones"][index]
            if int(zone["present_pages"]):
                yield zone


class Cow(gdb.Command):
    """rig-cow ADDR [PID]: the page frame behind an address, its map count, and which processes share it.

    PID: whose address it is; without it, of the task on the CPU.
    """

    def __init__(self) -> None:
        super().__init__("rig-cow", gdb.COMMAND_DATA, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument: str, from_tty: bool) -> None:
        words = gdb.string_to_argv(argument)
        if not 1 <= len(words) <= 2:
            raise gdb.GdbError("rig-cow ADDR [PID]")
        try:
            address = int(evaluate(words[0])) & (1 << 64) - 1
            wanted = int(evaluate(words[1])) if len(words) == 2 else int(current()["tgid"])
        except gdb.error as error:
            raise gdb.GdbError(str(error)) from None
        frames = {}
        for task in processes():
            if int(task["mm"]):
                frames[int(task["pid"])] = (name_of(task), frame_of(task["mm"].dereference(), address))
        if wanted not in frames:
            raise gdb.GdbError(f"there is no process {wanted} with memory of its own")
        name, frame = frames[wanted]
        if frame is None:
            print(f"{name} ({wanted}) has no page at {address:#x}")
            return
        size = gdb.lookup_type("struct page").sizeof
        page = gdb.Value(base("vmemmap_base") + frame * size).cast(gdb.lookup_type("struct page").pointer())
        count = int(page["_mapcount"]["counter"]) + 1
        print(f"{name} ({wanted}) {address:#x}: page frame {frame:#x}, mapped {count} times")
        for pid, (other, its) in frames.items():
            if pid != wanted and its is not None:
                same = "shares it" if its == frame else f"has its own, page frame {its:#x}"
                print(f"  {other} ({pid}) {same}")


Tasks()
Oom()
Cow()
