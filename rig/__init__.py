# SPDX-License-Identifier: MIT
"""rig reproduces what Linux does when memory promised by fork and overcommit is called in."""

__version__ = "0.1.0"
