# SPDX-License-Identifier: MIT
"""Code: bytes as instructions, and frames with files and lines."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rig.klog import read
from rig.klog.code import disassemble
from rig.klog.symbols import Place, symbolize
from rig.report.explain_vmlinux import open_vmlinux
from tests.klog import made


def test_marked_byte_begins_the_instruction_that_trapped() -> None:
    pytest.importorskip("capstone")

    instructions = disassemble("90 90 90 0f 1f 44 00 00 53 48 89 fb <48> 8b 47 28 c3 90 90 90")

    (trapped,) = [instruction for instruction in instructions if instruction.trapped]
    assert trapped.text == "mov rax, qword ptr [rdi + 0x28]"
    assert trapped.offset == 0
    assert [instruction.text for instruction in instructions if instruction.offset < 0][-1] == "mov rbx, rdi"


def test_line_that_begins_within_an_instruction_is_aligned() -> None:
    pytest.importorskip("capstone")

    instructions = disassemble("44 00 00 53 48 89 fb <48> 8b 47 28 c3")

    assert [i.text for i in instructions if i.trapped] == ["mov rax, qword ptr [rdi + 0x28]"]


@pytest.mark.parametrize("code", ["", "90 90", "Unable to access opcode bytes at 0x7f00.", "<zz>"])
def test_line_without_code_gives_none(code: str) -> None:
    pytest.importorskip("capstone")

    assert disassemble(code) == ()


def test_arm64_words_are_read_in_their_byte_order() -> None:
    pytest.importorskip("capstone")

    instructions = disassemble("d503201f (f9401400)", machine="aarch64")

    assert [i.text for i in instructions if i.trapped] == ["ldr x0, [x0, #0x28]"]


class Known:
    def places(self, function: str, offset: int, size: int, module: str | None) -> list[Place]:
        return [("inlined_here", "a.h:7"), (function, f"a.c:{offset}")] if function == "__fput" else []


def test_frames_get_files_and_lines_and_inlined_functions() -> None:
    (event,) = read([made.serial(made.oops())]).events

    frames = symbolize(event, Known()).trace.frames

    named = [(frame.function, frame.source, frame.inlined) for frame in frames if frame.source]
    assert named == [("inlined_here", "a.h:7", True), ("__fput", f"a.c:{0xE5 - 1}", False)]


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_vmlinux_tells_the_line_of_a_function(tmp_path: Path) -> None:
    pytest.importorskip("elftools")
    source = tmp_path / "made.c"
    source.write_text(
        "int made_one(int a)\n{\n\treturn a + 1;\n}\n\nint made_two(int a)\n{\n\treturn a * 3;\n}\n\nint "
        "main(void) { return 0; }\n"
    )
    binary = tmp_path / "made"
    subprocess.run(["gcc", "-g", "-O0", "-static-pie", "-o", binary, source], check=True)
    listing = subprocess.run(["nm", "-S", binary], check=True, capture_output=True, text=True).stdout
    size = next(int(line.split()[1], 16) for line in listing.splitlines() if line.endswith(" made_two"))

    symbolizer = open_vmlinux(binary)

    assert [place.rsplit("/", 1)[-1] for _name, place in symbolizer.places("made_two", size - 3, size, None)] == [
        "made.c:8"
    ]
    assert symbolizer.places("made_two", 0, size + 100, None) == []
    assert symbolizer.places("no_such_function", 0, 4, None) == []
    assert symbolizer.places("made_two", 0, size, "module") == []
