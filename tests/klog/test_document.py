# SPDX-License-Identifier: MIT
"""The JSON of a log: that of the published schema, written with nothing but Python's own library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rig.klog import read
from rig.klog.document import document, line, member
from rig.klog.explain import explain
from rig.klog.schema import Document
from tests.klog import made

ROOT = Path(__file__).parents[2]
LOGS = sorted((ROOT / "tests/klog/data").glob("*.log"))
BARE = """
import sys
sys.path.insert(0, sys.argv[1])
import rig.klog.document, rig.report.explain_html
from rig.klog.explain import explain
log = rig.klog.read([sys.stdin.buffer.read()], keep_lines=True)
explanations = [explain(event) for event in log.events]
assert rig.report.explain_html.html_report(log.events, explanations, heading="a", lines=log.kept)
sys.stdout.write(rig.klog.document.document(log.lines, log.events, explanations))
"""


@pytest.mark.parametrize("path", LOGS[::6], ids=lambda path: path.stem)
def test_document_is_valid_by_the_schema_and_holds_every_field(path: Path) -> None:
    log = read([path.read_bytes()])
    explanations = [explain(event) for event in log.events]

    value = json.loads(document(log.lines, log.events, explanations))

    made = Document.model_construct(version=1, lines=log.lines, events=list(log.events), explanations=explanations)
    assert value == json.loads(made.model_dump_json(by_alias=True, serialize_as_any=True, warnings=False))
    Document.model_validate(value)


def test_line_holds_an_event_with_its_explanation() -> None:
    (event,) = read([made.serial(made.oom_report())]).events

    text = line(event, explain(event), file="a.log")

    assert "\n" not in text
    value = json.loads(text)
    assert (value["schema"], value["file"]) == (1, "a.log")
    assert value["event"]["victim" if "victim" in value["event"] else "kills"]
    assert value["explanation"]["number"] == event.number


def test_controls_of_a_terminal_are_written_as_escapes() -> None:
    text = member({"comm": "a\x1b[2J\x9b2J\u202e é"})

    assert text.isprintable()
    assert json.loads(text) == {"comm": "a\x1b[2J\x9b2J\u202e é"}


def test_half_of_a_surrogate_pair_is_written_as_an_escape() -> None:
    log = read([b'{"MESSAGE":"a\\ud800[7]: segfault at 0 ip 0 sp 0 error 4","_TRANSPORT":"kernel"}\n'])

    text = document(log.lines, log.events)

    assert "\\ud800" in text
    assert text.encode()


def test_log_reader_and_its_page_need_python_alone() -> None:
    log = LOGS[0].read_bytes()

    done = subprocess.run(
        [sys.executable, "-S", "-I", "-c", BARE, str(ROOT)], input=log, capture_output=True, check=False
    )

    assert done.stderr.decode() == ""
    kept = read([log])
    assert json.loads(done.stdout) == json.loads(
        document(kept.lines, kept.events, [explain(event) for event in kept.events])
    )
