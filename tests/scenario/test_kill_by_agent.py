# SPDX-License-Identifier: MIT
"""A kill for which the agent's own request for memory is the cause shows nothing about the experiment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rig.scenario.conditions import kill_by_agent
from rig.scenario.evidence import Evidence
from tests.scenario.recorded import Recorded, recorded


def by_agent(name: str = "overcommit-oops", variant: str = "default") -> Recorded:
    """Return the run with the agent in the child's place: `init`, which has pid 1."""
    run = recorded(name, variant)
    child = str(run.evidence().ooms()[0].invoker.pid)  # type: ignore[union-attr] # this run has an invoker

    def asked(text: str) -> str:
        return text.replace("child invoked oom-killer", "init invoked oom-killer").replace(
            f"PID: {child} Comm: child", "PID: 1 Comm: init"
        )

    records = [
        {**each, "text": asked(each["text"])} if each["ev"] in ("kmsg", "kernel") else each for each in run.records
    ]
    return replace(run, console=asked(run.console.decode()).encode(), records=tuple(records))


def test_kill_that_the_agent_asked_for_makes_the_run_invalid() -> None:
    judgement = by_agent().judged()

    assert judgement.verdict == "invalid"
    assert judgement.reason.startswith("no-kill-by-agent: line 3 of console.log: the agent's own request for memory")
    assert "without the agent it might not have come" in judgement.reason


def test_kill_that_a_program_asked_for_is_no_kill_by_the_agent() -> None:
    assert "no-kill-by-agent" not in {claim.id for claim in recorded("overcommit-oops").judged().claims}


def test_program_named_as_the_agent_is_not_the_agent() -> None:
    run = recorded("overcommit-oops")
    child = run.evidence().ooms()[0].invoker
    assert child is not None
    console = run.console.replace(b"child invoked", b"init invoked").replace(b"Comm: child", b"Comm: init")
    named = replace(run, console=console)

    assert named.evidence().ooms()[0].invoker == replace(child, comm="init")
    assert "no-kill-by-agent" not in {claim.id for claim in named.judged().claims}


def test_whether_there_was_a_kill_rests_on_the_first_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = recorded("overcommit-oops").evidence()
    programs, agents = evidence.ooms()[0], by_agent().evidence().ooms()[0]

    monkeypatch.setattr(Evidence, "ooms", lambda _: (programs, agents))
    assert kill_by_agent(evidence) is not None
    assert kill_by_agent(evidence, only_first=True) is None

    monkeypatch.setattr(Evidence, "ooms", lambda _: (agents, programs))
    assert kill_by_agent(evidence, only_first=True) is not None
