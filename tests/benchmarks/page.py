# SPDX-License-Identifier: MIT
"""How soon the page explains a report of 200 tasks: in a browser that has never seen it, and the second time.

    python -m tests.benchmarks.page [--rounds 5]

The time runs from the page's opening (cold) or from the press of the button (warm) to the explanation on the screen.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from rig.report.page.build import build, fetch_pyodide
from tests.browser.conftest import ARGUMENTS
from tests.browser.page_server import serve
from tests.klog import made

COLD, WARM = 6.0, 0.5  # seconds at most


def report(tasks: int = 200) -> str:
    """Return a log with one OOM report of so many tasks."""
    rows = [made.MadeTask(100 + at, f"task-{at}", 1000 + at) for at in range(tasks)]
    return made.serial(made.oom_report(rows)).decode()


def ask(page: Page, log: str, number: int) -> float:
    """Paste the log, press the button, and return the seconds to the answer."""
    page.fill("#text", log)
    start = time.perf_counter()
    page.click("button[type=submit]")
    page.wait_for_selector(f"html[data-answered='{number}']", timeout=120_000)
    return time.perf_counter() - start


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    log = report()
    cold, warm = [], []
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        target = Path(directory) / "page"
        build(target, fetch_pyodide(Path("build")))
        with serve(target) as address:
            for _ in range(options.rounds):
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
                page = browser.new_page()
                start = time.perf_counter()
                page.goto(address)
                ask(page, log, 1)
                cold.append(time.perf_counter() - start)
                warm += [ask(page, log, number) for number in (2, 3, 4)]
                browser.close()
    for name, times, bound in (("cold", cold, COLD), ("warm", warm, WARM)):
        print(f"{name}  {statistics.median(times):.2f} s ({min(times):.2f} to {max(times):.2f}), at most {bound} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
