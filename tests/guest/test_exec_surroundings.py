# SPDX-License-Identifier: MIT
"""What a program of `rig exec` finds around itself, when its output comes, and what Ctrl-C ends."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rig.image.hosttools import tool
from rig.program.execute import LARGEST_COPIES
from tests.guest.conftest import Rig, qemus, qemus_that_stay

pytestmark = pytest.mark.guest


def test_output_comes_while_the_program_runs_and_ctrl_c_ends_program_and_guest(
    environment: dict[str, str], tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    # The program never ends: its output can only have come while it ran.
    process = subprocess.Popen(
        [sys.executable, "-m", "rig", "exec", "--", "sh", "-c", "echo out; echo err >&2; while :; do :; done"],
        env={**environment, "TMPDIR": str(temporary)}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=(tmp_path / "errors").open("w"), text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "out\n", (tmp_path / "errors").read_text()
        assert qemus(environment)

        process.send_signal(signal.SIGINT)
        status = process.wait(timeout=120)
    finally:
        process.kill()
        process.wait()

    errors = (tmp_path / "errors").read_text()
    assert status == 130, errors
    assert "err\n" in errors
    assert "rig: interrupted" in errors
    assert "Traceback" not in errors
    assert not qemus_that_stay(environment)
    assert list(temporary.iterdir()) == []
    assert not [path for path in Path(tempfile.gettempdir()).glob("rig-*") if f"-{process.pid}-" in path.name]
    assert list(Path(environment["RIG_RUNS"]).glob("*/run.json")) == [], "an interrupted run is not kept as a run"


SURROUNDINGS = """
echo $(hostname) $(cat /etc/hostname)
test -e /etc/resolv.conf || echo no resolv.conf
for directory in /dev/shm /tmp; do
    echo $(stat -c %a $directory) $(grep -c " $directory tmpfs " /proc/mounts)
done
echo $(cat /sys/class/net/lo/operstate) $(ls /sys/class/net)
cat /proc/self/cgroup
date +%Y
ls /proc/config.gz /boot/config* 2>/dev/null | wc -l
"""


def test_program_finds_what_a_container_has_and_no_resolver(rig: Rig) -> None:
    called = rig("exec", "-q", "--", "sh", "-c", SURROUNDINGS)

    assert called.status == 0, called.err
    assert called.out.splitlines()[:7] == [
        "guest guest", "no resolv.conf", "1777 1", "1777 1", "unknown lo", "0::/exec", "2026",
    ]  # fmt: skip
    assert called.out.splitlines()[7] != "0", "the kernel's configuration can be read"


@pytest.mark.parametrize("size", [1, LARGEST_COPIES + 1], ids=["in the payload", "in a layer"])
def test_copied_directory_is_the_same_in_the_guest(rig: Rig, tmp_path: Path, size: int) -> None:
    top = tmp_path / "app"
    (top / "lib").mkdir(parents=True)
    (top / "out").mkdir()
    (top / "lib64").symlink_to("lib")
    (top / "lib/key").write_bytes(bytes(size))
    (top / "lib/key").chmod(0o600)
    (top / "it's").write_text("x")
    (top / "it's").chmod(0o644)

    called = rig(
        "exec", "-q", "--copy", str(top), "--", "sh", "-c", "cd app; stat -c '%A %n' *; stat -L -c %a lib64/key", TMPDIR=str(tmp_path)
    )  # fmt: skip

    assert called.out.splitlines() == [
        "-rw-r--r-- it's", "drwxr-xr-x lib", "lrwxrwxrwx lib64", "drwxr-xr-x out", "600",
    ], called.err  # fmt: skip


def written_by_children() -> int:
    """Return the bytes that ended children of this process and their children have written to files."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_oublock * 512


def test_second_start_of_a_large_root_copies_nothing_of_it(rig: Rig, tmp_path: Path) -> None:
    size = 64 << 20
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "main.c").write_text("int main(void) { return 7; }\n")
    subprocess.run([tool("cc"), "-static", "-o", root / "app", tmp_path / "main.c"], check=True)
    (root / "large").write_bytes(os.urandom(size))

    first = rig("exec", "--root", str(root), "--", "/app")
    before = written_by_children()
    second = rig("exec", "--root", str(root), "--", "/app")

    assert (first.status, second.status) == (7, 7), first.err + second.err
    assert f"rig: import {root}" in first.err
    assert "rig: import" not in second.err
    assert written_by_children() - before < size // 2


def test_container_has_the_names_that_docker_run_gives_it(rig: Rig, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "main.c").write_text(
        "#include <stdio.h>\n#include <string.h>\nint main(int n, char **v) { char line[99]; for (int i = 1; i < n; i++) {"
        ' FILE *f = fopen(v[i], "r"); puts(f ? v[i] : "none"); while (f && fgets(line, 99, f)) fputs(line, stdout); } }\n'
    )
    subprocess.run([tool("cc"), "-static", "-o", root / "app", tmp_path / "main.c"], check=True)

    called = rig("exec", "-q", "--root", str(root), "--", "/app", "/etc/hostname", "/etc/hosts", "/etc/resolv.conf")

    assert called.out.splitlines() == [
        "/etc/hostname", "guest", "/etc/hosts", "127.0.0.1 localhost", "::1 localhost", "127.0.1.1 guest", "none",
    ], called.err  # fmt: skip


def test_python_in_a_guest_says_nothing_about_the_locale(rig: Rig) -> None:
    called = rig("exec", "-q", "--", "python3", "-c", "import sys; print(sys.getfilesystemencoding(), '\u00e9')")

    assert (called.out, called.err) == ("utf-8 \u00e9\n", ""), called.err
