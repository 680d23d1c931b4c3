# SPDX-License-Identifier: MIT
"""A guest's memory at one instant, read: the stack, the allocation, zones, tasks, and whose the array's pages are."""
