# SPDX-License-Identifier: MIT
"""`rig exec` in guests: output, exit status and environment of programs from the host, a package and an image."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from rig.image.hosttools import tool
from rig.program.execute import LARGEST_COPIES
from tests.guest.conftest import Rig

pytestmark = pytest.mark.guest


def test_output_and_status_are_the_programs(rig: Rig) -> None:
    called = rig("exec", "-q", "--env", "NAME=value", "--cwd", "/tmp", "--", "sh", "-c",
                 "echo $NAME; pwd; id -u; echo to stderr >&2; exit 7")  # fmt: skip

    assert called.status == 7
    assert called.out == "value\n/tmp\n0\n"
    # Another test may be building the same snapshot at the same time.
    assert [line for line in called.err.splitlines() if not line.startswith("rig: waiting for")] == ["to stderr"]


def test_standard_input_is_passed_on(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rig", "exec", "--user", "nobody", "--", "sh", "-c", "id -u; tr a-z A-Z"],
        input=b"hello \xff world", env=environment, capture_output=True, timeout=240, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, b"65534\nHELLO \xff WORLD")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--timeout", "5s", "--", "sleep", "1000"), 124, "did not end within 5.0"),
        (("--", "no-such-program"), 127, "execve of no-such-program failed: ENOENT"),
        (("--", "/etc/hosts"), 126, "EACCES"),
        (("--", "sh", "-c", "kill -TERM $$"), 143, ""),
    ],
)
def test_statuses_that_are_not_the_programs_own(rig: Rig, words: tuple[str, ...], status: int, message: str) -> None:
    called = rig("exec", *words)

    assert called.status == status
    assert message in called.err


def test_guest_whose_cpus_a_real_time_program_keeps_is_ended_long_before_its_deadline(rig: Rig) -> None:
    # Scaled by 0.1, the agent may be silent for 12.4 s, and the run last for 270 s.
    called = rig("exec", "--timeout-scale", "0.1", "--sysctl", "kernel.sched_rt_runtime_us=-1", "--",
                 "/usr/bin/chrt", "-f", "99", "sh", "-c", "while :; do :; done")  # fmt: skip

    assert called.status == 125
    assert "its agent reported nothing for 12.4 s" in called.err


def test_oom_in_the_programs_cgroup_is_explained_recorded_and_replayed(rig: Rig) -> None:
    called = rig("exec", "--expect", "oom", "--cgroup", "memory.max=32M", "--", "tail", "/dev/zero")

    assert called.status == 0, called.err
    assert "reached its limit for memory: 32.0 MB of 32.0 MB" in called.err
    assert "The kernel killed tail" in called.err
    replayed = rig("replay", "last")
    assert replayed.status == 0, replayed.err
    assert "identical" in replayed.out


def test_unmet_expectation_is_status_1(rig: Rig) -> None:
    assert rig("exec", "--expect", "no-oom", "--cgroup", "memory.max=32M", "--", "tail", "/dev/zero").status == 1


def test_program_of_the_host_brings_its_libraries(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(
        "#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
        'int main(int n, char **v) { FILE *f = fopen("data", "r"); char t[9] = ""; fgets(t, 9, f);'
        ' printf("%s%.3f\\n", t, sqrt(atof(v[n - 1]))); }\n'
    )
    (tmp_path / "data").write_text("data\n")
    subprocess.run([tool("cc"), "-o", tmp_path / "main", tmp_path / "main.c", "-lm"], check=True)

    called = rig("exec", "--copy", "data", "--", "./main", "2", cwd=tmp_path)

    assert (called.status, called.out) == (0, "data\n1.414\n"), called.err


def test_program_below_tmp_is_found_there(rig: Rig) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        program = Path(directory, "true")
        shutil.copy("/bin/true", program)
        called = rig("exec", "--", str(program))

    assert called.status == 0, called.err


def test_container_image_runs_as_it_wants_to(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "app.c").write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <sys/stat.h>\n#include <unistd.h>\n"
        "int main(int n, char **v) { char d[99]; struct stat s; stat(v[n - 1], &s);"
        ' printf("%s\\n%s\\n%d %d\\n", getenv("A"), getcwd(d, 99), getuid(), s.st_uid); }\n'
    )
    subprocess.run([tool("cc"), "-static", "-o", tmp_path / "app", tmp_path / "app.c"], check=True)
    app = (tmp_path / "app").read_bytes()
    layer, image = io.BytesIO(), tmp_path / "image.tar"
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name, content, uid in (("bin/app", app, 0), ("srv/mine", b"", 999), ("etc/passwd", PASSWD, 0)):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.uid, member.gid = len(content), 0o755, uid, uid
            tar.addfile(member, io.BytesIO(content))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Entrypoint": ["app"],
            "Cmd": ["mine"],
            "Env": ["A=from the image", "PATH=/bin"],
            "User": "app",
            "WorkingDir": "/srv",
        },
    }
    files = {
        "layer.tar": layer.getvalue(),
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps([{"Config": "config.json", "RepoTags": [], "Layers": ["layer.tar"]}]).encode(),
    }
    with tarfile.open(image, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

    called = rig("exec", "--root", str(image), "--")

    assert (called.status, called.out) == (0, "from the image\n/srv\n999 999\n"), called.err


PASSWD = b"root:x:0:0::/:/bin/sh\napp:x:999:999::/srv:/bin/sh\n"


def test_server_of_a_package_serves_on_loopback(rig: Rig, tmp_path: Path) -> None:
    script = """
        redis-server --save "" --daemonize no >/dev/null &
        until redis-cli ping >/dev/null 2>&1; do sleep 0.1; done
        redis-cli set key value; redis-cli get key
    """

    called = rig(
        "exec", "--timeout", "60s", "--deb", "redis-server", "--sysctl", "vm.overcommit_memory=2", "--", "sh", "-c", script
    )  # fmt: skip

    assert (called.status, called.out) == (0, "OK\nvalue\n"), called.err
    run = json.loads(next((tmp_path / "runs").glob("*/run.json")).read_text())
    assert run["environment"]["layers"][0]["packages"]["redis-server"]


def test_run_with_two_layers_is_replayed_here_and_from_its_export(
    rig: Rig, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(bytes(LARGEST_COPIES + 1))
    # /dev/random has entropy from the start, and gives the same bytes in the replay.
    script = "redis-server --version; od -A n -N 8 -t x8 /dev/random"
    called = rig("exec", "--deb", "redis-server", "--copy", str(tmp_path / "large"), "--", "sh", "-c", script)
    assert called.status == 0, called.err
    assert len(called.out.splitlines()[-1].split()[0]) == 16

    here = rig("replay", "last")
    exported = rig("export", "last", str(tmp_path / "run.tar.zst"))
    environment |= {"RIG_CACHE": str(tmp_path / "other"), "RIG_RUNS": str(tmp_path / "other-runs")}
    imported = rig("import", str(tmp_path / "run.tar.zst"))
    there = rig("replay", "last")

    assert "identical" in here.out, here.err
    assert exported.status == 0, exported.err
    assert "layer-1" in imported.out, imported.err
    assert "layer-2" in imported.out, imported.err
    assert "identical" in there.out, there.err


SERVER_AND_CLIENT = """
title = "A server and its client"
summary = "redis-server from Debian's package, and a script that lies beside the scenario."
programs = [
    { name = "server", source = "deb:redis-server" },
    { name = "client", source = "deb:redis-server:redis-cli" },
    { name = "check", source = "./check" },
]
plan.steps = [
    { do = "spawn", program = "server", arg = ["--save", "", "--port", "7000"] },
    { do = "wait_port", program = "server", port = 7000, timeout = 20 },
    { do = "spawn", program = "client", arg = ["-p", "7000", "set", "key", "value"] },
    { do = "wait_exit", program = "client", timeout = 10 },
    { do = "wait_rss", program = "server", min = "1M", timeout = 10 },
    { do = "spawn", program = "check" },
    { do = "wait_exit", program = "check", timeout = 10 },
]
claims = [
    { id = "answered", text = "The client was answered", expr = "lines_of('client') == ('OK',)" },
    { id = "checked", text = "The script ran", expr = "lines_of('check') == ('checked',)" },
]
"""


def test_scenario_starts_programs_of_packages_and_executables(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "scenario.toml").write_text(SERVER_AND_CLIENT)
    (tmp_path / "check").write_text("#!/usr/bin/python3\nprint('checked')\n")
    (tmp_path / "check").chmod(0o755)

    called = rig("run", f"{tmp_path}/", "--json")

    assert called.status == 0, called.out + called.err
    assert called.run()["environment"]["layers"][0]["source"].startswith("deb:redis-server")


def test_throttling_by_memory_high_is_a_stall_with_its_cause(rig: Rig) -> None:
    called = rig(
        "exec", "--expect", "stall", "--timeout", "30s", "--cgroup", "memory.high=24M", "--", "tail", "/dev/zero"
    )

    assert called.status == 0, called.err
    assert "throttled by memory.high" in called.err
    assert "OOM" not in called.err


def test_reading_a_file_again_that_does_not_fit_into_memory_is_a_stall(rig: Rig) -> None:
    # io.max makes the disk a slow one, whatever the host has: /dev/vda is 254:0. Bytes: the size of a request differs.
    script = "dd if=/dev/zero of=/data/file bs=1M count=48; sync; while :; do cat /data/file >/dev/null; done"

    called = rig(
        "exec", "--expect", "stall", "--timeout", "15s", "--disk", "128M:/data",
        "--cgroup", "memory.max=24M", "--cgroup", "io.max=254:0 rbps=2097152", "--", "sh", "-c", script,
    )  # fmt: skip

    assert called.status == 0, called.err
    assert "cat waited" in called.err
    assert "thrashing" in called.err


HEARTBEAT = """
title = "A heartbeat beside a hog"
summary = "Both are throttled by memory.high: the heartbeat is late, and no PSI is needed to see it."
programs = [{ name = "hog", source = "./hog" }]
plan.steps = [
    { do = "cgroup", name = "small", "memory.high" = "8M" },
    { do = "heartbeat", cgroup = "small" },
    { do = "spawn", program = "hog", cgroup = "small" },
    { do = "sample", every = 1, now = true },
    { do = "sleep", seconds = 20 },
]
claims = [{ id = "ran", text = "The hog began", expr = "lines_of('hog') == ('begin',)" }]
"""


def test_heartbeat_in_a_throttled_cgroup_is_late(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "scenario.toml").write_text(HEARTBEAT)
    (tmp_path / "hog").write_text("#!/bin/sh\necho begin\nexec tail /dev/zero\n")
    (tmp_path / "hog").chmod(0o755)

    called = rig("run", f"{tmp_path}/", "--json")

    assert called.status == 0, called.out + called.err
    with (tmp_path / "runs" / called.run()["id"] / "timeline.csv").open() as file:
        late = [float(row["heartbeat_late"]) for row in csv.DictReader(file) if row["heartbeat_late"]]
    assert max(late) > 50, "percent of the time"


def test_cgroup_version_1_is_a_word_of_the_kernels_command_line(rig: Rig) -> None:
    called = rig(
        # 6.12 and later may be built without the memory controller of version 1, and Debian's are.
        "exec", "--kernel", "debian:bookworm", "--append", "rig.cgroup=v1", "--cgroup", "memory.limit_in_bytes=32M", "--expect", "oom", "--",
        "sh", "-c", "grep memory /proc/self/cgroup; cat /sys/fs/cgroup/memory/exec/memory.limit_in_bytes; tail /dev/zero",
    )  # fmt: skip

    assert called.status == 0, called.err
    assert ":memory:/exec\n33554432\n" in called.out


def test_cgroups_are_delegated_to_namespaces(rig: Rig) -> None:
    assert "nsdelegate" in rig("exec", "-q", "--", "grep", "cgroup2", "/proc/mounts").out


def test_program_that_has_its_memory_does_not_stall(rig: Rig) -> None:
    called = rig(
        "exec",
        "--expect",
        "stall",
        "--timeout",
        "30s",
        "--",
        "sh",
        "-c",
        "sleep 5; head -c 9000000 /dev/zero | tail -c 1 >/dev/null",
    )

    assert called.status == 1, called.err


def test_terminal_of_a_program_is_its_stdin_stdout_and_stderr(rig: Rig) -> None:
    called = rig("exec", "-q", "--tty", "--", "sh", "-c", "tty; stty size; echo to stderr >&2; read line; exit $?")

    assert called.status == 1, "reading the terminal gives end of file"
    assert called.out == "/dev/pts/0\n24 80\nto stderr\n"


def test_disk_is_written_through_the_page_cache_and_such_a_run_is_not_recorded(
    rig: Rig, environment: dict[str, str]
) -> None:
    script = (
        "dd if=/dev/zero of=/data/file bs=1M count=8 2>/dev/null; sync; grep -c /data /proc/mounts;"
        "echo 3 > /proc/sys/vm/drop_caches; wc -c < /data/file"
    )
    called = rig("exec", "--disk", "32M:/data", "--copy", "/etc/hostname", "--", "sh", "-c", script)

    assert called.status == 0, called.err
    assert called.out == "1\n8388608\n"
    run = max(Path(environment["RIG_RUNS"]).glob("*/run.json"), key=lambda path: path.stat().st_mtime)
    assert "host's time" in json.loads(run.read_text())["recording"]["reason"]
