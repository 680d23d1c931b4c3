# SPDX-License-Identifier: MIT
"""QEMU's command line, as data.

QEMU documents the options in docs/system/invocation.rst. A comment beside an option gives rig's reason for it.
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

# The shift of -icount: one guest instruction takes 2^3 = 8 ns of guest time, which is 125 million a second.
WARP_SHIFT = 3
GUEST_ADDRESS = "10.0.2.15/24"
DUMP_SET = 7
# Every warp guest starts at the same wall-clock time, so that runs can be compared.
EPOCH = "2026-01-01T00:00:00"


def kernel_command_line(spec: GuestSpec) -> str:
    """Return the guest kernel's command line.

    No option may silence the kernel log, because the OOM report in it is the evidence.
    """
    words = [
        "console=ttyS0",
        # The kernel prints on ttyS0 from the start, and on hvc0 too as soon as it has the driver.
        *(["console=hvc0"] if spec.has_virtio_console else []),
        # devkmsg=on: otherwise the kernel drops what is written through one open /dev/kmsg beyond ten lines in five
        # seconds, and with it the agent's marks (devkmsg_open() and devkmsg_write(), kernel/printk/printk.c;
        # include/linux/ratelimit_types.h).
        "ignore_loglevel", "printk.devkmsg=on", "printk.time=1",
        # After a panic the kernel restarts the machine at once if the time-out is negative (panic(), kernel/panic.c).
        # With -no-reboot QEMU ends then, in place of a second boot in the same log.
        "panic=-1",
        # By default the kernel reserves 64 MB of bounce buffers (swiotlb) for DMA that this guest never does.
        "swiotlb=noforce",
        # Without KASLR the addresses in traces and in a debugger are those of System.map.
        "nokaslr",
        # The self-tests of built-in ciphers take half of the boot time under TCG.
        "cryptomgr.notests",
        "psi=1",
        "rig.root=pmem", "rig.payload=pmem",
    ]  # fmt: skip
    if spec.clock is Clock.WARP:
        # Periodic work would wake an idle guest and so stop the warp. tsc=reliable: no clocksource watchdog twice a
        # second; the TSC is QEMU's own clock. nowatchdog: no lock-up detectors. compaction_proactiveness=0: no
        # proactive compaction; a user who wants it sets --sysctl.
        words += ["tsc=reliable", "nowatchdog", "sysctl.vm.compaction_proactiveness=0"]
    if spec.clock is Clock.LIVE:
        words += [f"rig.ip={GUEST_ADDRESS}", "rig.shell=1"]
    return " ".join([*words, *spec.append])


def build_command(spec: GuestSpec, wiring: Wiring, qemu: Qemu) -> list[str]:
    """Return the complete command line that starts this guest: the program, then its options."""
    return [
        str(qemu.path),
        "-name", f"rig-{wiring.name},process=rig-{wiring.name[:10]}",
        "-nodefaults", "-no-user-config",
        "-display", "none",
        "-no-reboot",
        "-machine", spec.machine + (",memory-backend=ram" if wiring.ram else ""),
        *_clock(spec, wiring),
        *_cpu(spec),
        *_memory(spec, wiring),
        "-kernel", str(spec.kernel),
        "-initrd", str(spec.initramfs),
        "-append", kernel_command_line(spec),
        *_channels(spec, wiring),
        *_disks(spec, wiring),
        *_network(spec, wiring),
        *_debugger(wiring),
        *_confinement(wiring, qemu),
        # The guest starts paused, so that rig reads every port before the first instruction and loses no byte.
        "-S",
        *(["-incoming", "defer"] if wiring.incoming else []),
        *spec.qemu_args,
    ]  # fmt: skip


def _clock(spec: GuestSpec, wiring: Wiring) -> list[str]:
    if spec.clock is Clock.LIVE:
        return ["-rtc", "base=utc"]
    icount = f"shift={WARP_SHIFT},sleep=off"
    if wiring.recorder is not None:
        icount += f",rr={wiring.recorder.mode},rrfile={_escaped(wiring.recorder.file)}"
    # RDRAND and RDSEED give the host's random numbers. On Linux 7.2 a program's addresses, and with them its clock,
    # differed from run to run (not on 6.1), so that a branch point's past was not the run's. A booting guest has true
    # ones, which are in its snapshot.
    seed = ["-seed", "1"] if wiring.incoming else []
    return ["-icount", icount, "-rtc", f"base={EPOCH},clock=vm", *seed]


def _cpu(spec: GuestSpec) -> list[str]:
    if spec.accel is Accel.KVM:
        return ["-accel", "kvm", "-cpu", spec.cpu_model, "-smp", str(spec.cpus)]
    threads = "single" if spec.clock is Clock.WARP else "multi"
    return [
        "-accel", f"tcg,thread={threads}",
        "-cpu", spec.cpu_model,
        # The VAPIC (hw/i386/vapic.c, kvmvapic.c in QEMU 7.2) patches Windows guests. Loading a snapshot in a replay
        # hangs on it.
        "-global", "apic-common.vapic=off",
        "-smp", str(spec.cpus),
    ]  # fmt: skip


def _memory(spec: GuestSpec, wiring: Wiring) -> list[str]:
    """Return the options for RAM and NVDIMMs.

    Root and payload are NVDIMMs. Access to them is a memory access, not I/O, so a replay needs no record of it. Their
    sizes do not count towards -m.
    """
    # QEMU places the NVDIMMs in a region of maxmem minus -m, with 1 GiB more for each slot's alignment
    # (pc_get_device_memory_range(), hw/i386/pc.c). So 2 GiB must hold root, payload and continuation.
    slots = 2 + len(spec.layers) + (spec.continuation_size > 0)
    maxmem = spec.memory + (2 << 30) + sum(layer.size for layer in spec.layers)
    ram = []
    if wiring.ram is not None:
        share = "on" if wiring.ram.kept else "off"
        path = _escaped(wiring.ram.path)
        # One thread per host CPU, because the guest cannot start before all its memory is allocated.
        early = f",prealloc=on,prealloc-threads={len(os.sched_getaffinity(0))}" if wiring.prealloc else ""
        ram = ["-object", f"memory-backend-file,id=ram,mem-path={path},size={spec.memory},share={share}{early}"]
    return [
        "-m", f"{spec.memory >> 20}M,slots={slots},maxmem={maxmem >> 20}M",
        *ram,
        "-object", _backend("payload", wiring.payload, spec.payload_size),
        "-device", "nvdimm,id=nv-payload,memdev=payload,unarmed=on",
        "-object", _backend("root", spec.rootfs, spec.rootfs_size),
        "-device", "nvdimm,id=nv-root,memdev=root,unarmed=on",
        *_layers(spec, wiring),
        *_continuation(spec, wiring),
    ]  # fmt: skip


def _continuation(spec: GuestSpec, wiring: Wiring) -> list[str]:
    """Return the options for the NVDIMM of a continuation. The agent finds it as the one without a filesystem."""
    if not spec.continuation_size:
        return []
    return [
        "-object", _backend("continuation", wiring.continuation, spec.continuation_size),
        "-device", "nvdimm,id=nv-continuation,memdev=continuation,unarmed=on",
    ]  # fmt: skip


def _layers(spec: GuestSpec, wiring: Wiring) -> list[str]:
    """Return the options for one NVDIMM a layer. The agent finds each by the label in its superblock."""
    words = []
    for number, layer in enumerate(spec.layers):
        image = layer.image if wiring.blank_layers is None else wiring.blank_layers / str(layer.size)
        words += [
            "-object", _backend(f"layer{number}", image, layer.size),
            "-device", f"nvdimm,id=nv-layer{number},memdev=layer{number},unarmed=on",
        ]  # fmt: skip
    return words


def memory_is_a_file(spec: GuestSpec) -> bool:
    """Return whether rig backs the guest's RAM with a file.

    It does not when the user's QEMU options name a memdev= themselves, as a NUMA layout does.
    """
    return not any("memdev=" in word for word in spec.qemu_args)


def _backend(name: str, path: Path | None, size: int) -> str:
    # share=on: x-ignore-shared then leaves the NVDIMM out of a snapshot (ramblock_is_ignored(), migration/ram.c), and
    # all guests map the same pages of the host's page cache. QEMU takes a read-only file only for a device
    # with unarmed=on (nvdimm_prepare_memory_region(), hw/mem/nvdimm.c).
    return f"memory-backend-file,id={name},mem-path={_escaped(path)},size={size},share=on,readonly=on"


def _channels(spec: GuestSpec, wiring: Wiring) -> list[str]:
    """Return the options for the ports of guest and monitor, one port for each purpose.

    The guest's output goes through pipes. A socket is full after about 280 writes of one byte; QEMU then retries when
    the host has read, and a recording that holds such a retry cannot be replayed.
    """
    console = ["-chardev", f"pipe,id=console,path={_escaped(wiring.console)}"]
    if spec.has_virtio_console:
        serial = ["-chardev", f"pipe,id=serial,path={_escaped(wiring.serial)}", "-serial", "chardev:serial"]
        virtual = ["-device", "virtconsole,bus=vs.0,nr=3,chardev=console"]
    else:
        serial, virtual = ["-serial", "chardev:console"], []
    words = [
        "-chardev", f"socket,id=qmp,path={_escaped(wiring.qmp)}",
        "-mon", "chardev=qmp,mode=control",
        *console,
        *serial,
        # max_ports is no larger than needed: each port has eventfds, and QEMU's main loop polls them all in every turn.
        "-device", "virtio-serial-pci,id=vs,max_ports=4,ioeventfd=off",
        "-chardev", f"pipe,id=events,path={_escaped(wiring.events)}",
        "-device", "virtserialport,bus=vs.0,nr=1,chardev=events,name=rig.events",
        *virtual,
        # pvpanic reports a panic to the host at once, and panic=pause then keeps the guest for a dump. Through the
        # vmcoreinfo device the guest's kernel publishes the address of its vmcoreinfo note for readers of a dump.
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
    """Return the options for the disks. The guest names them in this order: /dev/vda, /dev/vdb."""
    words = []
    for name, size, path in (("swap", spec.swap, wiring.swap), ("disk", spec.disk, wiring.disk)):
        if size:
            file = f"driver=file,filename={_escaped(path)},cache.direct=off"
            words += [
                "-blockdev", f"driver=raw,node-name={name},file.{file.replace(',', ',file.')}",
                "-device", f"virtio-blk-pci,drive={name}",
            ]  # fmt: skip
    return words


def _network(spec: GuestSpec, wiring: Wiring) -> list[str]:
    """Return the options for the network. A live guest is reachable from the host's loopback and reaches nothing."""
    if spec.clock is Clock.WARP:
        return []
    # With port 0 QEMU binds a free port itself (slirp_hostfwd, net/slirp.c). A port that rig picked beforehand could be
    # taken by another process in between.
    forward = ",hostfwd=tcp:127.0.0.1:0-:22" if wiring.ssh else ""
    return ["-netdev", f"user,id=net,restrict=on{forward}", "-device", "virtio-net-pci,netdev=net,romfile="]


def _debugger(wiring: Wiring) -> list[str]:
    if wiring.debugger is None:
        return []
    disk = []
    if wiring.debugger.history is not None:
        disk = ["-drive", f"if=none,id=history,format=qcow2,file={_escaped(wiring.debugger.history)}"]
    where = f"path={_escaped(wiring.gdb)}"
    if wiring.debugger.port is not None:
        where = f"host=127.0.0.1,port={wiring.debugger.port}"
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
    """Return the path with commas doubled, as QEMU's option syntax wants them."""
    return str(path).replace(",", ",,")


def printable(command: list[str]) -> str:
    """Return the command quoted for a shell, one option with its value a line."""
    lines = [shlex.quote(command[0])]
    for word in command[1:]:
        if word.startswith("-") or not lines[-1].startswith("-"):
            lines.append(shlex.quote(word))
        else:
            lines[-1] += " " + shlex.quote(word)
    return " \\\n    ".join(lines)
