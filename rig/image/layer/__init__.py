# SPDX-License-Identifier: MIT
"""Root filesystems of programs: packages, directories, tars and container images, as layers on NVDIMMs."""
