# SPDX-License-Identifier: MIT
"""A scenario's own C files: what compiles with one compiler compiles with the others."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.errors import RigError, UsageError
from rig.image import guestcode, kbuild
from rig.image.guestcode import REFUSED, build_guest_code, compile_program
from rig.image.store import Store
from rig.scenario.new import SKELETON


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def test_program_that_rig_new_writes_compiles_and_names_what_the_kernel_refuses(store: Store, tmp_path: Path) -> None:
    """phases.h names the error by a GNU function, which a strict compiler does not know unless it is asked for."""
    source = tmp_path / "refused.c"
    source.write_text('#include "phases.h"\nint main(void)\n{\n\terrno = ENOMEM;\n\trefused("mmap");\n}\n')

    skeleton = compile_program(store, SKELETON / "holder.c")
    done = subprocess.run([compile_program(store, source)], capture_output=True, text=True, check=False)

    assert subprocess.run([skeleton], capture_output=True, check=False).returncode == 64
    assert (done.returncode, done.stdout) == (71, "mmap: ENOMEM\n")


@pytest.mark.parametrize(
    ("warning", "line"),
    [
        ("implicit-function-declaration", "return undeclared();"),
        ("implicit-int", "static count; return count;"),
        ("incompatible-pointer-types", "long n = 0; int *at = &n; return *at;"),
        ("int-conversion", "char *text = 1; return *text;"),
    ],
)
def test_error_of_a_newer_compiler_is_an_error_of_every_compiler(
    store: Store, tmp_path: Path, warning: str, line: str
) -> None:
    source = tmp_path / "sloppy.c"
    source.write_text(f"int main(void)\n{{\n\t{line}\n}}\n")

    with pytest.raises(UsageError) as caught:
        compile_program(store, source)

    assert warning in REFUSED
    assert "sloppy.c:3:" in (caught.value.detail or "")
    assert f"{warning}]" in (caught.value.detail or "")


WORDS = b"/usr/bin/ld: final link failed: No space left on device\nmake: *** [Makefile:21: rig-agent] Error 1\n"


def _configure(store: Store) -> None:
    tree = kbuild.Tree(store.root, store.root, "6.1")
    kbuild._run(tree, ["make"], "configuring the kernel")


@pytest.mark.parametrize(
    "build",
    [build_guest_code, lambda store: compile_program(store, SKELETON / "holder.c"), _configure],
    ids=["guest code", "a program", "a kernel"],
)
def test_compiler_that_meets_a_full_disk_is_not_said_to_be_missing(
    build: Callable[[Store], object], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.root.mkdir()
    for module in (guestcode, kbuild):
        monkeypatch.setattr(module, "run_program", lambda *_, **__: subprocess.CompletedProcess([], 2, WORDS, WORDS))

    with pytest.raises(RigError, match="the disk is full") as caught:
        build(store)

    assert str(store.root) in str(caught.value.where)
    assert "another disk" in (caught.value.remedy or "")
    assert "final link failed" in (caught.value.detail or "")
