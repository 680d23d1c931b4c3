# SPDX-License-Identifier: MIT
"""An invalid scenario is refused before a guest is started, with file, line, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.errors import UsageError
from rig.scenario.load import find_scenario, list_scenarios, load_scenario
from rig.scenario.new import SKELETON

GOOD = """\
title = "A sleep"
summary = "Sleeps."

[parameters.naps]
type = "int"
default = 2
min = 1
help = "how often"

[plan]
steps = [
  { do = "sleep", seconds = "{{ naps }}" },
]

[[claims]]
id = "ended"
text = "it slept {{ naps }} seconds"
expr = "end.reason == 'plan'"
"""


def directory_with(tmp_path: Path, text: str) -> str:
    directory = tmp_path / "own"
    directory.mkdir()
    (directory / "scenario.toml").write_text(text)
    return str(directory)


def refusal(tmp_path: Path, text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load_scenario(directory_with(tmp_path, text))
    return caught.value


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_scenario_of_ones_own_loads_from_its_directory(tmp_path: Path) -> None:
    scenario = load_scenario(directory_with(tmp_path, GOOD))

    assert scenario.name == "own"
    assert scenario.parameters["naps"].parse("3") == 3


def test_every_scenario_of_the_catalogue_loads_and_tells_its_story() -> None:
    directories = list_scenarios()

    assert directories
    for directory in directories:
        assert load_scenario(directory.name).story().startswith("# ")


def test_unknown_scenario_names_what_was_probably_meant() -> None:
    with pytest.raises(UsageError) as caught:
        find_scenario("overcommit-opps")

    assert caught.value.remedy == "did you mean 'overcommit-oops' or 'overcommit-in-cgroup'?"


def test_directory_without_a_scenario_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no scenario\.toml in this directory"):
        find_scenario(str(tmp_path))


def test_path_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="no such directory"):
        find_scenario("./nowhere")


def test_broken_toml_names_line_and_column(tmp_path: Path) -> None:
    error = refusal(tmp_path, GOOD.replace("default = 2", "default = "))

    assert "line 6" in error.what


@pytest.mark.parametrize(
    ("right", "wrong", "what", "remedy"),
    [
        ("default = 2", "defualt = 2", "unknown key 'defualt'", "did you mean 'default'?"),
        ('summary = "Sleeps."', 'sumary = "Sleeps."', "the key 'summary' is missing", "add it"),
        ("[parameters.naps]", "[parameters.memory]", "'memory' is reserved", None),
        ('do = "sleep"', 'do = "slep"', "unknown verb 'slep': did you mean 'sleep'", None),
        ("seconds = ", "secs = ", "'sleep' has no key 'secs': did you mean", None),
        ("default = 2", "default = 0", "0 is out of bounds: the smallest value is 1", None),
        ("default = 2", 'default = "two"', "'two' is not a whole number", None),
        ("min = 1", 'choices = ["1"]', "'choices' is only for type", None),
        ("{{ naps }} seconds", "{{ nap }} seconds", "unknown name 'nap'", "did you mean 'naps'?"),
        ("{{ naps }} seconds", "{{ naps seconds", "the template is broken", "correct the template"),
        ('id = "ended"', 'id = "ended?"', "'ended?' is not a valid name", None),
        ('id = "ended"', 'id = "It ended"', "'It ended' is not a valid name", None),
        ("[plan]", '[[programs]]\nname = "../hog"\nsource = "hog"\n[plan]', "'../hog' is not a valid name", None),
        ("[plan]", '[[programs]]\nname = "hog\\n"\nsource = "hog"\n[plan]', "is not a valid name", None),
        (
            "[plan]",
            '[[programs]]\nname = "hog"\nsource = "hog"\nlibs = ["m -o x"]\n[plan]',
            "'m -o x' is not a library's name",
            None,
        ),
        ('id = "ended"', 'id = "ended"\nneeds = ["other"]', "needs 'other', which is not a claim above it", None),
    ],
)
def test_mistake_names_what_is_wrong_and_the_remedy(
    tmp_path: Path, right: str, wrong: str, what: str, remedy: str | None
) -> None:
    error = refusal(tmp_path, GOOD.replace(right, wrong))

    assert what in str(error) + (error.detail or "")
    if remedy is not None:
        assert remedy in (error.remedy or "") + (error.detail or "")


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        ("default = 2", "defualt = 2", "defualt"),
        ('do = "sleep"', 'do = "slep"', "slep"),
        ("end.reason ==", "end.reason =", "expr ="),
        ("{{ naps }} seconds", "{{ nap }} seconds", "{{ nap }}"),
    ],
)
def test_mistake_names_file_and_line(tmp_path: Path, right: str, wrong: str, place: str) -> None:
    text = GOOD.replace(right, wrong)

    error = refusal(tmp_path, text)

    assert f"scenario.toml:{line_of(text, place)}" in (error.where or "") + (error.detail or "")


@pytest.mark.parametrize(
    ("expr", "what", "caret_under"),
    [
        ("len(ooms >", "does not parse", "("),
        ("end.reasn == 'plan' and oms == ()", "unknown name 'oms'", "oms"),
        ("legn(ooms) > 0", "unknown function 'legn'", "legn"),
        ("params.nap > 1", "params has no 'nap'", "params.nap"),
        ("end.__class__ == 1", "'__class__' cannot be read", "end"),
        ("(lambda: 1)() == 1", "only functions can be called", "(lambda"),
        ("2 ** 3 == 8", "Pow is not part of the language", None),
        ("f'{end}' == ''", "JoinedStr is not part of the language", None),
    ],
)
def test_claim_that_does_not_parse_shows_the_place_with_a_caret(
    tmp_path: Path, expr: str, what: str, caret_under: str | None
) -> None:
    error = refusal(tmp_path, GOOD.replace("end.reason == 'plan'", expr))

    assert what in error.what
    assert "claim 'ended'" in (error.where or "")
    line, caret = (error.detail or "").split("\n")
    assert line == expr
    assert caret.endswith("^")
    if caret_under is not None:
        assert line.index(caret_under) == caret.index("^")


def test_spawn_of_an_unnamed_program_is_refused(tmp_path: Path) -> None:
    step = '{ do = "spawn", program = "hog" },\n  { do = "sleep"'

    error = refusal(tmp_path, GOOD.replace('{ do = "sleep"', step))

    assert "program 'hog', which [[programs]] does not define" in error.what


def test_step_about_a_program_that_nobody_spawns_is_refused(tmp_path: Path) -> None:
    step = '{ do = "signal", program = "hog", signal = "CONT" },\n  { do = "sleep"'

    assert "no step spawns" in refusal(tmp_path, GOOD.replace('{ do = "sleep"', step)).what


def test_wait_without_a_bound_is_refused(tmp_path: Path) -> None:
    step = '{ do = "wait_any", oom = true },\n  { do = "sleep"'

    assert "'wait_any' needs the key 'timeout'" in refusal(tmp_path, GOOD.replace('{ do = "sleep"', step)).what


def test_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    directory = directory_with(tmp_path, "")
    (Path(directory) / "scenario.toml").write_bytes(b'title = "\xff"')

    with pytest.raises(UsageError, match="not UTF-8 at byte 9"):
        load_scenario(directory)


def test_step_in_a_table_of_its_own_is_named_by_its_line(tmp_path: Path) -> None:
    steps = '[[plan.steps]]\ndo = "sleep"\nseconds = 1\n\n[[plan.steps]]\ndo = "sleep"\nsecond = 2\n'
    text = GOOD.replace('[plan]\nsteps = [\n  { do = "sleep", seconds = "{{ naps }}" },\n]\n', steps)
    header = text.splitlines().index("second = 2") - 1

    with pytest.raises(UsageError) as refused:
        load_scenario(directory_with(tmp_path, text))

    assert f"scenario.toml:{header}:" in str(refused.value.where)


def test_key_of_the_last_of_many_claims_is_named_by_its_line(tmp_path: Path) -> None:
    claims = "".join(f'\n[[claims]]\nid = "c{number}"\ntext = "t"\nexpr = "len(ooms) > 0"\n' for number in range(3000))
    text = GOOD + claims.replace('id = "c2999"', 'id = "c2999"\nexpt = "true"')
    line = text.splitlines().index('expt = "true"') + 1

    with pytest.raises(UsageError) as refused:
        load_scenario(directory_with(tmp_path, text))

    assert f"scenario.toml:{line}:" in str(refused.value.where)


@pytest.mark.parametrize("directory", [*list_scenarios(), SKELETON], ids=lambda directory: directory.name)
def test_no_line_of_a_scenario_is_longer_than_120_columns(directory: Path) -> None:
    lines = (directory / "scenario.toml").read_text().splitlines()

    assert not [f"line {number}" for number, line in enumerate(lines, 1) if len(line) > 120]
