# SPDX-License-Identifier: MIT
"""A campaign of faults: signals, QEMUs that are killed or stopped, full disks, damaged files, harmful input.

`make faults` runs all of it, and `make faults PART=1` some cases of each row.
"""
