# SPDX-License-Identifier: MIT
"""References to kernels and images: every spelling is read, and written as it was."""

from __future__ import annotations

import pytest

from rig.errors import UsageError
from rig.image.ref import ImageRef, KernelRef


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("debian:bookworm", "debian", "bookworm"),
        ("source:bookworm-backports", "source", "bookworm-backports"),
        ("buildroot:6.12.60", "buildroot", "6.12.60"),
        ("tree:.", "tree", "."),
        ("tree:/src/a:b", "tree", "/src/a:b"),
        ("bzImage", "file", "bzImage"),
        ("/boot/vmlinuz:old", "file", "/boot/vmlinuz:old"),
        ("./debian:x/bzImage", "file", "./debian:x/bzImage"),
    ],
)
def test_kernel_is_read_and_written_back(text: str, kind: str, name: str) -> None:
    ref = KernelRef.parse(text)

    assert (ref.kind, ref.name) == (kind, name)
    assert str(ref) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("debain:bookworm", "'debain:bookworm' is not a kernel"),
        ("debian:", "'' is not a suite"),
        ("debian:Book Worm", "'Book Worm' is not a suite"),
        ("source:/usr/src/linux", "'/usr/src/linux' is not a suite"),
    ],
)
def test_text_that_is_not_a_kernel_is_a_usage_error_that_names_the_option(text: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        KernelRef.parse(text, "rig kernel use")

    assert raised.value.what == words
    assert "rig kernel use" in str(raised.value.where)
    assert "debian:bookworm" in str(raised.value.remedy) or "source:bookworm" in str(raised.value.remedy)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("quick", "quick", ""),
        ("buildroot", "buildroot", ""),
        ("buildroot:small", "buildroot", "small"),
        ("root.img", "file", "root.img"),
        ("/a:b/root.img", "file", "/a:b/root.img"),
    ],
)
def test_image_is_read_and_written_back(text: str, kind: str, name: str) -> None:
    ref = ImageRef.parse(text)

    assert (ref.kind, ref.name) == (kind, name)
    assert str(ref) == text


def test_only_kernels_that_rig_compiles_are_built_here() -> None:
    kinds = {text: KernelRef.parse(text).built_here for text in ("debian:sid", "source:sid", "tree:.", "buildroot:6.1")}

    assert kinds == {"debian:sid": False, "source:sid": True, "tree:.": True, "buildroot:6.1": False}
