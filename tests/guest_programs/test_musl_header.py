# SPDX-License-Identifier: MIT
"""guest/musl.h defines the same values as glibc, with which the tests are compiled."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rig.assets import assets

SOURCE = """
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#undef M_MMAP_THRESHOLD
#define strerrorname_np our_errno
#define strerrordesc_np our_description
#define sigabbrev_np our_signal
#define mallopt our_mallopt
#include "musl.h"
#undef strerrorname_np
#undef sigabbrev_np

int main(void)
{
	for (int number = -1; number < 4096; number++)
		if (our_errno(number))
			printf("errno %s %s\\n", our_errno(number), strerrorname_np(number));
	for (int number = -1; number < 70; number++)
		printf("signal %s %s\\n", our_signal(number) ?: "-", sigabbrev_np(number) ?: "-");
	return our_description(1) == NULL || our_mallopt(M_MMAP_THRESHOLD, 4096) != 0;
}
"""


def test_names_are_those_of_glibc(tmp_path: Path) -> None:
    (tmp_path / "names.c").write_text(SOURCE)
    subprocess.run(
        ["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-I", assets("guest"), "-o", tmp_path / "names", tmp_path / "names.c"],
        check=True,
    )

    output = subprocess.run([tmp_path / "names"], capture_output=True, text=True, check=True).stdout.splitlines()

    pairs = [line.split() for line in output]
    assert [pair for pair in pairs if pair[1] != pair[2]] == []
    assert {"ENOMEM", "EAGAIN", "ESRCH"} <= {pair[1] for pair in pairs if pair[0] == "errno"}
    assert sum(pair[1] != "-" for pair in pairs if pair[0] == "signal") == 31
