# SPDX-License-Identifier: MIT
"""Check before a replay that this host has every part of the run, and that each part has the recorded SHA-256."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rig.errors import RigError
from rig.image.digest import digest_file
from rig.image.store import Store
from rig.image.unpack import unpack_zst
from rig.machine.branch_point import find_branch_point, imported_branch_point
from rig.machine.identity import differences, identity_of
from rig.machine.qemu import Qemu
from rig.machine.snapshot import Snapshot, find_snapshot, imported_snapshot
from rig.machine.spec import Accel, Clock, GuestSpec, Layer
from rig.run.directory import use_run
from rig.run.document import RecordedGuest, Run
from rig.run.imported import read_imported
from rig.run.recording_files import CONTINUATION, PAYLOAD

__all__ = [
    "Part",
    "Replayable",
    "bundled_parts",
    "kernel_of",
    "parts_of",
    "replayable",
    "unpack_continuation",
    "unpack_payload",
]  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A file that a replay needs.

    kind: the kind of its cache entry.
    hint: its path on the recording host.
    number: counts the layers of a guest from 1; 0 for a kind of which a guest has one part.
    """

    kind: str
    digest: str
    hint: str = ""
    number: int = 0

    @property
    def name(self) -> str:
        """The name of the part among those of its run (imported.json)."""
        return f"{self.kind}-{self.number}" if self.number else self.kind


@dataclass(frozen=True)
class Replayable:
    """A run whose parts are all on this host. cut: the recording is shorter than run.json says."""

    run: Run
    directory: Path
    spec: GuestSpec
    snapshot: Snapshot
    recording: Path
    cut: bool = False


def parts_of(guest: RecordedGuest) -> tuple[Part, ...]:
    """Return the files that a guest boots, in the order kernel, initramfs, rootfs, layers."""
    return (
        Part("kernel", guest.kernel, guest.kernel_path),
        Part("initramfs", guest.initramfs, guest.initramfs_path),
        Part("rootfs", guest.rootfs, guest.rootfs_path),
        *(Part("layer", layer.digest, layer.path, number) for number, layer in enumerate(guest.layers, start=1)),
    )


def bundled_parts(run: Run) -> list[Part]:
    """Return what a bundle of a run carries beside the run: its guest's parts, and what the guest was restored from.

    Nothing for a run without a recording.
    """
    guest = run.recording.guest
    if guest is None or run.recording.path is None:
        return []
    return [*parts_of(guest), Part("branch" if guest.point else "snapshot", guest.snapshot)]


def replayable(store: Store, run: Run, directory: Path, qemu: Qemu, *, check: bool = True) -> Replayable:
    """Return the parts that a replay of this run starts from.

    check: whether the recording's SHA-256 must match run.json.
    Raises RigError for a run without a recording, a different QEMU, a part that is missing or has changed, and a
    damaged recording.
    """
    use_run(directory)
    guest = _recorded(run, directory)
    if qemu.text != run.environment.qemu:
        raise RigError(
            f"recorded with QEMU {run.environment.qemu}; a replay with {qemu.text} would not be faithful",
            where=qemu.path,
            remedy="name that version's program in RIG_QEMU",
        )
    recording = directory / str(run.recording.path)
    cut = _check_recording(run, recording, check=check)
    imported = read_imported(directory)
    kernel, initramfs, rootfs, *layers = (_found(store, part, imported) for part in parts_of(guest))
    spec = GuestSpec(
        memory=guest.memory,
        cpus=guest.cpus,
        clock=Clock.WARP,
        accel=Accel.TCG,
        kernel=kernel,
        kernel_digest=guest.kernel,
        initramfs=initramfs,
        initramfs_digest=guest.initramfs,
        rootfs=rootfs,
        rootfs_digest=guest.rootfs,
        rootfs_size=rootfs.stat().st_size,
        payload_size=guest.payload_size,
        machine=guest.machine,
        cpu_model=guest.cpu_model,
        append=guest.append,
        qemu_args=guest.qemu_args,
        layers=tuple(Layer(path, layer.digest, layer.size) for path, layer in zip(layers, guest.layers, strict=True)),
        continuation_size=guest.continuation_size,
    )
    return Replayable(run, directory, spec, _snapshot(store, run, spec, qemu, imported), recording, cut)


def _recorded(run: Run, directory: Path) -> RecordedGuest:
    if run.recording.path is None:
        raise RigError(
            f"this run has no recording: {run.recording.reason or 'it names no reason'}",
            where=directory,
            remedy="run it again without what is named here: --no-record, --virtio-console, a disk, the live clock",
        )
    if run.recording.guest is None:
        raise RigError(
            "an earlier version of rig wrote the run, and did not record what its guest was made of",
            where=directory / "run.json",
            remedy="run it again",
        )
    for name in (run.recording.path, PAYLOAD):
        path = directory / name
        # The path comes from run.json, which may be imported: it must not lead out of the run's directory.
        if not path.resolve().is_relative_to(directory.resolve()):
            raise RigError(
                "the recording lies outside the run's directory", where=path, remedy="rig did not write this run"
            )
        if not path.is_file():
            raise RigError("a file of the recording is missing", where=path, remedy="run it again, or import it again")
    return run.recording.guest


def _check_recording(run: Run, recording: Path, *, check: bool) -> bool:
    size, noted = recording.stat().st_size, run.recording.size or 0
    if size < noted:
        return True
    if check and digest_file(recording) != run.recording.sha256:
        raise RigError(
            "the recording was changed after the run: its SHA-256 differs",
            where=recording,
            remedy="import it again, or run it again; --no-check replays it all the same",
        )
    return False


def _found(store: Store, part: Part, imported: dict[str, str] | None) -> Path:
    for path in _candidates(store, part, imported):
        if path.is_file() and digest_file(path) == part.digest:
            return path
    raise RigError(
        f"the run's {part.kind} ({part.digest[:16]}) is no longer in the cache",
        where=store.root,
        remedy="import the run again with its parts (rig export, rig import), or run it again",
    )


def kernel_of(store: Store, run: Run, directory: Path) -> Path:
    """Return the path of the kernel that a run booted. Raises RigError when this host does not have it.

    The run need not have a recording.
    """
    return _found(store, Part("kernel", run.environment.kernel_hash, ""), read_imported(directory))


def _candidates(store: Store, part: Part, imported: dict[str, str] | None) -> Iterator[Path]:
    # The author of an imported run chose the hint: it may name a FIFO or a device that never ends.
    if part.hint and imported is None:
        yield Path(part.hint)
    beside = store.get("imported", (imported or {}).get(part.name, ""))
    for entry in [*store.entries(part.kind), *([beside] if beside else [])]:
        for name, digest in entry.files.items():
            if digest == part.digest and store.get(entry.kind, entry.key) is not None:
                yield entry.file(name)


def _snapshot(store: Store, run: Run, spec: GuestSpec, qemu: Qemu, imported: dict[str, str] | None) -> Snapshot:
    """Return the snapshot that the run started from: a local one, or the one that was imported with this run."""
    key = run.environment.snapshot_hash
    assert run.recording.guest is not None
    digest = run.recording.guest.snapshot
    if point := run.recording.guest.point:
        remedy = "branch the parent again: rig branch makes the same point"
        if run.prefix is not None:
            remedy = f"run it again: rig run {run.scenario} --no-prefix records all of it"
        return _branch_point(store, point, digest, (imported or {}).get("branch", ""), remedy)
    own = find_snapshot(store, key)
    beside = imported_snapshot(store, (imported or {}).get("snapshot", ""))
    for found in (own, beside):
        if found is not None and found.digest == digest:
            _check_identity(found, run, spec, qemu)
            return found
    if own is None:
        raise RigError(
            f"the snapshot that the run began from ({key[:16]}) is no longer in the cache",
            where=store.root / "snapshot",
            remedy="import the run again with its parts (rig export, rig import), or run it again",
        )
    raise RigError(
        f"the snapshot {key[:16]} was rebuilt after the run: it is no longer byte-identical",
        where=own.state,
        remedy="import the run again with its parts (rig export, rig import), or run it again",
    )


def _branch_point(store: Store, key: str, digest: str, beside: str, remedy: str) -> Snapshot:
    """Return the branch point that the run began from: a local one, or the one that was imported with this run."""
    for found in (find_branch_point(store, key), imported_branch_point(store, beside)):
        if found is not None and found.digest == digest:
            return found
    raise RigError(
        f"the branch point that the run began from ({key[:16]}) is not here any more",
        where=store.root / "branch",
        remedy=remedy,
    )


def _check_identity(snapshot: Snapshot, run: Run, spec: GuestSpec, qemu: Qemu) -> None:
    """Raise RigError if this rig would start a different guest than the one that the snapshot was saved from.

    A snapshot of an earlier version has no identity and passes: the replay's output is compared byte by byte anyway.
    """
    if snapshot.identity is None:
        return
    if lines := differences(snapshot.identity, identity_of(spec, qemu)):
        raise RigError(
            "this version of rig would start a different guest from the recorded one",
            where="QEMU's command line",
            remedy="replay it with the rig that made it"
            + (f" (version {run.environment.rig})" if run.environment.rig else ""),
            detail="\n".join(lines),
        )


def unpack_payload(replayable: Replayable, into: Path) -> Path:
    """Unpack the run's payload and return its path. Raises RigError when it differs from the recorded payload."""
    expected = replayable.run.environment.payload_hash
    return _unpack(replayable.directory / PAYLOAD, into / "payload", replayable.spec.payload_size, expected)


def unpack_continuation(replayable: Replayable, into: Path) -> Path | None:
    """Unpack the image of the run's continuation and return its path, or None for a guest that had none.

    Raises RigError when it differs from the recorded one.
    """
    guest = replayable.run.recording.guest
    if guest is None or not guest.continuation_size:
        return None
    packed = replayable.directory / CONTINUATION
    if not packed.is_file():
        raise RigError("this part of the recording is gone", where=packed, remedy="run it again, or import it again")
    return _unpack(packed, into / "continuation", guest.continuation_size, guest.continuation)


def _unpack(packed: Path, target: Path, size: int, expected: str) -> Path:
    if not unpack_zst(packed, target, size, what=f"the {target.name}") or digest_file(target) != expected:
        raise RigError(
            f"the {target.name} was changed after the run: its SHA-256 differs",
            where=packed,
            remedy="import it again, or run it again",
        )
    return target
