# SPDX-License-Identifier: MIT
"""hog: takes memory and keeps it. It stands for the other service on the machine."""

import phases

HELP = """\
usage: hog.py [--no-stop] SIZE
Takes SIZE bytes (200M), writes to every page, and keeps them until it is killed.

  --no-stop   do not stop when the memory is taken, only wait

Lines: 'region hog START LENGTH', 'hogging BYTES' (then it stops until SIGCONT, and sleeps for ever after).
Exit status: 64 wrong call, 71 the kernel refused the memory: 'mmap: ENOMEM'.
"""

options, operands = phases.read_options(HELP, {"no-stop": (None, False)}, operands=1)
size = phases.size_of("SIZE", operands[0])
if size < phases.PAGE:
    phases.wrong_call(f"SIZE is at least a page, {phases.PAGE} bytes")
phases.take_role("hog")
pages = phases.Pages("hog", size)
for page in range(pages.count):
    pages.write(page, 1)
phases.say(f"hogging {pages.count * phases.PAGE}")
if not options["no-stop"]:
    phases.stop_here()
while True:
    phases.signal.pause()
