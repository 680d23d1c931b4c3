# SPDX-License-Identifier: MIT
"""How a claim is judged: what fails, what cannot be judged, and that no record of a guest raises an exception."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rig.klog import read
from rig.run.document import Claimed
from rig.scenario.evidence import Evidence
from rig.scenario.judge import Judgement, judge_scenario, show_value
from rig.scenario.load import load_scenario
from rig.scenario.plan import render_plan
from rig.scenario.settings import parse_settings
from rig.telemetry.records import read_records

READY = b'{"n": 0, "t": 1, "ev": "ready", "kernel": "6.12.57+deb13-cloud-amd64", "page_size": 4096}\n'
END = b'{"n": 2, "t": 3, "ev": "end", "reason": "plan"}\n'
NOTHING = b'{"n": 1, "t": 2, "ev": "mark", "name": "x"}\n'


OOM = b"""[    2.5] child invoked oom-killer: gfp_mask=0x1100cca(GFP_HIGHUSER_MOVABLE), order=0, oom_score_adj=0
[    2.5] CPU: 0 PID: 83 Comm: child Not tainted 6.1.0 #1
[    2.5] Out of memory: Killed process 84 (hog) total-vm:9kB, anon-rss:9kB, file-rss:0kB, shmem-rss:0kB, UID:0
"""


def judged(tmp_path: Path, claims: str, middle: bytes = NOTHING, end: bytes = END, console: bytes = b"") -> Judgement:
    (tmp_path / "scenario.toml").write_text(
        f'title = "t"\nsummary = "s"\n[plan]\nsteps = [{{ do = "mark", name = "x", id = "the-mark" }}]\n{claims}'
    )
    scenario = load_scenario(str(tmp_path))
    settings = parse_settings(scenario)
    evidence = Evidence(settings, render_plan(scenario, settings), read_records(READY + middle + end), read([console]))
    return judge_scenario(scenario, evidence)


def one(tmp_path: Path, expr: str, middle: bytes = NOTHING, **keys: Any) -> Claimed:
    more = "".join(f"{key} = {value}\n" for key, value in keys.items())
    text = f'[[claims]]\nid = "c"\ntext = "t"\nexpr = """{expr}"""\n{more}'
    return judged(tmp_path, text, middle).claims[-1]


@pytest.mark.parametrize(
    "expr",
    [
        "kernel.major == 6 and kernel.minor == 12 and kernel.release.startswith('6.12')",
        "any(mark.name == 'x' for mark in marks)",
        "sum([1, 2, 3]) == 6 and len([m for m in marks if m.t > 100]) == 0",
        "end.reason == 'plan'",
        "oom is None and len(ooms) == 0",
        "sysctl('vm.swappiness', 60) == 60",
        "1 < 2 <\n    3",
    ],
)
def test_true_expression_holds(tmp_path: Path, expr: str) -> None:
    assert one(tmp_path, expr).verdict == "held"


@pytest.mark.parametrize(
    ("expr", "reason"),
    [
        ("oom.invoker.comm == 'child'", "there is no 'oom' in this run"),
        ("in_path(oom, 'page-fault') != ''", "there was no OOM"),
        ("panic.reason == ''", "there is no 'panic' in this run"),
        ("end.reason == 'decided'", ""),
    ],
)
def test_what_did_not_happen_fails(tmp_path: Path, expr: str, reason: str) -> None:
    claim = one(tmp_path, expr)

    assert claim.verdict == "failed"
    assert reason in claim.reason


@pytest.mark.parametrize(
    ("expr", "reason"),
    [
        ("sample('filled').t > 0", "there is no sample 'filled', only none with a label"),
        ("end.reasn == ''", "end has no 'reasn': did you mean 'reason'?"),
        ("exit_of('child').code == 0", "no end of 'child' was recorded"),
        ("1 / 0 == 1", "ZeroDivisionError"),
        ("max([]) > 1", "ValueError"),
        ("len(marks)", "neither true nor false, but 1"),
        ("'a' * 1000000 == ''", "something that long"),
        ("all(x > y > z for x in steps for y in 7 for z in 3)", "TypeError"),
    ],
)
def test_what_cannot_be_judged_is_invalid_with_its_reason(tmp_path: Path, expr: str, reason: str) -> None:
    middle = b'{"n": 1, "t": 2, "ev": "step", "i": 0}\n'
    claim = one(tmp_path, expr, middle if "steps" in expr else NOTHING)

    assert claim.verdict == "invalid"
    assert reason in claim.reason


def test_expression_cannot_loop_for_ever(tmp_path: Path) -> None:
    many = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"
    loops = " ".join(f"for v{n} in {many}" for n in range(8))

    claim = one(tmp_path, f"len([1 {loops}]) > 0")

    assert claim.verdict == "invalid"
    assert "too many elements" in claim.reason


def test_claim_that_does_not_apply_says_when_it_would(tmp_path: Path) -> None:
    claim = one(tmp_path, "1 == 2", when='"guest.swap > 0"')

    assert claim.verdict == "not-applicable"
    assert "guest.swap > 0" in claim.reason


def test_values_are_worked_out_in_order_and_shown(tmp_path: Path) -> None:
    values = '{ first = { expr = "2048", unit = "kB" }, second = "first * 2" }'

    claim = one(tmp_path, "second == 4096", values=values)

    assert claim.verdict == "held"
    assert [(value.name, value.value, value.shown) for value in claim.values] == [
        ("first", 2048, "2.0 MB"),
        ("second", 4096, "4096"),
    ]


def test_values_that_were_got_before_a_failure_are_kept(tmp_path: Path) -> None:
    claim = one(tmp_path, "comm == 'x'", values='{ kernel_is = "kernel.major", comm = "oom.invoker.comm" }')

    assert claim.verdict == "failed"
    assert [value.name for value in claim.values] == ["kernel_is"]


def test_process_is_not_taken_for_another_of_its_comm(tmp_path: Path) -> None:
    rows = b'{"program": "outsider", "comm": "hog", "pid": 8}, {"program": "hog", "comm": "hog", "pid": 9}'
    middle = b'{"n": 1, "t": 2, "ev": "sample", "label": "x", "procs": [%s]}\n' % rows

    assert one(tmp_path, "pid('hog') == 9 and pid('outsider/hog') == 8", middle).verdict == "held"
    assert one(tmp_path, "proc('hog', 'x').pid == 9 and len(history('hog')) == 1", middle).verdict == "held"
    assert one(tmp_path, "role_of(8) == 'outsider/hog'", middle).verdict == "held"


@pytest.mark.parametrize("function", ["pid('worker')", "exit_of('worker').pid"])
def test_role_of_two_processes_cannot_be_judged(tmp_path: Path, function: str) -> None:
    two = [f'"program": "pool", "comm": "worker", "pid": {pid}' for pid in (8, 9)]
    sampled = f'{{"n": 1, "t": 2, "ev": "sample", "procs": [{{{two[0]}}}, {{{two[1]}}}]}}\n'
    exits = [f'{{"n": {n}, "t": 2, "ev": "exit", {each}, "code": 0}}\n' for n, each in enumerate(two, 2)]
    end = b'{"n": 4, "t": 3, "ev": "end", "reason": "plan"}\n'

    claims = f'[[claims]]\nid = "c"\ntext = "t"\nexpr = """{function} == 8"""\n'
    claim = judged(tmp_path, claims, (sampled + "".join(exits)).encode(), end).claims[-1]

    assert claim.verdict == "invalid"
    assert claim.reason == "'worker' is 2 processes: worker (8), worker (9)"


TOO_MANY = b"""\
{"n": 1, "t": 2, "ev": "sample", "label": "x", "procs": [{"program": "p", "comm": "p", "pid": 8}], "procs_left_out": 91}
{"n": 2, "t": 2, "ev": "tree", "label": "y", "procs": [{"program": "p", "comm": "p", "pid": 8}], "procs_left_out": 91}
"""


@pytest.mark.parametrize(
    "expr",
    [
        "len(procs('p', 'x')) == 1",
        "proc('p', 'x').pid == 8",
        "len(history('p')) == 1",
        "len(pids()) == 1",
        "role_of(500) == ''",
        "len(sample('x').procs) == 1",
        "len(samples[0].procs) == 1",
        "len(look('y').procs) == 1",
        "len(looks[0].procs) == 1",
    ],
)
def test_claim_over_processes_of_which_some_were_not_watched_makes_the_run_invalid(tmp_path: Path, expr: str) -> None:
    end = END.replace(b'"n": 2', b'"n": 3')

    found = judged(tmp_path, f'[[claims]]\nid = "c"\ntext = "t"\nexpr = "{expr}"\n', TOO_MANY, end)

    assert found.verdict == "invalid"
    assert "leaves out 91 processes: the agent watches 128 at once" in found.reason


def test_claim_that_needs_no_process_is_judged_where_some_were_not_watched(tmp_path: Path) -> None:
    end = END.replace(b'"n": 2', b'"n": 3')
    expr = "sample('x').label == 'x' and role_of(8) == 'p' and pid('p') == 8"

    found = judged(tmp_path, f'[[claims]]\nid = "c"\ntext = "t"\nexpr = "{expr}"\n', TOO_MANY, end)

    assert found.verdict == "reproduced"


def test_oom_of_which_the_scenario_does_not_speak_is_said_as_such(tmp_path: Path) -> None:
    text = '[[claims]]\nid = "c"\ntext = "t"\nexpr = "has_sample(\'x\') and sample(\'y\').t > 0"\n'
    made = judged(tmp_path, text, console=OOM)
    by_id = {claim.id: claim for claim in made.claims}

    assert made.verdict == "not-reproduced"
    assert by_id["no-oom"].reason.endswith("line 1 of console.log: the kernel killed hog (84)")


def test_claim_that_speaks_of_the_oom_has_the_say(tmp_path: Path) -> None:
    text = '[[claims]]\nid = "c"\ntext = "t"\nexpr = "oom.victim.comm == \'hog\'"\n'

    assert judged(tmp_path, text, console=OOM).verdict == "reproduced"


def test_failed_condition_outweighs_a_failed_claim(tmp_path: Path) -> None:
    text = '[[claims]]\nid = "a"\ntext = "t"\nexpr = "1 == 2"\n'

    assert judged(tmp_path, text).verdict == "not-reproduced"
    assert judged(tmp_path, text + text.replace('"a"', '"b"') + 'kind = "condition"\n').verdict == "invalid"


def test_claim_is_judged_when_the_one_it_needs_could_not_be(tmp_path: Path) -> None:
    text = (
        '[[claims]]\nid = "a"\ntext = "t"\nexpr = "sample(\'x\').t > 0"\n'
        '[[claims]]\nid = "b"\ntext = "t"\nexpr = "len(marks) == 1"\nneeds = ["a"]\n'
    )

    assert [claim.verdict for claim in judged(tmp_path, text).claims] == ["held", "invalid", "held"]


def test_plan_that_the_agent_refused_is_an_error_with_its_words(tmp_path: Path) -> None:
    middle = b'{"n": 1, "t": 2, "ev": "bad_plan", "line": 3, "problem": "no such verb: marc"}\n'
    end = b'{"n": 2, "t": 3, "ev": "end", "reason": "bad-plan"}\n'

    judgement = judged(tmp_path, '[[claims]]\nid = "a"\ntext = "t"\nexpr = "1 == 1"\n', middle, end)

    assert judgement.verdict == "error"
    assert "line 3: no such verb: marc" in judgement.reason


def test_step_is_found_by_its_id(tmp_path: Path) -> None:
    middle = b'{"n": 1, "t": 2, "ev": "step", "i": 0, "verb": "mark", "ok": false, "errno": "EPERM"}\n'

    assert one(tmp_path, "step('the-mark').errno == 'EPERM'", middle).verdict == "held"
    assert one(tmp_path, "step('other').ok", middle).verdict == "invalid"


@pytest.mark.parametrize(
    "middle",
    [
        b'{"n": 1, "t": 2, "ev": "sample", "label": ["x"], "meminfo": 3, "procs": {"pid": 1}}\n',
        b'{"n": 1, "t": 2, "ev": "sample", "label": "x", "meminfo": {"MemTotal": "a"}, "procs": [1, {"pid": "y"}]}\n',
        b'{"n": 1, "t": 2, "ev": "spawn", "program": null, "pid": "x"}\n',
        b'{"n": 1, "t": 2, "ev": "step", "i": "x", "verb": 3, "ok": "yes"}\n',
        b'{"n": 1, "t": 2, "ev": "step", "i": 99999999999}\n',
        b'{"n": 1, "t": 2, "ev": "exit"}\n',
        b'{"n": 1, "t": 2, "ev": "sysctl", "name": ["vm"], "got": {}}\n',
    ],
)
def test_nonsense_of_the_guest_never_raises(tmp_path: Path, middle: bytes) -> None:
    for expr in (
        "available_at('x') > 0",
        "copied('child', 'x') > 0",
        "proc('child', 'x').rss_kb > 0",
        "len(history('child')) > 0",
        "pid('child') > 0",
        "len(pids()) > 0",
        "step('the-mark').ok",
        "exit_of('child').code == 0",
        "sysctl('vm', 0) == 0",
    ):
        assert one(tmp_path, expr, middle).verdict in ("held", "failed", "invalid")


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (200 << 20, "bytes", "200.0 MB"),
        (600, "kB", "600 kB"),
        (-400 * 1024, "bytes", "-400 kB"),
        (51415, "pages", "51,415 pages"),
        (12.34, "percent", "12.3 %"),
        (True, "", "yes"),
        (None, "", "none"),
        (["a", "b"], "", "a, b"),
        ([], "", "none"),
    ],
)
def test_values_are_shown_as_people_read_them(value: Any, unit: str, shown: str) -> None:
    assert show_value(value, unit) == shown
