# SPDX-License-Identifier: MIT
"""A Python program that needs more than python3-minimal is refused before a guest is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.image.daximage import write_ext4
from rig.image.layer.config import ImageConfig
from rig.image.layer.layer import LayerImage
from rig.image.python_modules import MissingModule, missing_module
from rig.program.files import HostFiles
from rig.program.python_needs import refuse_missing_modules
from rig.program.roots import Root


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image whose Python has os, re, email and termios, and nothing else."""
    directory = tmp_path_factory.mktemp("root")
    library = directory / "tree/usr/lib/python3.11"
    (library / "re").mkdir(parents=True)
    (library / "email").mkdir()
    (library / "lib-dynload").mkdir()
    (library / "lib-dynload/termios.cpython-311-x86_64-linux-gnu.so").touch()
    (library / "os.py").touch()
    write_ext4(directory / "tree", directory / "image")
    return directory / "image"


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("import os, re\n\nimport json\n", MissingModule("json", 3)),
        ("from json.decoder import JSONDecoder\n", MissingModule("json", 1)),
        ("import email.message\nfrom os import path\n", None),
        ("import sys, time, math, zlib\n", None),  # part of the interpreter
        ("import termios\nimport resource\n", MissingModule("resource", 2)),
        ("import numpy\n", None),  # not of the standard library: it may be on a path that the program adds
        ("try:\n    import json\nexcept ImportError:\n    json = None\n", None),
        ("def f():\n    import json\n", None),
        ("from . import json\n", None),
        ("print 'Python 2'; import json\n", None),
        ("\0import json", None),
    ],
)
def test_only_what_the_program_cannot_do_without_is_missing(
    image: Path, source: str, missing: MissingModule | None
) -> None:
    assert missing_module(source, image) == missing


def test_nothing_is_missing_where_the_image_has_no_python(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    write_ext4(tmp_path / "tree", tmp_path / "image")

    assert missing_module("import json\n", tmp_path / "image") is None


def check(image: Path, *argv: str, copies: dict[str, Path] | None = None, root: Root | None = None) -> None:
    refuse_missing_modules(
        argv, HostFiles(copies or {}), root or Root(), own_image=lambda: image, guest_path=lambda name: f"work/{name}"
    )


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "job.py"
    path.write_text("#!/usr/bin/env python3\nimport json\n")
    return path


@pytest.mark.parametrize(
    "argv",
    [
        ("python3", "job.py", "import"),
        ("python3", "-u", "-X", "dev", "job.py"),
        ("/usr/bin/python3.11", "-c", "import json"),
        ("python3", "-m", "json.tool"),
        ("job.py",),
    ],
)
def test_module_and_line_and_remedy_are_named(image: Path, script: Path, argv: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=r"imports 'json' in line \d") as caught:
        check(image, *argv, copies={"work/job.py": script})
    assert "--deb python3 " in str(caught.value.remedy)


@pytest.mark.parametrize("argv", [("python3", "other.py"), ("python3",), ("perl", "job.py"), ("cat", "job.py"), ()])
def test_other_programs_are_not_looked_into(image: Path, script: Path, argv: tuple[str, ...]) -> None:
    check(image, *argv, copies={"work/job.py": script})


def test_module_that_is_copied_along_is_not_missing(image: Path, script: Path) -> None:
    check(image, "python3", "job.py", copies={"work/job.py": script, "work/json.py": script})


@pytest.mark.parametrize(("packages", "whole"), [({"libpython3.11-stdlib": "3.11.2-6"}, False), ({}, True)])
def test_root_with_its_own_python_is_not_looked_into(
    image: Path, script: Path, packages: dict[str, str], whole: bool
) -> None:
    layer = LayerImage("key", "rig:key", image, "", 0, "a root", packages, ImageConfig(), {}, whole, {})

    check(image, "python3", "job.py", copies={"work/job.py": script}, root=Root((layer,)))
