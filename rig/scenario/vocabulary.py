# SPDX-License-Identifier: MIT
"""The names that expressions may use. MODEL.md says what each of them is."""

from __future__ import annotations

from rig.scenario.expressions import FUNCTIONS

__all__ = ["BEFORE", "FROM_RECORDS", "GUEST_FIELDS", "PLAIN_FUNCTIONS", "RUN_FUNCTIONS", "RUN_NAMES"]

GUEST_FIELDS = frozenset({"memory", "cpus", "swap", "zram", "clock"})
"""Fields of `guest`: sizes in bytes, a number, and `warp` or `live`."""

BEFORE = frozenset({"params", "guest", "to_the_end"})
"""Known before the guest is started: for checks and for `when` of a step."""

PLAIN_FUNCTIONS = frozenset(FUNCTIONS)

RECORD_NAMES = frozenset(
    {
        "ready", "end", "steps", "lines", "samples", "exits", "checks", "marks", "spawns", "pagemaps", "writes",
        "cgroups", "looks",
    }
)  # fmt: skip
RECORD_FUNCTIONS = frozenset(
    {
        "sample", "has_sample", "history", "proc", "procs", "pid", "pids", "role_of", "step", "exit_of",
        "check_of", "lines_of", "said", "pagemap", "look", "sysctl", "faulted", "before_oom", "copied", "anon_grown",
        "page_tables_grown", "available_at",
    }
)  # fmt: skip
LOG_NAMES = frozenset({"events", "ooms", "oom", "panics", "panic", "oopses"})
LOG_FUNCTIONS = frozenset({"path", "in_path", "candidates", "badness_of", "badness_slack", "watermarks"})

FROM_RECORDS = RECORD_NAMES | RECORD_FUNCTIONS
"""What rests on the agent's records: a claim that uses one of these is invalid when records were lost."""

RUN_NAMES = BEFORE | RECORD_NAMES | LOG_NAMES | {"kernel"}
RUN_FUNCTIONS = RECORD_FUNCTIONS | LOG_FUNCTIONS
