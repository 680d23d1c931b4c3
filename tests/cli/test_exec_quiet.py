# SPDX-License-Identifier: MIT
"""What `rig exec -q` leaves on standard error: the reason where the exit status is rig's and not the program's."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.cli.exec import _run
from rig.program.outcome import Outcome
from rig.program.request import ProgramRequest
from rig.run.document import Run


@pytest.mark.parametrize(
    ("outcome", "reason", "verdict", "status", "said"),
    [
        (Outcome(125, problem="the guest ended early"), "", "error", 125, "rig: the guest ended early\n"),
        (Outcome(0), "QEMU stopped the guest", "error", 125, "rig: QEMU stopped the guest\n"),
        (
            Outcome(127, problem="execve of x failed: ENOENT", hint="--deb y"), "", "not-reproduced", 127,
            "rig: execve of x failed: ENOENT\n  try: --deb y\n",
        ),
        (Outcome(125, code=125), "", "reproduced", 125, ""),
        (Outcome(124, problem="it did not end within 5 s"), "", "not-reproduced", 124, ""),
    ],
    ids=["guest", "qemu", "not-found", "own-125", "time-out"],
)  # fmt: skip
def test_quiet_call_says_why_the_program_did_not_run_and_nothing_else(
    outcome: Outcome, reason: str, verdict: str, status: int, said: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    async def ran(request: ProgramRequest, progress: object) -> tuple[Run, Path, Outcome]:
        run = Run.model_validate({"id": "r", "scenario": "exec", "started": "", "verdict": verdict, "reason": reason})
        return run, Path("r"), outcome

    monkeypatch.setattr("rig.program.execute.run_program", ran)

    assert _run(ProgramRequest(command=("x",)), quiet=True, with_traceback=False) == status
    assert capsys.readouterr() == ("", said)
