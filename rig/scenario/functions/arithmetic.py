# SPDX-License-Identifier: MIT
"""Functions of claims that compute: from one sample to another, or to the OOM, and what can be had before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rig.scenario.declare import function
from rig.scenario.evidence import KIB, Evidence, processes
from rig.scenario.functions.records import find_look, find_process, find_sample, number_of, sysctl
from rig.scenario.views import AbsentEvent, MissingRecord
from rig.scenario.zoneinfo import read_zoneinfo

if TYPE_CHECKING:
    from rig.klog import OomEvent

__all__: list[str] = []


@function("records", "faulted('child', 'writing-starts', 'oom') > 1000")
def faulted(evidence: Evidence, role: str, label: str, until: str | None = None) -> int:
    """minor faults of a process from that sample to the OOM, to its end, or to another sample"""
    before = find_process(evidence, role, label)
    after = _last(evidence, before.pid, "minflt", role) if until is None else find_process(evidence, role, until).minflt
    return int(after) - int(before.minflt)


@function("records", "copied('child', 'writing-starts') == faulted('child', 'writing-starts') * 4096")
def copied(evidence: Evidence, role: str, label: str) -> int:
    """the same in bytes, a page a fault. Not every fault copies a page: `unshared` is what a process has copied"""
    return faulted(evidence, role, label) * evidence.page_size()


@function("records", "anon_grown('writing-starts') > 20000000")
def anon_grown(evidence: Evidence, label: str) -> int:
    """bytes by which anonymous memory (in RAM and in swap) had grown from that sample to the first OOM's report: exact
    at that moment, when a sample may come a moment too late
    """
    ooms = evidence.ooms()
    if not ooms:
        raise AbsentEvent("there was no OOM")
    oom, meminfo = ooms[0], find_sample(evidence, label).get("meminfo", {})
    parts = ("active_anon", "inactive_anon", "isolated_anon")
    if "inactive_anon" not in oom.mem_info:
        raise MissingRecord("the OOM report does not tell how much memory is anonymous")
    now = sum(int(oom.mem_info.get(part, 0)) for part in parts) * int(oom.page_kb)
    before = number_of(meminfo, "Active(anon)", label) + number_of(meminfo, "Inactive(anon)", label)
    return (now - before) * KIB + _swapped_out(oom, number_of(meminfo, "SwapFree", label))


@function("records", "page_tables_grown('child', 'writing-starts') >= 0")
def page_tables_grown(evidence: Evidence, role: str, label: str) -> int:
    """bytes of page tables it got in that time"""
    before = find_process(evidence, role, label)
    now = int(_last(evidence, before.pid, "pgtables_kb", role))
    return max(now - int(before.pgtables_kb), 0) * KIB


@function("records", "abs(available_at('writing-starts') - anon_grown('writing-starts')) < 4 * 1024 * 1024")
def available_at(evidence: Evidence, label: str, zones: str = "zones") -> int:
    """bytes that could be had at that sample before the OOM killer had to come, by the rule below"""
    found = read_zoneinfo(str(find_look(evidence, zones).get("text", "")))
    if not found:
        raise MissingRecord(f"what was read under the label '{zones}' is not a /proc/zoneinfo")
    now, first = find_sample(evidence, label).get("meminfo", {}), evidence.samples()[0].get("meminfo", {})
    slab = max(_slab(now, label) - _slab(first, "first"), 0)
    # With vm.swappiness=0 swap is the kernel's last resort (get_scan_count() of mm/vmscan.c): how much of it is used
    # before the OOM killer comes cannot be foreseen. swapped_out() tells afterwards.
    swap = () if sysctl(evidence, "vm.swappiness") == 0 else ("SwapFree",)
    parts = ("MemFree", "Active(file)", "Inactive(file)", *swap)
    had = sum(number_of(now, part, label) for part in parts) + slab
    pages = sum(zone.per_cpu - zone.min - zone.protection for zone in found)
    return had * KIB + pages * evidence.page_size()


@function("log", "left_in_lists() < 2 * 1024 * 1024")
def left_in_lists(evidence: Evidence) -> int:
    """bytes of free pages that the CPUs' own lists still had at the first OOM's report. They count in no watermark, and
    the kernel empties the lists for others only where reclaim has freed something (__alloc_pages_direct_reclaim() of
    mm/page_alloc.c). Since Linux 6.7 the lists grow by themselves, to tens of megabytes
    """
    ooms = evidence.ooms()
    if not ooms:
        raise AbsentEvent("there was no OOM")
    return int(ooms[0].mem_info.get("free_pcp", 0)) * int(ooms[0].page_kb) * KIB


@function("records", "swapped_out('writing-starts') == 0")
def swapped_out(evidence: Evidence, label: str) -> int:
    """bytes of swap that were taken between that sample and the first OOM's report"""
    ooms = evidence.ooms()
    if not ooms:
        raise AbsentEvent("there was no OOM")
    return _swapped_out(ooms[0], number_of(find_sample(evidence, label).get("meminfo", {}), "SwapFree", label))


def _swapped_out(oom: OomEvent, free_kb: int) -> int:
    """Return the bytes of swap that were taken up to a report, of so many kB that were free.

    Raises MissingRecord where there was swap and the report does not tell what is left, as that of a cgroup does not.
    """
    if free_kb and "free_swap_kb" not in oom.totals:
        raise MissingRecord("the OOM report does not tell how much swap is free")
    return (free_kb - int(oom.totals.get("free_swap_kb", 0))) * KIB


def _last(evidence: Evidence, pid: int, field: str, role: str) -> Any:
    """Return the last value that a sample, or the record of its end, has of a process's field, up to the first OOM.

    The last sample of a process may lack the field: a zombie has few of them. A process may live on for less than the
    time between two samples.
    """
    last: Any = None
    for record in evidence.records.items:
        if record["ev"] == "sample":
            for process in processes(record):
                if process["pid"] == pid and field in process:
                    last = process[field]
            if record.get("label") == "oom":
                break
        elif record["ev"] == "exit" and record.get("pid") == pid and isinstance(record.get(field), int):
            last = record[field]
    if last is None:
        raise MissingRecord(f"neither a sample nor the end of '{role}' ({pid}) has its {field}")
    return last


def _slab(meminfo: Mapping[str, Any], label: str) -> int:
    """Return what the kernel calls reclaimable of its own memory: KReclaimable from 4.20, SReclaimable before."""
    return number_of(meminfo, "KReclaimable" if "KReclaimable" in meminfo else "SReclaimable", label)
