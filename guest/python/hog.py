# SPDX-License-Identifier: MIT
"""hog: takes memory and keeps it. It stands for the other service on the machine."""

import phases

HELP = """\
usage: hog.py [--blocks BYTES] [--no-stop] SIZE
Takes SIZE bytes (200M), writes to every page, and keeps them until it is killed.

  --blocks N   take it as a service would, in blocks of N bytes; each costs a page more (no region line then)
  --no-stop    do not stop when the memory is taken, only wait

Lines: 'region hog START LENGTH', 'hogging BYTES' (then it stops until SIGCONT, and sleeps for ever after).
Exit status: 64 usage error, 71 the kernel refused the memory: 'mmap: ENOMEM'.
"""

OPTIONS = {"blocks": (phases.size_of, None), "no-stop": (None, False)}


def take_blocks(size, bytes_a_block):
    held = []
    for start in range(0, size, bytes_a_block):
        # bytearray() of zeros is calloc(): its pages are there once they are written to.
        block = bytearray(min(bytes_a_block, size - start))
        for offset in range(0, len(block), phases.PAGE):
            block[offset] = 1
        block[-1] = 1
        held.append(block)
    return held, size


def take_pages(size):
    pages = phases.Pages("hog", size)
    for page in range(pages.count):
        pages.write(page, 1)
    return pages, pages.count * phases.PAGE


options, operands = phases.read_options(HELP, OPTIONS, operands=1)
size = phases.size_of("SIZE", operands[0])
for option in (size, options["blocks"]):
    if option is not None and option < phases.PAGE:
        phases.usage_error(f"SIZE and --blocks are at least a page, {phases.PAGE} bytes")
phases.take_role("hog")
try:
    held, taken = take_blocks(size, options["blocks"]) if options["blocks"] else take_pages(size)
except MemoryError as error:
    phases.refused("mmap", error)
phases.say(f"hogging {taken}")
if not options["no-stop"]:
    phases.stop_here()
while True:
    phases.signal.pause()
