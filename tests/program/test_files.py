# SPDX-License-Identifier: MIT
"""Host programs with their libraries, and copied files: each has its path in the guest."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.image.hosttools import tool
from rig.image.layer.closure import closure_of, read_executable
from rig.image.layer.packages import _rename
from rig.image.rootfs import merged_path
from rig.program.files import collect_copies, collect_executable


def place(path: str) -> str:
    return merged_path(path.lstrip("/"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with two programs: `found` finds its library by $ORIGIN, `lost` has a dangling RUNPATH."""
    directory = tmp_path_factory.mktemp("program")
    (directory / "lib").mkdir()
    (directory / "part.c").write_text("int part(void) { return 42; }\n")
    (directory / "main.c").write_text("int part(void);\nint main(void) { return part(); }\n")
    gcc = [tool("cc"), "-o"]
    subprocess.run([*gcc, directory / "lib/libpart.so", "-shared", "-fPIC", directory / "part.c"], check=True)
    for name, path in (("found", "$ORIGIN/lib"), ("lost", "$ORIGIN/nowhere")):
        subprocess.run(
            [*gcc, directory / name, directory / "main.c", f"-L{directory}/lib", "-lpart", f"-Wl,-rpath,{path}"],
            check=True,
        )
    return directory


def test_libraries_are_those_that_the_loader_finds(built: Path) -> None:
    files, links = closure_of(built / "found")

    assert str(built / "lib/libpart.so") in files
    assert any(name.endswith("/libc.so.6") for name in files)
    assert read_executable(built / "found").interpreter in files
    assert links["/usr/lib/x86_64-linux-gnu/libpart.so"] == str(built / "lib/libpart.so")


def test_parts_of_glibc_come_together(built: Path) -> None:
    files, _ = closure_of(built / "found")

    assert any(name.endswith("/libm.so.6") for name in files)


def test_missing_library_is_named_before_any_guest(built: Path) -> None:
    with pytest.raises(UsageError, match=r"does not find libpart\.so"):
        closure_of(built / "lost")


def test_program_is_called_as_the_user_called_it(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built)

    files, name = collect_executable("./found", "/work", place)

    assert name == "./found"
    assert files.files["work/found"] == Path("./found")


def test_program_from_above_is_put_into_the_working_directory(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built / "lib")

    files, name = collect_executable("../found", "/work", place)

    assert name == "./found"
    assert "work/found" in files.files


def test_program_with_an_absolute_path_keeps_it(built: Path) -> None:
    files, name = collect_executable(str(built / "found"), "/work", place)

    assert name == str(built / "found")
    assert name.lstrip("/") in files.files


def test_script_is_taken_alone(tmp_path: Path) -> None:
    script = tmp_path / "job"
    script.write_text("#!/bin/sh\nexit 3\n")

    files, _ = collect_executable(str(script), "/work", place)

    assert list(files.files.values()) == [script]
    assert read_executable(script).interpreter == "/bin/sh"


def test_files_of_the_host_are_not_taken_from_mmdebstrap() -> None:
    assert _rename("etc/resolv.conf") is None
    assert _rename("./etc/hostname".removeprefix("./")) is None
    assert _rename("etc/redis/redis.conf") == "etc/redis/redis.conf"


def test_text_without_an_interpreter_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("hello\n")

    with pytest.raises(UsageError, match="neither an executable nor a script"):
        collect_executable(str(tmp_path / "notes"), "/work", place)


@pytest.mark.parametrize(
    ("machine", "bits", "name"), [(183, 2, "arm64"), (3, 1, "32-bit x86"), (999, 2, "machine 999")]
)
def test_program_of_another_machine_is_a_usage_error(tmp_path: Path, machine: int, bits: int, name: str) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF" + bytes([bits, 1]) + bytes(10) + struct.pack("<HH", 2, machine) + bytes(44))

    with pytest.raises(UsageError, match=name):
        read_executable(program)


def test_program_whose_loader_is_not_here_is_a_usage_error(built: Path, tmp_path: Path) -> None:
    data = (built / "found").read_bytes().replace(b"/lib64/ld-linux-x86-64.so.2", b"/lib64/ld-nowhere-86-64.so.2"[:27])
    (tmp_path / "other").write_bytes(data)

    with pytest.raises(UsageError, match="dynamic loader /lib64/ld-nowhere"):
        closure_of(tmp_path / "other")


def test_copies_land_in_the_working_directory_or_where_they_are_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/deep").mkdir(parents=True)
    (tmp_path / "data/deep/file").write_text("x")
    (tmp_path / "a:b").write_text("x")
    one = str(tmp_path / "data/deep/file")

    def targets(*copies: str) -> list[str]:
        return sorted(collect_copies(copies, "/work", place).files)

    assert targets("data") == ["work/data/deep/file"]
    assert targets(one) == ["work/file"]
    assert targets(f"{one}:/etc/conf", f"{one}:sub/", "a:b") == ["etc/conf", "work/a:b", "work/sub/file"]
    assert targets(f"{one}:/lib/x.so") == ["usr/lib/x.so"]


def test_copied_directory_keeps_its_links_modes_and_empty_directories(tmp_path: Path) -> None:
    top = tmp_path / "app"
    (top / "lib").mkdir(parents=True)
    (top / "out").mkdir()
    (top / "lib/one").write_text("x")
    (top / "lib/one").chmod(0o640)
    (top / "lib64").symlink_to("lib")
    (top / "two").symlink_to("lib/one")

    found = collect_copies((str(top),), "/work", place)

    assert found.files == {"work/app/lib/one": top / "lib/one"}
    assert found.modes == {"work/app/lib/one": 0o640}
    assert found.links == {"work/app/lib64": "lib", "work/app/two": "lib/one"}
    assert found.directories == ["work/app/out"]


def test_what_a_link_to_elsewhere_leads_to_is_copied(tmp_path: Path) -> None:
    (tmp_path / "other/deep").mkdir(parents=True)
    (tmp_path / "other/deep/file").write_text("x")
    top = tmp_path / "app"
    top.mkdir()
    (top / "absolute").symlink_to(tmp_path / "other/deep/file")
    (top / "directory").symlink_to("../other")

    found = collect_copies((str(top),), "/work", place)

    assert sorted(found.files) == ["work/app/absolute", "work/app/directory/deep/file"]
    assert found.links == {}


def test_links_that_lead_back_or_nowhere_are_copied_as_links(tmp_path: Path) -> None:
    top = tmp_path / "app"
    (top / "in").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    links = {"up": "..", "in/self": str(top / "in"), "gone": "nothing", "round": "round", "other": "../other"}
    for name, to in links.items():
        (top / name).symlink_to(to)
    (tmp_path / "other/back").symlink_to(top)

    found = collect_copies((str(top),), "/work", place)

    assert found.files == {}
    assert set(found.links) == {*(f"work/app/{name}" for name in links if name != "other"), "work/app/other/back"}


def test_program_is_executable_in_the_guest_whatever_its_mode(tmp_path: Path) -> None:
    script = tmp_path / "job"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o600)

    assert collect_executable(str(script), "/work", place)[0].modes == {}


@pytest.mark.parametrize(("name", "call"), [("job.py", "-- python3 job.py"), ("job", "-- sh job")])
def test_script_without_an_interpreter_is_told_how_to_run(tmp_path: Path, name: str, call: str) -> None:
    script = tmp_path / name
    script.write_text("print(1)\n")
    script.chmod(0o755)

    with pytest.raises(UsageError) as caught:
        collect_executable(str(script), "/work", place)
    assert f"rig exec --copy {script} {call}" in str(caught.value.remedy)


def test_copy_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        collect_copies((str(tmp_path / "no"),), "/work", place)


def test_copy_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (tmp_path / "secret").touch(mode=0)

    with pytest.raises(UsageError, match="cannot be read"):
        collect_copies((str(tmp_path / "secret"),), "/work", place)
