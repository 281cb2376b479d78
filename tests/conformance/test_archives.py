"""cp, export and commit: files out of and into containers, running and stopped."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import tarfile
import time
from pathlib import Path

import pytest

from tests.conformance.differences import sentence
from tests.conformance.test_events import between
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")

MAKE_LINKS = "ln -s /etc /elink; ln -s passwd /etc/plink; ln -s ../../../../../etc/hostname /hlink; ln -s /no /dangling"


@pytest.fixture(params=["running", "stopped"])
def box(request: pytest.FixtureRequest, engine: Engine, tmp_path: Path) -> str:
    """A container `box` with some links, and a directory of the host at /vol (read-only at /fixed)."""
    (tmp_path / "vol").mkdir()
    (tmp_path / "vol" / "inside").write_text("of the host\n")
    volumes = ("-v", f"{tmp_path}/vol:/vol", "-v", f"{tmp_path}/vol:/fixed:ro")
    engine.ok("run", "-d", "--name", "box", *volumes, "busybox", "sleep", "300")
    engine.ok("exec", "box", "sh", "-c", MAKE_LINKS)
    if request.param == "stopped":
        engine.ok("stop", "-t", "0", "box")
    return "box"


def entries(data: bytes) -> dict[str, tarfile.TarInfo]:
    """The members of an archive by name."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: member for member in archive}


def test_cp_copies_a_file_out_and_in(engine: Engine, box: str, tmp_path: Path) -> None:
    """Content and mode survive the way in and out, under the same and another name."""
    source = tmp_path / "source"
    source.write_bytes(os.urandom(300_000))
    source.chmod(0o751)
    engine.ok("cp", str(source), f"{box}:/tmp")
    engine.ok("cp", str(source), f"{box}:/tmp/renamed")
    engine.ok("cp", f"{box}:/tmp/source", str(tmp_path / "back"))
    engine.ok("cp", f"{box}:/tmp/renamed", f"{tmp_path}/vol")
    for copy in (tmp_path / "back", tmp_path / "vol" / "renamed"):
        assert copy.read_bytes() == source.read_bytes()
        assert copy.stat().st_mode & 0o777 == 0o751


def test_cp_copies_directories_by_dockers_rules(engine: Engine, box: str, tmp_path: Path) -> None:
    """Into an existing directory goes the directory, with `/.` its content; a new name renames it."""
    tree = tmp_path / "tree"
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "deep" / "er" / "file").write_text("x")
    (tree / "link").symlink_to("deep/er/file")
    engine.ok("cp", str(tree), f"{box}:/tmp")
    engine.ok("cp", f"{tree}/.", f"{box}:/home")
    engine.ok("cp", str(tree), f"{box}:/new")
    for place in ("/tmp/tree", "/home", "/new"):
        data = engine.docker_bytes("cp", f"{box}:{place}/.", "-").stdout
        assert sorted(entries(data)) == [".", "./deep", "./deep/er", "./deep/er/file", "./link"], place
    engine.ok("cp", f"{box}:/new", f"{tmp_path}/out")
    assert (tmp_path / "out" / "deep" / "er" / "file").read_text() == "x"
    assert os.readlink(tmp_path / "out" / "link") == "deep/er/file"


def test_cp_of_a_link_copies_it_or_with_l_its_target(engine: Engine, box: str, tmp_path: Path) -> None:
    """A link is a link, unless -L or a slash behind it asks for what it leads to, inside the container."""
    engine.ok("cp", f"{box}:/etc/plink", f"{tmp_path}/plain")
    assert os.readlink(tmp_path / "plain") == "passwd"
    engine.ok("cp", "-L", f"{box}:/etc/plink", f"{tmp_path}/followed")
    assert (tmp_path / "followed").read_text().startswith("root:x:0:0")
    engine.ok("cp", f"{box}:/elink/", f"{tmp_path}/directory")
    assert (tmp_path / "directory" / "passwd").exists()
    engine.ok("cp", "-L", f"{box}:/hlink", f"{tmp_path}/hostname")
    assert (tmp_path / "hostname").read_text() != Path("/etc/hostname").read_text()


def test_cp_through_a_pipe_carries_a_tar(engine: Engine, box: str) -> None:
    """`-` is a tar on standard output and input."""
    data = engine.docker_bytes("cp", f"{box}:/www", "-").stdout
    assert sorted(entries(data)) == ["www", "www/index.html"]
    done = engine.docker_bytes("cp", "-", f"{box}:/tmp", input=data)
    assert done.returncode == 0, done.stderr
    assert "www/index.html" in entries(engine.docker_bytes("cp", f"{box}:/tmp/www", "-").stdout)


def test_cp_reaches_into_binds(engine: Engine, box: str, tmp_path: Path) -> None:
    """What is bound into the container is copied from and to, and a read-only bind is not written to."""
    engine.ok("cp", f"{box}:/vol/inside", f"{tmp_path}/copy")
    assert (tmp_path / "copy").read_text() == "of the host\n"
    engine.ok("cp", f"{tmp_path}/copy", f"{box}:/vol/second")
    assert (tmp_path / "vol" / "second").read_text() == "of the host\n"
    done = engine.docker("cp", f"{tmp_path}/copy", f"{box}:/fixed/third")
    assert done.returncode == 1
    assert "mounted volume is marked read-only" in done.stderr
    assert not (tmp_path / "vol" / "third").exists()


def test_cp_right_after_the_end_finds_the_files(engine: Engine) -> None:
    """A container whose program was killed a moment ago is copied from as a stopped one."""
    for _ in range(3):
        engine.ok("run", "-d", "--name", "brief", "busybox", "sleep", "300")
        state = engine.inspect("brief")["State"]
        os.kill(int(state["Pid"]), signal.SIGKILL)  # type: ignore[index, call-overload]
        answer = engine.request("GET", "/containers/brief/archive?path=/www")
        assert (answer.status, sorted(entries(answer.body))) == (200, ["www", "www/index.html"])
        engine.ok("rm", "-f", "brief")


@pytest.mark.parametrize("state", ["created", "stopped", "running"])
def test_cp_reaches_into_volumes(engine: Engine, tmp_path: Path, state: str) -> None:
    """A named volume gets what is copied to its place, whether its container was ever started or not."""
    engine.ok("create", "--name", "box", "-v", "kept:/kept", "busybox", "sleep", "300")
    if state != "created":
        engine.ok("start", "box")
    if state == "stopped":
        engine.ok("stop", "-t", "0", "box")
    (tmp_path / "file").write_text("in the volume\n")
    engine.ok("cp", f"{tmp_path}/file", "box:/kept/file")
    assert engine.ok("run", "--rm", "-v", "kept:/here", "busybox", "cat", "/here/file") == "in the volume"
    engine.ok("rm", "-f", "box")
    engine.ok("volume", "rm", "kept")


def test_cp_keeps_owners_of_a_tar(engine: Engine, box: str) -> None:
    """Numeric owners in an archive stay as they are."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("owned")
        entry.uid, entry.gid, entry.mode, entry.mtime = 1234, 4321, 0o4711, 1_000_000_000
        archive.addfile(entry)
    assert engine.docker_bytes("cp", "-", f"{box}:/tmp", input=buffer.getvalue()).returncode == 0
    got = entries(engine.docker_bytes("cp", f"{box}:/tmp/owned", "-").stdout)["owned"]
    assert (got.uid, got.gid, got.mode & 0o7777, got.mtime) == (1234, 4321, 0o4711, 1_000_000_000)


def test_cp_of_what_is_missing_is_refused(engine: Engine, box: str, tmp_path: Path) -> None:
    """A missing file, directory or container, and a copy onto something of another kind."""
    source = tmp_path / "file"
    source.write_text("x")
    for arguments in (
        (f"{box}:/no/such", str(tmp_path)),
        ("no-such:/etc", str(tmp_path)),
        (str(source), f"{box}:/no/such/place/"),
        (str(tmp_path), f"{box}:/etc/passwd"),
        (str(tmp_path / "none"), f"{box}:/tmp"),
    ):
        assert engine.docker("cp", *arguments).returncode == 1, arguments


@pytest.mark.parametrize("path", ["/etc", "/etc/", "/etc/.", "/", "etc/passwd", "/elink", "/elink/passwd", "/hlink"])
def test_archive_head_says_what_is_there(engine: Engine, box: str, path: str) -> None:
    """HEAD and GET have the same description, and the archive's first name is the one in it."""
    head = engine.request("HEAD", f"/containers/{box}/archive?path={path}")
    got = engine.request("GET", f"/containers/{box}/archive?path={path}")
    assert head.status == got.status == 200
    assert head.headers["x-docker-container-path-stat"] == got.headers["x-docker-container-path-stat"]
    first = next(iter(entries(got.body)))
    assert first == {"/": ""}.get(path, os.path.basename(path.removesuffix("/")) or path)


@pytest.mark.parametrize(
    ("path", "names", "message"),
    [
        ("/etc", [("../../x", tarfile.REGTYPE, "")], r"is outside of \\\"/etc\\\""),
        ("/etc", [("link", tarfile.LNKTYPE, "../bin/sh")], "(invalid hardlink|is outside of)"),
        ("/etc/passwd", [("x", tarfile.REGTYPE, "")], "extraction point is not a directory"),
        ("/none", [("x", tarfile.REGTYPE, "")], "Could not find the file /none in container box"),
        ("/", [("etc", tarfile.REGTYPE, "")], "cannot overwrite directory"),
        ("/etc", [("passwd", tarfile.DIRTYPE, "")], "cannot overwrite non-directory"),
    ],
)
def test_archive_put_refuses_bad_archives(
    engine: Engine, box: str, path: str, names: list[tuple[str, bytes, str]], message: str
) -> None:
    """Names that lead out, targets that are no directory, and changes of kind when they are not wanted."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, kind, link in names:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, link
            archive.addfile(entry)
    answer = engine.request("PUT", f"/containers/{box}/archive?path={path}&noOverwriteDirNonDir=1", buffer.getvalue())
    assert re.fullmatch(sentence(engine, "archive-refused-status"), str(answer.status)), answer.body
    assert re.search(message, answer.body.decode())


def test_archive_put_into_a_read_only_root_is_refused(engine: Engine) -> None:
    """A container with --read-only takes no files, before its start either."""
    engine.ok("create", "--name", "fixed", "--read-only", "busybox", "true")
    answer = engine.request("PUT", "/containers/fixed/archive?path=/tmp", b"")
    assert b"container rootfs is marked read-only" in answer.body


def test_export_is_the_root_without_its_mounts(engine: Engine, box: str) -> None:
    """Files of image and container are in it; of what is mounted, the empty places."""
    names = entries(engine.docker_bytes("export", box).stdout)
    assert {"bin/busybox", "elink", "etc/plink", "vol", "proc", ".dockerenv"} <= set(names)
    assert not any(name.startswith(("proc/", "sys/", "vol/")) for name in names)
    assert names["hlink"].linkname == "../../../../../etc/hostname"


def test_export_imported_again_runs(images: Engine) -> None:
    """An export is a root file system."""
    images.ok("run", "--name", "made", "busybox", "sh", "-c", "echo kept > /kept; rm /www/index.html")
    data = images.docker_bytes("export", "made").stdout
    assert images.docker_bytes("import", "-", "again", input=data).returncode == 0
    assert images.ok("run", "--rm", "again", "sh", "-c", "cat /kept; ls /www") == "kept"


def test_commit_makes_an_image_of_the_changes(images: Engine) -> None:
    """Files, deletions, configuration, author and message are in the new image; its parent is the old one."""
    images.ok("run", "--name", "made", "-e", "A=1", "busybox", "sh", "-c", "echo new > /new; rm /www/index.html")
    identifier = images.ok("commit", "-a", "me", "-m", "why", "-c", "ENV B=2", "-c", "USER app", "made", "kept:1")
    got = json.loads(images.ok("image", "inspect", "kept:1"))[0]
    assert (got["Id"], got["Author"], got["Comment"]) == (identifier, "me", "why")
    assert got["Parent"] == json.loads(images.ok("image", "inspect", "busybox"))[0]["Id"]
    assert set(got["Config"]["Env"]) >= {"A=1", "B=2"}
    assert len(got["RootFS"]["Layers"]) == 2
    assert "echo new > /new" in images.ok("history", "--no-trunc", "--format", "{{.CreatedBy}}", "kept:1")
    assert images.ok("run", "--rm", "kept:1", "sh", "-c", "cat /new; ls /www; id -u; echo $A$B") == "new\n1000\n12"


def test_commit_pauses_a_running_container_unless_told(images: Engine) -> None:
    """By default it is paused and goes on again; with --pause=false it is left alone. No name is needed."""
    since = time.time()
    images.ok("run", "-d", "--name", "busy", "busybox", "sleep", "300")
    images.ok("commit", "busy")
    assert images.ok("inspect", "-f", "{{.State.Status}}", "busy") == "running"
    images.ok("commit", "--pause=false", "busy", "named:x")
    actions = between(images, since, "container=busy")
    told = [action.split()[1] for action in actions if action.endswith(("pause", "commit"))]
    assert told == ["pause", "commit", "unpause", "commit"]


def test_commit_refuses_bad_names_and_changes(images: Engine) -> None:
    """No image is made when the name or a change is not valid, or there is no such container."""
    images.ok("create", "--name", "made", "busybox")
    before = images.ok("images", "-aq")
    assert images.docker("commit", "made", "UPPER").returncode == 1
    assert images.docker("commit", "-c", "RUN true", "made", "x:y").returncode == 1
    assert images.docker("commit", "none", "x:y").returncode == 1
    assert images.ok("images", "-aq") == before


def test_docker_py_copies_exports_and_commits(images: Engine) -> None:
    """What programs use: get_archive with its stat, put_archive, export and commit with a configuration."""
    box = images.client.containers.create("busybox", ["cat", "/tmp/www/index.html"], name="py")
    pieces, found = box.get_archive("/www")
    data = b"".join(pieces)
    assert (found["name"], sorted(entries(data))) == ("www", ["www", "www/index.html"])
    assert box.put_archive("/tmp", data)
    assert "tmp/www/index.html" in entries(b"".join(box.export()))
    made = box.commit("made", "py", message="why", author="me", conf={"Env": ["A=1"], "WorkingDir": "/tmp"})
    config = json.loads(images.ok("image", "inspect", "made:py"))[0]["Config"]
    assert (config["Env"], config["WorkingDir"], config["Cmd"]) == (["A=1"], "/tmp", ["cat", "/tmp/www/index.html"])
    assert images.ok("run", "--rm", made.id) == "hello from the container"
