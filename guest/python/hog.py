# SPDX-License-Identifier: MIT
"""hog: takes memory and keeps it. It stands for the other service on the machine."""

import phases

HELP = """\
usage: hog.py [--blocks N] [--no-stop] SIZE
Takes SIZE bytes (200M), writes to every page, and keeps them until it is killed.

  --blocks N  take it as a service would, in blocks of N bytes; each costs a page more (no region line then)
  --no-stop   do not stop when the memory is taken, only wait

Lines: 'region hog START LENGTH', 'hogging BYTES' (then it stops until SIGCONT, and sleeps for ever after).
Exit status: 64 wrong call, 71 the kernel refused the memory: 'mmap: ENOMEM'.
"""

options, operands = phases.read_options(HELP, {"no-stop": (None, False), "blocks": (phases.size_of, 0)}, operands=1)
size = phases.size_of("SIZE", operands[0])
if size < phases.PAGE:
    phases.wrong_call(f"SIZE is at least a page, {phases.PAGE} bytes")
phases.take_role("hog")
held = []
if options["blocks"]:
    for start in range(0, size, options["blocks"]):
        # A bytearray of zeros is calloc(): its pages are there once they are written to.
        block = bytearray(min(options["blocks"], size - start))
        for offset in range(0, len(block), phases.PAGE):
            block[offset] = 1
        block[-1] = 1
        held.append(block)
    taken = sum(map(len, held))
else:
    pages = phases.Pages("hog", size)
    for page in range(pages.count):
        pages.write(page, 1)
    taken = pages.count * phases.PAGE
phases.say(f"hogging {taken}")
if not options["no-stop"]:
    phases.stop_here()
while True:
    phases.signal.pause()
