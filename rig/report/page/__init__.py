# SPDX-License-Identifier: MIT
"""The log reader as a page: static files with which a browser explains a kernel log, and sends nothing anywhere."""
