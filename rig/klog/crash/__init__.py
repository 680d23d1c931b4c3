# SPDX-License-Identifier: MIT
"""Crashes and their titles: every report of the kernel that comes with a trace, but for OOM reports."""
