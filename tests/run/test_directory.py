# SPDX-License-Identifier: MIT
"""A run's directory is complete or absent; and how RUN is resolved to it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rig.errors import RigError, UsageError
from rig.in_use import using_entries
from rig.run.directory import (
    list_runs,
    new_run_id,
    open_run,
    read_run,
    remove_run,
    resolve_run,
    rewrite_run,
    runs_directory,
    use_run,
)
from rig.run.document import Run, worst
from rig.run.unfinished import remove_leftovers


def a_run(run_id: str = "20250131-120000-abcd", verdict: str = "reproduced") -> Run:
    return Run.model_validate(
        {"id": run_id, "scenario": "s", "started": "2025-01-31T12:00:00+00:00", "verdict": verdict}
    )


def keep(root: Path, run_id: str) -> Path:
    directory = root / run_id
    directory.mkdir(parents=True)
    (directory / "run.json").write_text(a_run(run_id).model_dump_json())
    return directory


def test_run_that_is_kept_is_found_and_read_back(tmp_path: Path) -> None:
    with open_run(tmp_path) as opened:
        (opened.directory / "console.log").write_bytes(b"x")
        opened.keep(a_run(opened.id))

    assert opened.directory == tmp_path / opened.id
    assert sorted(path.name for path in opened.directory.iterdir()) == ["console.log", "run.json"]
    assert read_run(opened.directory).id == opened.id


def test_run_that_is_not_kept_leaves_nothing(tmp_path: Path) -> None:
    with open_run(tmp_path) as opened:
        (opened.directory / "console.log").write_bytes(b"x")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("exception", [KeyboardInterrupt, RigError])
def test_run_that_breaks_leaves_nothing(tmp_path: Path, exception: type[BaseException]) -> None:
    def broken() -> None:
        with open_run(tmp_path) as opened:
            (opened.directory / "console.log").write_bytes(b"x")
            raise exception("stop")

    with pytest.raises(exception):
        broken()

    assert list(tmp_path.iterdir()) == []


def test_run_is_not_listed_while_it_is_made(tmp_path: Path) -> None:
    with open_run(tmp_path) as opened:
        opened.keep(a_run(opened.id))
        listed = list_runs(tmp_path)

    assert listed == []
    assert [each.id for each in list_runs(tmp_path)] == [opened.id]


def test_directory_that_cannot_be_written_names_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RIG_RUNS", str(tmp_path / "file"))

    with pytest.raises(RigError) as caught, open_run(tmp_path / "file"):
        pass

    assert "RIG_RUNS" in (caught.value.remedy or "")


def test_leftover_of_a_killed_rig_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from rig.run.directory import open_run\n"
        "with open_run(Path(sys.argv[1])): print('open', flush=True); time.sleep(60)"
    )
    killed = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE)
    assert killed.stdout is not None
    killed.stdout.readline()
    with open_run(tmp_path) as living:
        assert remove_leftovers(tmp_path) == []
        killed.kill()
        killed.wait()

        removed = remove_leftovers(tmp_path)

        assert len(removed) == 1
        assert [path.name for path in tmp_path.iterdir()] == [living.directory.name]
    killed.stdout.close()


def test_ids_sort_by_age() -> None:
    earlier = new_run_id(datetime(2025, 1, 31, 12, 0, 0, tzinfo=UTC))
    later = new_run_id(datetime(2025, 1, 31, 12, 0, 1, tzinfo=UTC))

    assert earlier < later
    assert earlier.startswith("20250131-120000-")


def test_run_is_resolved_by_path_id_prefix_and_last(tmp_path: Path) -> None:
    first = keep(tmp_path, "20250131-120000-abcd")
    second = keep(tmp_path, "20250201-120000-wxyz")

    assert resolve_run(str(first), tmp_path) == first
    assert resolve_run(str(first / "run.json"), tmp_path) == first
    assert resolve_run("20250131-120000-abcd", tmp_path) == first
    assert resolve_run("202502", tmp_path) == second
    assert resolve_run("last", tmp_path) == second


def test_last_of_the_same_second_is_the_one_written_last(tmp_path: Path) -> None:
    later = keep(tmp_path, "20250131-120000-aaaa")
    earlier = keep(tmp_path, "20250131-120000-zzzz")
    now = time.time()
    os.utime(earlier / "run.json", (now - 10, now - 10))

    assert resolve_run("last", tmp_path) == later


def test_ambiguous_prefix_names_the_candidates(tmp_path: Path) -> None:
    keep(tmp_path, "20250131-120000-abcd")
    keep(tmp_path, "20250131-130000-abcd")

    with pytest.raises(UsageError) as caught:
        resolve_run("20250131", tmp_path)

    assert "matches 2 runs" in caught.value.what
    assert "20250131-130000-abcd" in (caught.value.detail or "")


@pytest.mark.parametrize("run", ["last", "nothing", "./nothing", ""])
def test_run_that_is_not_there_is_a_usage_error(tmp_path: Path, run: str) -> None:
    with pytest.raises(UsageError):
        resolve_run(run, tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": 1}', b"\xff\xfe"])
def test_damaged_run_is_listed_with_its_problem(tmp_path: Path, content: bytes) -> None:
    directory = keep(tmp_path, "20250131-120000-abcd")
    (directory / "run.json").write_bytes(content)

    (listed,) = list_runs(tmp_path)

    assert listed.run is None
    assert "not a run" in listed.problem


def test_run_of_a_later_schema_is_refused(tmp_path: Path) -> None:
    directory = keep(tmp_path, "20250131-120000-abcd")
    text = (directory / "run.json").read_text()
    (directory / "run.json").write_text(text.replace('"schema_version":1', '"schema_version":2'))

    with pytest.raises(RigError, match="schema version 2"):
        read_run(directory)


def test_brackets_and_commas_of_what_a_program_printed_do_not_make_a_run_too_large(tmp_path: Path) -> None:
    directory = keep(tmp_path, "20250131-120000-abcd")
    run = read_run(directory)
    printed = '[{"a\\", 1}]' * 700_000

    (directory / "run.json").write_text(run.model_copy(update={"reason": printed}).model_dump_json())

    assert read_run(directory).reason == printed


def test_runs_are_kept_where_rig_runs_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RIG_RUNS", str(tmp_path))

    assert runs_directory() == tmp_path


def test_several_verdicts_are_as_bad_as_the_worst() -> None:
    assert worst(["reproduced", "not-reproduced"]) == "not-reproduced"
    assert worst(["invalid", "error", "reproduced"]) == "error"
    assert a_run(verdict="invalid").exit_status == 2


def test_run_that_is_in_use_is_not_removed(tmp_path: Path) -> None:
    directory = keep(tmp_path, "20250131-120000-abcd")
    with using_entries():
        use_run(directory)

        with pytest.raises(RigError, match="another rig uses the run"):
            remove_run(directory)

        assert read_run(directory).id == directory.name

    remove_run(directory)

    assert list(tmp_path.iterdir()) == []


def test_run_that_is_gone_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="removed by another rig"):
        use_run(tmp_path / "20250131-120000-abcd")


@pytest.mark.parametrize(("use", "said"), [(use_run, "cannot be read"), (remove_run, "Permission denied")])
def test_run_of_another_user_is_not_said_to_be_in_use_or_gone(
    use: Callable[[Path], None], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = keep(tmp_path, "20250131-120000-abcd")

    def refuse(path: Any, *arguments: Any, **options: Any) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    # Root may open all.
    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "access", lambda path, mode: False)

    with pytest.raises(RigError, match=said) as caught:
        use(directory)

    assert caught.value.remedy
    assert directory.exists()


def test_run_that_is_rewritten_is_sealed_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = keep(tmp_path, "20250131-120000-abcd")
    rewrite_run(directory, a_run(directory.name))
    text = (directory / "run.json").read_text()

    (directory / "run.json").write_text(text.replace('"reproduced"', '"invalid"'))

    assert read_run(directory).verdict == "invalid"
    assert "was changed after it was written" in caplog.text
