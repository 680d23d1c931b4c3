# SPDX-License-Identifier: MIT
"""QEMU's command line, as data.

The options are those of QEMU's system/invocation documentation; why each is there stands beside it.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from rig.machine.features import RUN_WITH_USER, has
from rig.machine.qemu import Qemu
from rig.machine.spec import Accel, Clock, GuestSpec, Wiring

__all__ = [
    "DUMP_SET",
    "GUEST_ADDRESS",
    "WARP_SHIFT",
    "build_command",
    "kernel_command_line",
    "memory_is_a_file",
    "printable",
]

# One guest instruction takes 2^3 = 8 ns of guest time: 125 million instructions a second.
WARP_SHIFT = 3
GUEST_ADDRESS = "10.0.2.15/24"
DUMP_SET = 7
# Any start of a warp guest sees the same wall clock, so that runs can be compared.
EPOCH = "2026-01-01T00:00:00"


def kernel_command_line(spec: GuestSpec) -> str:
    """Return the guest kernel's command line. Nothing in it silences the kernel: its words are the evidence."""
    words = [
        "console=ttyS0",
        "ignore_loglevel", "printk.devkmsg=on", "printk.time=1",
        "panic=-1",
        # Without it the kernel sets 64 MB aside for DMA that this guest never does.
        "swiotlb=noforce",
        # Addresses in traces and in a debugger are those of System.map.
        "nokaslr",
        # The self-tests of built-in ciphers are half of an emulated boot.
        "cryptomgr.notests",
        "psi=1",
        "rig.root=pmem", "rig.payload=pmem",
    ]  # fmt: skip
    if spec.clock is Clock.WARP:
        # The guest's TSC is QEMU's own clock; checking it twice a second against another would wake an idle guest.
        # The other two do the same: the lock-up detectors, and compaction ahead of need (on request: --sysctl).
        words += ["tsc=reliable", "nowatchdog", "sysctl.vm.compaction_proactiveness=0"]
    if spec.clock is Clock.LIVE:
        words += [f"rig.ip={GUEST_ADDRESS}", "rig.shell=1"]
    return " ".join([*words, *spec.append])


def build_command(spec: GuestSpec, wiring: Wiring, qemu: Qemu) -> list[str]:
    """Return the whole command line that starts this guest."""
    return [
        str(qemu.path),
        "-name", f"rig-{wiring.name},process=rig-{wiring.name[:10]}",
        "-nodefaults", "-no-user-config",
        "-display", "none",
        "-no-reboot",
        "-machine", spec.machine + (",memory-backend=ram" if wiring.ram else ""),
        *_clock(spec, wiring),
        *_processor(spec),
        *_memory(spec, wiring),
        "-kernel", str(spec.kernel),
        "-initrd", str(spec.initramfs),
        "-append", kernel_command_line(spec),
        *_channels(wiring),
        *_disks(spec, wiring),
        *_network(spec, wiring),
        *_debugger(wiring),
        *_confinement(wiring, qemu),
        # The readers run before the first instruction: no byte is lost.
        "-S",
        *(["-incoming", "defer"] if wiring.incoming else []),
        *spec.qemu_args,
    ]  # fmt: skip


def _clock(spec: GuestSpec, wiring: Wiring) -> list[str]:
    if spec.clock is Clock.LIVE:
        return ["-rtc", "base=utc"]
    icount = f"shift={WARP_SHIFT},sleep=off"
    if wiring.rr is not None:
        icount += f",rr={wiring.rr},rrfile={_escaped(wiring.recording)}"
    return ["-icount", icount, "-rtc", f"base={EPOCH},clock=vm"]


def _processor(spec: GuestSpec) -> list[str]:
    if spec.accel is Accel.KVM:
        return ["-accel", "kvm", "-cpu", spec.cpu_model, "-smp", str(spec.cpus)]
    threads = "single" if spec.clock is Clock.WARP else "multi"
    return [
        "-accel", f"tcg,thread={threads}",
        "-cpu", spec.cpu_model,
        # It patches Windows guests; loading a snapshot in a replay hangs on it (target/i386, kvmvapic.c).
        "-global", "apic-common.vapic=off",
        "-smp", str(spec.cpus),
    ]  # fmt: skip


def _memory(spec: GuestSpec, wiring: Wiring) -> list[str]:
    """Root and payload are NVDIMMs: memory rather than I/O, so they are replayed exactly, and not part of -m."""
    maxmem = spec.memory + (2 << 30) + sum(layer.size for layer in spec.layers)
    ram = []
    if wiring.ram is not None:
        share = "on" if wiring.ram_kept else "off"
        path = _escaped(wiring.ram)
        # With all CPUs: the guest waits for it.
        early = f",prealloc=on,prealloc-threads={len(os.sched_getaffinity(0))}" if wiring.prealloc else ""
        ram = ["-object", f"memory-backend-file,id=ram,mem-path={path},size={spec.memory},share={share}{early}"]
    return [
        "-m", f"{spec.memory >> 20}M,slots={2 + len(spec.layers)},maxmem={maxmem >> 20}M",
        *ram,
        "-object", _backend("payload", wiring.payload, spec.payload_size),
        "-device", "nvdimm,id=nv-payload,memdev=payload,unarmed=on",
        "-object", _backend("root", spec.rootfs, spec.rootfs_size),
        "-device", "nvdimm,id=nv-root,memdev=root,unarmed=on",
        *_layers(spec, wiring),
    ]  # fmt: skip


def _layers(spec: GuestSpec, wiring: Wiring) -> list[str]:
    """The layers' own NVDIMMs; the agent finds each by the label in its superblock."""
    words = []
    for number, layer in enumerate(spec.layers):
        image = layer.image if wiring.blank_layers is None else wiring.blank_layers / str(layer.size)
        words += [
            "-object", _backend(f"layer{number}", image, layer.size),
            "-device", f"nvdimm,id=nv-layer{number},memdev=layer{number},unarmed=on",
        ]  # fmt: skip
    return words


def memory_is_a_file(spec: GuestSpec) -> bool:
    """Return whether rig gives the guest its memory: not where QEMU's own options lay it out, as for NUMA."""
    return not any("memdev=" in word for word in spec.qemu_args)


def _backend(name: str, path: Path, size: int) -> str:
    return f"memory-backend-file,id={name},mem-path={_escaped(path)},size={size},share=on,readonly=on"


def _channels(wiring: Wiring) -> list[str]:
    """One purpose a channel. What the guest says goes through pipes: a socket is full after some 280 writes of one
    byte, QEMU then tries again when the host has read, and a recording of that cannot be replayed.
    """
    words = [
        "-chardev", f"socket,id=qmp,path={_escaped(wiring.qmp)}",
        "-mon", "chardev=qmp,mode=control",
        "-chardev", f"pipe,id=console,path={_escaped(wiring.console)}",
        "-serial", "chardev:console",
        # As many ports as there are: each has eventfds, and the main loop polls every one of them at each of its turns.
        "-device", "virtio-serial-pci,id=vs,max_ports=4,ioeventfd=off",
        "-chardev", f"pipe,id=events,path={_escaped(wiring.events)}",
        "-device", "virtserialport,bus=vs.0,nr=1,chardev=events,name=rig.events",
        # The first tells the host of a panic at once, and the guest is then held; through the second the guest's
        # kernel says where its description of itself is, for those who read its memory.
        "-device", "pvpanic", "-action", "panic=pause",
        "-device", "vmcoreinfo",
    ]  # fmt: skip
    if wiring.dump is not None:
        words += ["-add-fd", f"fd={wiring.dump},set={DUMP_SET}"]
    if wiring.shell:
        words += [
            "-chardev", f"socket,id=shell,path={_escaped(wiring.shell_socket)}",
            "-device", "virtconsole,bus=vs.0,nr=2,chardev=shell",
        ]  # fmt: skip
    return words


def _disks(spec: GuestSpec, wiring: Wiring) -> list[str]:
    if not spec.swap:
        return []
    file = f"driver=file,filename={_escaped(wiring.swap)},cache.direct=off"
    return [
        "-blockdev",
        f"driver=raw,node-name=swap,file.{file.replace(',', ',file.')}",
        "-device",
        "virtio-blk-pci,drive=swap",
    ]


def _network(spec: GuestSpec, wiring: Wiring) -> list[str]:
    """Live guests have one way in, on loopback, and none out."""
    if spec.clock is Clock.WARP:
        return []
    # Port 0: QEMU takes a free one itself (slirp_hostfwd, net/slirp.c), so nobody else can take it in between.
    forward = ",hostfwd=tcp:127.0.0.1:0-:22" if wiring.ssh else ""
    return ["-netdev", f"user,id=net,restrict=on{forward}", "-device", "virtio-net-pci,netdev=net,romfile="]


def _debugger(wiring: Wiring) -> list[str]:
    if not wiring.debugger:
        return []
    disk = []
    if wiring.history is not None:
        disk = ["-drive", f"if=none,id=history,format=qcow2,file={_escaped(wiring.history)}"]
    where = f"path={_escaped(wiring.gdb)}"
    if wiring.debugger_port is not None:
        where = f"host=127.0.0.1,port={wiring.debugger_port}"
    return ["-chardev", f"socket,id=gdb,{where},server=on,wait=off", "-gdb", "chardev:gdb", *disk]


def _confinement(wiring: Wiring, qemu: Qemu) -> list[str]:
    words = ["-sandbox", "on,spawn=deny" + ("" if wiring.run_as else ",elevateprivileges=deny")]
    if wiring.run_as:
        if has(qemu, RUN_WITH_USER):
            words += ["-run-with", f"user={wiring.run_as}"]
        else:
            words += ["-runas", wiring.run_as]
    return words


def _escaped(path: Path | None) -> str:
    """A comma in a path is written twice in QEMU's option syntax."""
    return str(path).replace(",", ",,")


def printable(command: list[str]) -> str:
    """Return the command as one would type it, an option and its value on one line."""
    lines = [shlex.quote(command[0])]
    for word in command[1:]:
        if word.startswith("-") or not lines[-1].startswith("-"):
            lines.append(shlex.quote(word))
        else:
            lines[-1] += " " + shlex.quote(word)
    return " \\\n    ".join(lines)
