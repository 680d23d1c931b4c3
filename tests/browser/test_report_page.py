# SPDX-License-Identifier: MIT
"""The report in a real browser: no error, no network access, no script of the guest's, and it is accessible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rig.report.html.frontier_page import frontier_report
from rig.report.html.page import report
from rig.report.html.source import read_source
from rig.report.html.sweep_page import sweep_report
from rig.run.directory import LARGEST_RUN_FILE, RUN_FILE
from tests.report.made_directory import EVIL, write_directory
from tests.report.test_frontier_page import frontier
from tests.report.test_sweep_page import AXES, ROWS

pytestmark = pytest.mark.browser

MEGABYTE = b"[    1.000000] " + b"</script><script>alert(3)</script>" * 31000 + b"\n"


@dataclass
class Opened:
    """A page that was opened, and what went wrong or out while it was."""

    page: Any
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


Open = Callable[..., Opened]


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Open]:
    contexts: list[Any] = []

    def open_page(
        evil: str = "", console: bytes = b"", width: int = 1280, text: str | None = None, **options: Any
    ) -> Opened:
        path = tmp_path / "report.html"
        text = report(read_source(write_directory(tmp_path / "run", evil, console))) if text is None else text
        path.write_text(text, encoding="utf-8")
        contexts.append(context := browser.new_context(viewport={"width": width, "height": 900}, **options))
        found = Opened(context.new_page())
        found.page.on("console", lambda message: found.problems.append(message.text))
        found.page.on("pageerror", lambda error: found.problems.append(str(error)))
        found.page.on("dialog", lambda dialog: (found.problems.append(f"dialog {dialog.message}"), dialog.dismiss()))
        found.page.on("request", lambda request: found.requests.append(request.url))
        found.page.goto(path.as_uri())
        return found

    yield open_page
    for context in contexts:
        context.close()


def left_the_machine(found: Opened) -> list[str]:
    return [url for url in found.requests if not url.startswith(("file:", "data:"))]


def test_page_opens_without_an_error_and_asks_nobody_for_anything(opened: Open) -> None:
    found = opened()

    assert found.problems == []
    assert left_the_machine(found) == []


def test_nothing_of_a_hostile_guest_runs_and_the_page_still_works(opened: Open) -> None:
    found = opened(EVIL, MEGABYTE)

    assert found.problems == []
    assert left_the_machine(found) == []
    assert found.page.evaluate("document.scripts.length") == 2
    assert found.page.evaluate("document.documentElement.className") == "js"
    assert found.page.evaluate("document.querySelectorAll('img[src=x]').length") == 0
    assert found.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def _most_repeats(tmp_path: Path) -> int:
    """Return how often a name may hold EVIL before run.json is larger than rig reads."""
    few, more = (
        (write_directory(tmp_path / str(times), EVIL * times) / RUN_FILE).stat().st_size for times in (10, 110)
    )
    return 10 + (LARGEST_RUN_FILE - few) * 100 // (more - few)


@pytest.mark.parametrize("times", [400, None], ids=["forty kilobytes", "as long as a run.json can be"])
def test_very_long_names_in_processes_events_and_the_kernels_log_break_nothing(
    opened: Open, times: int | None, tmp_path: Path
) -> None:
    found = opened(EVIL * (times or _most_repeats(tmp_path)), MEGABYTE, width=390)

    assert (found.problems, left_the_machine(found)) == ([], [])
    assert found.page.evaluate("document.scripts.length") == 2
    assert found.page.evaluate("document.querySelectorAll('img[src=x]').length") == 0
    assert found.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert found.page.locator("h1:visible").count() == 1


def test_script_that_is_not_ours_would_be_stopped(opened: Open) -> None:
    """The policy is a second wall: an element that got in all the same does not run."""
    found = opened()

    found.page.evaluate(
        "const s = document.createElement('script'); s.textContent = 'window.evil = 1'; document.body.append(s)"
    )

    assert found.page.evaluate("window.evil === undefined")
    assert "Content Security Policy" in " ".join(found.problems)


def test_map_slider_shows_the_copying_step_by_step_by_keyboard(opened: Open) -> None:
    page = opened().page
    page.focus("#map")

    page.keyboard.press("Home")
    first = page.inner_text(".maps figure.shown figcaption")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    third = page.inner_text(".maps figure.shown figcaption")

    assert "forked" in first
    assert page.locator(".maps figure.before").count() == 1
    assert "copied" not in first
    assert "copied to the child 2,048" in " ".join(third.split())
    assert page.locator(".maps figure:visible").count() == 2
    assert "seconds" in page.get_attribute("#map", "aria-valuetext")


def test_map_stands_beside_the_one_before_it_and_alone_on_a_telephone(opened: Open) -> None:
    wide, narrow = opened().page, opened(width=390).page

    assert wide.inner_text(".maps figure.before figcaption").startswith("writing")
    assert wide.locator(".maps figure:visible").count() == 2
    assert narrow.locator(".maps figure:visible").count() == 1
    wide.focus("#map")
    wide.keyboard.press("Home")
    assert wide.locator(".maps figure:visible").count() == 1


def test_marks_and_steps_are_named_at_their_lines(opened: Open) -> None:
    page = opened().page

    flag, line = page.locator(".flags .oom").bounding_box(), page.locator(".panel.memory path.oom").bounding_box()
    assert page.inner_text(".flags .oom b") == "OOM"
    assert abs(flag["x"] + flag["width"] / 2 - line["x"] - line["width"] / 2) < 3
    assert page.locator(".work span").all_inner_texts() == ["1", "2", "3", "4", "5"]
    assert "parent and child, shared" in page.locator(".name").all_inner_texts()


def test_cursor_is_not_in_the_way_until_it_is_used(opened: Open) -> None:
    page = opened().page
    assert page.locator(".cursor:visible").count() == 0

    page.focus("#when")
    page.keyboard.press("ArrowLeft")

    assert page.locator(".cursor:visible").count() == 5


def test_number_of_a_line_opens_the_console_there(opened: Open) -> None:
    page = opened().page
    link = page.locator(".line a").first
    number = link.inner_text()

    link.click()

    assert page.evaluate("location.hash") == f"#L{number}"
    assert page.locator(f"#L{number}:visible").count() == 1


def test_map_opens_at_the_moment_it_stops(opened: Open) -> None:
    assert "here the copying stops" in opened().page.inner_text(".maps figure.shown figcaption")


def test_hover_and_slider_give_the_numbers_of_a_sample(opened: Open) -> None:
    page = opened().page
    plot = page.locator(".panel.memory .plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()

    page.mouse.move(box["x"] + 1, box["y"] + 20)
    at_the_start = page.inner_text("#numbers")
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 20)
    at_the_end = page.inner_text("#numbers")
    page.focus("#when")
    page.keyboard.press("Home")

    assert at_the_start.startswith("At 6.300 s")
    assert "free 437 MB" in at_the_start
    assert at_the_end.startswith("At 161.000 s")
    assert "parent and child, shared 178 MB" in at_the_end
    assert page.inner_text("#numbers") == at_the_start


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_fault(opened: Open, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="there is no browser driver: axe")
    page = opened(width=width, color_scheme=scheme).page
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")

    found = axe.Axe().run(page)

    assert [f"{each['id']} ({each['impact']})" for each in found.response["violations"]] == []
    assert len(found.response["passes"]) > 20


@pytest.mark.parametrize("width", [1280, 768, 390, 320])
def test_page_fits_its_window(opened: Open, width: int) -> None:
    page = opened(width=width).page

    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_script_all_pictures_and_tables_are_there(opened: Open) -> None:
    page = opened(java_script_enabled=False).page

    assert page.locator(".maps figure").count() == page.locator(".maps figure:visible").count() == 7
    assert page.locator(".plot svg:visible").count() == 5
    assert page.locator("#map:visible, #when:visible").count() == 0
    page.click("text=The samples as a table")
    assert page.locator("#timeline-section table:visible tbody tr").count() == 8


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_page_prints_with_every_map(opened: Open, paper: str) -> None:
    page = opened().page

    page.emulate_media(media="print")

    assert page.locator(".maps figure:visible").count() == 7
    assert page.locator(".player:visible").count() == 0
    assert page.pdf(format=paper).startswith(b"%PDF")


def test_sweep_over_one_setting_has_no_fault(opened: Open) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="there is no browser driver: axe")
    rows = [row.model_copy(update={"settings": {"memory": row.settings["memory"]}}) for row in ROWS[:2]]

    page = opened(text=sweep_report("overcommit-oops", "s", AXES[2:], {}, rows)).page

    assert [each["id"] for each in axe.Axe().run(page).response["violations"]] == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report_of_a_sweep_opens_fits_and_has_no_fault(opened: Open, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="there is no browser driver: axe")
    found = opened(text=sweep_report("overcommit-oops", EVIL, AXES, {}, ROWS), width=width, color_scheme=scheme)

    found.page.click("a.unstable")

    assert found.page.evaluate("location.hash") == "#point-1"
    assert (found.problems, left_the_machine(found)) == ([], [])
    assert found.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [each["id"] for each in axe.Axe().run(found.page).response["violations"]] == []


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report_of_a_frontier_opens_fits_and_has_no_fault(opened: Open, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="there is no browser driver: axe")
    found = opened(text=frontier_report(frontier(), EVIL, ROWS), width=width, color_scheme=scheme)
    found.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")

    assert (found.problems, left_the_machine(found)) == ([], [])
    assert found.page.locator("path.found:visible").count() > 0
    assert found.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [each["id"] for each in axe.Axe().run(found.page).response["violations"]] == []
