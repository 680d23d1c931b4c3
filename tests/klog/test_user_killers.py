# SPDX-License-Identifier: MIT
"""Kills by programs: systemd-oomd, earlyoom, nohang, lmkd, Talos and kubelet are events of the log that they wrote to."""

from __future__ import annotations

import json

import pytest

from rig.klog import Event, read
from rig.klog.document import document
from rig.klog.explain import explain
from rig.klog.redact import Redactor

SYSLOG = "Nov 25 12:00:00 web1 "
LINES = {
    "systemd-oomd": (
        SYSLOG
        + "systemd-oomd[612]: Killed /user.slice/a.scope due to memory pressure for /user.slice being 65.5% > 50.00% "
        "for > 20s with reclaim activity",
        "killed by systemd-oomd: /user.slice/a.scope",
        "memory pressure for /user.slice being 65.5% > 50.00%",
    ),
    "systemd-oomd, swap": (
        SYSLOG
        + "systemd-oomd[612]: Marked /a.slice for killing due to memory used (16000) / total (17000) and swap used "
        "(900) / total (1000) being more than 90.00%",
        "killed by systemd-oomd: /a.slice",
        "swap used (900)",
    ),
    "systemd-oomd, of systemd": (
        SYSLOG + "systemd[919]: job.service: systemd-oomd killed 12 process(es) in this unit.",
        "killed by systemd-oomd: job.service",
        "12 process(es)",
    ),
    "earlyoom": (
        SYSLOG
        + 'earlyoom[7]: sending SIGTERM to process 4242 uid 1000 "chrome": oom_score 1002, VmRSS 512 MiB, cmdline "x"',
        "killed by earlyoom: chrome",
        "VmRSS 512 MiB",
    ),
    "earlyoom, old": (
        SYSLOG + 'earlyoom[7]: sending SIGKILL to process 4242 "chrome": badness 300, VmRSS 312 MiB',
        "killed by earlyoom: chrome",
        "sent SIGKILL to chrome (pid 4242)",
    ),
    "nohang": (
        SYSLOG + "nohang[9]:   Sending SIGTERM to the victim",
        "killed by nohang",
        "The lines above it name the victim",
    ),
    "lmkd": (
        "11-25 12:00:00.000   430   430 I lmkd    : Kill 'com.example' (1234), uid 10100, oom_score_adj 900 to free 12345kB "
        "rss, 678kB swap; reason: low watermark is breached",
        "killed by lmkd: com.example",
        "low watermark is breached",
    ),
    "low memory killer": (
        "[  100.000000] lowmemorykiller: Killing 'com.example' (1234), adj 900,",
        "killed by Android's low memory killer: com.example",
        "minfree",
    ),
    "Talos": (
        'user: warning: [2026-08-11T17:20:38Z]: [talos] Sending SIGKILL to cgroup {"component": "controller-runtime", "cgroup": '
        '"/sys/fs/cgroup/kubepods/burstable/pod1"}',
        "killed by Talos: /sys/fs/cgroup/kubepods/burstable/pod1",
        "QoS class",
    ),
    "kubelet": (
        SYSLOG
        + 'kubelet[5]: I1012 19:34:45.445 2480 eviction_manager.go:595] "Eviction manager: pod is evicted successfully" '
        'pod="default/nginx"',
        "killed by kubelet: default/nginx",
        "evicted default/nginx",
    ),
    "kubelet, old": (
        SYSLOG
        + "kubelet[5]: I0603 eviction_manager.go:566] eviction manager: pod nginx_default(12-34) is evicted successfully",
        "killed by kubelet: nginx_default(12-34)",
        "ephemeral-storage",
    ),
}


def events(*lines: str) -> tuple[Event, ...]:
    return read(["".join(f"{line}\n" for line in lines).encode()]).events


@pytest.mark.parametrize("name", LINES)
def test_kill_by_a_program_is_an_event_with_its_reason(name: str) -> None:
    line, title, words = LINES[name]

    (event,) = events(SYSLOG + "kernel: eth0: link is up", line, SYSLOG + "cron[1]: nothing")

    assert event.kind == "user-kill"
    assert event.title.startswith(title)
    explanation = explain(event)
    assert words in " ".join(
        each.text for each in (*explanation.summary, *(one for part in explanation.sections for one in part.sentences))
    )
    assert "There is no OOM report of this" in explanation.summary[0].text


def test_killer_that_only_reports_is_no_event() -> None:
    assert (
        events(
            SYSLOG + "earlyoom[7]: mem avail:  1024 of  8000 MiB (12.80%), swap free:    0 of    0 MiB ( 0.00%)",
            SYSLOG + "systemd[1]: Started systemd-oomd.service - Userspace Out-Of-Memory (OOM) Killer.",
            SYSLOG + "nohang[9]:   [ OK ] Sending SIGTERM to chrome: 1",
        )
        == ()
    )


def test_message_of_a_journal_record_is_read_with_its_program() -> None:
    record = {
        "MESSAGE": 'sending SIGTERM to process 4242 uid 1000 "chrome": oom_score 1002, VmRSS 512 MiB, cmdline "x"',
        "SYSLOG_IDENTIFIER": "earlyoom",
        "_TRANSPORT": "stdout",
        "_PID": "7",
        "_HOSTNAME": "web1",
    }

    (event,) = events(json.dumps(record))

    assert (event.title, event.host) == ("killed by earlyoom: chrome", "web1")


def test_redacted_kill_names_no_cgroup() -> None:
    (event,) = events(LINES["systemd-oomd"][0].replace("user.slice", "customer.slice"))

    hidden = Redactor()(event)

    assert "customer" not in document(1, [hidden], [explain(hidden)])
    assert hidden.title.startswith("killed by systemd-oomd: /path-")
