# SPDX-License-Identifier: MIT
"""Read a stopped guest's memory: the stack, the failed allocation, zones, tasks, and who maps an array's pages."""
