# SPDX-License-Identifier: MIT
"""Reproduce an OOM report in a guest: its fingerprint, a scenario made from it, and the two fingerprints compared."""
