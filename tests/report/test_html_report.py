# SPDX-License-Identifier: MIT
"""The HTML report of a run: its content, its size, and hostile text from a guest."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rig.report.html.page import report
from rig.report.html.source import read_source
from rig.report.plots.pages import pages_pictures, png
from tests.report.made_directory import EVIL, write_directory

LARGEST = 1_500_000


class Elements(HTMLParser):
    """Count elements, and collect the attributes that refer to other files."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "srcset", "data")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.ids += [value or "" for name, value in attrs if name == "id"]


@pytest.fixture
def page(tmp_path: Path) -> str:
    return report(read_source(write_directory(tmp_path / "run")))


def test_story_stands_in_its_order(page: str) -> None:
    parts = [
        ">✓ reproduced<", "What was run", "The claims", ">Timeline<", ">Page map<", "From the page fault to the kill",
        "Who had to go", "What would have changed it", ">The processes<", "What it ran on", "How to reproduce it",
        "The console",
    ]  # fmt: skip

    places = [page.index(part, page.index("</header>") if index else 0) for index, part in enumerate(parts)]

    assert places == sorted(places)


def test_page_is_self_contained_and_small(page: str) -> None:
    elements = Elements(page)

    assert len(page.encode()) < LARGEST
    assert all(source.startswith("data:image/png;base64,") for source in elements.sources)
    assert not {"link", "iframe", "object", "embed"} & set(elements.tags)
    assert set(re.findall(r"url\(.", page)) <= {"url(#"}
    assert "@import" not in page


def test_policy_names_the_one_script_that_may_run(page: str) -> None:
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)

    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


def test_data_is_json_with_its_schemas_version(page: str) -> None:
    [text] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)

    data = json.loads(text)
    assert data["schema_version"] == 1
    panels = data["timeline"]["panels"]
    assert all(len(s["values"]) == len(data["timeline"]["times"]) for panel in panels for s in panel["series"])


def test_page_map_shows_the_copying_and_the_moment_it_stops(page: str) -> None:
    assert "OOM at 161.10 s: of 51,200 pages 45,568 shared by parent and child, 5,632 copied to the child" in page
    assert page.count('class="stopped"') == 1


def test_every_frame_of_the_trace_is_there_once_and_explained(page: str) -> None:
    trace = page[page.index('class="layers"') : page.index("The trace as the kernel printed it")]

    assert trace.index("asm_exc_page_fault") < trace.index("wp_page_copy") < trace.index("out_of_memory")
    assert "copy-on-write: takes a new page" in trace
    assert "/linux/v6.1/A/ident/wp_page_copy" in trace


def test_picture_of_a_map_has_a_pixel_a_page(tmp_path: Path) -> None:
    picture = pages_pictures(read_source(write_directory(tmp_path / "run")).records)[-1]

    file = base64.b64decode(png(picture).split(",", 1)[1])

    assert file[16:24] == (256).to_bytes(4, "big") + (200).to_bytes(4, "big")
    body = file[file.index(b"IDAT") + 4 :]
    pixels = b"".join(zlib.decompress(body[:-16])[at + 1 : at + 257] for at in range(0, 200 * 257, 257))
    assert pixels.count(b"\x01") == 5632
    assert pixels.count(b"\x00") == 51200 - 5632


def test_hostile_guest_adds_no_element_and_no_handler(tmp_path: Path, page: str) -> None:
    clean = Elements(page)

    evil = Elements(text := report(read_source(write_directory(tmp_path / "evil", EVIL))))

    assert evil.tags.count("script") == clean.tags.count("script") == 2
    assert evil.tags.count("img") == clean.tags.count("img")
    assert not evil.handlers
    assert len(set(evil.ids)) == len(evil.ids)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\u2028]", text)
    assert "49" not in re.findall(r"writing[^<]*", text)[0]


def test_megabyte_line_on_the_console_is_cut(tmp_path: Path) -> None:
    directory = write_directory(tmp_path / "run", console=b"[    1.000000] " + b"A" * (1 << 20) + b"\n")

    text = report(read_source(directory))

    assert len(text.encode()) < LARGEST
    assert "A" * 2000 not in text
    assert "invoked oom-killer" in text


def test_page_map_of_noise_keeps_the_page_small(tmp_path: Path) -> None:
    directory = write_directory(tmp_path / "run")
    lines = (directory / "events.jsonl").read_text().splitlines()
    noise = [[1 + (at * at) % 3, ("shared", "private", "none")[at % 3]] for at in range(4000)]
    records = [json.loads(line) for line in lines]
    for number, record in enumerate(each for each in records if each["ev"] == "pagemap"):
        record["runs"] = noise[number:] + noise[:number]
    extra = [
        record | {"n": len(records) + number, "t": 200 + number, "label": f"x{number}"}
        for number in range(300)
        for record in [next(each for each in records if each["ev"] == "pagemap")]
    ]
    (directory / "events.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records + extra))

    assert len(report(read_source(directory)).encode()) < LARGEST


def test_oom_that_only_the_console_tells_of_is_marked_all_the_same(tmp_path: Path) -> None:
    directory = write_directory(tmp_path / "run")
    lines = (directory / "events.jsonl").read_text().splitlines()
    (directory / "events.jsonl").write_text("\n".join(line for line in lines if '"ev": "oom"' not in line) + "\n")

    assert '<li class="oom">OOM: 161.000 s</li>' in report(read_source(directory))


def test_kill_by_sysrq_is_not_told_as_a_request(tmp_path: Path) -> None:
    directory = write_directory(tmp_path / "run")
    run = json.loads((directory / "run.json").read_text())
    run["ooms"][0] |= {"scope": "sysrq", "order": -1}
    (directory / "run.json").write_text(json.dumps(run))

    text = report(read_source(directory))

    assert "SysRq f called the OOM killer: memory had not run out." in text
    assert "-1</sup> pages" not in text


def test_run_without_samples_console_and_oom_is_still_a_page(tmp_path: Path) -> None:
    directory = write_directory(tmp_path / "run")
    run = json.loads((directory / "run.json").read_text())
    (directory / "run.json").write_text(
        json.dumps(run | {"ooms": [], "verdict": "error", "reason": "the guest is gone"})
    )
    (directory / "events.jsonl").unlink()
    (directory / "console.log").unlink()

    text = report(read_source(directory))

    assert "the guest is gone" in text
    assert "Timeline" not in text
