# SPDX-License-Identifier: MIT
"""Build ids and symbols, read from an ELF file that the test compiles."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rig.errors import RigError
from rig.image.elf import build_id, symbol_addresses


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("elf")
    (directory / "x.c").write_text("int answer = 42;\nint main(void) { return answer; }\n")
    subprocess.run(
        ["cc", "-no-pie", "-static", "-Wl,--build-id=0x0123456789abcdef", "-o", directory / "x", directory / "x.c"],
        check=True,
    )
    return directory / "x"


def test_build_id_is_the_linkers(program: Path) -> None:
    assert build_id(program.read_bytes(), program) == "0123456789abcdef"


def test_file_without_a_build_id_has_none(program: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    subprocess.run(["objcopy", "--remove-section=.note.gnu.build-id", program, bare], check=True)

    assert build_id(bare.read_bytes(), bare) != "0123456789abcdef"


def test_symbols_are_found_at_their_addresses(program: Path) -> None:
    listed = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout
    expected = {line.split()[2]: int(line.split()[0], 16) for line in listed.splitlines() if len(line.split()) == 3}

    found = symbol_addresses(program, ["main", "answer", "nobody"])

    assert found == {"main": expected["main"], "answer": expected["answer"]}


def test_what_is_no_elf_file_is_named(tmp_path: Path) -> None:
    other = tmp_path / "vmlinux"
    other.write_bytes(b"no ELF" * 100)

    with pytest.raises(RigError, match="not a 64-bit little-endian ELF"):
        symbol_addresses(other, ["main"])


def test_damaged_program_headers_are_named(program: Path) -> None:
    content = program.read_bytes()[:70]

    with pytest.raises(RigError, match="program headers are damaged"):
        build_id(content, program)
