# SPDX-License-Identifier: MIT
"""Only the functions listed here write a file in place. All others use rig/whole_file.py, which never leaves half of a file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

RIG = Path(__file__).parents[1] / "rig"
STAGED = "its directory gets its name when all of it is written and synced (Store.add(), finish_directory())"
TEMPORARY = "a file of a directory that lives no longer than this rig or its guest"
WANTED = "the user names the file, which may be a pipe or a device; the same command makes it again"
REPOSITORY = "a file of the repository, which has every version"
BUILD = "a file of a build directory; a build that was cut off writes it again"
TOOL = "the caller names the target, which is staged"
ALLOWED = {
    "cli/branch.py:_show_tree": WANTED,
    "cli/explain.py:_write_html": WANTED,
    "cli/manual.py:main": WANTED,
    "cli/outputs.py:_append": WANTED,
    "cli/outputs.py:write_output": WANTED,
    "cli/report.py:report": WANTED,
    "cli/results.py:_write_heat_map": WANTED,
    "cli/write_docs.py:": REPOSITORY,
    "cli/write_remedies.py:main": REPOSITORY,
    "experiment/stops.py:room_for_a_dump": STAGED,
    "image/apt.py:_prepare": TEMPORARY,
    "image/build_log.py:__enter__": "a log",
    "image/buildroot/build.py:configure": BUILD,
    "image/builtkernel.py:lay_out_kernel": STAGED,
    "image/continuation.py:write_continuation": TOOL,
    "image/daximage.py:write_blank": TOOL,
    "image/ext4.py:clear_owners_and_times": STAGED,
    "image/initramfs.py:_add_modules": STAGED,
    "image/initramfs.py:build_initramfs": STAGED,
    "image/kbuild.py:_run": "a log",
    "image/kbuild.py:configure": BUILD,
    "image/layer/staging.py:_extract": STAGED,
    "image/layer/staging.py:_write": STAGED,
    "image/manifest.py:write_manifest": STAGED,
    "image/payload.py:write_payload": TEMPORARY,
    "image/rootfs.py:_add_base": STAGED,
    "image/sourcekernel.py:fragments": TEMPORARY,
    "image/sparse.py:copy_pages": TOOL,
    "image/sparse.py:copy_sparse": TOOL,
    "image/symbols.py:_extract_vmlinux": STAGED,
    "image/unpack.py:unpack_zst": TOOL,
    "machine/boot.py:make_snapshot": STAGED,
    "machine/branch_point.py:save_branch_point": STAGED,
    "machine/disk.py:disk_file": TEMPORARY,
    "machine/history.py:write_empty_qcow2": TEMPORARY,
    "machine/live_guest.py:publish": TEMPORARY,
    "machine/process.py:running_qemu": TEMPORARY,
    "machine/session.py:swap_file": TEMPORARY,
    "machine/ssh.py:push": "a file in the guest",
    "machine/tee_log.py:__enter__": STAGED,
    "replay/import_bundle.py:_write": STAGED,
    "report/page/build.py:_unpack": BUILD,
    "report/page/build.py:build": BUILD,
    "scenario/model_tables.py:": REPOSITORY,
    "scenario/new.py:_write": "a directory that gets its name once it is whole",
    "telemetry/timeline.py:write_timeline": STAGED,
    "verify/mutants.py:add": "a line that a cut leaves without an end does not count, and its mutant is run again",
    "verify/recorded.py:write_recorded": REPOSITORY,
    "whole_file.py:unnamed_until_whole": "how files are written",
    "whole_file.py:write_unsynced": "how files that may be lost are written",
}
"""Function, as module:name -> why it may write in place. A module's own statements have no name."""


def _writes(path: Path) -> Iterator[str]:
    """Yield the name of each function with a call that writes a file in place, `module:function`."""

    def walk(node: ast.AST, function: str) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Call) and _is_write(node):
            yield f"{path.relative_to(RIG)}:{function}"
        for child in ast.iter_child_nodes(node):
            yield from walk(child, function)

    text = path.read_text(encoding="utf-8")
    # Most modules have none of these words, and are not parsed.
    if any(word in text for word in ("write_text", "write_bytes", "open(")):
        yield from walk(ast.parse(text), "")


def _is_write(call: ast.Call) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name in ("write_text", "write_bytes"):
        return True
    if name not in ("open", "fdopen"):
        return False
    words = [*call.args, *(each.value for each in call.keywords if each.arg == "mode")]
    modes = [word.value for word in words if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    return any(len(mode) <= 3 and set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in modes)


def test_only_these_functions_write_in_place() -> None:
    found = {name for path in RIG.rglob("*.py") for name in _writes(path)}

    assert found == set(ALLOWED)
