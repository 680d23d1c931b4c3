# SPDX-License-Identifier: MIT
"""The words of the language of claims, each declared where it is written (rig/scenario/declare.py)."""
