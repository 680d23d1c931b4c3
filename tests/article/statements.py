# SPDX-License-Identifier: MIT
"""The statements of an article on fork's pitfalls, in rig's words, and the claims of recorded runs that answer them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["GIT", "STATEMENTS", "Proof", "Statement"]

Judgement = Literal["so", "in part", "not so", "no longer", "not run"]


@dataclass(frozen=True)
class Proof:
    """A claim of a run below tests/scenario/data. verdict: the one with which it supports what is said."""

    scenario: str
    variant: str
    claim: str
    verdict: Literal["held", "failed"] = "held"


@dataclass(frozen=True)
class Statement:
    """A sentence of the article, and the answer to it.

    says: the sentence, in our words.
    holds: how much of it is so.
    today: what holds today; {names} in it are numbers of runs (numbers.py).
    since: the version of Linux that brought what holds today, with the commit or the function in which it was looked up.
    """

    says: str
    holds: Judgement
    today: str
    proofs: tuple[Proof, ...]
    since: str


def _proofs(*words: str) -> tuple[Proof, ...]:
    """`SCENARIO/VARIANT CLAIM`, and `!` before a claim that has to fail."""
    made = []
    for each in words:
        run, claim = each.split()
        scenario, variant = run.split("/")
        made.append(Proof(scenario, variant, claim.lstrip("!"), "failed" if claim.startswith("!") else "held"))
    return tuple(made)


GIT = "2.6.12-rc2, where git begins"
"""What is in the first commit of Linux's git (1da177e4c3f4), and may be older."""

# fmt: off
STATEMENTS = (
    Statement(
        "A child is made by clone or by fork.", "so",
        "Both end in one function of kernel/fork.c; posix_spawn and vfork, which promise the child no memory, do too.",
        _proofs("fork-returns-twice/default two-processes", "fork-returns-twice/clone-vm two-processes"),
        f"{GIT}: sys_fork(), sys_vfork() and sys_clone() of arch/x86_64/kernel/process.c call do_fork()",
    ),
    Statement(
        "clone serves to make threads, and namespaces.", "so",
        "With CLONE_THREAD the caller's process gets a second thread, and no process is made. With CLONE_NEWPID the"
        " child is process 1 of a namespace of its own.",
        _proofs(
            "fork-returns-twice/clone-thread two-threads", "fork-returns-twice/clone-newpid one-in-its-namespace",
        ),
        "2.4.0 (CLONE_THREAD) and 2.6.24 (CLONE_NEWPID)",
    ),
    Statement(
        "The child has an address space and resources of its own.", "in part",
        "An address space, yes. Of resources only copies of references: a descriptor leads to the parent's open file,"
        " with one position and one set of status flags for both.",
        _proofs("memory-is-copied/default after-the-write", "fd-shared-offset/default one-open-file"),
        f"{GIT}: copy_mm() of kernel/fork.c; copy_files() there takes one more reference of each open file",
    ),
    Statement(
        "A word that is printed after the fork appears twice.", "so",
        "And one that was printed before it, if it was still in stdio's buffer.",
        _proofs("fork-returns-twice/default bye-twice", "fork-returns-twice/buffered buffer-was-copied"),
        f"{GIT}, as of all private memory: copy_mm() of kernel/fork.c",
    ),
    Statement(
        "fork returns the child's pid in the parent, and 0 in the child.", "so",
        "In a PID namespace of its own the child has two pids; the parent gets its own namespace's.",
        _proofs(
            "fork-returns-twice/default parent-got-the-pid", "fork-returns-twice/default child-got-zero",
            "fork-returns-twice/clone-newpid parent-got-the-pid",
        ),
        f"{GIT} (copy_thread() of arch/x86_64/kernel/process.c) and 2.6.24 (PID namespaces)",
    ),
    Statement(
        "Fork and join: processes compute parts of a big array in shared memory.", "so",
        "The array has to be mapped shared before the fork. In private memory the work is lost.",
        _proofs("fork-join/default array-is-shared", "fork-join/private private-work-is-lost"),
        f"{GIT}: copy_one_pte() of mm/memory.c write-protects private mappings alone",
    ),
    Statement(
        "The parent learns the child's exit value, or the signal that ended it, from the status.", "so",
        "Of a child that was killed its part of the array is missing, and nothing but the status says so.",
        _proofs("fork-join/default every-end-was-told", "fork-join/kill kernel-agrees", "fork-join/kill part-is-missing"),
        f"{GIT}: wait_task_zombie() of kernel/exit.c",
    ),
    Statement(
        "After the parent changed an array, the child still reads the old value.", "so",
        "It does at any later time: what it reads is its own page, not a delayed view.",
        _proofs("memory-is-copied/parent values-differ"),
        f"{GIT}: do_wp_page() of mm/memory.c",
    ),
    Statement(
        "At the fork the kernel duplicates the entries of the TLB.", "not so",
        "It copies page tables (copy_page_range() of mm/memory.c). The TLB is a cache in the CPU; of it the parent's"
        " entries are flushed, because they allowed writing.",
        _proofs("memory-is-copied/default one-frame-before"),
        f"{GIT}: dup_mmap() of kernel/fork.c",
    ),
    Statement(
        "All mappings become read-only.", "in part",
        "Private ones do. A shared mapping stays writable, and its page tables are not even copied.",
        _proofs("memory-is-copied/shared shared-is-not-mapped-yet", "memory-is-copied/shared after-the-write"),
        f"{GIT} (private mappings: copy_one_pte() of mm/memory.c) and 2.6.14 (page tables of shared ones, commit"
        " d992895ba2b2)",
    ),
    Statement(
        "As long as both only read, they share the pages.", "so", "Reading each page does not make it the reader's own.",
        _proofs("memory-is-copied/default others-are-untouched", "prefault/read !protected"),
        f"{GIT}: copy_one_pte() of mm/memory.c",
    ),
    Statement(
        "A write faults, the page is copied, and the instruction is tried again.", "in part",
        "While another process maps the page. The last one that has it faults too, and nothing is copied"
        " (wp_page_reuse() of mm/memory.c).",
        _proofs(
            "memory-is-copied/default one-fault", "memory-is-copied/default writer-got-the-copy",
            "memory-is-copied/default last-sharer-copies-nothing",
        ),
        f"{GIT}: do_wp_page() of mm/memory.c asks can_share_swap_page()",
    ),
    Statement(
        "The first write takes three times as long as the second, measured in cycles.", "in part",
        "There is no one factor: a fault with its copy costs {instructions_of_a_copy} instructions here, once a page, and"
        " what is written between two faults costs little. For a loop over a whole array it is {factor_of_a_page} times,"
        " in counted instructions; for one store a page it is {factor_of_a_store} times. The table below has both, and"
        " cycles of a CPU.",
        _proofs(
            "cow-cost/default instructions-of-a-copy", "cow-cost/page instructions-of-a-copy",
            "cow-cost/default one-fault-a-page",
        ),
        f"{GIT}, a fault a page (do_wp_page() of mm/memory.c); its cost was measured with the kernel named above alone",
    ),
    Statement(
        "fork fails at the limit of processes.", "so",
        "With EAGAIN: RLIMIT_NPROC (root is exempt), pids.max of a cgroup, kernel.pid_max, kernel.threads-max.",
        _proofs(
            "fork-fails/default refused-for-processes", "fork-fails/pids cgroup-counted-it",
            "fork-fails/pid-max pids-ran-out", "fork-fails/threads-max threads-ran-out",
        ),
        f"{GIT} (RLIMIT_NPROC and threads-max: copy_process() of kernel/fork.c; pid_max: alloc_pidmap() of kernel/pid.c)"
        " and 4.3 (pids.max, commit 49b786ea146f)",
    ),
    Statement(
        "fork fails when memory is out.", "in part",
        "When the promise is refused (vm.overcommit_memory=2), or when there is no page for the child's own page tables"
        " and nobody may be killed for one. Else the OOM killer makes room, and the fork succeeds. ENOMEM is also what"
        " fork says in a PID namespace whose process 1 has ended, with memory enough.",
        _proofs(
            "fork-fails/never promise-was-refused", "fork-fails/shortage no-page-was-left",
            "fork-fails/full-machine room-was-made", "fork-fails/namespace namespace-has-ended",
        ),
        f"{GIT} (dup_mmap() of kernel/fork.c charges each mapping; out_of_memory() of mm/oom_kill.c kills) and 2.6.24 (PID"
        " namespaces)",
    ),
    Statement(
        "fork fails without an MMU.", "not run",
        "In a kernel without CONFIG_MMU, fork() of kernel/fork.c only returns EINVAL. The manual page fork(2) names"
        " ENOSYS instead. rig's guests are x86-64, where the kernel always has an MMU.",
        (), "4.14 or earlier (4.14 is the oldest source that was read)",
    ),
    Statement(
        "fork fails when the parent has more than half of memory.", "no longer",
        "Under vm.overcommit_memory=0 a mapping is refused only if it is larger than all memory and swap. No older"
        " kernel was run; two ways to one were tried. Linux 4.19.304 was built from its source with GCC 12 (rig"
        " kernel build tree:DIR) and boots up to rig's agent, which finds no root filesystem. The likely cause: root"
        " and payload are NVDIMMs in one section of 128 MB, and kernel/memremap.c before 5.3 maps one device a"
        " section (commit ba72b4c8cf60, sub-section hotplug). Behind that, the agent follows processes with"
        " pidfd_open, of 5.3 too. The second way was Debian: bullseye is the oldest suite that its mirror still"
        " serves (tried on 2026-11-26), and the oldest linux there is 5.10.13; buster, which had 4.19, is answered"
        " with 404, packages and sources alike. The archive of retired suites is another host, which was out of"
        " reach. An older toolchain is there, bullseye's GCC 9 and 10, but it was not the compiler that stood in the"
        " way.",
        _proofs("fork-fails/half half-of-memory"), "5.2 (commit 8c7829b04c52)",
    ),
    Statement(
        "At the fork the kernel checks that as much is free as the child might write.", "no longer",
        "It did so, roughly, for each mapping of the child. Only vm.overcommit_memory=2 counts what was promised.",
        _proofs("fork-fails/half half-of-memory", "fork-fails/never promise-was-refused"), "5.2 (commit 8c7829b04c52)",
    ),
    Statement(
        "With 250 MB free after the parent's 200 the fork succeeds, and costs nothing.", "so",
        "Next to nothing: page tables and the child's own structures.",
        _proofs("overcommit-oops/default fork-succeeded", "overcommit-oops/default fork-cost-little"),
        f"{GIT}: copy_page_range() of mm/memory.c copies page tables and no page of private memory",
    ),
    Statement(
        "A guest of 512 MB, a parent of 200, a hog of 200, a child that writes 4 MB every 30 s: memory runs out.", "so",
        "At the {step_of_the_oom} step, in the child's page fault.",
        _proofs("overcommit-oops/default oom-came", "overcommit-oops/default copying-on-write"),
        f"{GIT}: do_wp_page() of mm/memory.c asks for a page, out_of_memory() of mm/oom_kill.c kills",
    ),
    Statement(
        "With 100 MB left the kernel reports an oops at a page fault, and crashes.", "not so",
        "It is an OOM report, with one process killed; the kernel goes on, unless vm.panic_on_oom asks for the panic."
        " Of 512 MB Linux leaves {beside_the_parent_mb} MB beside a parent of 200, and the hog takes 200 of them: what is"
        " left is {beside_the_hog_mb} MB, not 100, and the child copies what is above the zones' min watermarks:"
        " {copied_mb} MB."
        " What was do_page_fault() is asm_exc_page_fault() in today's traces.",
        _proofs(
            "overcommit-oops/default copied-what-was-left", "overcommit-oops/default page-fault-at-the-root",
            "overcommit-oops/panic kernel-panicked",
        ),
        "5.8 (asm_exc_page_fault(), commit 91eeafea1e4b)",
    ),
    Statement(
        "Descriptors are shared: position, flags, permissions. One reads 29 characters, the other the next 29.", "in part",
        "Position and status flags are. The access mode was decided by open() and cannot be changed.",
        _proofs(
            "fd-shared-offset/default offset-is-shared", "fd-shared-offset/default read-on",
            "fd-shared-offset/default flags-are-shared", "fd-shared-offset/default still-read-only",
        ),
        f"{GIT}: copy_files() of kernel/fork.c, SETFL_MASK of fs/fcntl.c",
    ),
    Statement(
        "What has no name (pipes, shared memory) is shared only through a descriptor made before the fork.", "no longer",
        "A mapping with MAP_SHARED needs no descriptor, and a descriptor that was opened later can be fetched with"
        " pidfd_getfd.",
        _proofs("fork-join/default array-is-shared", "fd-passing/pidfd same-open-file"), "2.4 (MAP_SHARED with MAP_ANONYMOUS)"
        " and 5.6 (pidfd_getfd, commit 8649c322f75c)",
    ),
    Statement(
        "Or it is passed over a unix domain socket.", "so",
        "The open file itself arrives; its number alone means nothing.",
        _proofs("fd-passing/default same-open-file", "fd-passing/number number-means-nothing"),
        f"{GIT}: scm_fp_copy() of net/core/scm.c",
    ),
    Statement(
        "The cure is to touch every page, by reading and writing, right after the fork.", "in part",
        "Writing does. Reading alone does not, nor does mapping with MAP_POPULATE in the parent. In one call: mlock, or"
        " madvise with MADV_POPULATE_WRITE. With swap what was paid for is written out when RAM runs short, unless it is locked.",
        _proofs(
            "prefault/default protected", "prefault/read !protected", "prefault/mlock writing-cost-nothing",
            "prefault/mlock locked-by-the-kernel", "prefault/populate writing-cost-nothing",
            "prefault/populate-touching populated-in-the-call", "prefault/map-populate populated-by-the-mapping",
            "prefault/map-populate !protected", "prefault/swap paid-for-and-written-out",
            "prefault/swap-mlock locked-and-not-written-out",
        ),
        f"{GIT} (mlock: make_pages_present() in mlock_fixup() of mm/mlock.c), 2.6.23 (MAP_POPULATE of private mappings) and"
        " 5.14 (MADV_POPULATE_WRITE)",
    ),
    Statement(
        "Five tasks and a main process that starts anew whichever ends: six processes.", "so",
        "Each new one has a new pid.",
        _proofs("respawn/default one-and-its-tasks", "respawn/default same-place-new-pid"),
        f"{GIT}: alloc_pidmap() of kernel/pid.c",
    ),
    Statement(
        "Parent and child with different code: a web server signals a routing process.", "so",
        "execve keeps the pid, and signals of one kind that arrive together may be one.",
        _proofs("pipe-exec/default execve-kept-the-process", "pipe-exec/usr1 signals-were-counted"),
        f"{GIT}: switch_exec_pids() of kernel/pid.c, LEGACY_QUEUE() of kernel/signal.c",
    ),
    Statement(
        "A launcher joins two programs by a pipe; another transport changes the launcher alone.", "so",
        "What the two programs print is below.",
        _proofs("pipe-exec/default transport-differs", "pipe-exec/default same-binary"),
        f"{GIT}: copy_files() of kernel/fork.c passes each kind of descriptor on",
    ),
)
# fmt: on
