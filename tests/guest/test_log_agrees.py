# SPDX-License-Identifier: MIT
"""The log reader's numbers from an OOM report agree with the agent's samples of /proc in the same guest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rig.klog import OomEvent, read
from tests.guest.conftest import Rig

pytestmark = pytest.mark.guest

# The report and the agent's sample are not taken at once. In between the child may write up to one step more. A task's
# RSS counters also lag by up to 64 pages of each kind (TASK_RSS_EVENTS_THRESH of mm/memory.c, before 6.2).
STEP_KB = 4 << 10
SLACK_KB = 4 * 64 * 4
# Pages in the lists of each CPU are not in MemFree, and are put back before the OOM killer is called (drain_all_pages() in
# __alloc_pages_direct_reclaim(), mm/page_alloc.c). Since 6.7 the lists grow by themselves: 836 kB were seen.
LISTS_KB = 1 << 10


def _run(rig: Rig, tmp_path: Path, scenario: str, kernel: str) -> tuple[OomEvent, list[dict[str, Any]]]:
    called = rig("run", scenario, "--kernel", kernel, "--json")
    if called.status == 3 and "the mirror does not serve" in called.err:
        pytest.skip(f"the mirror does not serve {kernel}")
    directory = tmp_path / "runs" / called.run()["id"]
    with (directory / "console.log").open("rb") as console:
        log = read(console)
    report = next(event for event in log.events if isinstance(event, OomEvent))
    records = [json.loads(line) for line in (directory / "events.jsonl").read_text().splitlines()]
    return report, [record for record in records if record["ev"] == "sample"]


@pytest.mark.parametrize("kernel", ["debian:bullseye", "debian:bookworm", "debian:trixie", "debian:sid"])
@pytest.mark.parametrize("scenario", ["overcommit-oops", "overcommit-in-cgroup"])
def test_report_is_read_whole_and_agrees_with_proc(rig: Rig, tmp_path: Path, scenario: str, kernel: str) -> None:
    report, samples = _run(rig, tmp_path, scenario, kernel)

    sample = next(each for each in samples if each["label"] == "oom")
    before = samples[samples.index(sample) - 1]
    assert not report.unknown
    assert not report.corrupted
    assert report.scope == ("memcg" if scenario == "overcommit-in-cgroup" else "global")
    procs = {proc["pid"]: proc for proc in before["procs"]}
    rows = {row.pid: row for row in report.tasks}
    # A group's report lists the group's tasks alone.
    shared = procs.keys() & rows.keys() if report.scope == "memcg" else procs.keys()
    assert len(shared) >= 2
    for pid in shared:
        row, proc = rows[pid], procs[pid]
        assert row.name == proc["comm"]
        assert abs(row.rss * 4 - proc["rss_kb"]) <= STEP_KB + SLACK_KB
        assert row.oom_score_adj == proc["oom_score_adj"]
    if report.scope == "global":
        free = sum(zone.free for zone in report.zones)
        # Between sample and report the child's last step took memory, so the report has less free.
        assert free <= before["meminfo"]["MemFree"] + LISTS_KB
        anonymous = before["meminfo"]["AnonPages"]
        reported = (report.mem_info["active_anon"] + report.mem_info["inactive_anon"]) * 4
        assert abs(reported - anonymous) <= 2 * STEP_KB + SLACK_KB
