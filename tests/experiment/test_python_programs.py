# SPDX-License-Identifier: MIT
"""A scenario's Python program whose modules the guest lacks is refused before a guest is started."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from rig.errors import UsageError
from rig.experiment.python_programs import refuse_missing_modules
from rig.image.daximage import write_ext4
from rig.scenario.plan import RenderedPlan
from rig.scenario.program_source import ProgramFile


@pytest.mark.parametrize(
    ("language", "first", "refused"),
    [
        ("python", "import os", True),
        ("file", "#!/usr/bin/python3", True),
        ("file", "#!/usr/bin/env python3", True),
        ("file", "#!/bin/sh", False),
    ],
)
def test_program_that_would_end_with_a_traceback_is_refused(
    tmp_path: Path, language: Literal["python", "file"], first: str, refused: bool
) -> None:
    library = tmp_path / "tree/usr/lib/python3.11"
    library.mkdir(parents=True)
    (library / "os.py").touch()
    write_ext4(tmp_path / "tree", tmp_path / "image")
    (tmp_path / "job.py").write_text(f"{first}\nimport json\n")
    plan = RenderedPlan((), (ProgramFile("job", tmp_path / "job.py", language, "scenario"),))

    if not refused:
        refuse_missing_modules(plan, tmp_path / "image")
        return
    with pytest.raises(UsageError, match=r"imports 'json' in line 2") as caught:
        refuse_missing_modules(plan, tmp_path / "image")
    assert str(caught.value.where) == str(tmp_path / "job.py")
