# SPDX-License-Identifier: MIT
"""Every claim of the catalogue: runs of real guests in which it holds, and one change with which it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rig.scenario.load import list_scenarios, load_scenario
from tests.scenario.recorded import Recorded, every_run, recorded

NOT_REPRODUCED = {
    ("overcommit-oops", "refused"): {"fork-succeeded"},
    ("overcommit-oops", "no-hog"): {"oom-came"},
    ("prefault", "read"): {"protected"},
    ("prefault", "map-populate"): {"protected"},
    ("overcommit-in-cgroup", "refused"): {"fork-succeeded"},
    ("oom-victim", "refused"): {"fork-succeeded"},
    ("snapshot-by-fork", "too-small"): {"no-oom", "kernel-counts-the-copies"},
}
"""Runs that do not show what the scenario claims, and the claims that say so."""

Change = Callable[[Recorded], Recorded]


def setting(**fields: Any) -> Callable[[dict[str, Any]], None]:
    """A change that sets fields of a record."""
    return lambda record: record.update(fields)


def meminfo(label: str, field: str, by_kb: int) -> Change:
    """More or less of a field of meminfo in a sample."""

    def change(record: dict[str, Any]) -> None:
        record["meminfo"][field] += by_kb

    return lambda run: run.changed("sample", change, label=label)


def process(comm: str, label: str, **fields: Any) -> Change:
    """Other fields of a process in a sample."""

    def change(record: dict[str, Any]) -> None:
        next(proc for proc in record["procs"] if proc["comm"] == comm).update(fields)

    return lambda run: run.changed("sample", change, label=label)


def in_tree(label: str, comm: str, **fields: Any) -> Change:
    """Other fields of a process in a tree."""

    def change(record: dict[str, Any]) -> None:
        next(proc for proc in record["procs"] if proc["comm"] == comm).update(fields)

    return lambda run: run.changed("tree", change, label=label)


def tree_without(label: str, comm: str) -> Change:
    def change(record: dict[str, Any]) -> None:
        record["procs"] = [proc for proc in record["procs"] if proc["comm"] != comm]

    return lambda run: run.changed("tree", change, label=label)


def held(comm: str, kb: int) -> Change:
    """What check_rss found."""
    return lambda run: run.changed(
        "check", setting(taken_kb=kb, pss_anon_kb=kb, pss_shmem_kb=0, swap_pss_kb=0), comm=comm
    )


def held_by_program(program: str, kb: int) -> Change:
    """What check_rss found, where two programs have processes of one comm."""
    return lambda run: run.changed(
        "check", setting(taken_kb=kb, pss_anon_kb=kb, pss_shmem_kb=0, swap_pss_kb=0), program=program
    )


def record(ev: str, label: str | None = None, **fields: Any) -> Change:
    where = {} if label is None else {"label": label}
    return lambda run: run.changed(ev, setting(**fields), **where)


def mapped(label: str, comm: str, *runs: tuple[int, str]) -> Change:
    """Other states in a page map."""
    return lambda run: run.changed("pagemap", setting(runs=[list(each) for each in runs]), label=label, comm=comm)


def all_in_ram(comm: str) -> Change:
    """No page map of the process has a page in swap."""

    def change(run: Recorded) -> Recorded:
        records = [
            {**each, "runs": [[count, "private"] for count, _ in each["runs"]]}
            if each["ev"] == "pagemap" and each["comm"] == comm
            else each
            for each in run.records
        ]
        return run.with_records(records)

    return change


def without_map(label: str) -> Change:
    """No page map has that label."""
    return lambda run: run.changed("pagemap", setting(label="other"), label=label)


def like_at_the_fork(run: Recorded) -> Recorded:
    """Nothing was copied between the two maps of the server and its child."""
    for comm in ("parent", "child"):
        before = next(
            each
            for each in run.records
            if each.get("label") == "forked" and each["ev"] == "pagemap" and each["comm"] == comm
        )
        run = run.changed("pagemap", setting(runs=before["runs"]), label="done", comm=comm)
    return run


def all_copied(label: str) -> Change:
    """Every page of the table is in two copies."""

    def change(run: Recorded) -> Recorded:
        for comm in ("parent", "child"):
            run = mapped(label, comm, (16800, "private"))(run)
        return run

    return change


def fd(label: str, number: int, **fields: Any) -> Change:
    def change(looked: dict[str, Any]) -> None:
        next(file for file in looked["fds"] if file["fd"] == number).update(fields)

    return lambda run: run.changed("fds", change, label=label)


def pfn(label: str, index: int, value: int | None = None, like: tuple[str, int] | None = None) -> Change:
    """Another frame behind a page: a number, or the frame that another page map has."""

    def apply(run: Recorded) -> Recorded:
        frame = value
        if like is not None:
            other = next(each for each in run.records if each["ev"] == "pagemap" and each.get("label") == like[0])
            frame = other["pfns"][like[1]]

        def change(mapped: dict[str, Any]) -> None:
            mapped["pfns"][index] = frame

        return run.changed("pagemap", change, label=label)

    return apply


def said(old: str, new: str) -> Change:
    return lambda run: run.said(old, new)


def printed(old: str, new: str) -> Change:
    return lambda run: run.printed(old, new)


def without_oom(run: Recorded) -> Recorded:
    return run.printed("invoked oom-killer", "went by").printed("illed process", "ept process")


def line_of(run: Recorded, prefix: str) -> str:
    return next(str(each["text"]) for each in run.records if str(each.get("text", "")).startswith(prefix))


def resaid(prefix: str, new: str) -> Change:
    """The first line that begins so says something else."""
    return lambda run: run.said(line_of(run, prefix), new)


FAILS: list[tuple[str, str, str, Change]] = [
    ("cow-cost", "default", "every-page-was-timed", resaid("ticks first 0", "ticks first 0 1 2 3")),
    ("cow-cost", "default", "one-fault-a-page", said("minflt second 0", "minflt second 256")),
    ("cow-cost", "default", "kernel-counted-them", lambda run: run.changed("exit", setting(minflt=50), comm="child")),
    (
        "cow-cost",
        "default",
        "translator-has-no-cycles",
        lambda run: _on_a_cpu(run).said("hypervisor KVMKVMKVM", "hypervisor TCGTCGTCGTCG"),
    ),
    ("cow-cost", "default", "instructions-of-a-copy", lambda run: _cycles(run, "first", 80)),
    ("cow-cost", "page", "instructions-of-a-copy", lambda run: _cycles(run, "first", 160000)),
    ("cow-cost", "default", "second-costs-nothing", lambda run: _cycles(run, "second", 4000)),
    ("fd-passing", "default", "opened-after-the-fork", fd("child-before", 0, path="/payload/plan")),
    ("fd-passing", "default", "same-open-file", record("kcmp", "same", same=False)),
    ("fd-passing", "default", "offset-came-along", fd("child-after", 10, pos=0)),
    ("fd-passing", "pidfd", "same-open-file", record("kcmp", "same", same=False)),
    ("fd-passing", "number", "number-means-nothing", said("child read: EBADF", "child read s")),
    ("fd-shared-offset", "default", "one-open-file", record("kcmp", "same", same=False)),
    ("fd-shared-offset", "reopen", "one-open-file", record("kcmp", "same", same=True)),
    ("fd-shared-offset", "default", "offset-is-shared", fd("parent-has-read-child", 3, pos=0)),
    ("fd-shared-offset", "default", "read-on", fd("child-has-read-parent", 3, pos=29)),
    ("fd-shared-offset", "reopen", "text-differs", resaid("child read ", "child read something else")),
    ("fd-shared-offset", "default", "flags-are-shared", fd("flags-parent", 3, flags=32768)),
    ("fd-shared-offset", "default", "still-read-only", said("child write: EBADF", "child write: done")),
    ("fork-fails", "default", "children-are-there", said("forked 9", "forked 8")),
    ("fork-fails", "default", "refused-for-processes", said("fork: EAGAIN", "fork: ENOMEM")),
    ("fork-fails", "pids", "at-the-limit", tree_without("forked", "child")),
    ("fork-fails", "pids", "cgroup-counted-it", record("read", "pids-events", text="max 0\n")),
    ("fork-fails", "pid-max", "pids-ran-out", record("read", "load-after", text="0.00 0.00 0.00 1/268 299\n")),
    ("fork-fails", "threads-max", "threads-ran-out", record("read", "load-after", text="0.0 0.0 0.0 1/90 142\n")),
    ("fork-fails", "never", "promise-was-refused", meminfo("holding", "Committed_AS", -120000)),
    ("fork-fails", "vfork", "promise-was-refused", said("forked 1", "vfork: ENOMEM")),
    ("fork-fails", "half", "half-of-memory", record("ready", kernel="5.1.0")),
    ("fork-fails", "half", "half-of-memory", meminfo("holding", "MemAvailable", 200000)),
    ("fork-fails", "shortage", "no-page-was-left", said("fork: ENOMEM", "fork: EAGAIN")),
    ("fork-fails", "shortage", "no-page-was-left", record("read", "memory-events", text="max 9\noom 0\noom_kill 0\n")),
    ("fork-fails", "full-machine", "room-was-made", lambda run: _refused(run)),
    ("fork-fails", "full-machine", "room-was-made", said("forked 115", "forked 114")),
    ("fork-fails", "full-machine", "room-was-made", printed("copy_process", "asm_exc_page_fault")),
    ("fork-fails", "namespace", "namespace-has-ended", said("fork: ENOMEM", "fork: EAGAIN")),
    ("fork-join", "default", "children-were-forked", in_tree("forked", "job1", ppid=1)),
    ("fork-join", "default", "array-is-shared", held("parent", 9000)),
    ("fork-join", "private", "array-is-shared", held("parent", 4000)),
    ("fork-join", "private", "array-is-shared", record("check", pss_shmem_kb=8192)),
    ("fork-join", "default", "every-end-was-told", resaid("child ", "child 83 exited 0")),
    ("fork-join", "kill", "kernel-agrees", lambda run: run.changed("exit", setting(signal="TERM"), comm="job1")),
    ("fork-join", "default", "computed-once", said("once 2097152", "once 2097151")),
    ("fork-join", "kill", "part-is-missing", resaid("never", "never 0")),
    ("fork-join", "private", "private-work-is-lost", said("once 1048576", "once 2097152")),
    ("fork-remedies", "default", "parent-filled", held("parent", 50000)),
    ("fork-remedies", "default", "promise", meminfo("made", "Committed_AS", 102400)),
    ("fork-remedies", "none", "promise", meminfo("made", "Committed_AS", -102400)),
    ("fork-remedies", "none", "mapped", process("child", "made", anon_kb=60)),
    ("fork-remedies", "default", "childs-end", said("child killed SEGV", "child exited 0")),
    ("fork-returns-twice", "default", "two-processes", in_tree("both", "child", ppid=1)),
    ("fork-returns-twice", "default", "parent-got-the-pid", resaid("parent returned", "parent returned 5")),
    ("fork-returns-twice", "default", "child-got-zero", said("child returned 0", "child returned 1")),
    ("fork-returns-twice", "default", "memory", record("kcmp", "memory", same=True)),
    ("fork-returns-twice", "clone-vm", "memory", record("kcmp", "memory", same=False)),
    ("fork-returns-twice", "clone-vm", "counter", said("counter 1", "counter 0")),
    ("fork-returns-twice", "clone-thread", "two-threads", process("parent", "both", threads=1)),
    ("fork-returns-twice", "clone-newpid", "one-in-its-namespace", resaid("child is", "child is 83 83")),
    ("fork-returns-twice", "default", "bye-twice", said("bye", "farewell")),
    ("fork-returns-twice", "buffered", "buffer-was-copied", said("buffered", "nothing")),
    ("memory-is-copied", "default", "one-frame-before", pfn("child-before", 2, 7)),
    ("memory-is-copied", "shared", "shared-is-not-mapped-yet", pfn("child-before", 0, 7)),
    ("memory-is-copied", "default", "after-the-write", pfn("child-after", 1, like=("parent-after", 1))),
    ("memory-is-copied", "shared", "after-the-write", pfn("child-after", 1, 7)),
    ("memory-is-copied", "default", "writer-got-the-copy", pfn("parent-after", 1, 7)),
    ("memory-is-copied", "default", "others-are-untouched", pfn("child-after", 3, 7)),
    ("memory-is-copied", "default", "last-sharer-copies-nothing", pfn("alone-after", 2, 7)),
    ("memory-is-copied", "default", "one-fault", process("child", "after", minflt=3000)),
    ("memory-is-copied", "default", "values-differ", said("parent sees 1", "parent sees 2")),
    ("oom-victim", "default", "parent-filled", held("parent", 1000)),
    ("oom-victim", "default", "fork-succeeded", lambda run: _orphaned(run)),
    ("oom-victim", "default", "hog-hogs", held("hog", 1000)),
    ("oom-victim", "exempt", "adj-is-set", process("hog", "writing-starts", oom_score_adj=0)),
    ("oom-victim", "default", "oom-came", without_oom),
    ("oom-victim", "default", "computed-victim", lambda run: _killed(run, "hog", "parent")),
    ("oom-victim", "exempt", "exempt-are-spared", lambda run: _killed(run, "child", "hog")),
    ("oom-victim", "panic", "kernel-panicked", printed("panic_on_oom", "a panic of another kind")),
    ("oom-victim", "deadlock", "deadlocked", printed("System is deadlocked on memory", "Attempted to kill init!")),
    ("overcommit-in-cgroup", "default", "parent-filled", held("parent", 1000)),
    ("overcommit-in-cgroup", "default", "fork-succeeded", lambda run: _orphaned(run)),
    ("overcommit-in-cgroup", "default", "hog-hogs", held_by_program("hog", 1000)),
    ("overcommit-in-cgroup", "default", "outsider-holds", held_by_program("outsider", 1000)),
    ("overcommit-in-cgroup", "default", "shared-is-charged-once", record("read", "after-the-fork", text="134217728")),
    ("overcommit-in-cgroup", "default", "oom-in-the-group", printed("CONSTRAINT_MEMCG", "CONSTRAINT_NONE")),
    ("overcommit-in-cgroup", "default", "outsider-is-spared", lambda run: _outsider_killed(run)),
    ("overcommit-in-cgroup", "group", "all-went-together", lambda run: _still_there(run)),
    ("overcommit-in-cgroup", "panic", "kernel-panicked", printed("compulsory panic_on_oom", "a panic of another kind")),
    ("overcommit-in-cgroup", "default", "copied-what-was-left", record("read", "before-the-writing", text="1000")),
    # The child has taken as much, and by as many faults, but wrote to no page that it shared since the fork.
    ("overcommit-in-cgroup", "default", "copied-what-was-left", mapped("oom", "child", (16384, "shared"))),
    ("overcommit-in-cgroup", "default", "copied-what-was-left", mapped("oom", "child", (16384, "private"))),
    ("overcommit-in-cgroup", "default", "copied-what-was-left", without_map("oom")),
    ("overcommit-in-cgroup", "panic-at-once", "copied-what-was-left", printed("anon 133", "anon 100")),
    ("pipe-exec", "default", "execve-kept-the-process", in_tree("running", "parent_app", pid=4)),
    ("pipe-exec", "default", "transport-differs", fd("unix", 0, path="pipe:[1]")),
    ("pipe-exec", "default", "same-binary", record("read", "unix-maps", text="00400000-00401000 r--p 0 1:0 9 /other")),
    ("pipe-exec", "default", "every-change-arrived", said("changes 10", "changes 9")),
    ("pipe-exec", "default", "signals-were-counted", said("signals 10", "signals 9")),
    ("pipe-exec", "usr1", "signals-were-counted", resaid("signals", "signals 0")),
    ("pipe-exec", "default", "child-ended-well", said("child exited 0", "child killed PIPE")),
    ("prefault", "default", "parent-filled", held("parent", 1000)),
    ("prefault", "default", "fork-succeeded", lambda run: _orphaned(run)),
    ("prefault", "touching", "hog-hogs", held("hog", 1000)),
    ("prefault", "default", "fails-where-computed", meminfo("filled", "MemFree", 300000)),
    ("prefault", "default", "protected", lambda run: _oom_later(run)),
    ("prefault", "default", "writing-cost-nothing", process("child", "writing-starts", minflt=100)),
    ("prefault", "default", "asker-was-killed", lambda run: _killed(run, "hog", "parent")),
    # Of a loop of writes in place of the call: nothing is locked, and memory runs out in a page fault.
    ("prefault", "mlock", "locked-by-the-kernel", meminfo("prefaulted", "Mlocked", -200000)),
    ("prefault", "mlock-touching", "populated-in-the-call", printed("__x64_sys_mlock", "asm_exc_page_fault")),
    ("prefault", "populate-touching", "populated-in-the-call", printed("__x64_sys_madvise", "asm_exc_page_fault")),
    ("prefault", "map-populate", "populated-by-the-mapping", process("parent", "mapped", rss_kb=100)),
    ("prefault", "populate", "kernel-can-populate", record("ready", kernel="5.10.0-32-cloud-amd64")),
    ("prefault", "swap", "paid-for-and-written-out", all_in_ram("child")),
    ("prefault", "swap", "paid-for-and-written-out", process("child", "writing-starts", majflt=100000)),
    (
        "prefault",
        "swap-mlock",
        "locked-and-not-written-out",
        mapped("writing", "child", (51199, "private"), (1, "swap")),
    ),
    ("prefault", "swap-mlock", "locked-and-not-written-out", all_in_ram("parent")),
    ("prefault", "panic", "kernel-panicked", printed("panic_on_oom", "a panic of another kind")),
    ("respawn", "default", "one-and-its-tasks", in_tree("born", "task5", ppid=1)),
    ("respawn", "default", "ended-in-three-ways", resaid("died 2", "died 2 84 exited 0")),
    ("respawn", "default", "same-place-new-pid", tree_without("reborn", "task3")),
    ("respawn", "default", "oom-in-the-cgroup", printed("CONSTRAINT_MEMCG", "CONSTRAINT_NONE")),
    ("respawn", "default", "supervisor-survived", in_tree("after-the-oom", "main", pid=4000)),
    ("respawn", "panic", "kernel-panicked", printed("compulsory panic_on_oom", "a panic of another kind")),
    ("respawn", "group", "all-went-together", lambda run: _still_there(run)),
    # Pages of one memfd that is mapped ten times: the RSS of the samples stays what it was.
    ("snapshot-by-fork", "default", "server-is-filled", held("parent", 9000)),
    ("snapshot-by-fork", "default", "fork-cost-little", meminfo("forked", "MemAvailable", -90000)),
    ("snapshot-by-fork", "default", "kernel-counts-the-copies", meminfo("done", "MemAvailable", 20000)),
    ("snapshot-by-fork", "default", "table-is-mapped", mapped("forked", "child", (9000, "shared"), (7000, "zero"))),
    # Faults are not copies: those of the samples stay what they were.
    ("snapshot-by-fork", "default", "collector-copies", mapped("forked", "parent", (16800, "shared"))),
    ("snapshot-by-fork", "frozen", "collector-copies", all_copied("forked")),
    ("snapshot-by-fork", "default", "copied", like_at_the_fork),
    ("snapshot-by-fork", "frozen", "copied", all_copied("done")),
    ("snapshot-by-fork", "writes", "writes-copy-too", mapped("forked", "parent", (16800, "shared"))),
]


def _on_a_cpu(run: Recorded) -> Recorded:
    """Return the run as the program would have printed it under KVM."""
    for each in run.records:
        text = str(each.get("text", ""))
        if text.startswith("ticks "):
            run = run.said(text, text.replace("ticks", "cycles", 1))
    return run.said("hypervisor TCGTCGTCGTCG", "hypervisor KVMKVMKVM")


def _cycles(run: Recorded, name: str, cycles: int) -> Recorded:
    """Every value of a pass is the same number."""

    def same(text: str) -> str:
        if not text.startswith((f"cycles {name} ", f"ticks {name} ")):
            return text
        words = text.split()
        return " ".join([*words[:3], *[str(cycles)] * (len(words) - 3)])

    for each in run.records:
        text = str(each.get("text", ""))
        if same(text) != text:
            run = run.said(text, same(text))
    return run


def _killed(run: Recorded, killed: str, instead: str) -> Recorded:
    """The kernel's words name another victim."""
    pids = {proc["comm"]: proc["pid"] for each in run.records if each["ev"] == "sample" for proc in each["procs"]}
    return run.printed(f"Killed process {pids[killed]} ({killed})", f"Killed process {pids[instead]} ({instead})")


def _outsider_killed(run: Recorded) -> Recorded:
    outsider = next(each["pid"] for each in run.records if each["ev"] == "spawn" and each["program"] == "outsider")
    procs = [proc for each in run.records if each["ev"] == "sample" for proc in each["procs"]]
    child = next(proc["pid"] for proc in procs if proc["comm"] == "child")
    return run.printed(f"Killed process {child} (child)", f"Killed process {outsider} (hog)")


def _refused(run: Recorded) -> Recorded:
    """The last fork was refused for want of memory."""
    at, line = next((at, each) for at, each in enumerate(run.records) if each.get("text") == "forked 115")
    return run.with_records([*run.records[: at + 1], {**line, "text": "fork: ENOMEM"}, *run.records[at + 1 :]])


def _still_there(run: Recorded) -> Recorded:
    """A process of the group is still in the last tree."""
    label = "after-the-oom" if run.scenario.name == "respawn" else "after"

    def change(looked: dict[str, Any]) -> None:
        looked["procs"].append({"program": "x", "comm": "survivor", "pid": 999, "ppid": 1})

    return run.changed("tree", change, label=label)


def _orphaned(run: Recorded) -> Recorded:
    """Nobody is the parent's child."""
    for number, each in enumerate(run.records):
        for proc in each.get("procs", ()):
            if proc.get("comm") == "child":
                run = run.changed("sample", lambda record: _unparent(record), n=number)
                break
    return run


def _unparent(sample: dict[str, Any]) -> None:
    for proc in sample["procs"]:
        proc["ppid"] = 1


def _oom_later(run: Recorded) -> Recorded:
    """The agent heard of the OOM only after the writing had started."""
    oom = next(each for each in run.records if each["ev"] == "oom")
    others = [each for each in run.records if each is not oom]
    at = next(index for index, each in enumerate(others) if each.get("label") == "writing-starts")
    others.insert(at + 1, oom)
    return run.with_records(others)


@pytest.mark.parametrize(("name", "variant"), every_run())
def test_run_of_a_real_guest_is_judged_as_it_was(name: str, variant: str) -> None:
    judgement = recorded(name, variant).judged()

    failed = {claim.id for claim in judgement.claims if claim.verdict == "failed"}
    assert failed == NOT_REPRODUCED.get((name, variant), set())
    assert not [claim for claim in judgement.claims if claim.verdict == "invalid"]


@pytest.mark.parametrize(("name", "variant", "claim", "change"), FAILS, ids=[f"{a}-{b}-{c}" for a, b, c, _ in FAILS])
def test_claim_fails_when_what_it_speaks_of_was_otherwise(name: str, variant: str, claim: str, change: Change) -> None:
    run = recorded(name, variant)

    assert run.claim(claim).verdict == "held"
    assert change(run).claim(claim).verdict == "failed"


def test_every_claim_of_the_catalogue_has_a_run_in_which_it_holds_and_one_in_which_it_fails() -> None:
    elsewhere = {"overcommit-oops"}  # test_overcommit_oops.py
    failing = {(name, claim) for name, _, claim, _ in FAILS}

    for directory in list_scenarios():
        scenario = load_scenario(directory.name)
        assert directory.name in {name for name, _ in every_run()}
        if directory.name not in elsewhere:
            claims = {(directory.name, checked.claim.id) for checked in scenario.claims}
            assert claims - {("cow-cost", "cycles-of-a-copy")} <= failing


def test_cycles_are_judged_on_a_cpu_and_not_on_a_translator() -> None:
    tcg = replace(recorded("cow-cost"), sets=("clock=live",))
    kvm = _on_a_cpu(tcg)

    assert tcg.claim("cycles-of-a-copy").verdict == "not-applicable"
    assert tcg.claim("instructions-of-a-copy").verdict == "not-applicable"
    assert tcg.claim("translator-has-no-cycles").verdict == "held"
    assert kvm.claim("translator-has-no-cycles").verdict == "not-applicable"
    assert kvm.claim("cycles-of-a-copy").verdict == "held"
    assert _cycles(kvm, "first", 100).claim("cycles-of-a-copy").verdict == "failed"
