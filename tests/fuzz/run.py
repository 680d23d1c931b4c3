# SPDX-License-Identifier: MIT
"""Run a coverage-guided fuzzer (atheris) over a reader of untrusted input: logs, records, archives, scenarios.

    python -m tests.fuzz.run [klog records archive scenario] [--seconds 240]

Each target gets an equal share of the time, in a process of its own. An input that it fails on is kept below build/fuzz
and named. One that is worth keeping is made small and committed to the corpus.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(__file__).parents[2] / "build/fuzz"
LONGEST = 16 << 10
"""Bytes of the longest input that is tried, and of a corpus file."""
TARGETS = sorted(
    module.name.removeprefix("target_")
    for module in pkgutil.iter_modules([str(Path(__file__).parent)])
    if module.name.startswith("target_")
)


def in_memory() -> Path | None:
    """Return a directory in memory, where there is one and TMPDIR names no other: an import syncs each file."""
    memory = Path("/dev/shm")
    return memory if "TMPDIR" not in os.environ and os.access(memory, os.W_OK) else None


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one target. Never returns: libFuzzer ends the process, with status 0 if nothing was found."""
    import atheris

    with atheris.instrument_imports(include=["rig"]):
        target = importlib.import_module(f"tests.fuzz.target_{name}")
        # rig imports some of its modules within functions. What is imported later is not instrumented.
        for path in sorted((CORPUS / name).iterdir()):
            target.one(path.read_bytes())
    words = CORPUS.parent / f"{name}.dict"
    (FOUND / name).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as grown:
        atheris.Setup(
            [
                sys.argv[0],
                grown,  # what the fuzzer finds interesting goes here, and not into the committed corpus
                str(CORPUS / name),
                f"-max_total_time={seconds}",
                "-timeout=10",
                "-rss_limit_mb=2048",
                "-print_final_stats=1",
                "-verbosity=0",
                f"-max_len={LONGEST}",
                *([f"-dict={words}"] if words.is_file() else []),
                f"-artifact_prefix={FOUND / name}/",
            ],
            target.one,
        )
        atheris.Fuzz()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("targets", nargs="*", help=f"from {', '.join(TARGETS)}; default: all")
    parser.add_argument("--seconds", type=int, default=240, help="for all targets together")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    targets = options.targets or TARGETS
    if unknown := set(targets) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    share = max(options.seconds // len(targets), 1)
    if options.here:
        fuzz(targets[0], share)
    failed = []
    for name in targets:
        print(f"{name}: {share} s, load {os.getloadavg()[0]:.0f}", flush=True)
        # libFuzzer ends a target's process without Python's cleanup, so its temporary files are removed here.
        with tempfile.TemporaryDirectory(prefix="rig-fuzz-", dir=in_memory()) as home:
            words = [sys.executable, "-m", "tests.fuzz.run", name, "--here", "--seconds", str(share)]
            done = subprocess.run(words, env={**os.environ, "TMPDIR": home})
        if done.returncode != 0:
            failed.append(name)
            status = f"failed with status {done.returncode}"
            print(f"{name}: {status}; an input that it failed on is below {FOUND / name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
