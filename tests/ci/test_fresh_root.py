# SPDX-License-Identifier: MIT
""".ci/run without a root: what it refuses, what it installs on the host, and when it tries again."""

from __future__ import annotations

import hashlib
import http.server
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / ".ci/run"

StandIn = Callable[[str, str], None]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Return a function that puts a shell script of a program's name before all others in PATH."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")

    def put(name: str, script: str) -> None:
        (directory / name).write_text(f"#!/bin/sh\n{script}\n")
        (directory / name).chmod(0o755)

    return put


@pytest.fixture
def root_may_all(stand_in: StandIn) -> None:
    stand_in("id", "echo 0")
    stand_in("unshare", "exit 0")
    stand_in("dpkg-query", "printf 'install ok installed'")


def ci_run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([RUN, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["hamm"], "'hamm' is not one of bookworm, trixie, sid"),
        (["sid", "sleep"], "'sleep' is not one of run, test"),
    ],
)
def test_word_that_is_unknown_is_refused_before_anything_is_made(words: list[str], reason: str) -> None:
    done = ci_run(*words)

    assert (done.returncode, done.stdout, done.stderr) == (1, "", f".ci/run: {reason}\n")


def test_person_who_is_not_root_is_told_how_to_call_it(stand_in: StandIn) -> None:
    stand_in("id", "echo 1000")

    done = ci_run()

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ".ci/run: making a root needs root: sudo make fresh\n"


@pytest.mark.usefixtures("root_may_all")
def test_host_without_namespaces_is_refused_with_its_own_reason(stand_in: StandIn) -> None:
    stand_in("unshare", "echo 'unshare: unshare failed: Operation not permitted' >&2; exit 1")

    done = ci_run()

    assert (done.returncode, done.stdout) == (1, "")
    assert "unshare: unshare failed: Operation not permitted\n" in done.stderr
    assert "without them its packages are seen" in done.stderr


@pytest.mark.usefixtures("root_may_all")
def test_what_makes_the_root_is_installed_where_it_is_missing(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in("dpkg-query", 'case "$*" in *mmdebstrap) exit 1 ;; *) printf "install ok installed" ;; esac')
    stand_in(
        "apt-get", f'echo "$@" >>{tmp_path}/calls; [ "$1" = update ] || {{ echo "E: no such mirror" >&2; exit 100; }}'
    )

    done = ci_run()

    assert done.returncode == 1
    assert "installing on the host: mmdebstrap\n" in done.stdout
    assert (tmp_path / "calls").read_text() == "update -qq\ninstall -qq -y --no-install-recommends mmdebstrap\n"
    assert done.stderr.splitlines() == [
        "E: no such mirror",
        ".ci/run: what makes the root cannot be installed on this host, see above: mmdebstrap",
    ]


PACKAGES = """Package: x
Version: 1
Architecture: all
Maintainer: nobody
Filename: pool/x.deb
Size: 3
SHA256: {sha256}
"""


def release(packages: bytes) -> bytes:
    digest = hashlib.sha256(packages).hexdigest()
    return f"Suite: here\nCodename: here\nSHA256:\n {digest} {len(packages)} main/binary-all/Packages\n".encode()


@contextmanager
def mirror(answers: dict[str, list[bytes | None]]) -> Iterator[str]:
    """Serve files over loopback, each with its answers in turn and the last for ever; None is 404. Yield the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            turns = answers.get(self.path.removeprefix("/"), [None])
            body = turns.pop(0) if len(turns) > 1 else turns[0]
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that gives apt directories of its own, and a mirror as its only source."""
    if not shutil.which("apt-get"):
        pytest.skip("apt is not installed")

    def configure(address: str) -> None:
        for name in ("etc", "state/lists/partial", "cache/archives/partial"):
            (tmp_path / "apt" / name).mkdir(parents=True)
        (tmp_path / "apt/status").touch()
        (tmp_path / "apt/etc/sources.list").write_text(f"deb [trusted=yes] {address} here main\n")
        (tmp_path / "apt/conf").write_text(
            f'Dir::Etc "{tmp_path}/apt/etc"; Dir::State "{tmp_path}/apt/state"; Dir::Cache "{tmp_path}/apt/cache";\n'
            f'Dir::State::status "{tmp_path}/apt/status"; Acquire::http::Proxy "DIRECT"; APT::Sandbox::User "root";\n'
            'Acquire::Languages "none"; Acquire::GzipIndexes "false"; APT::Architectures { "amd64"; };\n'
        )
        monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt/conf"))

    return configure


def in_step(command: str, work: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as .ci/run runs what fetches from the mirror. It says how long it would wait, and does not."""
    script = f". {RUN}; work={work}; sleep() {{ echo \"would wait $1 s\"; }}; in_step bash -c '{command}'"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, cwd=work)


GOOD = PACKAGES.format(sha256=hashlib.sha256(b"deb").hexdigest()).encode()
LISTS: dict[str, list[bytes | None]] = {
    "dists/here/Release": [release(GOOD)],
    "dists/here/main/binary-all/Packages": [GOOD],
    "pool/x.deb": [b"deb"],
}
STALE = [
    ("dists/here/main/binary-all/Packages", GOOD.replace(b"nobody", b"nobodi"), "Hash Sum mismatch"),
    ("pool/x.deb", b"bed", "Hash Sum mismatch"),
    ("pool/x.deb", b"debs", "File has unexpected size"),
    ("pool/x.deb", None, "404  Not Found"),
]
FETCH = "apt-get update -qq && apt-get download -qq x"


@pytest.mark.parametrize(("name", "stale", "words"), STALE)
def test_mirror_that_is_out_of_step_once_is_asked_again(
    name: str, stale: bytes | None, words: str, apt: Callable[[str], None], tmp_path: Path
) -> None:
    with mirror(LISTS | {name: [stale, *LISTS[name]]}) as address:
        apt(address)
        done = in_step(FETCH, tmp_path)

    assert done.returncode == 0, done.stdout
    assert words in done.stdout
    assert done.stdout.count("the mirror is out of step (try 1 of 3)\nwould wait 60 s\n") == 1
    assert "try 2" not in done.stdout


def test_mirror_that_stays_out_of_step_is_said_to_be(apt: Callable[[str], None], tmp_path: Path) -> None:
    with mirror(LISTS | {"pool/x.deb": [b"bed"]}) as address:
        apt(address)
        done = in_step(FETCH, tmp_path)

    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if "would wait" in line] == [
        "would wait 60 s",
        "would wait 120 s",
    ]
    assert done.stdout.count("the mirror is out of step") == 3
    assert done.stderr == ".ci/run: the mirror is out of step, see above: try again later\n"


@pytest.mark.parametrize(
    ("line", "again"),
    [
        ("E: Failed to fetch http://mirror/x.deb  Hash Sum mismatch", True),
        (
            "  | E: Failed to fetch http://mirror/x.deb  File has unexpected size (1 != 2). Mirror sync in progress?",
            True,
        ),
        ("Error: Failed to fetch http://mirror/x.deb  404  Not Found [IP: 127.0.0.1 80]", True),
        ("E: Failed to fetch http://mirror/x.deb  Could not resolve mirror", False),
        ("E       AssertionError: assert 'Hash Sum mismatch' in said", False),
        ("1 failed", False),
    ],
)
def test_only_what_a_mirror_causes_is_tried_again(line: str, again: bool, tmp_path: Path) -> None:
    (tmp_path / "line").write_text(line + "\n")

    done = in_step("echo tried >>tries; cat line; exit 2", tmp_path)

    assert done.returncode == 1
    assert (tmp_path / "tries").read_text().count("tried") == (3 if again else 1)
    assert ("out of step" in done.stdout) == again
