# SPDX-License-Identifier: MIT
"""The agent's parser of plans: an error names its line, before any step runs."""

from __future__ import annotations

import subprocess

import pytest

SPAWN = "spawn\tprogram=hog\targ=/bin/hog\n"


def test_good_plan_passes_in_silence(check_plan):
    done = check_plan("# a comment\n\n" + SPAWN + "wait_exit\tprogram=hog\ttimeout=1.5\nend\treason=done\n")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("dance\tprogram=hog", "there is no verb 'dance'"),
        ("sleep", "sleep needs the key seconds"),
        ("sleep\tseconds=soon", "seconds: 'soon' is not a number of seconds"),
        ("sleep\tseconds=-1", "seconds: '-1' is not a number of seconds"),
        ("sleep\tseconds=1\tseconds=2", "the key seconds stands twice"),
        ("sleep\tseconds=1\tfor=ever", "sleep takes no key for"),
        ("sleep\tseconds", "'seconds' is not key=value"),
        ("sleep seconds=1", "there is no verb 'sleep seconds=1'"),
        ("wait_exit\tprogram=hog", "wait_exit waits, so it needs timeout=SECONDS"),
        ("wait_exit\tprogram=ghost\ttimeout=1", "no program 'ghost' was spawned before this line"),
        ("wait_any\texit=ghost/child\ttimeout=1", "no program 'ghost/child' was spawned before this line"),
        ("wait_any\ttimeout=1", "wait_any needs one of oom=1, exit=, line="),
        (
            "wait_line\tprogram=hog\ttext=a\tcount=0\ttimeout=1",
            "count: '0' is not a number from 1 to 1000000",
        ),
        ("signal\tprogram=hog\tsignal=LOUD", "signal: 'LOUD' is not a signal"),
        ("signal\tprogram=hog\tcomm=sixteen-letters!\tsignal=CONT", "the kernel keeps at most 15 bytes"),
        ("spawn\tprogram=x", "spawn needs the key arg"),
        ("spawn\tprogram=a/b\targ=/x", "no / and no :"),
        ("spawn\tprogram=x\targ=/x\toom_score_adj=1001", "is not a number from -1000 to 1000"),
        ("check_rss\tprogram=hog\tmin=lots", "min: 'lots' is not a size"),
        ("pagemap\tprogram=hog", "pagemap needs region=NAME, or start= and length="),
        ("pagemap\tprogram=hog\tstart=xyz\tlength=1", "start: 'xyz' is not a hexadecimal number"),
        ("swapon", "swapon needs either path= or zram="),
        ("sleep\tseconds=1\ton_error=maybe", "on_error: 'maybe' is neither go nor stop"),
        ("sleep\tseconds=1\ttimeout=3", "sleep takes no key timeout"),
    ],
)
def test_problem_is_said_with_its_line(check_plan, line, problem):
    done = check_plan(SPAWN + line + "\n")

    assert done.returncode == 1
    assert done.stderr.startswith("line 2: ")
    assert problem in done.stderr


def test_every_problem_is_said_not_only_the_first(check_plan):
    done = check_plan("dance\nsleep\tseconds=1\njump\n")

    assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["line 1", "line 3"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the plan holds no step"),
        ("# nothing\n", "the plan holds no step"),
        ("sleep\tseconds=1\0\n", "the plan holds a NUL byte"),
        ("sleep\tseconds=1\n" * 513, "more than 512 steps"),
        ("".join(f"spawn\tprogram=p{i}\targ=/x\n" for i in range(17)), "more than 16 programs"),
        (("spawn\tprogram=p" + "\targ=x" * 60 + "\n") * 80, "more than 4096 words"),
    ],
)
def test_plan_beyond_what_the_agent_holds_is_refused(check_plan, text, problem):
    done = check_plan(text)

    assert done.returncode == 1
    assert problem in done.stderr


def test_plan_too_large_for_its_buffer_cannot_be_read(check_plan):
    done = check_plan("#" * (128 * 1024))

    assert done.returncode == 2
    assert "EFBIG" in done.stderr


def test_missing_plan_is_named(build):
    done = subprocess.run([build / "rig-agent", "--check", "/no/plan"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (2, "/no/plan: ENOENT\n")
