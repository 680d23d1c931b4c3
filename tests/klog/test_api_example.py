# SPDX-License-Identifier: MIT
"""The example in the reference of the log reader, run as it stands there."""

from __future__ import annotations

import gzip
import re
import sys
from pathlib import Path

import pytest

from tests.klog import made

REFERENCE = Path(__file__).parents[2] / "docs/reference/log-reader.md"


def test_example_counts_reports_by_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", REFERENCE.read_text(), re.DOTALL)
    (tmp_path / "kern.log").write_bytes(made.serial(made.oom_report()) * 2)
    (tmp_path / "kern.log.1.gz").write_bytes(gzip.compress(made.serial(made.oom_report(cgroup="/pod"))))
    monkeypatch.setattr(sys, "argv", ["example", str(tmp_path)])

    exec(compile(example, str(REFERENCE), "exec"), {})

    assert capsys.readouterr().out.split() == ["2", "processes", "1", "cgroup-memory"]
