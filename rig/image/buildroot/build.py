# SPDX-License-Identifier: MIT
"""Build a Buildroot image from a recipe: configure, check what is in force, build, and add the result to the cache."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rig.assets import assets
from rig.errors import RigError, UsageError
from rig.image.buildroot.collect import Collected, collect, collect_kernel
from rig.image.buildroot.defconfig import (
    ConfigError,
    Places,
    differences,
    fragment_files,
    read_config,
    render_defconfig,
)
from rig.image.buildroot.make import Make, Step
from rig.image.buildroot.recipe import BuildrootRecipe, external_tree
from rig.image.buildroot.tree import Buildroot, check_host
from rig.image.builds_use import bounded_build
from rig.image.digest import digest_file, digest_text
from rig.image.entry import Entry
from rig.image.fragments import check_distinct, read_fragment
from rig.image.programs import BUILD
from rig.image.store import Store
from rig.whole_file import read_object, write_unsynced

__all__ = ["Progress", "Workshop", "build_image", "build_kernel", "check_only", "check_recipe", "configure", "workshop"]

logger = logging.getLogger(__name__)
DEFCONFIG = "rig_defconfig"
STAMPS = "rig-stamps.json"
LOG = "rig-build.log"
Progress = Callable[[Step, float], None]
"""Called with each step and the seconds since the build began."""


@dataclass(frozen=True)
class Workshop:
    """The directories of a build. They stay in the cache, so that the next build is incremental."""

    output: Path
    places: Places

    @property
    def log(self) -> Path:
        """The log of Buildroot's output in the newest build."""
        return self.output / LOG


def workshop(store: Store, buildroot: Buildroot, recipe: BuildrootRecipe, primary_site: str | None) -> Workshop:
    """Return the directories for a recipe, created where they are missing.

    Buildroot never removes files from its target directory. A change of toolchain or packages therefore gets a new
    output directory; a change of kernel does not.

    primary_site: a directory of source archives (BR2_PRIMARY_SITE), or None.
    Raises RigError where the cache cannot be written.
    Raises UsageError for a primary site that is not a directory.
    """
    site = Path(primary_site).expanduser().resolve() if primary_site else None
    if site is not None and not site.is_dir():
        raise UsageError(
            "there is no such directory", where=f"--primary-site {primary_site}", remedy="name a directory of sources"
        )
    home = store.root / "buildroot"
    key = digest_text(str(buildroot.directory), buildroot.version, repr(recipe.rootfs), repr(recipe.toolchain))
    made = Workshop(home / f"{recipe.name}-{key[:12]}", Places(home / "dl", home / "ccache", site))
    with store.writing():
        for directory in (made.output, made.places.downloads, made.places.ccache):
            directory.mkdir(parents=True, exist_ok=True)
            if not os.access(directory, os.W_OK):
                raise PermissionError(13, "Permission denied", str(directory))
    return made


def check_recipe(recipe: BuildrootRecipe, places: Places, *, jobs: int, buildroot: str) -> str:
    """Return a recipe's defconfig after checking what can be checked without Buildroot.

    jobs: make's -j.
    buildroot: the release, for the comment at the top.
    Raises ConfigError for a malformed line or a symbol set twice.
    Raises UsageError for a kernel fragment that cannot be read or contradicts another.
    Raises RigError for a kernel tarball that does not exist.
    """
    text = render_defconfig(recipe, places, jobs=jobs, buildroot=buildroot)
    check_distinct([read_fragment(path) for path in fragment_files(recipe)])
    if recipe.kernel.tarball is not None and not recipe.kernel.tarball.is_file():
        raise RigError("there is no such file", where=recipe.kernel.tarball, remedy="correct `tarball` in the recipe")
    return text


def configure(make: Make, text: str) -> dict[str, str]:
    """Run Buildroot's `make defconfig`, and return the resulting configuration as symbol -> value.

    text: the defconfig.
    Raises ConfigError naming the settings that are not in force.
    """
    make.output.mkdir(parents=True, exist_ok=True)
    file = make.output / DEFCONFIG
    file.write_text(text)
    make.run("defconfig", f"BR2_DEFCONFIG={file}")
    got = read_config((make.output / ".config").read_text(), str(make.output / ".config"))
    wrong = differences(read_config(text, DEFCONFIG), got)
    if wrong:
        raise ConfigError(
            f"{len(wrong)} of the recipe's settings do not exist in this Buildroot, or depend on others",
            where=file,
            remedy="use a release that the recipe was tested with, or correct the recipe",
            detail="\n".join(wrong),
        )
    return got


def build_image(
    store: Store,
    buildroot: Buildroot,
    recipe: BuildrootRecipe,
    *,
    jobs: int,
    primary_site: str | None = None,
    progress: Progress = lambda step, seconds: None,
    expect: Callable[[int], None] = lambda packages: None,
) -> Collected:
    """Build an image and its kernel and add both to the cache. An existing output directory is built incrementally.

    jobs: make's -j.
    primary_site: a directory of source archives, or None.
    progress: called with each step and the seconds since the build began.
    expect: called with the number of packages that are not built yet.
    Raises RigError naming the package that failed.
    Raises ConfigError where a setting of the recipe is not in force.
    """
    began = time.monotonic()
    with _configured(store, buildroot, recipe, jobs, primary_site) as make:
        expect(_packages_to_build(make))
        make.run("all", watch=lambda step: progress(step, time.monotonic() - began))
        return collect(store, make, recipe, buildroot, seconds=time.monotonic() - began)


def build_kernel(
    store: Store,
    buildroot: Buildroot,
    recipe: BuildrootRecipe,
    *,
    jobs: int,
    primary_site: str | None = None,
    progress: Progress = lambda step, seconds: None,
) -> Entry:
    """Build the kernel of a recipe with its dependencies only, and add it to the cache.

    Takes the parameters of build_image, and raises the same errors.
    """
    began = time.monotonic()
    with _configured(store, buildroot, recipe, jobs, primary_site) as make:
        make.run("linux", watch=lambda step: progress(step, time.monotonic() - began))
        return collect_kernel(store, make, recipe)


def _packages_to_build(make: Make) -> int:
    """Return how many packages of the image, of the guest and of the host, have no stamp of a finished build."""
    info = json.loads(make.answer("show-info"))
    packages = {
        f"{name}-{about.get('version', '')}"
        for name, about in info.items()
        if about.get("type") in ("target", "host") and not about.get("virtual")
    }
    # package/pkg-generic.mk keeps the stamp in the package's build directory, which is called NAME-VERSION.
    return len(packages - {stamp.parent.name for stamp in (make.output / "build").glob("*/.stamp_built")})


@contextmanager
def _configured(
    store: Store, buildroot: Buildroot, recipe: BuildrootRecipe, jobs: int, primary_site: str | None
) -> Iterator[Make]:
    """Yield make over a recipe's configured output directory, and hold its lock against other rig processes."""
    check_host()
    shop = workshop(store, buildroot, recipe, primary_site)
    with store.lock(f"buildroot-{shop.output.name}", BUILD):
        text = check_recipe(recipe, shop.places, jobs=jobs, buildroot=buildroot.version)
        with bounded_build(store, shop.output):
            shop.log.unlink(missing_ok=True)
            make = Make(buildroot.directory, shop.output, external_tree().resolve(), shop.log)
            configure(make, text)
            _forget_stale(make, recipe)
            yield make


def check_only(
    store: Store, buildroot: Buildroot | None, recipe: BuildrootRecipe, *, jobs: int, primary_site: str | None = None
) -> str:
    """Return a recipe's defconfig after checking it. Builds nothing.

    buildroot: where given, each setting is also checked to be in force in that release.
    Raises the errors of check_recipe and configure.
    """
    home = store.root / "buildroot"
    site = Path(primary_site).expanduser().resolve() if primary_site else None
    places = Places(home / "dl", home / "ccache", site)
    text = check_recipe(recipe, places, jobs=jobs, buildroot=buildroot.version if buildroot else "any release")
    if buildroot is not None:
        with store.staging_directory() as work:
            configure(Make(buildroot.directory, work / "output", external_tree().resolve(), work / LOG), text)
    return text


def _forget_stale(make: Make, recipe: BuildrootRecipe) -> None:
    """Clean the packages whose inputs changed without Buildroot's notice: the kernel, and the package rig-guest.

    Buildroot rebuilds no package because its configuration or local source changed (manual, "Understanding when a full
    rebuild is necessary"), so digests of the inputs are kept in the output directory.
    """
    guest = sorted(path for path in assets("guest").rglob("*") if path.is_file() and "build" not in path.parts)
    stamps = {
        "linux": digest_text(repr(recipe.kernel), *(path.read_text() for path in fragment_files(recipe))),
        "rig-guest": digest_text(*map(str, guest), *(digest_file(path) for path in guest)),
    }
    file = make.output / STAMPS
    before = read_object(file)
    for package, digest in stamps.items():
        built = any((make.output / "build").glob(f"{package}-*/.stamp_extracted")) or any(
            (make.output / "build").glob(f"{package}-*/.stamp_rsynced")
        )
        if built and before.get(package) != digest:
            logger.info("%s has changed since the last build: it is built again", package)
            make.run(f"{package}-dirclean")
    # A lost file costs a second build of both packages.
    write_unsynced(file, json.dumps(stamps, indent=1))
