# SPDX-License-Identifier: MIT
"""Run the command line for `python -m rig`."""

import sys

try:
    from rig.cli import main
except KeyboardInterrupt:
    print("rig: interrupted", file=sys.stderr)
    raise SystemExit(130) from None

main()
