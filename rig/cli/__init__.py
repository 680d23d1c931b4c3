# SPDX-License-Identifier: MIT
"""The command line: one function a command, which parses, calls and prints."""

from __future__ import annotations

from rig.cli.app import main

__all__ = ["main"]
