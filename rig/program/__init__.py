# SPDX-License-Identifier: MIT
"""Run any program in a guest (`rig exec`): collect its files, write its plan, judge how it ended."""
