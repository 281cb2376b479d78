"""git repositories as sources of ADD and as contexts, from git's own servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from shoal.engine.building.git import Repository, check_out
from tests.engines.engine import Engine
from tests.engines.shoald import Shoald
from tests.kernel.cli.building import build
from tests.kernel.cli.git_servers import COMMITTED_S, daemon, git, make_repository, over_http
from tests.kernel.cli.shoal import shoal

pytestmark = pytest.mark.root


class Served(NamedTuple):
    """One repository, `app.git`, and where it is: by HTTP as git speaks it, as files, and by git's daemon."""

    path: Path
    commits: list[str]
    smart: str
    plain: str
    own: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A repository behind three servers."""
    root = tmp_path_factory.mktemp("repositories")
    commits = make_repository(root / "work")
    git(root, "clone", "-q", "--bare", "work", "app.git")
    git(root / "app.git", "update-server-info")
    with ExitStack() as stack:
        smart = stack.enter_context(over_http(root, is_smart=True))
        plain = stack.enter_context(over_http(root, is_smart=False))
        own = stack.enter_context(daemon(root))
        yield Served(root / "app.git", commits, f"{smart}/app.git", f"{plain}/app.git", f"{own}/app.git")


def test_add_of_a_repository_takes_a_branch_a_tag_a_commit_and_a_directory(engine: Engine, served: Served) -> None:
    """From each kind of server come the files of what is named behind `#`, with their modes, and no `.git`."""
    first = served.commits[0]
    text = (
        f"FROM busybox\nADD {served.smart} /head/\nADD {served.own}#first /tag/\nADD {served.smart}#{first} /commit/\n"
        f"ADD {served.smart}#main:sub /sub/\nADD {served.plain} /plain/\nADD {served.plain}#{first} /old/\n"
        "RUN cat /head/file /tag/file /commit/file /plain/file /old/file; ls -A /head /sub; test -x /sub/run\n"
    )
    lines = [line.partition("│ ")[2] for line in build(engine, text).splitlines()]
    told = lines[lines.index("two") :]
    assert told[:5] == ["two", "one", "one", "two", "one"]
    assert told[5:12] == ["/head:", "file", "sub", "", "/sub:", "Dockerfile", "run"]


def test_add_of_a_repository_keeps_git_dir_the_same_everywhere(engine: Engine, served: Served) -> None:
    """`--keep-git-dir` gives a repository that git takes, without changes, and the same layer each time."""
    address = served.smart.replace("http://", "http://user:hidden@")
    text = f"FROM scratch\nADD --keep-git-dir {address}#main /app/\n"
    layers = []
    for name in ("kept:1", "kept:2"):
        build(engine, text, "--no-cache", "-t", name)
        layers.append(engine.ok("image", "inspect", "-f", "{{.RootFS.Layers}}", name))
    assert layers[0] == layers[1]


def test_add_of_a_repository_with_git_dir_is_a_clone(engine: Engine, served: Served, tmp_path: Path) -> None:
    """Its status is clean, its origin is where it came from, without the password."""
    address = served.smart.replace("http://", "http://user:hidden@")
    build(engine, f"FROM scratch\nADD --keep-git-dir {address} /\n", "-o", str(tmp_path / "out"))
    assert git(tmp_path / "out", "rev-parse", "HEAD") == served.commits[1]
    assert git(tmp_path / "out", "status", "--porcelain") == ""
    assert git(tmp_path / "out", "remote", "get-url", "origin") == served.smart
    found = [path for path in (tmp_path / "out/.git").rglob("*") if path.is_file() and b"hidden" in path.read_bytes()]
    assert found == []


@pytest.mark.parametrize("keep_git_dir", [False, True])
def test_submodules_relative_to_a_repository_behind_a_password(
    served: Served, tmp_path: Path, keep_git_dir: bool
) -> None:
    """They are fetched with the repository's own password, of which no file tells."""
    root = served.path.parent
    make_repository(tmp_path / "outer")
    allowed = ("-c", "protocol.file.allow=always")
    git(tmp_path / "outer", *allowed, "submodule", "add", "-q", str(served.path), "inner")
    git(tmp_path / "outer", "config", "-f", ".gitmodules", "submodule.inner.url", "../app.git")
    git(tmp_path / "outer", "commit", "-q", "-a", "-m", "inner")
    outer = root / f"outer-{keep_git_dir}.git"
    git(root, "clone", "-q", "--bare", str(tmp_path / "outer"), outer.name)
    into = tmp_path / "into"
    into.mkdir()
    with over_http(root, is_smart=True, login="user:hid=den") as server:
        address = server.replace("http://", "http://user:hid=den@")
        check_out(Repository(f"{address}/{outer.name}"), str(into), keep_git_dir=keep_git_dir)
    assert (into / "files/inner/file").read_text() == "two\n"
    assert [path for path in into.rglob("*") if path.is_file() and b"hid=den" in path.read_bytes()] == []


def test_add_of_a_repository_with_a_checksum(engine: Engine, served: Served) -> None:
    """`--checksum` is the commit: the right one passes, another one and a thing that is none are refused."""
    first, second = served.commits
    build(engine, f"FROM scratch\nADD --checksum={second} {served.smart} /\n")
    output = build(engine, f"FROM scratch\nADD --checksum={first} {served.smart} /\n", code=1)
    assert f"expected checksum to match {first}, got {second}" in output
    assert "invalid checksum" in build(engine, f"FROM scratch\nADD --checksum=two {served.smart} /\n", code=1)


@pytest.mark.parametrize(
    ("fragment", "sentence"),
    [
        ("#nowhere", "git fetch failed"),
        ("#main:nothing", "git subdirectory 'nothing' not found"),
        ("#main:../..", "invalid git subdirectory"),
        ("#--upload-pack=x", "invalid git reference"),
    ],
)
def test_add_of_what_a_repository_does_not_have(engine: Engine, served: Served, fragment: str, sentence: str) -> None:
    """A name, a directory or an option that leads nowhere, or out of it, is refused, and nothing stays."""
    assert sentence in build(engine, f"FROM scratch\nADD {served.smart}{fragment} /\n", code=1)


def test_context_from_a_repository(engine: Engine, served: Served) -> None:
    """A directory of a repository is a context; its newest commit's time is the image's."""
    for address in (f"{served.smart}#main:sub", f"{served.own}#main:sub"):
        done = shoal(engine, "build", "-t", "remote", address)
        assert done.returncode == 0, done.stderr
        assert engine.ok("run", "--rm", "remote", "cat", "/which") == "two"
        assert engine.ok("image", "inspect", "-f", "{{.Created}}", "remote") == "2020-09-13T12:26:40Z"
        assert engine.ok("run", "--rm", "remote", "stat", "-c", "%Y", "/made/run") == str(COMMITTED_S)
    assert engine.docker("build", f"{served.smart}#nowhere").returncode == 1


def test_context_from_a_repository_behind_a_password_keeps_it_nowhere(
    shoald: Shoald, engine: Engine, served: Served, tmp_path: Path
) -> None:
    """Neither what is attested nor the cache of an image without a name tells how the context was opened."""
    address = served.smart.replace("http://", "http://user:unseen@")
    archive = tmp_path / "oci.tar"
    done = shoal(engine, "build", "--provenance", "max", "-o", f"type=oci,dest={archive}", f"{address}#main:sub")
    assert done.returncode == 0, done.stderr
    assert f'{served.smart}#main:sub"'.encode() in archive.read_bytes()
    databases = [path for path in Path(shoald.data_root).rglob("*.db*") if path.is_file()]
    assert any(served.smart.encode() in path.read_bytes() for path in databases)
    assert [path for path in (archive, *databases) if b"user:unseen" in path.read_bytes()] == []
