# SPDX-License-Identifier: MIT
"""The guest's code compiles where strchr() and its like keep the const of what they are given, as C23 has them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rig.assets import assets

GUEST = assets("guest")
# As in the <string.h> of glibc 2.43 (__glibc_const_generic), for any glibc.
HEADER = """\
#define _GNU_SOURCE 1
#include <string.h>
#undef strchr
#undef strrchr
#undef strstr
#undef strpbrk
#undef memchr
#define KEEP(s, type, found) _Generic(0 ? (s) : (void *)1, const void *: (const type *)(found), default: (found))
#define strchr(s, c) KEEP(s, char, strchr(s, c))
#define strrchr(s, c) KEEP(s, char, strrchr(s, c))
#define strstr(s, part) KEEP(s, char, strstr(s, part))
#define strpbrk(s, set) KEEP(s, char, strpbrk(s, set))
#define memchr(s, c, n) KEEP(s, void, memchr(s, c, n))
"""
FLAGS = ["-std=c11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-format-truncation"]


def compiled(source: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    (tmp_path / "const.h").write_text(HEADER)
    words = ["gcc", *FLAGS, "-I", GUEST / "programs", "-include", tmp_path / "const.h", source]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("source", sorted(GUEST.rglob("*.c")), ids=lambda path: str(path.relative_to(GUEST)))
def test_guest_code_drops_no_const(source: Path, tmp_path: Path) -> None:
    done = compiled(source, tmp_path)

    assert done.returncode == 0, done.stderr


def test_const_that_is_dropped_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "x.c").write_text("char *colon(const char *line) { return strchr(line, ':'); }\n")

    assert "discards" in compiled(tmp_path / "x.c", tmp_path).stderr
