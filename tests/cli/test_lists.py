# SPDX-License-Identifier: MIT
"""The lists of runs, scenarios and cache entries: as JSON, in a pipe, and on a narrow terminal."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from rig.cli.app import _run
from rig.experiment import doctor
from rig.experiment.cache_use import measure_use
from rig.experiment.doctor import Finding, _cache_use
from rig.image.digest import digest_text
from rig.image.eviction import Held
from rig.image.store import Store
from rig.in_use import using_entries
from rig.report.cache_table import cache_tables
from rig.report.catalogue import runs_table, scenario_page
from rig.run.directory import list_runs, new_run_id, runs_directory
from rig.scenario.load import load_scenario
from tests.image.test_in_use import add_entry
from tests.report.made_directory import write_directory


@pytest.fixture
def places(places: Path) -> Path:
    (places / "runs").mkdir()
    return places


def printed(words: list[str], capsys: pytest.CaptureFixture[str], status: int = 0) -> str:
    assert _run(words) == status
    return capsys.readouterr().out


def test_scenarios_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    entries = {each["name"]: each for each in json.loads(printed(["list", "--json"], capsys))}

    assert "every" in entries["overcommit-oops"]["parameters"]


def test_broken_scenario_is_in_the_list_with_its_problem(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "scenario.toml").write_text("title = 1\n")
    monkeypatch.setattr("rig.cli.scenarios.list_scenarios", lambda: [tmp_path / "broken"])

    (entry,) = json.loads(printed(["list", "--json"], capsys))

    assert entry["name"] == "broken"
    assert "scenario.toml" in entry["problem"]


def test_scenario_as_json_has_its_claims_as_written(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(printed(["show", "overcommit-oops", "--json"], capsys))

    claims = {claim["id"]: claim for claim in document["claims"]}
    assert claims["nothing-killed-before"]["expr"] == "killed == 0"
    assert document["parameters"]["every"]["default"] == "30s"


def test_runs_as_json_and_chosen_by_verdict(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_directory(places / "runs" / "20261125-000000-aaaa")
    (places / "runs" / "20261125-000001-bbbb").mkdir()
    (places / "runs" / "20261125-000001-bbbb" / "run.json").write_text("{")

    good, bad = json.loads(printed(["runs", "--json"], capsys))

    assert good["path"] == str(run)
    assert good["verdict"] == "reproduced"
    assert bad["problem"]
    assert json.loads(printed(["runs", "--json", "--verdict", "reproduced"], capsys)) == [good]
    assert json.loads(printed(["runs", "--json", "--scenario", "nothing"], capsys)) == []
    assert _run(["runs", "--verdict", "fine"]) == 64


@pytest.mark.parametrize("words", [["image", "list"], ["kernel", "list"]])
def test_cache_as_json(words: list[str], places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store()
    with store.staging_directory() as directory:
        (directory / "bzImage").write_bytes(b"kernel")
        store.add("kernel", "a" * 64, directory, {"spec": "debian:bookworm"})

    (entry,) = json.loads(printed([*words, "--json"], capsys))

    assert entry["key"] == "a" * 64
    assert entry["about"]["spec"] == "debian:bookworm"


def test_doctor_as_json_has_the_findings(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [Finding("bad", "QEMU", "there is none", "apt-get install qemu-system-x86")]
    monkeypatch.setattr("rig.cli.doctor.examine", lambda: findings)

    document = json.loads(printed(["doctor", "--json"], capsys, status=1))

    assert document == {"can_run": False, "kvm": False, "findings": [asdict(findings[0])]}


@pytest.mark.parametrize("words", [["kernel", "rm", "nosuch"], ["image", "rm", "nosuch"], ["kernel", "rm"]])
def test_removal_answers_in_the_words_of_its_command(
    words: list[str], places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(words) == 64

    error = capsys.readouterr().err
    assert f"rig {words[0]} rm" in error
    assert f"rig {words[0]} list" in error


def test_pipe_gets_a_line_a_row_without_padding(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(["list"], capsys)

    assert [line for line in out.splitlines() if line != line.rstrip()] == []
    assert sum("overcommit-oops" in line for line in out.splitlines()) == 1
    summary = load_scenario("fork-fails").file.summary
    assert summary in out


@pytest.mark.parametrize("width", [38, 60, 79, 200])
def test_id_and_verdict_of_a_run_stay_in_one_line(width: int, places: Path) -> None:
    write_directory(places / "runs" / "20261125-000000-aaaa")
    out = io.StringIO()

    Console(file=out, width=width, color_system=None).print(runs_table(list_runs(), width=width))

    (row,) = [line for line in out.getvalue().splitlines() if "20261125-000000-aaaa" in line]
    assert "reproduced" in row


def test_commands_of_a_story_can_be_pasted_from_a_narrow_terminal() -> None:
    out = io.StringIO()
    console = Console(file=out, width=40, force_terminal=True, color_system=None)

    for part in scenario_page(load_scenario("overcommit-oops")):
        console.print(part, crop=False)

    assert (
        "rig run overcommit-oops --set hog=70M --memory 384M      # another machine, the same end\n" in out.getvalue()
    )


def test_story_to_a_pipe_is_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert not sys.stdout.isatty()

    assert printed(["show", "overcommit-oops"], capsys).startswith(load_scenario("overcommit-oops").story())


def test_cache_is_listed_by_kind_with_what_needs_it(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store()
    store.set_ref("layer/mine", add_entry(store, "layer", digest_text("layer")).key)

    table = printed(["cache"], capsys)
    document = json.loads(printed(["cache", "--json"], capsys))

    assert "layer/mine" in table
    assert "of at most 8G (RIG_CACHE_SIZE)" in table
    assert document["kinds"]["layer"]["entries"] == 1
    assert document["entries"][0]["names"] == ["layer/mine"]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_run_that_needs_an_entry_is_named_whole(width: int, places: Path) -> None:
    store = Store()
    with store.staging_directory() as directory:
        entry = store.add("snapshot", "a" * 64, directory, {"kernel": "linux-image-6.1.0-50-cloud-amd64 6.1.176-1"})
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None)

    held = [Held(entry, runs=("20261126-161936-7cun",))]
    for part in cache_tables(held, Path("/cache"), measure_use([entry], ()), width=width):
        console.print(part)

    assert "20261126-161936-7cun" in out.getvalue()
    assert "…" not in out.getvalue()


@pytest.mark.parametrize("command", ["cache", "kernel list"])
def test_brackets_and_colons_of_a_name_are_printed(
    command: str, places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store()
    with store.staging_directory() as directory:
        store.add("kernel", "a" * 64, directory, {"spec": "tree:/home/x/[bold]/:zap:"})

    assert "tree:/home/x/[bold]/:zap:" in printed(command.split(), capsys)


def test_cache_is_pruned_and_what_was_named_stays(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store()
    store.set_ref("layer/mine", add_entry(store, "layer", digest_text("layer")).key)
    spare = add_entry(store, "snapshot", digest_text("snapshot"))

    tried = printed(["cache", "prune", "--max", "0", "--dry-run"], capsys)
    still = len(store.entries())
    done = printed(["cache", "prune", "--max", "0"], capsys)

    assert "would be removed: 1 (0.0 MB)" in tried
    assert still == 2
    assert spare.key[:12] in done
    assert "rig kernel rm and rig image rm remove it" in done
    assert [entry.kind for entry in store.entries()] == ["layer"]


def test_bound_that_is_no_size_is_a_usage_error(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run(["cache", "prune", "--max", "much"]) == 64
    assert "--max: 'much' is not a size" in capsys.readouterr().err


def test_doctor_says_what_the_cache_holds(places: Path) -> None:
    store = Store()
    add_entry(store, "snapshot", digest_text("snapshot"))

    finding = _cache_use(store)

    assert finding.saw == "0.0 MB of at most 8G, and branch points 0.0 MB of at most 4G: snapshot 0.0 MB"


def test_doctor_says_what_runs_and_builds_take_by_kind(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    for path, size in {
        store.root / "build/linux/vmlinux": 3 << 20,
        store.root / "buildroot/dl/linux.tar": 5 << 20,
        runs_directory() / "not-a-run/file": 6 << 20,
        runs_directory() / "20251101-000000-aaaa/console.log": 1 << 20,
        runs_directory() / "20251101-000000-aaaa/recording/replay": 2 << 20,
        runs_directory() / "sweeps/20251101-000000-aaaa/rows.jsonl": 4 << 20,
    }.items():
        path.parent.mkdir(parents=True)
        path.write_bytes(os.urandom(size))
    monkeypatch.setattr(doctor, "find_qemu", lambda: SimpleNamespace(text="7.2", path="qemu"))

    saw = {finding.what: finding.saw for finding in doctor.examine()}

    assert saw["runs use"] == "7.0 MB of at most 10G: sweeps 4.0 MB, recordings 2.0 MB, runs 1.0 MB"
    assert saw["builds"].splitlines() == [
        f"{store.root}/build 3.0 MB; rig kernel rm --all removes it",
        f"{store.root}/buildroot 5.0 MB; remove it by hand: Buildroot's output, downloads and ccache",
    ]


def test_cache_says_how_each_build_directory_is_removed(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("build", "buildroot"):
        (Store().root / name).mkdir(parents=True)

    table = " ".join(printed(["cache"], capsys).split())

    assert f"{Store().root}/build; rig kernel rm --all removes it" in table
    assert f"{Store().root}/buildroot; remove it by hand: Buildroot's output, downloads and ccache" in table


@pytest.mark.parametrize("method", ["iterdir", "exists"])
def test_doctor_says_that_the_runs_cannot_be_read(method: str, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = runs_directory()
    runs.mkdir(parents=True, exist_ok=True)
    known = getattr(Path, method)

    def refused(path: Path) -> object:
        if path == runs:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return known(path)

    monkeypatch.setattr(doctor, "find_qemu", lambda: SimpleNamespace(text="7.2", path="qemu"))
    monkeypatch.setattr(Path, method, refused)

    findings = [each for each in doctor.examine() if each.what in ("runs", "runs use") and each.level == "bad"]

    assert [each.saw for each in findings] == [f"{runs} cannot be read: Permission denied"]
    assert "RIG_RUNS" in findings[0].remedy


def test_branch_points_count_against_their_own_bound(
    places: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store()
    add_entry(store, "snapshot", digest_text("snapshot"), os.urandom(1 << 20))
    add_entry(store, "branch", digest_text("branch"), os.urandom(2 << 20))
    size = next(entry.size for entry in store.entries("snapshot"))
    branches = next(entry.size for entry in store.entries("branch"))
    monkeypatch.setenv("RIG_CACHE_SIZE", "3M")
    monkeypatch.setenv("RIG_BRANCH_SIZE", "8M")

    document = json.loads(printed(["cache", "--json"], capsys))
    table = printed(["cache"], capsys)
    kept = printed(["cache", "prune"], capsys)
    both = [entry.kind for entry in store.entries()]
    monkeypatch.setenv("RIG_BRANCH_SIZE", "1K")
    pruned = printed(["cache", "prune"], capsys)

    assert size + branches > 3 << 20
    assert (document["size"], document["bound"]) == (size, 3 << 20)
    assert document["branch_points"] == {"size": branches, "bound": 8 << 20}
    assert "of at most 8M (RIG_BRANCH_SIZE)" in table
    assert "without branch points, removed: 0" in kept
    assert sorted(both) == ["branch", "snapshot"]
    assert "branch points, removed: 1" in pruned
    assert [entry.kind for entry in store.entries()] == ["snapshot"]


RUNS = ("20251101-000000-aaaa", "20251101-000001-aaaa", "20261101-000000-aaaa")


def _runs(root: Path) -> None:
    for run in RUNS:
        write_directory(root / "runs" / run)


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["20251101-000000"], RUNS[1:]),
        (["last", RUNS[0]], RUNS[1:2]),
        (["--older", "1d", "--keep", "2"], RUNS[1:]),
        (["--keep", "1"], RUNS[2:]),
        (["--keep", "7"], RUNS),
        (["--older", "1d", "--dry-run"], RUNS),
    ],
)
def test_runs_are_removed(
    words: list[str], left: tuple[str, ...], places: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _runs(places)

    printed(["runs", "rm", *words], capsys)

    assert tuple(sorted(path.name for path in (places / "runs").iterdir())) == left


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "name the runs to remove"),
        (["last", "--keep", "1"], "name the runs to remove"),
        (["2025"], "'2025' matches 2 runs"),
        (["elsewhere"], "not in the directory of runs"),
        (["--older", "soon"], "--older: 'soon' is not an age"),
    ],
)
def test_runs_that_are_not_chosen_clearly_stay(
    words: list[str], problem: str, places: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _runs(places)
    write_directory(places / "elsewhere")
    monkeypatch.chdir(places)

    assert _run(["runs", "rm", *words]) == 64

    assert problem in capsys.readouterr().err
    assert len(list((places / "runs").iterdir())) == 3
    assert (places / "elsewhere").is_dir()


def test_runs_since(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _runs(places)
    write_directory(places / "runs" / new_run_id())

    recent = json.loads(printed(["runs", "--since", "1h", "--json"], capsys))

    assert [each["path"] for each in recent] == [str(list_runs()[-1].directory)]


def test_kernel_in_use_is_not_removed_and_that_is_said(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store()
    key = add_entry(store, "kernel", digest_text("kernel")).key

    with using_entries():
        store.get("kernel", key)

        assert _run(["kernel", "rm", key[:12]]) == 3

    assert "another rig is using them" in capsys.readouterr().err
    assert len(store.entries()) == 1


def _named(store: Store, name: str, key: str) -> None:
    add_entry(store, "layer", key)
    store.set_ref(f"layer/{name}", key)


def test_image_is_removed_by_its_name(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, key = Store(places / "cache"), digest_text("app")
    _named(store, "app", key)

    done = printed(["image", "rm", "app"], capsys)

    assert "removed 1 entry" in done
    assert (store.ref("layer/app"), store.entries("layer")) == (None, [])


def test_image_of_two_names_stays_until_the_second_is_removed(places: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, key = Store(places / "cache"), digest_text("app")
    _named(store, "app", key)
    store.set_ref("layer/other", key)

    printed(["image", "rm", "app"], capsys)

    assert store.ref("layer/app") is None
    assert [entry.key for entry in store.entries("layer")] == [key]
    assert "removed 1 entry" in printed(["image", "rm", "other"], capsys)
