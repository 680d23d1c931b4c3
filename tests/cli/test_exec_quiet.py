# SPDX-License-Identifier: MIT
"""What `rig exec -q` leaves on standard error: the reason why the program could not be run, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.cli.exec import _problems, _run
from rig.program.expectation import Expectation
from rig.program.outcome import Outcome
from rig.program.request import ProgramRequest
from rig.run.document import Run

EXIT_0 = Expectation("exit", "0")


@pytest.mark.parametrize(
    ("outcome", "reason", "verdict", "expect", "status", "said"),
    [
        (Outcome(125, problem="the guest ended early"), "", "error", None, 125, "rig: the guest ended early\n"),
        (Outcome(0), "QEMU stopped the guest", "error", None, 125, "rig: QEMU stopped the guest\n"),
        (
            Outcome(127, problem="execve of x failed: ENOENT", hint="--deb y"), "", "not-reproduced", None, 127,
            "rig: execve of x failed: ENOENT\n  try: --deb y\n",
        ),
        (
            Outcome(127, problem="execve of x failed: ENOENT"), "", "not-reproduced", EXIT_0, 1,
            "rig: execve of x failed: ENOENT\n",
        ),
        (Outcome(1, code=1), "", "not-reproduced", EXIT_0, 1, ""),
        (Outcome(125, code=125), "", "reproduced", None, 125, ""),
        (Outcome(124, problem="it did not end within 5 s"), "", "not-reproduced", None, 124, ""),
    ],
    ids=["guest", "qemu", "not-found", "not-found-expected", "not-as-expected", "own-125", "time-out"],
)  # fmt: skip
def test_quiet_call_says_why_the_program_did_not_run_and_nothing_else(
    outcome: Outcome, reason: str, verdict: str, expect: Expectation | None, status: int, said: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    async def ran(request: ProgramRequest, progress: object) -> tuple[Run, Path, Outcome]:
        run = Run.model_validate({"id": "r", "scenario": "exec", "started": "", "verdict": verdict, "reason": reason})
        return run, Path("r"), outcome

    monkeypatch.setattr("rig.program.execute.run_program", ran)

    assert _run(ProgramRequest(command=("x",), expect=expect), quiet=True, with_traceback=False) == status
    assert capsys.readouterr() == ("", said)


def test_reason_that_repeats_the_problem_is_left_out() -> None:
    def run(reason: str) -> Run:
        return Run.model_validate(
            {"id": "r", "scenario": "exec", "started": "", "verdict": "invalid", "reason": reason}
        )

    outcome = Outcome(125, problem="chdir of true failed: ENOENT")

    assert _problems(run("plan-ran: step 4 (spawn …): chdir of true failed"), outcome, "") == (outcome.problem,)
    assert _problems(run("the log was cut"), outcome, "not as expected") == (
        outcome.problem, "not as expected", "the log was cut",
    )  # fmt: skip
    assert _problems(run("the log was cut"), Outcome(0), "") == ("the log was cut",)
