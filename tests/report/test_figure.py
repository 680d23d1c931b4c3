# SPDX-License-Identifier: MIT
"""`rig plot`: each picture can be drawn, text in an SVG stays text, and an error says why one cannot be drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import RigError, UsageError
from rig.report.html.source import Source, read_source
from rig.report.plots.figure import PICTURES, plot
from tests.report.made_directory import EVIL, write_directory

pytest.importorskip("matplotlib")


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return read_source(write_directory(tmp_path / "run"))


@pytest.mark.parametrize("picture", PICTURES)
def test_every_picture_can_be_drawn_as_svg_and_png(source: Source, picture: str, tmp_path: Path) -> None:
    for ending in ("svg", "png"):
        plot(source, picture, tmp_path / f"x.{ending}")

    assert "<svg" in (tmp_path / "x.svg").read_text()
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_text_in_an_svg_is_text_and_it_has_a_title(source: Source, tmp_path: Path) -> None:
    plot(source, "timeline", tmp_path / "x.svg")

    text = (tmp_path / "x.svg").read_text()
    assert ">Memory by holder, MB</text>" in text
    assert "<dc:title>overcommit-oops: timeline (20250131-120000-abcd)</dc:title>" in text


def test_same_run_gives_the_same_svg(source: Source, tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        plot(source, "badness", tmp_path / name)

    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


@pytest.mark.parametrize("picture", PICTURES)
def test_hostile_names_stay_text(picture: str, tmp_path: Path) -> None:
    plot(read_source(write_directory(tmp_path / "run", EVIL + "$x^$")), picture, tmp_path / "x.svg")

    assert "<script" not in (tmp_path / "x.svg").read_text()


def test_unknown_picture_or_ending_is_a_usage_error(source: Source, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one of timeline, pages"):
        plot(source, "pie", tmp_path / "x.svg")
    with pytest.raises(UsageError, match=r"name the file \*\.svg or \*\.png"):
        plot(source, "timeline", tmp_path / "x.bmp")


def test_run_without_a_page_map_says_so(tmp_path: Path) -> None:
    directory = write_directory(tmp_path / "run")
    (directory / "events.jsonl").write_text("")

    with pytest.raises(UsageError, match="this run has no page map"):
        plot(read_source(directory), "pages", tmp_path / "x.svg")


def test_picture_that_cannot_be_written_says_so(source: Source, tmp_path: Path) -> None:
    with pytest.raises(RigError, match="cannot be written"):
        plot(source, "badness", tmp_path / "no" / "x.svg")
