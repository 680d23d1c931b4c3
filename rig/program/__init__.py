# SPDX-License-Identifier: MIT
"""Any program in a guest, in one command: where its files come from, its plan, what is expected, how it ended."""
