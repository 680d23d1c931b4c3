# SPDX-License-Identifier: MIT
"""Made runs of overcommit-oops: records as the agent writes them, a log as the kernel does, each number settable."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from rig.klog import Log, read
from rig.scenario.evidence import Evidence
from rig.scenario.judge import Judgement, judge_scenario
from rig.scenario.load import Scenario, load_scenario
from rig.scenario.plan import render_plan
from rig.scenario.settings import parse_settings
from rig.telemetry.records import read_records

PARENT, CHILD, HOG = 120, 121, 122
FLOOR = 4 * (23 + 446 + 677 - 100)
"""kB of MemFree at which nothing is left: min of both zones and what DMA holds back, less what a CPU's list has."""
ZONEINFO = """\
Node 0, zone      DMA
  per-node stats
      nr_inactive_anon 0
  pages free     3808
        boost    0
        min      23
        low      28
        high     33
        managed  3840
        protection: (0, 446, 446, 446, 446)
      nr_free_pages 3808
  pagesets
    cpu: 0
              count:    0
              high:     27
Node 0, zone    DMA32
  pages free     12000
        boost    512
        min      1189
        low      1400
        high     1500
        managed  116231
        protection: (0, 0, 0, 0, 0)
  pagesets
    cpu: 0
              count:    60
    cpu: 1
              count:    40
Node 0, zone  Movable
  pages free     0
        min      32
        managed  0
        protection: (0, 0, 0, 0, 0)
"""
COW_TRACE = (
    "dump_stack_lvl+0x44/0x5c",
    "dump_header+0x4a/0x211",
    "oom_kill_process.cold+0xb/0x10",
    "out_of_memory+0x1f1/0x520",
    "__alloc_pages_slowpath.constprop.0+0xcbd/0xe10",
    "__alloc_pages+0x224/0x250",
    "? __mod_node_page_state+0x2e/0x60",
    "__folio_alloc+0x1b/0x50",
    "vma_alloc_folio+0xa0/0x360",
    "wp_page_copy+0x112/0x5d0",
    "__handle_mm_fault+0x92f/0xfa0",
    "handle_mm_fault+0xdf/0x2d0",
    "do_user_addr_fault+0x1be/0x6a0",
    "exc_page_fault+0x74/0x170",
    "asm_exc_page_fault+0x26/0x30",
)


@dataclass
class Made:
    """A run in which every claim holds, until a number is changed. kB, but for pages where it says so."""

    sets: tuple[str, ...] = ()
    kernel: str = "6.1.0-40-cloud-amd64"
    parent_kb: int = 204800
    hog_kb: int = 204800
    fork_cost_kb: int = 600
    has_parent: bool = True
    has_child: bool = True
    available_kb: int = 60000
    """What can be had when the writing starts, before the OOM killer must come; file_kb comes on top."""
    file_kb: int = 0
    slab_kb: int = 9000
    swap_kb: int = 0
    swap_left_kb: int = 0
    copied_kb: int = 60000
    oom: bool = True
    invoker: tuple[str, int] = ("child", CHILD)
    trace: tuple[str, ...] = COW_TRACE
    gfp: str = "gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP)"
    unshared_kb: int | None = None
    """How much of the array is the child's own at the OOM; by default what it copied."""
    victim: tuple[str, int] = ("hog", HOG)
    rss_pages: dict[int, int] = field(default_factory=lambda: {PARENT: 51300, CHILD: 51250, HOG: 51350})
    adj: dict[int, int] = field(default_factory=dict)
    panic: str = ""
    earlier_kills: int = 0
    end: str | None = "decided"
    step: dict[str, Any] | None = None
    without: frozenset[int] = frozenset()
    """Numbers of the records that were lost."""
    drop_labels: frozenset[str] = frozenset()

    def records(self) -> bytes:
        self._lines: list[dict[str, Any]] = []
        self._say("ready", 12.0, kernel=self.kernel, page_size=4096, mem_total_kb=477000, agent_rss_kb=700, cpus=1)
        self._say("go", 13.0, steps=19)
        for name, value in (text.split("=", 1) for text in self.sets if "." in text.split("=")[0]):
            self._say("sysctl", 13.1, name=name, asked=value, got=value)
        self._sample("start", 13.2, 430000, [])
        if self.has_parent:
            self._say("spawn", 13.3, program="cow-writer", pid=PARENT)
        parent = self._proc("parent", PARENT, 1, self.parent_kb, 51400)
        child = self._proc("child", CHILD, PARENT, self.parent_kb, 40)
        hog = self._proc("hog", HOG, 1, self.hog_kb, 51400, program="hog")
        if self.has_parent:
            self._sample("filled", 14.0, 225000, [parent])
            self._say("check", 14.0, program="cow-writer", comm="parent", pid=PARENT, rss_kb=self.parent_kb)
        both = [parent, child] if self.has_child else [parent]
        if self.has_child:
            self._sample("forked", 14.1, 225000 - self.fork_cost_kb, both)
            self._map("forked", 14.1, 0)
            self._say("spawn", 14.2, program="hog", pid=HOG)
            self._sample("hogging", 15.0, self.available_kb + 10, [*both, hog])
            self._say("check", 15.0, program="hog", comm="hog", pid=HOG, rss_kb=self.hog_kb)
            self._say("read", 15.1, label="zones", path="/proc/zoneinfo", text=ZONEINFO, cut=False)
            self._sample("writing-starts", 15.1, self.available_kb, [*both, hog], self.earlier_kills)
        if self.oom and self.has_child:
            late = self._proc("child", CHILD, PARENT, self.parent_kb, 40 + self.copied_kb // 4)
            self._say("oom", 275.2, oom_kill=1)
            self._sample("oom", 275.2, 900, [parent, late, hog], self.earlier_kills + 1)
            self._map("oom", 275.2, self.copied_kb if self.unshared_kb is None else self.unshared_kb)
        if self.step is not None:
            self._say("step", 276.0, **self.step)
        if self.end is not None:
            self._say("end", 277.0, reason=self.end, step=17, dropped=0, agent_rss_kb=720)
        kept = [line for line in self._lines if line["n"] not in self.without]
        return b"".join(json.dumps(line).encode() + b"\n" for line in kept)

    def log(self) -> Log:
        lines = self._report() if self.oom else []
        if self.panic:
            lines += [f"Kernel panic - not syncing: {self.panic}", "Call Trace:", " panic+0x2b0/0x2f0"]
        return read([b"".join(f"[  275.100000] {line}\r\n".encode() for line in lines)])

    def evidence(self) -> tuple[Scenario, Evidence]:
        scenario = load_scenario("overcommit-oops")
        settings = parse_settings(scenario, self.sets)
        return scenario, Evidence(settings, render_plan(scenario, settings), read_records(self.records()), self.log())

    def judged(self) -> Judgement:
        return judge_scenario(*self.evidence())

    def verdict_of(self, claim: str) -> str:
        return next(each.verdict for each in self.judged().claims if each.id == claim)

    def _say(self, ev: str, t: float, **fields: Any) -> None:
        self._lines.append({"n": len(self._lines), "t": t, "ev": ev, **fields})

    def _sample(self, label: str, t: float, available: int, procs: list[dict[str, Any]], kills: int = 0) -> None:
        if label in self.drop_labels:
            return
        meminfo = {
            "MemTotal": 477000, "MemFree": available + FLOOR, "MemAvailable": available + 4000, "SwapTotal": self.swap_kb,
            "SwapFree": self.swap_kb, "Active(anon)": 0, "Inactive(anon)": 400000, "Active(file)": 0,
            "Inactive(file)": self.file_kb, "KReclaimable": self.slab_kb,
        }  # fmt: skip
        self._say("sample", t, label=label, meminfo=meminfo, vmstat={"pgfault": 1, "oom_kill": kills}, procs=procs)

    def _map(self, label: str, t: float, private_kb: int) -> None:
        runs = [[private_kb // 4, "private"], [51200 - private_kb // 4, "shared"]]
        where = {"program": "cow-writer", "comm": "child", "pid": CHILD, "start": "7f0000000000", "page_size": 4096}
        self._say("pagemap", t, label=label, runs=[run for run in runs if run[0]], last=True, **where)

    def _proc(
        self, comm: str, pid: int, ppid: int, rss: int, minflt: int, program: str = "cow-writer"
    ) -> dict[str, Any]:
        return {
            "program": program, "comm": comm, "pid": pid, "ppid": ppid, "state": "T", "rss_kb": rss + 400,
            "anon_kb": rss, "pgtables_kb": 460, "minflt": minflt, "oom_score": 300, "oom_score_adj": 0,
        }  # fmt: skip

    def _report(self) -> list[str]:
        comm, pid = self.invoker
        lines = [
            f"{comm} invoked oom-killer: {self.gfp}, order=0, oom_score_adj=0",
            f"CPU: 0 PID: {pid} Comm: {comm} Not tainted {self.kernel} #1  Debian",
            "Call Trace:",
            " <TASK>",
            *(f" {frame}" for frame in self.trace),
            "RIP: 0033:0x401b2f",
            " </TASK>",
            "Mem-Info:",
            f"active_anon:0 inactive_anon:{(400000 + self.copied_kb) // 4} isolated_anon:0",
            " free:2300 free_pcp:0 free_cma:0",
            "Node 0 DMA free:1872kB boost:0kB min:92kB low:112kB high:132kB present:15992kB managed:15360kB",
            "lowmem_reserve[]: 0 446 446 446 446",
            "Node 0 DMA32 free:2800kB boost:0kB min:2708kB low:3384kB high:4060kB present:507776kB managed:457268kB",
            "lowmem_reserve[]: 0 0 0 0 0",
            *([f"Free swap  = {self.swap_left_kb}kB", f"Total swap = {self.swap_kb}kB"] if self.swap_kb else []),
            "130942 pages RAM",
            "12785 pages reserved",
            "Tasks state (memory values in pages):",
            "[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name",
            "[      1]     0     1      800      180    45056        0         -1000 rig-agent",
        ]
        for name, number in (("parent", PARENT), ("child", CHILD), ("hog", HOG)):
            if number == CHILD and not self.has_child:
                continue
            rss, adj = self.rss_pages[number], self.adj.get(number, 0)
            lines.append(f"[{number:7d}]     0 {number:5d}    51900 {rss:8d}   471040        0         {adj:5d} {name}")
        if not self.panic:
            victim, number = self.victim
            lines += [
                "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,"
                f"task={victim},pid={number},uid=0",
                f"Out of memory: Killed process {number} ({victim}) total-vm:207600kB, anon-rss:204800kB, "
                "file-rss:500kB, shmem-rss:0kB, UID:0 pgtables:460kB oom_score_adj:0",
            ]
        return lines
