# SPDX-License-Identifier: MIT
"""Branching time: one past of a run, and several futures."""
