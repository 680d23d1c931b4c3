# SPDX-License-Identifier: MIT
"""A script whose interpreter the guest's own root lacks is refused before a guest is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.image.daximage import write_ext4
from rig.program.interpreter import refuse_missing_interpreter


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image with /usr/bin/sh and /usr/bin/python3, to which /bin leads."""
    directory = tmp_path_factory.mktemp("root")
    programs = directory / "tree/usr/bin"
    programs.mkdir(parents=True)
    (programs / "sh").touch()
    (programs / "python3").touch()
    write_ext4(directory / "tree", directory / "image")
    return directory / "image"


@pytest.mark.parametrize(
    ("first", "missing"),
    [
        ("#!/bin/sh -e", ""),
        ("#! /usr/bin/env python3", ""),
        ("#!/usr/bin/env -S python3 -u", ""),
        ("#!/bin/no-such-shell", "/bin/no-such-shell"),
        ("#!/usr/bin/env no-such-ruby", "no-such-ruby"),
        ("#!", ""),
        ("echo", ""),
    ],
)
def test_interpreter_that_is_not_in_the_guest_is_named(tmp_path: Path, image: Path, first: str, missing: str) -> None:
    script = tmp_path / "job"
    script.write_text(f"{first}\n")

    if not missing:
        refuse_missing_interpreter(script, image)
        return
    with pytest.raises(UsageError, match=f"its interpreter {missing} is not in the guest"):
        refuse_missing_interpreter(script, image)


def test_package_of_an_interpreter_is_named_where_the_host_knows_it(tmp_path: Path, image: Path) -> None:
    script = tmp_path / "job"
    script.write_text("#!/usr/bin/perl\n")

    with pytest.raises(UsageError) as caught:
        refuse_missing_interpreter(script, image)
    assert f"rig exec --deb perl-base -- {script}" in str(caught.value.remedy)


def test_nothing_is_refused_where_the_image_cannot_be_listed(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(bytes(8192))
    (tmp_path / "job").write_text("#!/usr/bin/perl\n")

    refuse_missing_interpreter(tmp_path / "job", tmp_path / "image")
