# SPDX-License-Identifier: MIT
"""Every file of a run, a sweep, an archive and the cache is flipped, cut, emptied and deleted.

A damage is survived if it is said or undone, or changes nothing of what the command prints.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.home import Called, Home, remove
from tests.faults.signals import QUICK, SWEEP, branched, exported

__all__ = [
    "of_a_branch_point",
    "of_a_layer",
    "of_a_run",
    "of_a_sweep",
    "of_an_archive",
    "of_imported_parts",
    "of_the_cache",
    "of_what_is_fetched",
]

Cases = Iterator[tuple[str, str]]
MOMENTS = re.compile(r"\d+[.:]\d+( s)?|0x[0-9a-f]+|\d+ ms")


def _flipped(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if data else b"x"


DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "flipped": _flipped,
    "cut": lambda data: data[: len(data) * 2 // 3],
    "emptied": lambda data: b"",
    "deleted": lambda data: None,
}


def _damaged(
    files: list[Path], top: Path, count: int, again: Callable[[], None] = lambda: None
) -> Iterator[tuple[int, str]]:
    """Damage each file in each way, and undo it. Yields number and name of the damage while it is there.

    count: of the damages to try. Where it is less than all, they are spread over the files, in each way by turns.
    again: called before each damage, makes the files that the damage before it may have cost.
    """
    damages = list(itertools.product(files, DAMAGES.items()))
    step = max(len(damages) // count, 1)
    chosen = [number * step + (number % len(DAMAGES) if step >= len(DAMAGES) else 0) for number in range(count)]
    for number in chosen:
        if number >= len(damages):
            return
        path, (name, damage) = damages[number]
        again()
        if not path.is_file():
            continue
        data, about = path.read_bytes(), path.stat()
        after = damage(data)
        if after == data:
            continue
        # A new file: the content may be shared with another (reflink), and whoever has it open keeps the old.
        path.unlink(missing_ok=True)
        if after is not None:
            path.write_bytes(after)
        yield number, f"{path.relative_to(top)} {name}"
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(about.st_mode)


def _shown(home: Home, words: tuple[str, ...]) -> tuple[Called, str]:
    """Run a command; return it, and what it shows: its output, and the page that it names."""
    called = home.rig(*words)
    page = Path(called.out.strip()) if words[0] == "report" else None
    text = page.read_text(encoding="utf-8") if page is not None and page.is_file() else called.out
    # `watch` shows the run on standard error.
    return called, MOMENTS.sub("", text + "".join(_lines(called.err, rigs=False)))


def _lines(err: str, *, rigs: bool) -> list[str]:
    """Return the lines of standard error that are rig's messages, or the others."""
    return [line for line in err.splitlines() if line.startswith("rig: ") == rigs]


def _said(home: Home, words: tuple[str, ...], reference: str, allowed: tuple[int, ...]) -> str:
    called, shown = _shown(home, words)
    if problem := called.broken(allowed):
        return f"{words[0]}: {problem}"
    if _lines(called.err, rigs=True) or shown == reference:
        return ""
    return f"{words[0]}: prints something else, and does not say why"


def of_a_run(home: Home, count: int) -> Cases:
    """Each file of a run's directory, before report, compare, explain and watch."""
    home.rig("run", *QUICK)
    (run,) = home.runs.iterdir()
    commands = (("report", "last"), ("explain", "last"), ("compare", "last", "last"),
                ("watch", "last", "--replay", "--seconds", "0"))  # fmt: skip
    references = [_shown(home, words)[1] for words in commands]
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.name != "report.html")
    for number, name in _damaged(files, run, count):
        # Each file is damaged in four ways. With a command a case, every file meets every command.
        chosen = (number + number // 4) % len(commands)
        yield name, _said(home, commands[chosen], references[chosen], (0, 1, 3, 64)) or home.left()


def of_a_sweep(home: Home, count: int) -> Cases:
    """Each file of a sweep's directory, before results; and the list of all sweeps."""
    home.rig(*SWEEP)
    (sweep,) = (home.runs / "sweeps").iterdir()
    table = str(sweep / "results.parquet")
    shown, tabled, listed = (_shown(home, ("results", *words))[1] for words in (("last",), (table,), ()))
    files = sorted(path for path in sweep.iterdir() if path.is_file() and path.name != ".lock")
    for _, name in _damaged(files, sweep, count):
        words, reference = (table, tabled) if "results.parquet" in name else ("last", shown)
        problem = _said(home, ("results", words), reference, (0, 3, 64))
        all_of_them = home.rig("results")
        yield (
            name,
            problem or all_of_them.broken((0,)) or ("" if all_of_them.out or not listed else "the list is empty"),
        )


def of_an_archive(home: Home, count: int) -> Cases:
    """Bytes of an archive, spread over it, and cuts: nothing is imported."""
    archive = exported(home)
    data = archive.read_bytes()
    for number in range(count):
        at = len(data) * (2 * number + 1) // (2 * count)
        kind = number % 4
        archive.write_bytes((data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], data[:at], b"", data + b"x")[kind])
        (run,) = home.runs.iterdir()
        run.rename(home.path / "aside")
        called = home.rig("import", str(archive))
        taken = list(home.runs.iterdir())
        (home.path / "aside").rename(run)
        name = f"{('flipped at', 'cut at', 'emptied', 'longer than')[kind]} {at}"
        yield name, called.broken((3,)) or home.left() or (f"{taken[0].name} was imported" if taken else "")


def of_the_cache(home: Home, count: int) -> Cases:
    """Each file of the cache that a run uses, before a run. It is built again, put back, or said."""
    home.rig("run", *QUICK)
    snapshots = sorted((home.cache / "snapshot").iterdir(), key=lambda path: (path / "manifest.json").stat().st_mtime)
    files = [path for path in sorted(snapshots[-1].rglob("*")) if path.is_file()]
    files += [path for path in sorted((home.cache / "refs").iterdir()) if path.is_file()]
    files += _newest(home, "initramfs", "toolchain", "payload")
    for _, name in _damaged(files, home.cache, count):
        yield name, home.rig("run", *QUICK).broken((0,)) or home.left()


def _newest(home: Home, *kinds: str) -> list[Path]:
    """Return the files of the entry of each kind that was used last."""
    found = []
    for kind in kinds:
        entries = [path for path in (home.cache / kind).iterdir() if (path / "manifest.json").is_file()]
        newest = max(entries, key=lambda path: (path / "manifest.json").stat().st_mtime)
        found += [path for path in sorted(newest.rglob("*")) if path.is_file()]
    return found


def of_what_is_fetched(home: Home, count: int) -> Cases:
    """Each file of the kernel and the root filesystem, before a run. It is fetched again from the mirror, or said."""
    home.rig("run", *QUICK)
    for _, name in _damaged(_newest(home, "kernel", "rootfs"), home.cache, count):
        yield name, home.rig("run", *QUICK).broken((0, 1, 2)) or home.left()


def of_a_branch_point(home: Home, count: int) -> Cases:
    """Each file of a branch point, before another branch from it. It is made again, put back, or said."""
    words = branched(home)
    home.rig(*words)
    for _, name in _damaged(_newest(home, "branch"), home.cache, count, lambda: _make_again(home, words)):
        yield name, home.rig(*words).broken((0, 1, 2)) or home.left()


def _make_again(home: Home, words: tuple[str, ...]) -> None:
    if not list((home.cache / "branch").glob("*/manifest.json")):
        home.rig(*words)


def of_imported_parts(home: Home, count: int) -> Cases:
    """Each file of the parts that came with an archive, before the replay of its run: it is put back, or it is said."""
    archive = exported(home)

    def again() -> None:
        for directory in (home.cache / "imported", home.cache / "snapshot", home.runs):
            remove(directory)
        home.runs.mkdir()
        home.rig("import", str(archive))

    again()
    for _, name in _damaged(_newest(home, "imported"), home.cache, count, again):
        called = home.rig("replay", "last")
        problem = called.broken((0, 3)) or home.left()
        yield name, problem or ("" if called.status == 0 or "damaged" in called.err else called.err.strip()[-200:])


def of_a_layer(home: Home, count: int) -> Cases:
    """Each file of the root filesystem of a package, before a program of it. It is built again, or said."""
    words = ("exec", "--deb", "hello", "--", "hello")
    home.rig(*words)
    for _, name in _damaged(_newest(home, "layer"), home.cache, count):
        called = home.rig(*words)
        problem = called.broken((0,)) or home.left()
        yield name, problem or ("" if "Hello, world!" in called.out else "the program did not run")
