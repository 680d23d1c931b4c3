# SPDX-License-Identifier: MIT
"""A user's home for the faults: rig's directories for itself, and what must hold after every command whatever happened."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rig.image.apt import host_suite
from tests.guest.conftest import qemus

__all__ = ["PROMISED", "Called", "Home", "home", "mounted", "remove"]

DEADLINE = 240.0
"""Host seconds within which a command must end, unless its case sets another deadline."""
PROMISED = (0, 1, 2, 3, 64, 125, 128 + signal.SIGHUP, 128 + signal.SIGINT, 128 + signal.SIGTERM)
"""The exit statuses that rig has (docs/reference/exit-status.md)."""


@dataclass(frozen=True)
class Called:
    """A command that has ended.

    status: None if it had to be killed.
    deadline: host seconds that it had.
    """

    status: int | None
    out: str
    err: str
    deadline: float

    def broken(self, allowed: tuple[int, ...] = PROMISED) -> str:
        """Return which promise the command broke, or an empty text."""
        if self.status is None:
            return f"it had not ended after {self.deadline:g} s"
        for words in ("Traceback", "a bug in rig", "Exception ignored"):
            if words in self.err + self.out:
                return f"{words}: {' | '.join((self.err + self.out).strip().splitlines()[-12:])[-900:]}"
        if self.status not in allowed:
            return f"exit status {self.status}: {self.err.strip()[-200:]}"
        return "" if self.status in (0, 1, 2) or self.err.strip() or self.out.strip() else "it said nothing"


@dataclass(frozen=True)
class Home:
    """Directories for runs, cache, temporary files and sockets. All of them are below `path`."""

    path: Path

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def cache(self) -> Path:
        return self.path / "cache"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RIG_")}
        return kept | {
            "RIG_RUNS": str(self.runs),
            "RIG_CACHE": str(self.cache),
            "RIG_KERNEL": f"debian:{host_suite()}",
            "TMPDIR": str(self.path / "t"),
            "XDG_RUNTIME_DIR": str(self.path / "x"),
            "RIG_PREFIX": "no",
            "PYTHONUNBUFFERED": "1",
        }

    def begin(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        """Start rig in a session of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "rig", *words],
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_default_signals,
        )

    def end(self, process: subprocess.Popen[str], deadline: float = DEADLINE) -> Called:
        """Wait for a rig, and kill it after the deadline."""
        try:
            out, err = process.communicate(timeout=deadline)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return Called(None, out, err, deadline)
        return Called(process.returncode, out, err, deadline)

    def rig(self, *words: str, **variables: str) -> Called:
        """Run rig to its end."""
        return self.end(self.begin(*words, **variables))

    def qemus(self) -> set[int]:
        """Return the pids of this home's QEMUs."""
        return qemus(self.environment)

    def age_partials(self) -> None:
        """Make unfinished files two hours old: `rig clean` leaves younger ones, which may be of another host's rig."""
        for path in self._partials():
            os.utime(path, (time.time() - 7200,) * 2)

    def _partials(self) -> list[Path]:
        return [path for root in (self.cache, self.runs) for path in root.rglob(".*.partial")]

    def left(self) -> str:
        """Return what a command left behind that it should have removed, or an empty text."""
        deadline = time.monotonic() + 5
        while self.qemus() and time.monotonic() < deadline:
            time.sleep(0.05)
        found = [f"QEMU {pid}" for pid in self.qemus()]
        for directory, pattern in ((self.path / "t", "rig-*"), (self.path / "x", "*"), (self.cache / "tmp", "*")):
            found += [str(path.relative_to(self.path)) for path in directory.glob(pattern)]
        found += [path.name for path in self.runs.glob(".unfinished-*")]
        found += [path.name for path in self._partials()]
        return "it left " + ", ".join(found[:4]) if found else ""


@contextmanager
def home() -> Iterator[Home]:
    """Yield a home whose cache is a copy of the present one's parts, without its snapshots."""
    cache = Path(os.environ.get("RIG_CACHE") or Path.home() / ".cache/rig")
    # Sockets have paths of at most 108 bytes (unix(7)).
    with tempfile.TemporaryDirectory(prefix="rf-", dir="/tmp", ignore_cleanup_errors=True) as path:
        made = Home(Path(path))
        # QEMU runs as another user and reads the cache.
        made.path.chmod(0o755)
        for name in ("runs", "cache", "t", "x"):
            (made.path / name).mkdir()
        for name in ("refs", "kernel", "rootfs", "initramfs", "toolchain"):
            # Hard links where that can be: nothing here writes into a file that is there.
            link = ["cp", "-al", cache / name, made.cache]
            if (cache / name).is_dir() and subprocess.run(link, check=False, capture_output=True).returncode:
                subprocess.run(["cp", "-a", "--sparse=always", cache / name, made.cache], check=True)
        yield made


def _default_signals() -> None:
    # A shell starts background jobs with SIGINT ignored, and nohup what it starts with SIGHUP. rig would inherit both.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def mounted(directory: Path, size: int) -> Iterator[None]:
    """Mount a disk of some kilobytes, with what is in the directory. Raises OSError where that cannot be done."""
    kept = directory.with_name(directory.name + ".kept")
    directory.rename(kept)
    directory.mkdir()
    options = f"size={size}k,mode=755"
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory], check=False, capture_output=True)
    try:
        if done.returncode != 0:
            raise OSError(done.stderr.decode(errors="replace").strip())
        subprocess.run(["cp", "-a", "--sparse=always", f"{kept}/.", directory], check=False, capture_output=True)
        yield
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", directory], check=True)
        directory.rmdir()
        kept.rename(directory)


def remove(path: Path) -> None:
    """Remove a file or a directory, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
