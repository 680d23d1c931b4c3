# SPDX-License-Identifier: MIT
"""The page of the log reader in a real browser: the same answer as the command's, and nothing leaves the machine."""

from __future__ import annotations

import gzip
import io
import json
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rig.errors import RigError
from rig.klog import read
from rig.klog.document import document
from rig.klog.explain import explain
from rig.report.page.build import build, fetch_pyodide
from tests.browser.page_server import serve
from tests.klog import made
from tests.report.made_directory import EVIL

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "tests/klog/data").glob("*.log")) + sorted((ROOT / "tests/klog/events").glob("*.log"))
ANSWERED = "html[data-answered='{}']"


@dataclass
class Opened:
    """The page, and what went wrong or out while it was open."""

    page: Any
    address: str
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    answered: int = 0

    def explain(self, log: bytes) -> dict[str, Any]:
        """Let the page explain a log. Return the JSON that it would save."""
        self.answered += 1
        self.page.evaluate("bytes => rigExplain.explain(new Blob([new Uint8Array(bytes)]))", list(log))
        self.page.wait_for_selector(ANSWERED.format(self.answered), timeout=120_000)
        found: dict[str, Any] = json.loads(self.page.evaluate("rigExplain.json()"))
        return found


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    target = tmp_path_factory.mktemp("static") / "page"
    try:
        archive = fetch_pyodide(ROOT / "build")
    except RigError as error:
        pytest.skip(f"there is no Pyodide: {error}")
    build(target, archive)
    with serve(target) as found:
        yield found


@pytest.fixture(scope="module")
def opened(browser: Any, address: str) -> Iterator[Opened]:
    context = browser.new_context(viewport={"width": 390, "height": 800})
    found = Opened(context.new_page(), address)
    found.page.on("console", lambda message: found.problems.append(message.text))
    found.page.on("pageerror", lambda error: found.problems.append(str(error)))
    found.page.on("dialog", lambda dialog: (found.problems.append(f"dialog {dialog.message}"), dialog.dismiss()))
    context.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(address)
    yield found
    context.close()


def wanted(log: bytes) -> dict[str, Any]:
    """Return what `rig explain --json` prints of a log."""
    kept = read([log])
    value: dict[str, Any] = json.loads(document(kept.lines, kept.events, [explain(event) for event in kept.events]))
    return value


def test_json_is_the_commands_for_every_sample(opened: Opened) -> None:
    different = [path.name for path in SAMPLES if opened.explain(path.read_bytes()) != wanted(path.read_bytes())]

    assert different == []
    assert len(SAMPLES) > 40


def test_pasted_log_is_explained_and_the_answer_gets_the_focus(opened: Opened) -> None:
    opened.page.fill("#text", made.serial(made.oom_report()).decode().replace("\r", ""))
    opened.page.focus("#text")
    opened.page.keyboard.press("Tab")  # the file
    opened.page.focus("button[type=submit]")
    opened.page.keyboard.press("Enter")
    opened.answered += 1
    opened.page.wait_for_selector(ANSWERED.format(opened.answered))

    assert "killed parent" in opened.page.inner_text("#answer")
    assert "1 event in" in opened.page.inner_text("#status")
    assert opened.page.evaluate("document.activeElement.id") == "answer"
    opened.page.fill("#text", "")


def test_compressed_file_is_unpacked(opened: Opened) -> None:
    log = made.serial(made.oops())

    assert opened.explain(gzip.compress(log)) == wanted(log)


def test_log_without_an_event_is_told_what_kills_silently(opened: Opened) -> None:
    assert opened.explain(b"[    1.000000] eth0: link is up\n")["events"] == []

    assert "systemd-oomd" in opened.page.inner_text("#answer")


def test_names_are_hidden_where_that_is_asked_for(opened: Opened) -> None:
    opened.page.check("#redact")

    opened.explain(made.serial([line.replace("parent", "secretd") for line in made.oom_report()]))

    assert "secretd" not in opened.page.content()
    assert "task-1" in opened.page.inner_text("#answer")
    opened.page.uncheck("#redact")


def test_hostile_log_runs_nothing(opened: Opened) -> None:
    lines = [line.replace("parent", f"{EVIL}"[:15]) for line in made.oom_report()]

    opened.explain(made.serial([EVIL, *lines, EVIL]))

    assert opened.page.evaluate("document.querySelectorAll('#answer script, #answer img').length") == 0
    assert [text for text in opened.problems if "dialog" in text] == []


def test_every_proof_leads_to_its_line_and_nothing_is_wider_than_a_phone(opened: Opened) -> None:
    opened.explain(made.serial(made.oom_report([made.MadeTask(100 + at, f"task-{at}", 900 + at) for at in range(60)])))

    missing = opened.page.evaluate(
        "[...document.querySelectorAll('#answer a')].filter(a => !document.querySelector(a.getAttribute('href'))).length"
    )
    assert opened.page.evaluate("document.querySelectorAll('#answer a').length") > 60
    assert missing == 0
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 390


def test_rows_of_the_task_table_are_a_few_lines_high_on_a_phone(opened: Opened) -> None:
    opened.explain(made.serial(made.oom_report([made.MadeTask(100 + at, f"task-{at}", 900 + at) for at in range(5)])))

    heights = opened.page.evaluate("[...document.querySelectorAll('.sortable tbody tr')].map(row => row.offsetHeight)")
    assert heights
    assert max(heights) < 100


def test_task_table_is_sorted_by_the_column_that_is_pressed(opened: Opened) -> None:
    opened.explain(made.serial(made.oom_report([made.MadeTask(100 + at, f"task-{at}", 900 + at) for at in range(20)])))
    pids = "[...document.querySelectorAll('#answer .sortable tbody tr')].map(row => Number(row.cells[1].textContent))"
    button = opened.page.locator("#answer .sortable th button", has_text="pid")

    button.press("Enter")
    downwards = opened.page.evaluate(pids)
    button.press("Enter")
    upwards = opened.page.evaluate(pids)

    assert downwards == sorted(downwards, reverse=True)
    assert upwards == sorted(upwards)
    assert opened.page.locator("#answer th[aria-sort=ascending]").count() == 1


def test_worker_may_not_evaluate_text_nor_reach_another_host(opened: Opened) -> None:
    source = """
      fetch("http://127.0.0.2:9/").then(() => "reached", () => "refused").then((net) => {
        let text; try { eval("1"); text = "evaluated"; } catch { text = "refused"; }
        postMessage([net, text]); });
    """
    policy = opened.page.evaluate("document.querySelector('meta[http-equiv]').content")

    found = opened.page.evaluate(
        """(source) => new Promise((done) => {
          const worker = new Worker(URL.createObjectURL(new Blob([source])));
          worker.onmessage = ({ data }) => done(data); })""",
        source,
    )

    assert found == ["refused", "refused"]
    assert "script-src 'self' 'wasm-unsafe-eval';" in policy
    assert "unsafe-inline" not in policy
    opened.problems.clear()  # what was refused is said on the console


def test_page_has_no_fault_of_accessibility(opened: Opened, browser: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="there is no browser driver")
    opened.explain(made.serial(made.oom_report()))

    for scheme in ("light", "dark"):
        opened.page.emulate_media(color_scheme=scheme)
        results = axe.Axe().run(opened.page)
        assert [(fault["id"], fault["nodes"][0]["html"]) for fault in results.response["violations"]] == [], scheme


def test_modules_that_the_page_needs_are_compiled(address: str) -> None:
    names = {}
    for archive in ("rig.zip", "pyodide/python_stdlib.zip"):
        with urllib.request.urlopen(address + archive) as found, zipfile.ZipFile(io.BytesIO(found.read())) as packed:
            names[archive] = packed.namelist()

    assert [name for name in names["rig.zip"] if not name.endswith(".pyc")] == []
    assert {"re/_compiler.pyc", "dataclasses.pyc", "json/encoder.pyc"} <= set(names["pyodide/python_stdlib.zip"])


def test_page_that_lacks_python_says_so(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.route("**/pyodide.asm.wasm", lambda route: route.abort())
    page.goto(address)

    page.locator("#status", has_text="Python could not be started").wait_for()
    page.close()


def test_nothing_went_wrong_and_nothing_left_the_server(opened: Opened) -> None:
    assert opened.problems == []
    assert [url for url in opened.requests if not url.startswith((opened.address, "blob:"))] == []
