# SPDX-License-Identifier: MIT
"""The agent reads a file of /proc to its end, though the kernel gives it a page at a time."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rig.assets import assets

AGENT = assets("guest") / "agent"
MAIN = """\
#include <fcntl.h>
#include <stdio.h>

#include "agent.h"

int main(int argc, char **argv)
{
	static char text[16 * 1024];

	if (argc != 2 || reread(open(argv[1], O_RDONLY), text, sizeof(text)) < 0)
		return 1;
	fputs(text, stdout);
	return 0;
}
"""


def test_file_of_several_pages_is_read_to_the_end_of_the_buffer(tmp_path: Path) -> None:
    source, program = tmp_path / "main.c", tmp_path / "main"
    source.write_text(MAIN)
    # Of text.c reread() alone is linked: the rest needs the whole agent.
    options = ["-std=gnu11", "-D_GNU_SOURCE", "-ffunction-sections", "-Wl,--gc-sections", "-I", str(AGENT)]
    subprocess.run(["gcc", *options, "-o", program, source, AGENT / "text.c"], check=True, capture_output=True)

    # seq_file, as /proc/vmstat, and longer than the buffer on any machine
    symbols = subprocess.run([program, "/proc/kallsyms"], capture_output=True, check=True).stdout

    with Path("/proc/kallsyms").open("rb") as file:
        assert symbols == file.read(16 * 1024 - 1)
