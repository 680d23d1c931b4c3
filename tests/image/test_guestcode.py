# SPDX-License-Identifier: MIT
"""A scenario's own C files: what compiles with one compiler compiles with the others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.image.guestcode import REFUSED, compile_program
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
