# SPDX-License-Identifier: MIT
"""Images that the user's own Buildroot builds from our BR2_EXTERNAL tree, images/buildroot."""
