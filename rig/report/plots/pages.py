# SPDX-License-Identifier: MIT
"""The page map as a picture, one cell a page: states, their colours, and a palette PNG, small for a uniform map."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rig.run.records import Record, Records
from rig.sanitize import plain
from rig.telemetry.pagemaps import Snapshot, page_maps, snapshots

__all__ = ["COLOURS", "PageState", "PagesPicture", "cells", "columns_of", "most_changed", "pages_pictures", "png"]

MOST_SNAPSHOTS = 60
AFTERGLOW = 1024
"""Pages that may be copied after an OOM and before the run's end: the step during which it came is completed."""
LARGEST_PICTURES = 700_000
"""Bytes of all pictures of a report together."""

# The colours differ in lightness, not only in hue, so that they are legible in greyscale.
COLOURS: Mapping[str, str] = {
    "shared": "#4a7fb5",
    "copied": "#f0a30a",
    "alone": "#1f4468",
    "none": "#d9dde1",
    "zero": "#b7c0c8",
    "file": "#7b9e6b",
    "swap": "#7a3e8f",
    "merged": "#a9c4d6",
    "private": "#1f4468",
}
ORDER = tuple(COLOURS)


@dataclass(frozen=True)
class PageState:
    """A state in a picture: how many pages, and what it means in words."""

    state: str
    meaning: str
    pages: int
    colour: str


@dataclass(frozen=True)
class PagesPicture:
    """The page maps of an array at one time. faults: minor faults of each process since the two shared the array."""

    time: float
    label: str
    pages: int
    page_size: int
    runs: tuple[tuple[int, str], ...]
    states: tuple[PageState, ...]
    faults: Mapping[str, int]
    stopped: bool = False
    took: float | None = None
    note: str = ""
    """What is to be said of this moment: that here the copying stops, or that it is the last before the end."""

    @property
    def copied(self) -> int:
        """How many pages the two processes no longer share."""
        return sum(state.pages for state in self.states if state.state == "copied")

    @property
    def summary(self) -> str:
        """One sentence that stands for the picture."""
        parts = ", ".join(f"{each.pages:,} {each.meaning}" for each in self.states)
        return f"{self.label} at {self.time:.2f} s: of {self.pages:,} pages {parts}"


def pages_pictures(records: Records) -> list[PagesPicture]:
    """Return the maps of the run in order of time, at most MOST_SNAPSHOTS, the last and those of an OOM among them."""
    taken = snapshots(page_maps(records))
    # Only one array is drawn: the one with the most maps.
    starts = [(each.maps[0].program, each.maps[0].start) for each in taken]
    main = max(starts, key=starts.count, default=None)
    taken = [each for each, start in zip(taken, starts, strict=True) if start == main]
    taken = _thinned(taken)
    before = _faults_before_the_fork(records, next((each for each in taken if len(each.maps) > 1), None))
    pictures: list[PagesPicture] = []
    for each in taken:
        now = _faults(records, each.time)
        since = {one.comm: now[one.pid] - before.get(one.pid, 0) for one in each.maps if one.pid in now}
        pictures.append(_picture(each, since if len(each.maps) > 1 else {}))
    return _noted([replace(each, label=_numbered(each, records)) for each in pictures], records)


def most_changed(pictures: Sequence[PagesPicture]) -> int:
    """Return the index of the picture to show first: where the copying stops, or else after the most copying."""
    if stopped := [index for index, each in enumerate(pictures) if each.stopped]:
        return stopped[0]
    grown = [0, *(right.copied - left.copied for left, right in pairwise(pictures))]
    return grown.index(max(grown)) if max(grown) > 0 else len(pictures) - 1


def _numbered(picture: PagesPicture, records: Records) -> str:
    """Return the label with the last step that the program reported, because all maps of a loop have one label."""
    texts = [
        str(line["text"]).split()[1]
        for line in records.of("line")
        if line["t"] <= picture.time
        and str(line.get("text", "")).startswith("step ")
        and len(str(line["text"]).split()) > 1
    ]
    return f"{picture.label}, step {plain(texts[-1], longest=8)}" if texts and not picture.stopped else picture.label


def _noted(pictures: list[PagesPicture], records: Records) -> list[PagesPicture]:
    """Add to the last picture what the OOM did to the copying: after a panic there is no map of that moment."""
    found = []
    for each in pictures:
        note = ""
        if each.stopped:
            most = max(other.copied for other in pictures)
            note = "here the copying stops" if most <= each.copied + AFTERGLOW else "here memory runs out"
            if most > each.copied + AFTERGLOW:
                note += "; the copying went on when somebody had been killed"
        elif each is pictures[-1] and not records.of("end") and len(pictures) > 1:
            note = "the last before the guest's end"
        found.append(replace(each, note=note))
    return found


def _picture(snapshot: Snapshot, faults: Mapping[str, int]) -> PagesPicture:
    runs = snapshot.together()
    counts = {state: sum(count for count, other in runs if other == state) for state in ORDER}
    names = [plain(each.comm, longest=16) for each in snapshot.maps]
    # Compare each process's faults with the copied pages: the writer takes one minor fault for each page copied.
    writer = _writer(faults, counts["copied"])
    meanings = {
        "shared": f"shared by {' and '.join(names)}" if len(names) > 1 else "shared with another process",
        "copied": f"copied to {writer}" if writer else "copied: each has its own",
        "alone": f"of {names[0]} alone",
        "none": "not present",
        "zero": "the zero page: read, never written",
        "file": "of a file, or shared memory",
        "swap": "swapped out",
        "merged": "merged with pages of the same content",
        "private": f"of {names[0]} alone",
    }
    return PagesPicture(
        time=snapshot.time,
        label="OOM" if snapshot.label == "oom" else plain(snapshot.label or "map", longest=24),
        pages=snapshot.maps[0].pages,
        page_size=snapshot.maps[0].page_size,
        runs=runs,
        states=tuple(
            PageState(state, meanings[state], count, COLOURS[state]) for state, count in counts.items() if count
        ),
        faults={plain(name, longest=16): count for name, count in faults.items()},
        stopped=snapshot.label == "oom",
        took=snapshot.maps[0].took,
    )


def _writer(faults: Mapping[str, int], copied: int) -> str | None:
    """Return which process wrote, if the minor faults prove it: one a copied page, and next to none by the other.

    With huge pages one fault copies many pages, so the writer is not known.
    """
    if len(faults) != 2 or not copied:
        return None
    (_, few), (writer, many) = sorted(faults.items(), key=lambda item: item[1])
    return f"the {plain(writer, longest=16)}" if many >= copied * 0.95 and few * 50 <= many else None


def _faults_before_the_fork(records: Records, shared: Snapshot | None) -> dict[int, int]:
    """Return the minor faults at the last sample before the second process exists; its own count begins at 0."""
    if shared is None:
        return {}
    parent, child = (each.pid for each in shared.maps[:2])
    found: dict[int, int] = {}
    for sample in records.of("sample"):
        faults = _minor(sample)
        if child in faults:
            # No sample was taken before the fork, so the parent's earlier faults are unknown: take its present ones.
            return found or {parent: faults.get(parent, 0)}
        if parent in faults:
            found = {parent: faults[parent]}
    return found


def _faults(records: Records, time: float) -> dict[int, int]:
    """Return minor faults by pid in the sample nearest to `time`; for pids that it lacks, in an earlier sample."""
    found: dict[int, int] = {}
    before = float("-inf")
    for sample in records.of("sample"):
        faults, now = _minor(sample), float(sample["t"])
        if not faults:
            continue
        if now >= time and now - time > time - before:
            break
        found |= faults
        before = now
        if now >= time:
            break
    return found


def _minor(sample: Record) -> dict[int, int]:
    procs = sample.get("procs")
    return {
        proc["pid"]: proc["minflt"]
        for proc in (procs if isinstance(procs, list) else [])
        if isinstance(proc, Mapping) and type(proc.get("pid")) is int and type(proc.get("minflt")) is int
    }


def _thinned(taken: Sequence[Snapshot]) -> list[Snapshot]:
    if len(taken) <= MOST_SNAPSHOTS:
        return list(taken)
    labels = [each.label for each in taken]
    named = {labels.index(label) for label in set(labels)} | {i for i, label in enumerate(labels) if label == "oom"}
    every = -(-len(taken) // (MOST_SNAPSHOTS // 2))
    kept = sorted({*range(0, len(taken), every), *list(named)[: MOST_SNAPSHOTS // 3], len(taken) - 1})
    return [taken[index] for index in kept]


def columns_of(pages: int) -> int:
    """Return the number of cells in a row: a power of two, 256 for large arrays and fewer for small ones."""
    columns = 1
    while columns < 256 and columns * columns < pages * 4 / 3:
        columns *= 2
    return columns


def cells(picture: PagesPicture) -> list[bytes]:
    """Return the rows of cells as indices into ORDER; len(ORDER) marks a cell beyond the end of the array."""
    columns = columns_of(picture.pages)
    flat = bytearray()
    for count, state in picture.runs:
        flat += bytes([ORDER.index(state)]) * count
    flat += bytes([len(ORDER)]) * (-len(flat) % columns)
    return [bytes(flat[at : at + columns]) for at in range(0, len(flat), columns)]


def png(picture: PagesPicture) -> str:
    """Return the picture as a data: URL of a palette PNG (ISO 15948), a pixel a page; beyond the array: transparent."""
    lines = cells(picture)
    palette = b"".join(bytes.fromhex(colour[1:]) for colour in COLOURS.values()) + b"\0\0\0"
    header = struct.pack(">IIBBBBB", len(lines[0]), len(lines), 8, 3, 0, 0, 0)
    data = b"".join(b"\0" + line for line in lines)
    chunks = [
        (b"IHDR", header),
        (b"PLTE", palette),
        (b"tRNS", b"\xff" * len(COLOURS) + b"\0"),
        (b"IDAT", zlib.compress(data, 9)),
        (b"IEND", b""),
    ]
    file = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return "data:image/png;base64," + base64.b64encode(file).decode()
