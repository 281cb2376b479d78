"""`shoal cp`, `export` and `commit` against a real engine."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.shoald import Shoald
from tests.kernel.cli.shoal import shoal

pytestmark = pytest.mark.root

LINKS = "ln -s /etc /elink; ln -s passwd /etc/plink"
FILES = "mkdir -p /d/sub; echo x > /d/sub/f; ln -s ../f /d/sub/l; ln /d/sub/f /d/h"


@pytest.fixture(params=["running", "stopped"])
def box(request: pytest.FixtureRequest, shoald: Shoald) -> Iterator[str]:
    """A container `box` with a few links."""
    ok(shoald, "run", "-d", "--name", "box", "busybox", "sleep", "300")
    ok(shoald, "exec", "box", "sh", "-c", f"{LINKS}; {FILES}")
    if request.param == "stopped":
        ok(shoald, "stop", "-t", "0", "box")
    yield "box"
    ok(shoald, "rm", "-f", "box")


def ok(engine: Shoald, *words: str, input: bytes = b"") -> bytes:
    """What a command that succeeds prints."""
    done = shoal(engine, *words, input=input)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout


def tree(directory: Path) -> dict[str, str]:
    """Every path below a directory, with what a link says or a file holds."""
    found = {}
    for path in sorted(directory.rglob("*")):
        kind = "-> " + os.readlink(path) if path.is_symlink() else "/" if path.is_dir() else path.read_text()
        found[str(path.relative_to(directory))] = kind
    return found


CONTENT = {"h": "x\n", "sub": "/", "sub/f": "x\n", "sub/l": "-> ../f"}


@pytest.mark.parametrize(
    ("source", "target", "arrives"),
    [
        ("/d", "here", "here/d"),
        ("/d/", "here", "here/d"),
        ("/d/.", "here", "here"),
        ("/d", "new", "new"),
        ("/d/.", "new", "new"),
        ("d", "new/", "new"),
        ("/d/sub/..", "new", "new"),
    ],
)
def test_cp_out_of_a_directory_arrives_by_dockers_rules(
    shoald: Shoald, box: str, tmp_path: Path, source: str, target: str, arrives: str
) -> None:
    """Into a directory that is there, under a new name, or its content alone."""
    (tmp_path / "here").mkdir()
    ok(shoald, "cp", f"{box}:{source}", f"{tmp_path}/{target}")
    assert tree(tmp_path / arrives) == CONTENT
    assert (tmp_path / arrives / "h").stat().st_ino == (tmp_path / arrives / "sub" / "f").stat().st_ino


@pytest.mark.parametrize(
    ("source", "target", "arrives"),
    [
        ("t", "/tmp", "/tmp/t"),
        ("t/.", "/tmp", "/tmp"),
        ("t", "/new", "/new"),
        ("t/", "elink", "/etc/t"),
        ("s/", "/n", "/n"),
    ],
)
def test_cp_into_a_container_arrives_by_dockers_rules(
    shoald: Shoald, box: str, tmp_path: Path, source: str, target: str, arrives: str
) -> None:
    """As out of one; a link in the container is followed to a place inside it."""
    (tmp_path / "t" / "deep").mkdir(parents=True)
    (tmp_path / "t" / "deep" / "f").write_text("y" * 100_000)
    (tmp_path / "t" / "l").symlink_to("deep/f")
    (tmp_path / "s").symlink_to("t")
    ok(shoald, "cp", f"{tmp_path}/{source}", f"{box}:{target}")
    ok(shoald, "cp", f"{box}:{arrives}/.", f"{tmp_path}/back")
    assert tree(tmp_path / "back").items() >= tree(tmp_path / "t").items()


def test_cp_of_files_and_links(shoald: Shoald, box: str, tmp_path: Path) -> None:
    """A file under its own and another name, a link as such, and with -L what it leads to."""
    ok(shoald, "cp", f"{box}:/etc/passwd", str(tmp_path))
    ok(shoald, "cp", f"{box}:/etc/plink", str(tmp_path))
    ok(shoald, "cp", "-L", f"{box}:/etc/plink", f"{tmp_path}/followed")
    ok(shoald, "cp", "-L", f"{box}:/elink", f"{tmp_path}/tree")
    assert os.readlink(tmp_path / "plink") == "passwd"
    assert (tmp_path / "followed").read_text() == (tmp_path / "passwd").read_text()
    assert (tmp_path / "tree" / "group").exists()
    ok(shoald, "cp", "-L", f"{tmp_path}/plink", f"{box}:/tmp")
    assert ok(shoald, "cp", f"{box}:/tmp/plink", "-").find(b"root:x:0:0") > 0
    ok(shoald, "cp", f"{tmp_path}/followed", f"{box}:/etc/group")
    ok(shoald, "cp", f"{box}:/etc/group", f"{tmp_path}/passwd")
    assert (tmp_path / "passwd").read_text() == (tmp_path / "followed").read_text()


def test_cp_through_pipes(shoald: Shoald, box: str) -> None:
    """`-` is a tar, out and in."""
    data = ok(shoald, "cp", f"{box}:/d", "-")
    ok(shoald, "cp", "-", f"{box}:/tmp", input=data)
    with tarfile.open(fileobj=io.BytesIO(ok(shoald, "cp", f"{box}:/tmp/d", "-"))) as archive:
        assert archive.getnames() == ["d", "d/h", "d/sub", "d/sub/f", "d/sub/l"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("box:/etc", "box:/tmp"), "copying between containers is not supported"),
        (("/etc/hosts", "/tmp/x"), "must specify at least one container source"),
        (("box:/none", "{tmp}"), "Could not find the file /none in container box"),
        (("{tmp}/none", "box:/tmp"), "no such file or directory"),
        (("box:/etc", "{tmp}/a/b"), 'invalid output path: directory "{tmp}/a" does not exist'),
        (("box:/etc", "{tmp}/file"), "cannot copy directory"),
        (("box:/etc/passwd", "{tmp}/new/"), "no such directory"),
        (("{tmp}", "box:/etc/passwd"), "cannot copy directory"),
        (("-", "box:/etc/passwd"), 'destination "box:/etc/passwd" must be a directory'),
        (("{tmp}/file", "none:/tmp"), "No such container: none"),
    ],
)
def test_cp_refusals_say_why(shoald: Shoald, box: str, tmp_path: Path, words: tuple[str, str], sentence: str) -> None:
    """Docker's sentences, and exit code 1."""
    (tmp_path / "file").write_text("x")
    done = shoal(shoald, "cp", *(word.replace("{tmp}", str(tmp_path)) for word in words))
    assert done.returncode == 1, box
    assert sentence.replace("{tmp}", str(tmp_path)) in done.stderr.decode()


def test_cp_archive_gives_files_to_the_containers_user(shoald: Shoald, tmp_path: Path) -> None:
    """With -a the owner is the user that the container runs as, looked up in the container."""
    ok(shoald, "create", "--name", "owned", "-u", "app", "busybox", "true")
    (tmp_path / "file").write_text("x")
    ok(shoald, "cp", "-a", f"{tmp_path}/file", "owned:/tmp/file")
    with tarfile.open(fileobj=io.BytesIO(ok(shoald, "cp", "owned:/tmp/file", "-"))) as archive:
        assert (archive.getmember("file").uid, archive.getmember("file").gid) == (1000, 1000)
    ok(shoald, "rm", "owned")


def test_export_and_commit(shoald: Shoald, box: str, tmp_path: Path) -> None:
    """The root as a file or a stream, and the changes as an image that runs."""
    ok(shoald, "export", "-o", f"{tmp_path}/root.tar", box)
    with tarfile.open(tmp_path / "root.tar") as archive:
        assert {"bin/busybox", "d/sub/f", "elink"} <= set(archive.getnames())
    assert len(ok(shoald, "export", box)) == (tmp_path / "root.tar").stat().st_size
    made = ok(shoald, "commit", "-m", "why", "-c", "ENV A=1", box, "made:1").decode().strip()
    assert ok(shoald, "run", "--rm", made, "sh", "-c", "cat /d/sub/f; echo $A") == b"x\n1\n"
    ok(shoald, "rmi", "made:1")
