# SPDX-License-Identifier: MIT
"""`python -m rig` is `rig`."""

try:
    from rig.cli import main
except KeyboardInterrupt:
    raise SystemExit(130) from None

main()
