# SPDX-License-Identifier: MIT
"""`rig image use` and `rig kernel use`: only what a guest can boot becomes the default."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.cli.image import use as use_image
from rig.cli.kernel import use as use_kernel
from rig.errors import UsageError

IMAGE = b"hsqs" + bytes(8192)


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RIG_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("RIG_IMAGE", raising=False)
    monkeypatch.delenv("RIG_KERNEL", raising=False)
    return tmp_path / "config"


@pytest.mark.parametrize("name", ["nonsense", "/etc/hostname", "/etc"])
def test_what_is_not_an_image_does_not_become_the_default(name: str, configuration: Path) -> None:
    with pytest.raises(UsageError):
        use_image(name, reset=False)

    assert not configuration.exists()


def test_path_of_an_image_is_kept_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "root.img").write_bytes(IMAGE)
    monkeypatch.chdir(tmp_path)

    use_image("root.img", reset=False)

    assert capsys.readouterr().out == f"{tmp_path / 'root.img'}  (rig image use)\n"


def test_reset_goes_back_to_the_quick_image(capsys: pytest.CaptureFixture[str]) -> None:
    use_image("buildroot:small", reset=False)
    use_image(None, reset=True)

    assert capsys.readouterr().out.splitlines() == ["buildroot:small  (rig image use)", "quick  (rig's default)"]


@pytest.mark.parametrize("use", [use_image, use_kernel])
def test_choice_and_reset_exclude_each_other(use: object, configuration: Path) -> None:
    name = "quick" if use is use_image else "debian:bookworm"

    with pytest.raises(UsageError, match="exclude each other"):
        use(name, reset=True)  # type: ignore[operator] # one of two commands

    assert not configuration.exists()
