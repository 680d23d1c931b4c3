# SPDX-License-Identifier: MIT
"""QEMU's command line as data, and the name of a snapshot that comes from it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from rig.machine.command import build_command, kernel_command_line, memory_is_a_file, printable
from rig.machine.features import MACHINE, TCG_CPU
from rig.machine.qemu import Qemu
from rig.machine.spec import Accel, Clock, Debugger, GuestSpec, RamFile, Recorder, Wiring

QEMU = Qemu(Path("/usr/bin/qemu-system-x86_64"), (7, 2), "version 7.2")
SPEC = GuestSpec(
    memory=512 << 20,
    cpus=1,
    clock=Clock.WARP,
    accel=Accel.TCG,
    kernel=Path("/cache/bzImage"),
    kernel_digest="k",
    initramfs=Path("/cache/initramfs"),
    initramfs_digest="i",
    rootfs=Path("/cache/root"),
    rootfs_digest="r",
    rootfs_size=40 << 20,
    payload_size=34 << 20,
    machine=MACHINE,
    cpu_model=TCG_CPU,
)
WIRING = Wiring(name="test", directory=Path("/tmp/rig-test"), payload=Path("/tmp/rig-test/payload"))


def words(spec: GuestSpec = SPEC, wiring: Wiring = WIRING, qemu: Qemu = QEMU) -> str:
    return " ".join(build_command(spec, wiring, qemu))


def test_warp_guest_has_no_disk_and_no_network() -> None:
    command = words()

    assert "virtio-blk" not in command
    assert "netdev" not in command
    assert "sleep=off" in command


def test_live_guest_has_one_way_in_on_loopback_and_none_out() -> None:
    command = words(replace(SPEC, clock=Clock.LIVE), replace(WIRING, ssh=True))

    assert "restrict=on,hostfwd=tcp:127.0.0.1:0-:22" in command
    assert "icount" not in command


def test_recording_and_replay_name_the_same_file() -> None:
    recorded = words(wiring=replace(WIRING, recorder=Recorder("record", Path("/runs/replay.bin"))))

    assert "rr=record,rrfile=/runs/replay.bin" in recorded


def test_comma_in_a_path_is_doubled() -> None:
    command = words(wiring=replace(WIRING, payload=Path("/tmp/a,b")))

    assert "mem-path=/tmp/a,,b" in command


def test_restored_guest_maps_the_snapshots_memory_privately() -> None:
    command = words(wiring=replace(WIRING, ram=RamFile(Path("/cache/ram")), incoming=True))

    assert "memory-backend=ram" in command
    assert "id=ram,mem-path=/cache/ram,size=536870912,share=off" in command


def test_guest_that_fills_its_memory_has_it_before_it_starts() -> None:
    command = words(wiring=replace(WIRING, ram=RamFile(Path("/cache/ram")), incoming=True, prealloc=True))

    assert f"share=off,prealloc=on,prealloc-threads={len(os.sched_getaffinity(0))}" in command
    assert "prealloc" not in words(wiring=replace(WIRING, ram=RamFile(Path("/cache/ram")), incoming=True))


def test_guest_that_becomes_a_snapshot_writes_to_the_memory_that_is_kept() -> None:
    assert "id=ram,mem-path=/ram,size=536870912,share=on" in words(
        wiring=replace(WIRING, ram=RamFile(Path("/ram"), kept=True))
    )


def test_guest_whose_memory_qemus_options_lay_out_has_no_file_of_ours() -> None:
    numa = replace(SPEC, qemu_args=("-numa", "node,nodeid=0,memdev=node0"))

    assert memory_is_a_file(SPEC)
    assert not memory_is_a_file(numa)


@pytest.mark.parametrize(("version", "option"), [((7, 2), "-runas nobody"), ((9, 1), "-run-with user=nobody")])
def test_root_is_dropped_in_the_words_of_that_qemu(version: tuple[int, int], option: str) -> None:
    command = words(wiring=replace(WIRING, run_as="nobody"), qemu=replace(QEMU, version=version))

    assert option in command
    assert "spawn=deny" in command


def test_nothing_silences_the_kernel() -> None:
    line = kernel_command_line(SPEC).split()

    assert "ignore_loglevel" in line
    assert not {"quiet", "loglevel=0"} & set(line)


def test_printed_command_has_an_option_and_its_value_on_a_line() -> None:
    lines = printable(build_command(SPEC, WIRING, QEMU)).splitlines()

    assert any(line.strip().startswith("-m 512M") for line in lines)
    assert all(line.endswith("\\") for line in lines[:-1])


def test_debugger_is_on_a_socket_or_on_a_port_of_the_loopback() -> None:
    on_socket = words(wiring=replace(WIRING, debugger=Debugger()))
    on_port = words(wiring=replace(WIRING, debugger=Debugger(1234, Path("/tmp/history.qcow2"))))

    assert f"socket,id=gdb,path={WIRING.gdb},server=on,wait=off" in on_socket
    assert "socket,id=gdb,host=127.0.0.1,port=1234,server=on,wait=off" in on_port
    assert "if=none,id=history,format=qcow2,file=/tmp/history.qcow2" in on_port
    assert "-gdb" not in words()
