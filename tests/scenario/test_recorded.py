# SPDX-License-Identifier: MIT
"""Which runs of the catalogue are recorded again after an interruption."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.scenario import recorded
from tests.scenario.recorded import every_run, main, still_to_run


def test_runs_that_were_recorded_are_not_run_again(tmp_path: Path) -> None:
    done = tmp_path / "done"
    of_pipe_exec = [run for run in every_run() if run[0] == "pipe-exec"]
    done.write_text("pipe-exec/usr1\n")

    assert still_to_run(["pipe-exec"], done) == [run for run in of_pipe_exec if run[1] != "usr1"]
    assert still_to_run(["pipe-exec"], None) == still_to_run(["pipe-exec"], tmp_path / "absent") == of_pipe_exec
    assert still_to_run([], done) == [run for run in every_run() if run != ("pipe-exec", "usr1")]


@pytest.mark.parametrize("names", [[], ["pipe-exec"]])
def test_interrupted_recording_goes_on_and_a_finished_one_repeats_nothing(
    names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, ran = tmp_path / "build" / "done", list[str]()
    wanted = [f"{name}/{variant}" for name, variant in every_run() if not names or name in names]

    async def interrupted(name: str, variant: str, sets: tuple[str, ...]) -> None:
        if ran == wanted[:1]:
            raise KeyboardInterrupt
        ran.append(f"{name}/{variant}")

    async def run(name: str, variant: str, sets: tuple[str, ...]) -> None:
        ran.append(f"{name}/{variant}")

    monkeypatch.setattr(recorded, "record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main(["--done", str(done), *names]))
    monkeypatch.setattr(recorded, "record", run)
    asyncio.run(main(["--done", str(done), *names]))
    asyncio.run(main(["--done", str(done), *names]))

    assert ran == wanted
