# SPDX-License-Identifier: MIT
"""The source file to blame: the first of a driver, file system or protocol, in reports that name files."""

from __future__ import annotations

import pytest

from rig.klog import read
from rig.klog.crash.crash_event import CrashEvent
from rig.klog.crash.files import file_to_blame
from rig.klog.explain import explain
from tests.klog import made

KASAN = [
    "==================================================================",
    "BUG: KASAN: use-after-free in made_inline include/net/made.h:12 [inline]",
    "BUG: KASAN: use-after-free in made_send+0x2f5/0x330 net/made/output.c:1748",
    "Read of size 8 at addr ffff88004fab1858 by task made/30168",
    "",
    "CPU: 0 PID: 30168 Comm: made Not tainted 6.1.0 #3",
    "Call Trace:",
    " dump_stack+0x292/0x395 lib/dump_stack.c:52",
    " kasan_report+0x230/0x340 mm/kasan/report.c:408",
    " made_inline include/net/made.h:12 [inline]",
    " made_send+0x2f5/0x330 net/made/output.c:1748",
    " sock_sendmsg+0xcf/0x110 net/socket.c:643",
    " entry_SYSCALL_64_fastpath+0x1f/0xbe",
]


def test_report_names_the_file_and_is_one_event() -> None:
    (event,) = read([made.serial(KASAN)]).events

    assert isinstance(event, CrashEvent)
    assert (event.title, event.file) == ("KASAN: use-after-free Read in made_send", "net/made/output.c")
    assert "The file to blame, as far as the report tells: net/made/output.c." in str(explain(event).sections)


def test_report_without_files_blames_none() -> None:
    (event,) = read([made.serial(made.oops())]).events

    assert isinstance(event, CrashEvent)
    assert event.file is None
    assert "file to blame" not in str(explain(event).sections)


@pytest.mark.parametrize(
    ("paths", "blamed"),
    [
        (("lib/list_debug.c", "include/linux/list.h", "drivers/made/driver.c"), "drivers/made/driver.c"),
        (("kernel/locking/mutex.c", "net/core/sock.c", "net/made/made.c", "net/socket.c"), "net/made/made.c"),
        (("mm/filemap.c", "fs/read_write.c", "fs/made/inode.c"), "fs/made/inode.c"),
        # Nothing but services: the generic part of a subsystem rather than an allocator, a source rather than a header.
        (("mm/slub.c", "fs/inode.c", "fs/namei.c"), "fs/inode.c"),
        (("include/linux/list.h", "mm/slub.c"), "mm/slub.c"),
        (("include/linux/list.h",), "include/linux/list.h"),
        ((), None),
    ],
)
def test_first_file_that_serves_nobody_is_blamed(paths: tuple[str, ...], blamed: str | None) -> None:
    assert file_to_blame([f" made+0x1/0x2 {path}:12" for path in paths]) == blamed


def test_history_of_interrupts_is_no_step_of_the_way() -> None:
    texts = ["hardirqs last  enabled at (7): made+0x1/0x2 drivers/made/other.c:1", " made+0x1/0x2 net/made/made.c:2"]

    assert file_to_blame(texts) == "net/made/made.c"
