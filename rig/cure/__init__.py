# SPDX-License-Identifier: MIT
"""Try remedies on a failure: what each of them did in a run, from which value on, and what it cost."""
