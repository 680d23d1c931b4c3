# SPDX-License-Identifier: MIT
"""Post-mortem and debugger at the kill: stack, pages and numbers, and the errors where they are impossible."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rig.image.defaults import default_kernel
from rig.klog import read
from rig.machine.features import UNSURE_REVERSE, has
from rig.machine.qemu import find_qemu
from tests.guest.conftest import Called, Rig, qemus, qemus_that_stay

pytestmark = pytest.mark.guest


@pytest.fixture(scope="session")
def symbols() -> None:
    """The debug symbols of the default kernel, fetched once."""
    added = subprocess.run(
        [sys.executable, "-m", "rig", "symbols", "add", default_kernel().spec],
        capture_output=True,
        text=True,
        check=False,
    )
    if added.returncode != 0:
        pytest.skip(f"no debug symbols: {added.stderr.strip()}")


@pytest.fixture(scope="session")
def kept_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory of runs that several tests read: the main job, and the main job with a panic."""
    root = tmp_path_factory.mktemp("kept")
    environment = {**os.environ, "RIG_RUNS": str(root), "RIG_PREFIX": "no"}
    for words in (("overcommit-oops",), ("overcommit-oops", "--sysctl", "vm.panic_on_oom=1")):
        done = subprocess.run(
            [sys.executable, "-m", "rig", "run", *words, "--json"],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        (root / found["id"]).rename(root / ("panicked" if found["panic"] else "killed"))
    return root


@pytest.fixture
def killed(kept_runs: Path) -> str:
    return str(kept_runs / "killed")


@pytest.fixture
def panicked(kept_runs: Path) -> str:
    return str(kept_runs / "panicked")


def _memory(called: Called) -> dict[str, Any]:
    assert called.status == 0, called.err
    found: dict[str, Any] = json.loads(called.out)
    return found


def _pages(array: dict[str, Any], process: str, state: str) -> int:
    index = array["names"].index(process)
    return sum(run["count"] for run in array["runs"] if run["states"][index] == state)


@pytest.mark.usefixtures("symbols")
def test_memory_at_the_oom_agrees_with_the_report(rig: Rig, killed: str) -> None:
    found = _memory(rig("post-mortem", killed, "--json"))

    assert found["compared"] > 15
    assert found["disagreements"] == []
    assert found["task"] == "child"


@pytest.mark.usefixtures("symbols")
def test_stack_at_the_oom_leads_from_the_page_fault_with_files_and_lines(rig: Rig, killed: str) -> None:
    found = _memory(rig("post-mortem", killed, "--json"))

    functions = [frame["function"] for frame in found["stack"]]
    assert functions[0] == "oom_kill_process"
    assert functions.index("out_of_memory") < functions.index("wp_page_copy") < functions.index("asm_exc_page_fault")
    assert all(frame["file"].endswith((".c", ".h", ".S")) and frame["line"] for frame in found["stack"])
    assert any(frame["inlined"] for frame in found["stack"])


@pytest.mark.usefixtures("symbols")
def test_pages_of_the_array_are_copied_as_far_as_the_child_wrote(rig: Rig, killed: str) -> None:
    found = _memory(rig("post-mortem", killed, "--json", "--frames"))

    run = json.loads((Path(killed) / "run.json").read_text())
    (array,) = found["arrays"]
    copied = _pages(array, "child", "own")
    claimed = next(claim for claim in run["claims"] if claim["id"] == "copied-what-was-left")
    judged = next(value["value"] for value in claimed["values"] if value["name"] == "copied")
    assert copied + _pages(array, "child", "shared") == 51_200
    assert copied == _pages(array, "parent", "own")
    # The claim rests on the kernel's counters, which lag by some pages.
    assert abs(copied * 4096 - judged) <= 4 << 20
    parent, child = array["frames"]
    assert sum(one != other for one, other in zip(parent, child, strict=True)) == copied
    together, apart = [array["pids"]], [[pid] for pid in array["pids"]]
    assert {tuple(run["states"]): run["groups"] for run in array["runs"]} == {
        ("own", "own"): apart,
        ("shared", "shared"): together,
    }


@pytest.mark.usefixtures("symbols")
def test_at_the_oom_no_zone_that_may_be_used_is_above_its_watermark(rig: Rig, killed: str) -> None:
    found = _memory(rig("post-mortem", killed, "--json"))

    highest = found["allocation"]["highest_zone"]
    usable = [zone for zone in found["zones"] if zone["index"] <= highest]
    assert usable
    assert all(zone["free"] <= zone["min"] + zone["lowmem_reserve"][highest] for zone in usable)
    # The lowest zone is above its min watermark. Only lowmem_reserve keeps it from serving this allocation.
    assert usable[0]["free"] > usable[0]["min"]


@pytest.mark.usefixtures("symbols")
def test_at_the_fork_all_pages_are_shared(rig: Rig, killed: str) -> None:
    found = _memory(rig("post-mortem", killed, "--at", "fork", "--json"))

    (array,) = found["arrays"]
    (pages,) = array["runs"]
    assert (pages["count"], pages["states"], pages["map_count"]) == (51_200, ["shared", "shared"], 2)
    assert pages["groups"] == [array["pids"]]
    assert found["stack"][0]["function"] == "wake_up_new_task"


@pytest.mark.usefixtures("symbols")
def test_mark_is_a_place(rig: Rig, killed: str) -> None:
    called = rig("post-mortem", killed, "--at", "mark:writing-starts")

    assert called.status == 0, called.err
    assert "devkmsg_write" in called.out
    assert "51,200 shared" in called.out


@pytest.mark.usefixtures("symbols")
def test_report_that_was_edited_disagrees(rig: Rig, killed: str, tmp_path: Path) -> None:
    directory = tmp_path / "edited"
    shutil.copytree(killed, directory)
    console = (directory / "console.log").read_text()
    (directory / "console.log").write_text(console.replace("order=0", "order=1", 1))

    called = rig("post-mortem", str(directory))

    assert "1 of" in called.out
    assert "order: report 1, memory 0" in called.out


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ("panic", "did not panic"),
        ("mark:nowhere", "no mark 'nowhere'"),
        ("t=99999s", "ended at"),
        ("t=soon", "not a duration"),
        ("yesterday", "is not a stop point"),
    ],
)
@pytest.mark.usefixtures("symbols")
def test_stop_point_that_the_run_has_not_is_a_usage_error(point: str, words: str, rig: Rig, killed: str) -> None:
    called = rig("post-mortem", killed, "--at", point)

    assert called.status == 64
    assert words in called.err
    assert "Traceback" not in called.err


@pytest.mark.usefixtures("symbols")
def test_time_is_a_place_on_the_clock_that_the_records_carry(rig: Rig, killed: str) -> None:
    records = [json.loads(line) for line in (Path(killed) / "events.jsonl").read_text().splitlines()]
    step = next(record["t"] for record in records if str(record.get("text", "")).startswith("step 3 "))

    called = rig("debug", killed, "--batch", "--no-reverse", "--at", f"t={step:.1f}s", "--ex", "rig-tasks")

    tick = re.search(r"stopped at t=[\d.]+s \(a tick at ([\d.]+) s\)", called.out)
    assert tick is not None, called.err
    # The child sleeps after its step. An idle guest stops its tick (NO_HZ), so the next may be a second later.
    assert step - 0.06 <= float(tick[1]) <= step + 2
    assert "child" in called.out


def test_without_symbols_the_guests_own_words_are_marked_as_such(rig: Rig, killed: str) -> None:
    found = _memory(rig("post-mortem", killed, "--without-symbols", "--json"))

    assert found["source"] == "records"
    assert {task["name"] for task in found["tasks"]} >= {"parent", "child", "hog"}
    assert found["stack"] == []


@pytest.fixture
def bare_cache(tmp_path: Path) -> str:
    """A cache with all but symbols."""
    cache = Path(os.environ.get("RIG_CACHE") or Path.home() / ".cache/rig")
    bare = tmp_path / "cache"
    for name in ("refs", "kernel", "rootfs", "initramfs", "toolchain", "snapshot"):
        (bare / name).mkdir(parents=True)
        for path in (cache / name).iterdir():
            (bare / name / path.name).symlink_to(path)
    return str(bare)


def test_missing_symbols_are_named_with_the_command_that_fetches_them(rig: Rig, killed: str, bare_cache: str) -> None:
    called = rig("debug", killed, "--batch", RIG_CACHE=bare_cache)

    assert called.status == 3
    assert "debug symbols" in called.err
    assert "rig symbols add debian:" in called.err


def test_post_mortem_without_symbols_shows_the_guests_own_page_maps_and_says_so(
    rig: Rig, killed: str, bare_cache: str
) -> None:
    found = _memory(rig("post-mortem", killed, "--json", RIG_CACHE=bare_cache))

    assert found["source"] == "records"
    assert any("rig symbols add debian:" in note for note in found["notes"])
    copied = [_pages(array, name, "own") for array in found["arrays"] for name in array["names"]]
    assert len(copied) == 2
    assert min(copied) > 0


@pytest.mark.usefixtures("symbols")
def test_recording_cut_short_before_the_stop_point_says_so(rig: Rig, killed: str, tmp_path: Path) -> None:
    directory = tmp_path / "cut"
    shutil.copytree(killed, directory)
    recording = directory / "recording/replay.bin"
    recording.write_bytes(recording.read_bytes()[: recording.stat().st_size // 2])

    called = rig("post-mortem", str(directory))

    assert called.status == 3
    assert "before it reached oom" in called.err
    assert "Traceback" not in called.err


def test_symbols_of_another_build_are_refused(rig: Rig, tmp_path: Path) -> None:
    other = tmp_path / "vmlinux"
    (tmp_path / "x.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["cc", "-Wl,--build-id", "-o", str(other), str(tmp_path / "x.c")], check=True)

    called = rig("symbols", "add", str(other))

    assert called.status == 3
    assert "are of another build" in called.err


def test_panic_is_held_dumped_and_noted(rig: Rig, panicked: str) -> None:
    run = json.loads((Path(panicked) / "run.json").read_text())

    assert run["panic_dump"] == "panic.elf.zst"
    assert run["verdict"] == "reproduced"
    head = subprocess.run(
        ["sh", "-c", f"zstd -q -d -c '{panicked}/panic.elf.zst' | head -c 4"], capture_output=True, check=True
    )
    assert head.stdout == b"\x7fELF"
    assert rig("replay", panicked, "-q").status == 0


@pytest.mark.usefixtures("symbols")
def test_panic_of_an_unrecorded_run_is_read_from_its_dump(rig: Rig) -> None:
    assert rig("run", "overcommit-oops", "--sysctl", "vm.panic_on_oom=1", "--no-record").status == 0

    found = _memory(rig("post-mortem", "last", "--json"))

    functions = [frame["function"] for frame in found["stack"]]
    assert functions.index("panic") < functions.index("out_of_memory")
    assert found["instruction"] is None


def test_guest_that_does_not_panic_leaves_no_dump(killed: str) -> None:
    assert not list(Path(killed).glob("panic*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(small)], check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted here")
    yield small
    subprocess.run(["umount", str(small)], check=True)


def test_full_disk_during_a_panics_dump_leaves_the_run_without_it(rig: Rig, small_disk: Path) -> None:
    called = rig("run", "overcommit-oops", "--sysctl", "vm.panic_on_oom=1", "--json", RIG_RUNS=str(small_disk))

    run = called.run()
    assert run["verdict"] == "reproduced"
    assert run["panic_dump"] is None
    assert "could not be dumped" in called.err
    assert not list(small_disk.rglob("panic*"))


@pytest.mark.usefixtures("symbols")
def test_full_disk_during_a_post_mortem_says_so(rig: Rig, killed: str, small_disk: Path) -> None:
    called = rig("post-mortem", killed, TMPDIR=str(small_disk))

    assert called.status == 3
    assert "the disk is full" in called.err
    assert not list(small_disk.iterdir())


@pytest.mark.usefixtures("symbols")
def test_full_disk_for_a_kept_dump_leaves_no_half_of_it(rig: Rig, killed: str, small_disk: Path) -> None:
    filling = small_disk / "filling"
    filling.write_bytes(bytes(36 << 20))

    called = rig("post-mortem", killed, "--dump", str(small_disk / "dump.zst"))

    assert called.status == 3
    assert "the dump cannot be kept: No space left on device" in called.err
    assert list(small_disk.iterdir()) == [filling]


@pytest.mark.usefixtures("symbols")
def test_gdb_stands_at_the_kill_and_its_commands_tell_the_story(rig: Rig, killed: str) -> None:
    commands = [
        word for each in ("bt 3", "rig-tasks", "rig-oom", "rig-cow 0", "rig-cow nonsense") for word in ("--ex", each)
    ]

    called = rig("debug", killed, "--batch", "--no-reverse", *commands)

    assert "#0  oom_kill_process" in called.out, called.err
    assert "child  <- on the CPU" in called.out
    with (Path(killed) / "console.log").open("rb") as console:
        report = next(iter(read(console).ooms))
    rows = re.findall(r"^ *(\d+) +(\d+) +(\d+) +(\d+) +\d+ +\d+ +-?\d+  ", called.out, re.MULTILINE)
    memory = {int(pid): sum(int(each) for each in kinds) for pid, *kinds in rows}
    # The report leaves out process 1, which is never killed.
    assert {row.pid: memory.get(row.pid) for row in report.tasks} == {row.pid: row.rss * 4 for row in report.tasks}
    assert "chosen hog" in called.out
    assert "held back" in called.out
    assert "has no page at 0x0" in called.out
    assert 'No symbol "nonsense"' in called.err
    assert "Python Exception" not in called.err


@pytest.mark.usefixtures("symbols")
def test_gdb_goes_back_from_the_kill_to_the_fork(rig: Rig, killed: str) -> None:
    if has(find_qemu(), UNSURE_REVERSE):
        pytest.skip("this QEMU may not come back from a reverse command")
    child = json.loads((Path(killed) / "run.json").read_text())["roles"]["child"]
    words = ("reverse-stepi", "bt 1", f"break wake_up_new_task if p->pid == {child}", "reverse-continue", "bt 2")
    commands = [word for each in words for word in ("--ex", each)]

    called = rig("debug", killed, "--batch", *commands)

    assert "in out_of_memory" in called.out, called.err
    back = called.out.index("Breakpoint 1, wake_up_new_task")
    assert "kernel_clone" in called.out[back:]


@pytest.mark.usefixtures("symbols")
def test_debugger_of_ones_own_is_served_and_the_guest_ends_with_the_rig(
    environment: dict[str, str], killed: str
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "rig", "debug", killed, "--at", "fork", "--gdb-server", "--no-reverse"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = next(line for line in process.stdout if line.startswith("attach with: gdb "))
    port = line.split("127.0.0.1:")[1].split("'")[0]
    vmlinux = line.split()[3]

    attached = subprocess.run(
        ["gdb", "-q", "-nx", "-batch", vmlinux, "-ex", f"target remote 127.0.0.1:{port}", "-ex", "bt 1"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)

    assert "wake_up_new_task" in attached.stdout
    assert not qemus_that_stay(environment)


@pytest.mark.usefixtures("symbols")
def test_replay_held_by_a_debugger_is_ended_all_the_same(environment: dict[str, str], killed: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "rig", "debug", killed, "--batch", "--no-reverse", "--ex", "echo held\\n", "--ex", "shell sleep 1000"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert any("held" in line for line in process.stdout)
    held = qemus(environment)

    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)

    stay = qemus_that_stay(environment)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 143
    assert len(held) == 1
    assert not stay
