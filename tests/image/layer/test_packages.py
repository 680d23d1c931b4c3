# SPDX-License-Identifier: MIT
"""What a layer of unconfigured packages has beside the files of the packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.image.layer.packages import _link_commands, _rename
from rig.image.layer.staging import Staging


def command(root: Path, name: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    path.chmod(0o755)


def test_commands_off_the_path_are_linked_where_no_file_has_the_name(tmp_path: Path) -> None:
    for name in (
        "usr/lib/jvm/java-17/bin/java", "usr/lib/jvm/java-17/lib/jexec", "usr/lib/postgresql/15/bin/psql",
        "usr/bin/psql", "usr/lib/postgresql/15/bin/initdb", "usr/lib/klibc/bin/cat", "usr/lib/llvm-14/bin/clang",
        "usr/lib/llvm-16/bin/clang",
    ):  # fmt: skip
        command(tmp_path, name)
    (tmp_path / "usr/lib/jvm/default-java").symlink_to("java-17")

    _link_commands(Staging(tmp_path))

    links = {path.name: str(path.readlink()) for path in (tmp_path / "usr/bin").iterdir() if path.is_symlink()}
    assert links["initdb"] == "/usr/lib/postgresql/15/bin/initdb"
    assert links["java"] == "/usr/lib/jvm/java-17/bin/java"
    assert set(links) == {"initdb", "java"}


@pytest.mark.parametrize("name", ["etc/resolv.conf", "etc/hostname"])
def test_files_of_the_host_are_left_out(name: str) -> None:
    assert _rename(name) is None
