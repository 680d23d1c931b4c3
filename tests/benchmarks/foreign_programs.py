# SPDX-License-Identifier: MIT
"""Programs that others wrote, each in a guest by one `rig exec`: does it work, and how long does it take?

    python -m tests.benchmarks.foreign_programs [--list] [--once] [NAME…]

All come from Debian's packages, except the Go program, which Debian's golang compiles, and the OCI archive, which is made
here. The first start installs the packages. A row whose output is not the expected one is
shown with the end of what was printed, and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rig.image.apt import host_suite
from rig.image.daximage import ALIGNMENT
from rig.image.hosttools import tool
from rig.image.rootfs import find_rootfs
from rig.image.store import Store

LONGEST = 900
POSTGRES = """
cd /usr/lib/postgresql/*/bin
./initdb -D /tmp/db -U postgres -A trust --no-sync >/tmp/log 2>&1 || cat /tmp/log
./pg_ctl -D /tmp/db -w -t 120 -o "-k /tmp -F" -l /tmp/db/log start >/dev/null || cat /tmp/db/log
./pgbench -h /tmp -U postgres -i -q postgres 2>/dev/null
./pgbench -h /tmp -U postgres -c 4 -t 50 postgres 2>/dev/null | grep processed
./pg_ctl -D /tmp/db -m fast stop >/dev/null
"""
REDIS = """
redis-server --save "" --unixsocket /tmp/redis.sock --daemonize yes >/dev/null
until redis-cli -s /tmp/redis.sock ping >/dev/null 2>&1; do sleep 0.1; done
redis-benchmark -s /tmp/redis.sock -t set,get -n 2000 -q | tr '\\r' '\\n' | grep -c 'requests per second'
"""
JAVA = """
class Main {
    public static void main(String[] words) {
        byte[][] held = new byte[32][];
        for (int i = 0; i < held.length; i++) held[i] = new byte[1 << 20];
        System.out.println("held " + held.length + " MB of " + (Runtime.getRuntime().maxMemory() >> 20));
    }
}
"""
NODE = """
const { Worker, isMainThread, parentPort } = require('worker_threads');
if (isMainThread) new Worker(__filename).on('message', sum => console.log('sum', sum));
else { let sum = 0; for (let i = 0; i < 1e5; i++) sum += i; parentPort.postMessage(sum); }
"""
GO = """package main

import "fmt"

func main() {
	held, done := make([][]byte, 64), make(chan int)
	for i := range held {
		go func(i int) { held[i] = make([]byte, 1<<20); held[i][i] = 1; done <- i }(i)
	}
	for range held {
		<-done
	}
	fmt.Println("held", len(held), "MB")
}
"""
RUBY = """
data = 'x' * (20 << 20)
pids = 4.times.map { |n| fork { data[n] = 'y'; exit n } }
puts pids.map { |pid| Process.wait2(pid)[1].exitstatus }.sum
"""
PHP = """
printf '[global]\\nerror_log = /tmp/fpm.log\\n[www]\\nlisten = /tmp/fpm.sock\\nuser = root\\npm = static\\npm.max_children = 2\\n' > /tmp/fpm.conf
printf '<?php echo "pid ", getmypid() > 0 ? "yes" : "no", "\\\\n";' > /tmp/x.php
/usr/sbin/php-fpm* --allow-to-run-as-root --fpm-config /tmp/fpm.conf
until [ -S /tmp/fpm.sock ]; do sleep 0.1; done
export SCRIPT_FILENAME=/tmp/x.php REQUEST_METHOD=GET
cgi-fcgi -bind -connect /tmp/fpm.sock | tail -n 1
"""
POOL = """
import multiprocessing
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, sum(pool.map(abs, range(-100, 0))))
"""
SYSTEMD = """[Unit]
DefaultDependencies=no
SuccessAction=exit
SuccessActionExitStatus=7
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'cat /proc/1/comm > /tmp/out'
"""
# systemd makes its cgroups at the root that it sees, so that the file system is mounted anew in the cgroup's namespace.
CONTAINER = """
export container=rig
/usr/bin/unshare --pid --fork --mount --cgroup --mount-proc sh -c '
    umount /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    exec /lib/systemd/systemd --system --unit=job.service' >/tmp/log 2>&1
status=$?
cat /tmp/out || cat /tmp/log
exit $status
"""


@dataclass(frozen=True)
class Row:
    """A program. expected: a pattern that its output must contain; status: the exit status that it must have."""

    name: str
    packages: tuple[str, ...]
    command: tuple[str, ...]
    expected: str
    options: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    status: int = 0
    make: Callable[[Path], None] | None = None

    def prepare(self, directory: Path) -> None:
        """Write the program's files into a directory, and make what is made from them."""
        for name, text in self.files.items():
            (directory / name).write_text(text)
        if self.make is not None:
            self.make(directory)

    def worked(self, done: subprocess.CompletedProcess[str]) -> bool:
        return (
            done.returncode == self.status
            and re.search(self.expected, done.stdout + done.stderr, re.MULTILINE) is not None
        )


def _sh(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def _go(directory: Path) -> None:
    """Compile the Go program on this host, with Debian's golang, which need not be installed."""
    root = directory / "golang"
    words = ["mmdebstrap", "--quiet", "--variant=extract", "--include=golang-go", host_suite(), str(root)]
    subprocess.run(words, check=True)
    (goroot,) = root.glob("usr/lib/go-*")
    own = {"GOROOT": str(goroot), "GOCACHE": str(directory / "cache"), "CGO_ENABLED": "0", "GO111MODULE": "off"}
    build: list[str | Path] = [goroot / "bin" / "go", "build", "-o", directory / "main", directory / "main.go"]
    subprocess.run(build, check=True, env={**os.environ, **own})


def _oci(directory: Path) -> None:
    """Make an OCI archive of two layers from the quick image's busybox: index, manifest and configuration as blobs."""
    image = find_rootfs(Store(), "quick").image
    words = [tool("debugfs"), "-R", f"dump /bin/busybox {directory / 'busybox'}", f"{image}?offset={ALIGNMENT}"]
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
    busybox = (directory / "busybox").read_bytes()
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    layers = [
        blob(_tar({"bin/busybox": busybox, "etc/gone": b"never seen\n"}, {"bin/sh": "busybox"}), "layer.v1.tar"),
        blob(_tar({"etc/.wh.gone": b"", "etc/here": b"second layer\n"}), "layer.v1.tar"),
    ]
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    settings = {
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": ["busybox cat /etc/here; busybox ls /etc"],
        "Env": ["PATH=/bin"],
    }
    described = blob(json.dumps(config | {"config": settings}).encode(), "config.v1+json")
    manifest = blob(
        json.dumps({"schemaVersion": 2, "config": described, "layers": layers}).encode(), "manifest.v1+json"
    )
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode()
    blobs["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    (directory / "image.tar").write_bytes(_tar(blobs))


def _tar(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return buffer.getvalue()


ROWS = (
    Row("redis", ("redis-server",), _sh(REDIS), "^2$"),
    # A package is unpacked and not configured, so there is no user postgres; initdb refuses root.
    Row("postgresql", ("postgresql",), _sh(POSTGRES), "processed: 200/200", ("--memory", "1G", "--user", "nobody")),
    Row("java", ("default-jdk-headless",), ("java", "-Xmx64m", "Main.java"), "held 32 MB", ("--memory", "1G"),
        {"Main.java": JAVA}),
    Row("node", ("nodejs",), ("node", "main.js"), "sum 4999950000", ("--memory", "1G"), {"main.js": NODE}),
    Row("go", (), ("{directory}/main",), "held 64 MB", files={"main.go": GO}, make=_go),
    Row("ruby", ("ruby",), ("ruby", "main.rb"), "^6$", files={"main.rb": RUBY}),
    Row("php-fpm", ("php-fpm", "libfcgi-bin"), _sh(PHP), "pid yes"),
    Row("python-multiprocessing", ("python3",), ("python3", "main.py"), "fork 5050\nspawn 5050\nforkserver 5050",
        files={"main.py": POOL}),
    Row("busybox-oci", (), (), "second layer\nhere", ("--root", "{directory}/image.tar"), make=_oci),
    Row("stress-ng-vm", ("stress-ng",), ("stress-ng", "--vm", "2", "--vm-bytes", "64M", "--vm-ops", "2", "-t", "60"),
        "successful run completed"),
    Row("stress-ng-fork", ("stress-ng",), ("stress-ng", "--fork", "2", "--fork-ops", "200", "-t", "60"),
        "successful run completed"),
    Row("stress-ng-brk", ("stress-ng",), ("stress-ng", "--brk", "1", "--brk-ops", "5000", "-t", "60"),
        "successful run completed"),
    Row("stress-ng-oom-pipe", ("stress-ng",), ("stress-ng", "--pathological", "--oom-pipe", "1", "--oom-pipe-ops", "20", "-t", "30"),
        "run completed"),
    Row("systemd", ("systemd", "systemd-sysv", "util-linux"), _sh(CONTAINER), "^systemd$",
        ("--copy", "{directory}/job.service:/etc/systemd/system/job.service"), {"job.service": SYSTEMD}, status=7),
)  # fmt: skip


def start(row: Row, directory: Path) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run the row's program once; return the finished process and the host seconds."""
    words = [word for package in row.packages for word in ("--deb", package)]
    words += [word.format(directory=directory) for word in row.options]
    for name in row.files if row.make is None else ():
        words += ["--copy", str(directory / name)]
    command = [word.replace("{directory}", str(directory)) for word in row.command]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "rig", "exec", "-q", "--timeout", "5m", *words, "--", *command],
        capture_output=True, text=True, errors="replace", timeout=LONGEST, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return done, time.perf_counter() - began


def measure(row: Row, *, once: bool) -> tuple[str, ...]:
    """Return a row of the table: name, result, seconds of the first and, unless `once`, of the second start."""
    with tempfile.TemporaryDirectory(prefix="rig-bench-") as temporary:
        directory = Path(temporary)
        try:
            row.prepare(directory)
        except (OSError, subprocess.CalledProcessError) as error:
            return row.name, f"not run: {error}", "", ""
        done, first = start(row, directory)
        again, second = (done, None) if once else start(row, directory)
        times = (f"{first:.1f}", "" if second is None else f"{second:.1f}")
        for each in (done, again):
            if not row.worked(each):
                end = (each.stdout + each.stderr).strip().splitlines()[-3:]
                return row.name, f"status {each.returncode}: {' / '.join(end)[-300:]}", *times
        return row.name, "works", *times


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--once", action="store_true", help="leave out the second start")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args(words)
    rows = [row for row in ROWS if not arguments.names or row.name in arguments.names]
    if arguments.list:
        print("\n".join(row.name for row in rows))
        return 0
    print(f"load {os.getloadavg()[0]:.1f}")
    print("| program | result | first start, s | second, s |\n|---|---|---|---|")
    failed = False
    with tempfile.TemporaryDirectory(prefix="rig-bench-") as runs:
        os.environ["RIG_RUNS"] = runs
        for row in rows:
            cells = measure(row, once=arguments.once)
            failed |= cells[1] != "works"
            print(f"| {' | '.join(cells)} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
