# SPDX-License-Identifier: MIT
"""Runs a coverage-guided fuzzer (atheris) over one of the readers of what rig is handed.

    python -m tests.fuzz.run klog [--seconds 60]

What it finds is written beside the corpus as crash-*; a corpus file that is worth keeping is made small and committed.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
TARGETS = sorted(
    module.name.removeprefix("target_")
    for module in pkgutil.iter_modules([str(Path(__file__).parent)])
    if module.name.startswith("target_")
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args(arguments)
    import atheris

    with atheris.instrument_imports(include=["rig"]):
        target = importlib.import_module(f"tests.fuzz.target_{options.target}")
    with tempfile.TemporaryDirectory() as grown:
        atheris.Setup(
            [
                sys.argv[0],
                grown,  # what the fuzzer finds interesting goes here, and not into the committed corpus
                str(CORPUS / options.target),
                f"-max_total_time={options.seconds}",
                "-timeout=10",
                "-rss_limit_mb=2048",
                "-print_final_stats=1",
                f"-artifact_prefix={CORPUS / options.target}/",
            ],
            target.one,
        )
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
