# SPDX-License-Identifier: MIT
"""Files that come from a guest stay below the target, whatever names the guest lists."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rig.errors import GuestError, UsageError
from rig.machine.transfer import copy_from_guest, copy_to_guest


class Guest:
    """An SFTP session of a guest with these files: path -> content, or None for a directory."""

    def __init__(self, files: dict[str, bytes | None], names: dict[str, list[str]] | None = None) -> None:
        self.files, self.names = files, names or {}

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def lstat(self, path: str) -> Any:
        if path not in self.files:
            raise FileNotFoundError(path)
        return SimpleNamespace(st_mode=stat.S_IFDIR | 0o755 if self.files[path] is None else stat.S_IFREG | 0o4755)

    stat = lstat

    def listdir(self, path: str) -> list[str]:
        return self.names.get(path, [name.rpartition("/")[2] for name in self.files if name.rpartition("/")[0] == path])

    def get(self, path: str, target: str) -> None:
        Path(target).write_bytes(self.files[path] or b"")

    def put(self, source: str, target: str) -> None:
        self.files[target] = Path(source).read_bytes()

    def mkdir(self, path: str) -> None:
        self.files[path] = None

    def chmod(self, path: str, mode: int) -> None:
        return


def shell(guest: Guest) -> Any:
    return SimpleNamespace(sftp=lambda: guest)


def test_directory_is_copied_with_all_below_it(tmp_path: Path) -> None:
    guest = Guest({"/r/log": None, "/r/log/a": b"1", "/r/log/sub": None, "/r/log/sub/b": b"2"})

    assert copy_from_guest(shell(guest), "/r/log", str(tmp_path), shown=":/log") == 2

    assert (tmp_path / "log/a").read_bytes() == b"1"
    assert (tmp_path / "log/sub/b").read_bytes() == b"2"
    assert stat.S_IMODE((tmp_path / "log/a").stat().st_mode) == 0o755, "no set-user-ID bit comes from a guest"


@pytest.mark.parametrize("name", ["..", "../../etc/passwd", "a/b", ""])
def test_names_that_would_leave_the_target_are_refused(tmp_path: Path, name: str) -> None:
    guest = Guest({"/r/log": None}, {"/r/log": [name]})

    with pytest.raises(GuestError, match="lists a file of the name"):
        copy_from_guest(shell(guest), "/r/log", str(tmp_path / "log"), shown=":/log")

    assert [path.name for path in tmp_path.rglob("*")] == ["log"]


def test_copy_is_not_written_through_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("kept")
    (tmp_path / "a").symlink_to("kept")

    with pytest.raises(UsageError, match="symbolic link"):
        copy_from_guest(shell(Guest({"/r/a": b"new"})), "/r/a", str(tmp_path / "a"), shown=":/a")

    assert (tmp_path / "kept").read_text() == "kept"


def test_missing_file_of_the_guest_is_named_as_the_user_wrote_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file") as raised:
        copy_from_guest(shell(Guest({})), "/run/rig/roots/program/x", str(tmp_path), shown=":/x")

    assert raised.value.where == ":/x"


def test_file_goes_into_a_directory_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("print()")
    guest = Guest({"/work": None})

    assert copy_to_guest(shell(guest), str(tmp_path / "job.py"), "/work") == 1
    assert guest.files["/work/job.py"] == b"print()"


def test_missing_file_of_the_host_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        copy_to_guest(shell(Guest({})), str(tmp_path / "none"), "/work")
