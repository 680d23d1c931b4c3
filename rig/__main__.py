# SPDX-License-Identifier: MIT
"""Run the command line for `python -m rig`."""

try:
    from rig.cli import main
except KeyboardInterrupt:
    raise SystemExit(130) from None

main()
