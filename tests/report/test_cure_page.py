# SPDX-License-Identifier: MIT
"""The page of `rig cure`: the outcomes, and a timeline for each run that is kept."""

from __future__ import annotations

import re
from pathlib import Path

from rig.cure.cure import Cure, Result
from rig.cure.outcome import Outcome
from rig.cure.treatments import Dose, Treatment
from rig.cure.trial import Tried
from rig.report.html.cure_page import cure_report
from rig.report.html.links import link_beside
from rig.run.document import Run
from tests.cure.test_outcome import CONTROL


def tried(root: Path, number: int, text: str) -> Tried:
    directory = root / f"20261125-20000{number}-abcd"
    directory.mkdir()
    run = Run(id=directory.name, scenario="s", started="", verdict="reproduced")
    (directory / "run.json").write_text(run.model_dump_json())
    return Tried(Dose(text), 0.0, CONTROL, directory.name, directory)


def result(works: Tried, outcome: Outcome, fails: Tried | None = None) -> Result:
    return Result(Treatment("x", works.dose.text, (works.dose,)), outcome, works, 3, 3, fails, 5)


def no_link(run: str) -> str | None:
    return None


def test_page_has_each_remedy_with_its_run_and_escapes_what_the_guest_wrote(tmp_path: Path) -> None:
    swap = result(
        tried(tmp_path, 1, "swap=256M"), Outcome("prevented", unusable_kb=-2048), tried(tmp_path, 2, "swap=128M")
    )
    other = result(tried(tmp_path, 3, "hog=<b>190M"), Outcome("another died", "<script>1</script>"))
    lost = result(Tried(Dose("memory=1T"), 0.0, CONTROL), Outcome("not applicable", "too large"))
    found = Cure(
        tried(tmp_path, 0, "nothing changed"),
        "hog was killed",
        3,
        3,
        (swap, other, lost),
        ("zram",),
        (),
        ("I/O",),
        42.0,
    )

    page = cure_report(found, no_link)

    assert "prevented" in page
    assert "swap=128M" in page
    assert "2 MB more memory" in page
    assert page.count("rig report 20261125-") == 3
    assert "another died: &lt;script&gt;" in page
    assert "<b>190M" not in page
    assert "memory=1T" in page


def test_each_link_of_a_page_that_lies_anywhere_leads_to_a_report(tmp_path: Path) -> None:
    runs, page = tmp_path / "state" / "runs", tmp_path / "pages" / "cure.html"
    runs.mkdir(parents=True)
    page.parent.mkdir()
    works = tried(runs, 1, "swap=256M")
    found = Cure(
        tried(runs, 0, "nothing changed"), "hog was killed", 3, 3, (result(works, Outcome("prevented")),), (), (), (), 1.0
    )  # fmt: skip
    (runs / works.run / "report.html").write_text("")

    page.write_text(cure_report(found, link_beside(page.parent, runs_of=runs)))

    links = re.findall(r'href="([^#"]+)"', page.read_text())
    assert [(page.parent / link).resolve() for link in links] == [runs / works.run / "report.html"]
