# SPDX-License-Identifier: MIT
"""What an imported run could have QEMU or zstd do on this host."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.errors import RigError
from rig.image import bootfile
from rig.image.store import Store
from rig.machine import memory
from rig.replay.import_bundle import import_run
from tests.replay.made_archive import MadeArchive, run_json
from tests.zstd import zstd


def test_options_that_only_a_branch_would_use_need_trust(tmp_path: Path) -> None:
    archive = MadeArchive(run_json(environment__qemu_args=["-fsdev", "local,path=/"])).pack(tmp_path / "x.tar.zst")

    with pytest.raises(RigError, match=r"QEMU options of its own.*-fsdev local,path=/.*--trust"):
        import_run(Store(tmp_path / "cache"), archive, tmp_path / "runs")

    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("size", "taken"), [(3 << 20, True), (4 << 20, False)])
def test_dump_that_is_larger_than_its_guest_is_not_unpacked(
    size: int, taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "BESIDE_MEMORY", 1 << 20)
    dump = tmp_path / "panic.elf"
    dump.write_bytes(b"x" * size)
    packed = memory.pack_dump(dump)

    if taken:
        assert memory.unpack_dump(packed, tmp_path, 2 << 20).stat().st_size == size
    else:
        with pytest.raises(RigError, match="the dump of the guest's memory is damaged"):
            memory.unpack_dump(packed, tmp_path, 2 << 20)


@pytest.mark.parametrize(
    "pack", [gzip.compress, lzma.compress, bz2.compress, zstd], ids=["gzip", "xz", "bzip2", "zstd"]
)
def test_kernel_that_expands_without_end_is_refused(
    pack: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootfile, "LARGEST_KERNEL", 1 << 16)
    packed = pack(bytes(1 << 20))
    image = bytearray(0x1000)
    image[0x1F1] = 4
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", image, 0x248, 0x1000 - 5 * 512, len(packed))
    (tmp_path / "bzImage").write_bytes(image + packed)

    with pytest.raises(RigError, match="larger than a kernel can be"):
        bootfile.boot_build_id(tmp_path / "bzImage")
