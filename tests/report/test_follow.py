# SPDX-License-Identifier: MIT
"""`rig watch` shows records as they are written, and replays those of a finished run at a chosen speed."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rig.report.follow import follow, replay
from rig.report.live import PlainProgress
from tests.report.made_directory import records, write_directory


def test_replay_takes_the_seconds_it_was_given_and_shows_all_samples(tmp_path: Path) -> None:
    directory, slept, stream = write_directory(tmp_path / "run"), list[float](), io.StringIO()

    replay(directory / "events.jsonl", PlainProgress(stream), 4.0, sleep=slept.append)

    assert abs(sum(slept) - 4.0) < 1e-6
    assert "sample forked: " in stream.getvalue()
    assert "cow-writer: step 5" in stream.getvalue()
    assert "the kernel invoked the OOM killer" in stream.getvalue()


def test_running_run_is_followed_until_its_directory_has_its_name(tmp_path: Path) -> None:
    unfinished, final, stream = tmp_path / ".unfinished-x", tmp_path / "x", io.StringIO()
    unfinished.mkdir()
    lines = [json.dumps(record) + "\n" for record in records()]

    def next_moment(_: float) -> None:
        if lines:
            with (unfinished / "events.jsonl").open("a") as file:
                file.writelines(lines[:5])
            del lines[:5]
        elif unfinished.is_dir():
            unfinished.rename(final)

    whole = follow(unfinished, final, PlainProgress(stream), sleep=next_moment)

    assert whole
    assert "sample forked: " in stream.getvalue()
    assert "step 5" in stream.getvalue()


def test_run_that_is_given_up_is_not_whole(tmp_path: Path) -> None:
    assert not follow(tmp_path / ".unfinished-x", tmp_path / "x", PlainProgress(io.StringIO()), sleep=lambda _: None)
