# SPDX-License-Identifier: MIT
"""A stand-in for Buildroot: a Makefile that answers the calls which rig makes, and leaves files of the same names.

A package `first` is built once and keeps a stamp; a package `second` fails as long as there is a file `broken` beside
the Makefile.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

from rig.image.buildroot.recipe import external_tree
from tests.image.made_bzimage import made_bzimage

__all__ = ["made_buildroot"]

MAKEFILE = r"""export BR2_VERSION := {version}
VERSION = $(shell sed -n 's/^BR2_LINUX_KERNEL_CUSTOM_VERSION_VALUE="\(.*\)"$$/\1/p' $(O)/.config)
HERE := $(dir $(lastword $(MAKEFILE_LIST)))

all:
	@printf '\033[7m>>> first 1.0 Extracting\033[27m\n'
	@mkdir -p $(O)/build/linux-$(VERSION) $(O)/build/rig-guest-1 $(O)/images/rig-guest/programs
	@[ -e $(O)/build/first ] || {{ echo built first; echo once >> $(O)/times; touch $(O)/build/first; }}
	@printf '>>> second 2.0 Building\n'
	@if [ -e $(HERE)broken ]; then echo 'second.c:1: error: it is broken'; exit 1; fi
	@printf '>>>   Generating filesystem image rootfs.tar\n'
	@cp $(HERE)made/bzImage $(HERE)made/rootfs.tar $(O)/images/
	@cp $(HERE)made/rig-agent $(O)/images/rig-guest/
	@cp $(HERE)made/rig-agent $(O)/images/rig-guest/programs/hog
	@cp $(HERE)made/kernel-config $(O)/build/linux-$(VERSION)/.config
	@cp $(HERE)made/vmlinux $(O)/build/linux-$(VERSION)/vmlinux
	@touch $(O)/build/linux-$(VERSION)/.stamp_extracted $(O)/build/rig-guest-1/.stamp_rsynced

defconfig:
	@grep -v '^BR2_DEFCONFIG' $(BR2_DEFCONFIG) > $(O)/.config

show-info:
	@echo '{{"busybox": {{"type": "target", "version": "1.37.0"}}, "host-m4": {{"type": "host", "version": "1.4"}}}}'

%-dirclean:
	@echo $* >> $(O)/cleaned

.PHONY: all defconfig show-info
"""


def made_buildroot(directory: Path, version: str = "2026.02.3") -> Path:
    """Make the stand-in and return its directory."""
    made = directory / "made"
    made.mkdir(parents=True)
    (directory / "package").mkdir()
    (directory / "Makefile").write_text(MAKEFILE.format(version=version))
    (made / "bzImage").write_bytes(made_bzimage("6.12.60-rig"))
    (made / "rig-agent").write_bytes(b"\x7fELF made")
    # An ELF file that objcopy takes.
    shutil.copyfile(Path("/bin/true").resolve(), made / "vmlinux")
    fragments = sorted((external_tree() / "board/rig/linux").glob("*.config"))
    (made / "kernel-config").write_text("".join(path.read_text() for path in fragments if path.stem != "debuginfo"))
    with tarfile.open(made / "rootfs.tar", "w") as tar:
        for name, content in (("bin/busybox", b"made"), ("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")):
            info = tarfile.TarInfo(f"./{name}")
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
        node = tarfile.TarInfo("./dev/console")
        node.type, node.devmajor, node.devminor = tarfile.CHRTYPE, 5, 1
        tar.addfile(node)
    return directory
