# SPDX-License-Identifier: MIT
"""`rig cure`: bad calls end before a guest is started."""

from __future__ import annotations

import pytest

from rig.cli.app import _run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("no-such-thing",), "no such run, scenario or file"),
        (("overcommit-oops", "--budget", "soon"), "not a duration"),
        (("overcommit-oops", "--budget", "0s"), "not a budget"),
        (("overcommit-oops", "--try", "swop"), "no remedy 'swop'"),
        (("overcommit-oops", "--also", "hog"), "not a setting"),
        (("overcommit-oops", "--also", "hog=lots"), "not a size"),
        (("overcommit-oops", "--set", "nonsense=1"), "no parameter 'nonsense'"),
        (("overcommit-oops", "--json", "-q"), "--json"),
    ],
)
def test_bad_call_is_a_usage_error(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["cure", *words]) == 64
    assert message in capsys.readouterr().err
