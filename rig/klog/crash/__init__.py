# SPDX-License-Identifier: MIT
"""Crash reports and their titles: every kernel report with a trace, except OOM reports."""
