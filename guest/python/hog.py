# SPDX-License-Identifier: MIT
"""hog: takes memory and keeps it. It stands for the other service on the machine."""

import phases

EPILOG = """\
Lines: 'region hog START LENGTH', 'hogging BYTES' (then it stops until SIGCONT, and sleeps for ever after).
Exit status: 64 wrong call, 71 the kernel refused the memory: 'mmap: ENOMEM'."""


def main():
    parser = phases.Parser(
        prog="hog.py",
        description="Takes SIZE bytes (200M), writes to every page, and keeps them until it is killed.",
        epilog=EPILOG,
        formatter_class=phases.argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("size", metavar="SIZE", type=phases.size_of)
    parser.add_argument(
        "--no-stop", action="store_true", help="do not stop when the memory is taken, only wait"
    )
    parser.add_argument(
        "--blocks", type=phases.size_of, metavar="N",
        help="take it as a service would, in blocks of N bytes; each costs a page more (no region line then)",
    )
    options = parser.parse_args()
    if options.size < phases.PAGE:
        parser.error(f"SIZE is at least a page, {phases.PAGE} bytes")
    phases.take_role("hog")
    held = []
    if options.blocks:
        for start in range(0, options.size, options.blocks):
            # bytearray() of zeros is calloc(): its pages are there once they are written to.
            block = bytearray(min(options.blocks, options.size - start))
            for offset in range(0, len(block), phases.PAGE):
                block[offset] = 1
            block[-1] = 1
            held.append(block)
        taken = sum(map(len, held))
    else:
        pages = phases.Pages("hog", options.size)
        for page in range(pages.count):
            pages.write(page, 1)
        taken = pages.count * phases.PAGE
    phases.say(f"hogging {taken}")
    if not options.no_stop:
        phases.stop_here()
    while True:
        phases.signal.pause()


main()
