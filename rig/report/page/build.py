# SPDX-License-Identifier: MIT
"""Write the page's directory: `python -m rig.report.page.build DIRECTORY [--pyodide ARCHIVE]`.

Pyodide's core comes from npm, as one archive whose hash is pinned here. Everything else is this package's own. The page
starts in half the time since it ships compiled modules instead of Python's source.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import shutil
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import rig
from rig.errors import RigError
from rig.image.programs import STEP, run_program

__all__ = ["PYODIDE", "build", "fetch_pyodide"]

PYODIDE = "pyodide@314.0.7"
_INTEGRITY = "sha512-0YvXxEhfEdpLfb/XkM2BFAeMROq0iMUX2bzzH9pOttyMcWkwq+HbE5uyuGD82LN7y2q+SNvi/6V5JEsOlD2R1A=="
_CORE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json", "package.json")
NPM = 1800.0
"""Host seconds, before they are scaled, for npm to fetch an archive of 6 MB."""
_HERE = Path(__file__).parent
_PACKAGE = Path(rig.__file__).parent
_TEMPLATES = _PACKAGE / "report/html/templates"
# What the page imports. klog is whole; of the rest, these modules.
_MODULES = (
    "__init__.py",
    "sanitize.py",
    "report/__init__.py",
    "report/explain_html.py",
    "report/html/__init__.py",
    "report/html/elements.py",
    "report/html/explanation.py",
    "report/html/task_table.py",
    "report/page/__init__.py",
    "report/page/answer.py",
)


def build(directory: Path, archive: Path) -> None:
    """Write the page. A directory that stands there is replaced when the new one is complete.

    archive: Pyodide as npm packs it. Raises RigError where it is another archive than the pinned one, and without
        Node.js.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".page-") as made:
        new = Path(made) / "page"
        shutil.copytree(_HERE / "static", new)
        own = (new / "page.css").read_text(encoding="utf-8")
        styles = [(_TEMPLATES / name).read_text(encoding="utf-8") for name in ("base.css", "explain.css")]
        (new / "page.css").write_text("".join([*styles, own]), encoding="utf-8")
        shutil.copy(_TEMPLATES / "sort.js", new / "sort.js")
        _unpack(archive, new / "pyodide")
        _pack_modules(new / "rig.zip")
        _precompile(new)
        if directory.exists():
            directory.rename(Path(made) / "old")
        new.rename(directory)


def _unpack(archive: Path, target: Path) -> None:
    digest = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != _INTEGRITY:
        raise RigError(f"this is not {PYODIDE}", where=archive, remedy="remove the file and fetch it again: make page")
    target.mkdir()
    with tarfile.open(archive) as tar:
        for name in _CORE:
            member = tar.extractfile(f"package/{name}")
            assert member is not None  # the hash says what is in the archive
            (target / name).write_bytes(member.read())


def _pack_modules(path: Path) -> None:
    names = [*_MODULES, *(str(each.relative_to(_PACKAGE)) for each in sorted(_PACKAGE.glob("klog/**/*.py")))]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in names:
            if name == "klog/schema.py":  # needs pydantic, which is not in the core
                continue
            # One date for all: the same code gives the same file.
            packed.writestr(zipfile.ZipInfo(f"rig/{name}"), (_PACKAGE / name).read_bytes(), zipfile.ZIP_DEFLATED)


def _precompile(page: Path) -> None:
    """Compile the page's Python with Pyodide itself, in Node.js: this machine's Python is of another version.

    Raises RigError where there is no Node.js, and where it fails.
    """
    done = run_program([_program("node"), _HERE / "precompile.mjs", page.resolve()], deadline=STEP)
    if done.returncode:
        # Node.js prints the line of its source where an exception came from; one of Pyodide's has a million characters.
        printed = done.stderr.decode(errors="replace").splitlines()
        why = [line for line in printed if line.strip() and len(line) < 300]
        raise RigError(f"Pyodide could not compile the page's modules: {' / '.join(why[-12:])}", where=page)


def _program(name: str) -> str:
    """Return the path of npm or node, of the machine or of the virtual environment. Raises RigError for neither."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        raise RigError(f"there is no {name}", remedy="make page installs one into the virtual environment")
    return found


def fetch_pyodide(directory: Path) -> Path:
    """Return Pyodide's archive in `directory`; npm fetches it where it is not there yet."""
    name, _, version = PYODIDE.partition("@")
    archive = directory / f"{name}-{version}.tgz"
    if archive.is_file():
        return archive
    npm = _program("npm")
    directory.mkdir(parents=True, exist_ok=True)
    # Beside, so that an npm that is ended leaves no half of an archive under the archive's name.
    with tempfile.TemporaryDirectory(dir=directory, prefix=".npm-") as beside:
        done = run_program([npm, "pack", "--silent", PYODIDE], cwd=Path(beside), deadline=NPM)
        fetched = Path(beside) / archive.name
        if done.returncode or not fetched.is_file():
            why = done.stderr.decode(errors="replace").strip().splitlines()
            raise RigError(f"npm could not fetch {PYODIDE}: {why[-1] if why else 'it says nothing'}", where=npm)
        fetched.rename(archive)
    return archive


def main(arguments: list[str] | None = None) -> int:
    """Write the page and print where it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument(
        "--pyodide", type=Path, metavar="DIRECTORY", default=Path("build"), help="where its archive is kept"
    )
    options = parser.parse_args(arguments)
    try:
        build(options.directory, fetch_pyodide(options.pyodide))
    except RigError as error:
        print(f"rig: {error}", file=sys.stderr)
        return 1
    print(f"the page is in {options.directory}; to look at it: python3 -m http.server -d {options.directory}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
