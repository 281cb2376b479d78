"""Volumes: named, anonymous, of images and of other containers; filled, listed, removed."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conformance.differences import sentence
from tests.engines import busybox
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")


@pytest.fixture
def volumes(engine: Engine) -> Iterator[Engine]:
    """The engine, without a volume before and after the case."""
    remove_volumes(engine)
    yield engine
    engine.remove_containers()
    remove_volumes(engine)


def remove_volumes(engine: Engine) -> None:
    """Removes every volume."""
    for volume in engine.request("GET", "/volumes").json["Volumes"] or []:
        assert engine.request("DELETE", f"/volumes/{volume['Name']}").status == 204


def run(engine: Engine, *options: str, script: str, image: str = "busybox") -> str:
    """What a shell script prints in a container that is gone afterwards; asserts success."""
    return engine.ok("run", "--rm", *options, image, "sh", "-c", script)


def refused(engine: Engine, *words: str) -> str:
    """What is said to a command that must fail."""
    done = engine.docker(*words)
    assert done.returncode != 0, done.stdout
    return done.stderr


def names(engine: Engine, *options: str) -> list[str]:
    """The names of the volumes that a list shows."""
    return engine.ok("volume", "ls", "-q", *options).split()


@pytest.fixture
def prepared(volumes: Engine) -> Iterator[str]:
    """An image with content of many kinds in /data, reached by /link too; /data and /other are its VOLUMEs."""
    archive = io.BytesIO(busybox.root_filesystem())
    with tarfile.open(fileobj=archive, mode="a") as tar:
        for entry, content in _entries():
            tar.addfile(entry, io.BytesIO(content))
    changes = "".join(f"&changes={quote(line)}" for line in ("VOLUME /data /other", 'CMD ["sh"]'))
    target = f"/images/create?fromSrc=-&repo=prepared&tag=latest{changes}"
    assert volumes.request("POST", target, archive.getvalue()).status == 200
    yield "prepared"
    volumes.remove_containers()
    volumes.ok("rmi", "-f", "prepared")


def _entries() -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """What the image has in /data."""
    rows = (
        ("data", tarfile.DIRTYPE, 0o2750, 7, b"", ""),
        ("data/file", tarfile.REGTYPE, 0o644, 0, b"hi", ""),
        ("data/hard", tarfile.LNKTYPE, 0o644, 0, b"", "data/file"),
        ("data/soft", tarfile.SYMTYPE, 0o777, 9, b"", "/etc/passwd"),
        ("data/pipe", tarfile.FIFOTYPE, 0o600, 0, b"", ""),
        ("data/dir", tarfile.DIRTYPE, 0o700, 5, b"", ""),
        ("data/dir/x", tarfile.REGTYPE, 0o4711, 5, b"x" * 100_000, ""),
        ("link", tarfile.SYMTYPE, 0o777, 0, b"", "../../data"),
    )
    for name, kind, mode, owner, content, target in rows:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.uid, entry.gid = kind, mode, owner, owner + 1
        entry.size, entry.mtime, entry.linkname = len(content), 1_000_000_000, target
        yield entry, content


def test_named_volume_outlives_its_containers(volumes: Engine) -> None:
    """What one container wrote another one reads, for as long as nobody removes the volume."""
    run(volumes, "-v", "data:/d", script="echo kept > /d/file")
    assert run(volumes, "--mount", "type=volume,src=data,dst=/e", script="cat /e/file") == "kept"
    assert names(volumes) == ["data"]
    assert volumes.ok("volume", "rm", "data") == "data"
    assert run(volumes, "-v", "data:/d", script="ls /d | wc -l") == "0"


def test_new_volume_gets_the_content_of_the_image(volumes: Engine) -> None:
    """The first use copies what the image has there, the second finds what the first left."""
    run(volumes, "-v", "etc:/etc", script="test -s /etc/passwd && rm /etc/passwd")
    assert run(volumes, "-v", "etc:/etc", script="ls /etc/passwd 2>&1; true").endswith("No such file or directory")
    assert run(volumes, "-v", "empty:/etc:nocopy", script="ls /etc/passwd 2>&1; true").endswith("or directory")
    assert run(volumes, "--mount", "src=bare,dst=/etc,volume-nocopy", script="ls /etc/passwd 2>&1; true").endswith(
        "or directory"
    )


def test_volume_that_is_full_is_not_filled(volumes: Engine) -> None:
    """One file is enough to keep the image's content away."""
    run(volumes, "-v", "data:/d", script="touch /d/mine")
    assert run(volumes, "-v", "data:/etc", script="ls /etc/passwd /etc/mine 2>/dev/null; true") == "/etc/mine"


def test_read_only_volume_refuses_writes(volumes: Engine) -> None:
    """`:ro` and `readonly` are this mount's alone."""
    assert "Read-only" in run(volumes, "-v", "data:/d:ro", script="touch /d/x 2>&1; true")
    assert "Read-only" in run(volumes, "--mount", "src=data,dst=/d,readonly", script="touch /d/x 2>&1; true")
    run(volumes, "-v", "data:/d", script="touch /d/x")


def test_anonymous_volumes_go_with_rm_v_and_run_rm(volumes: Engine) -> None:
    """`run --rm` and `rm -v` take them, `rm` leaves them, and named ones stay anyway."""
    run(volumes, "-v", "/anonymous", "-v", "named:/named", script="touch /anonymous/x /named/x")
    assert names(volumes) == ["named"]
    volumes.ok("create", "--name", "one", "-v", "/anonymous", "-v", "named:/named", "busybox")
    volumes.ok("create", "--name", "two", "-v", "/anonymous", "busybox")
    assert len(names(volumes)) == 3
    volumes.ok("rm", "-v", "one")
    assert len(names(volumes)) == 2
    volumes.ok("rm", "two")
    (left,) = set(names(volumes)) - {"named"}
    assert re.fullmatch("[0-9a-f]{64}", left)


def test_mounts_are_shown_by_inspect_and_ps(volumes: Engine) -> None:
    """Type, name, place, access: alike in both; lists can be filtered by name and by place."""
    options = ("-v", "data:/d", "-v", "/anonymous", "--mount", "src=other,dst=/o,readonly")
    volumes.ok("create", "--name", "box", *options, "busybox")
    mounts = {mount["Destination"]: mount for mount in json.loads(volumes.ok("inspect", "box"))[0]["Mounts"]}
    assert set(mounts) == {"/d", "/anonymous", "/o"}
    source = mounts["/d"].pop("Source")
    assert source.endswith("/volumes/data/_data")
    assert mounts["/d"] == {
        "Type": "volume",
        "Name": "data",
        "Destination": "/d",
        "Driver": "local",
        "Mode": "z",
        "RW": True,
        "Propagation": "",
    }
    assert (mounts["/o"]["RW"], mounts["/o"]["Mode"]) == (False, "z")
    assert (len(mounts["/anonymous"]["Name"]), mounts["/anonymous"]["Mode"]) == (64, "")
    assert volumes.ok("ps", "-a", "--format", "{{.LocalVolumes}}") == "3"
    for wanted, found in (("data", "box"), ("/anonymous", "box"), ("nothing", "")):
        assert volumes.ok("ps", "-a", "--filter", f"volume={wanted}", "--format", "{{.Names}}") == found


def test_volume_in_use_is_not_removed(volumes: Engine) -> None:
    """A stopped container keeps its volumes."""
    identifier = volumes.ok("create", "-v", "data:/d", "busybox")
    assert f"remove data: volume is in use - [{identifier}]" in refused(volumes, "volume", "rm", "data")
    assert f"remove data: volume is in use - [{identifier}]" in refused(volumes, "volume", "rm", "-f", "data")
    volumes.ok("rm", identifier)
    volumes.ok("volume", "rm", "data")


def test_unknown_volume_is_told(volumes: Engine) -> None:
    """`inspect` and `rm` have Docker's sentence; `rm -f` is content."""
    assert "get none: no such volume" in refused(volumes, "volume", "inspect", "none")
    assert "get none: no such volume" in refused(volumes, "volume", "rm", "none")
    assert volumes.ok("volume", "rm", "-f", "none") == "none"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("x",), "create x: volume name is too short, names should be at least two alphanumeric characters"),
        (("a/b",), 'create a/b: "a/b" includes invalid characters for a local volume name, only "[a-zA-Z0-9]['),
        (("-o", "type=none", "vol"), 'create vol: missing required option: "device"'),
        (("-o", "foo=bar", "vol"), 'create vol: invalid option: "foo"'),
    ],
)
def test_volume_create_refuses_with_dockers_sentence(volumes: Engine, words: tuple[str, ...], expected: str) -> None:
    """Names and options that there are not."""
    assert expected in refused(volumes, "volume", "create", *words)
    assert names(volumes) == []


def test_volume_create_again_is_the_same_volume(volumes: Engine) -> None:
    """Creating is idempotent, and the first labels stay."""
    volumes.ok("volume", "create", "--label", "a=1", "data")
    assert volumes.ok("volume", "create", "--label", "a=2", "data") == "data"
    assert volumes.ok("volume", "inspect", "-f", "{{.Labels.a}} {{.Driver}} {{.Scope}}", "data") == "1 local local"
    assert re.fullmatch("[0-9a-f]{64}", volumes.ok("volume", "create"))


def test_volume_ls_filters(volumes: Engine) -> None:
    """By name, label, driver, and by whether any container has it."""
    volumes.ok("volume", "create", "--label", "tier=web", "first")
    volumes.ok("create", "-v", "second:/d", "busybox")
    assert names(volumes, "-f", "name=fir") == ["first"]
    assert names(volumes, "-f", "label=tier") == ["first"]
    assert names(volumes, "-f", "label=tier=db") == []
    assert names(volumes, "-f", "dangling=true") == ["first"]
    assert names(volumes, "-f", "dangling=false") == ["second"]
    assert names(volumes, "-f", "driver=local") == ["first", "second"]
    assert names(volumes, "-f", "driver=other") == []
    assert "nvalid filter 'foo'" in refused(volumes, "volume", "ls", "-f", "foo=1")


def test_volume_prune_takes_what_no_container_has(volumes: Engine) -> None:
    """Of the API before 1.42 named ones too; a label filter limits it."""
    volumes.ok("create", "--name", "user", "-v", "used:/d", "busybox")
    for name, label in (("loose", "a=1"), ("kept", "a=2")):
        volumes.ok("volume", "create", "--label", label, name)
    filters = '{"label":["a=1"]}'
    report = volumes.request("POST", f"/v1.41/volumes/prune?filters={filters}").json
    assert report == {"VolumesDeleted": ["loose"], "SpaceReclaimed": 0}
    run(volumes, "-v", "kept:/d", script="head -c 3000 /dev/zero > /d/x")
    report = volumes.request("POST", "/v1.41/volumes/prune").json
    assert report == {"VolumesDeleted": ["kept"], "SpaceReclaimed": 3000}
    assert names(volumes) == ["used"]


def test_volume_events_are_told(volumes: Engine) -> None:
    """create, mount, unmount and destroy, with the container and the place."""
    identifier = volumes.ok("run", "-d", "-v", "heard:/d:ro", "busybox", "true")
    volumes.ok("wait", identifier)
    volumes.ok("rm", identifier)
    volumes.ok("volume", "rm", "heard")
    form = "{{.Action}} {{json .Actor.Attributes}}"
    until = volumes.request("GET", "/info").json["SystemTime"]
    options = ("--since", "60s", "--until", until, "--filter", "volume=heard", "--format", form)
    told = [line.split(" ", 1) for line in volumes.ok("events", *options).splitlines()]
    assert list(dict.fromkeys(action for action, _ in told)) == ["create", "mount", "unmount", "destroy"]
    assert json.loads(next(text for action, text in told if action == "mount")) == {
        "container": identifier,
        "destination": "/d",
        "driver": "local",
        "propagation": "",
        "read/write": "false",
    }


def test_volumes_from_gives_volumes_and_binds(volumes: Engine, tmp_path: Path) -> None:
    """Another container's mounts at the same places, read-only on request; own ones win."""
    (tmp_path / "here").write_text("bound\n")
    options = ("-v", "data:/d", "-v", "/anonymous", "-v", f"{tmp_path}:/b:ro")
    volumes.ok("run", "--name", "giver", *options, "busybox", "sh", "-c", "echo given > /d/x; echo also > /anonymous/x")
    script = "cat /d/x /anonymous/x /b/here; touch /d/y; touch /b/y 2>&1; true"
    lines = run(volumes, "--volumes-from", "giver", script=script).splitlines()
    assert lines[:3] == ["given", "also", "bound"]
    assert "Read-only" in lines[3]
    assert "Read-only" in run(volumes, "--volumes-from", "giver:ro", script="touch /d/z 2>&1; true")
    script = "ls /d | wc -l; cat /anonymous/x"
    assert run(volumes, "--volumes-from", "giver", "-v", "own:/d", script=script) == "0\nalso"
    assert "invalid mode: zz" in refused(volumes, "create", "--volumes-from", "giver:zz", "busybox")
    assert "No such container: none" in refused(volumes, "create", "--volumes-from", "none", "busybox")


def test_volumes_from_keeps_anonymous_volumes_while_somebody_has_them(volumes: Engine) -> None:
    """`rm -v` of the giver takes nothing that another container has."""
    volumes.ok("create", "--name", "giver", "-v", "/anonymous", "busybox")
    volumes.ok("create", "--name", "taker", "--volumes-from", "giver", "busybox")
    volumes.ok("rm", "-v", "giver")
    assert len(names(volumes)) == 1
    volumes.ok("rm", "-v", "taker")
    assert names(volumes) == []


def test_image_volumes_are_anonymous_ones(volumes: Engine, prepared: str) -> None:
    """Each VOLUME of the image gets one with the image's content, unless something else is mounted there."""
    assert run(volumes, image=prepared, script="grep -c ' /data ' /proc/mounts; cat /data/file") == "1\nhi"
    volumes.ok("create", "--name", "box", "-v", "mine:/other", prepared)
    mounts = {mount["Destination"]: mount["Name"] for mount in json.loads(volumes.ok("inspect", "box"))[0]["Mounts"]}
    assert set(mounts) == {"/data", "/other"}
    assert mounts["/other"] == "mine"
    volumes.ok("rm", "-v", "box")
    assert names(volumes) == ["mine"]


@pytest.mark.parametrize("place", ["/data", "/link"])
def test_content_of_the_image_is_copied_as_it_is(volumes: Engine, prepared: str, place: str) -> None:
    """Owners, modes, times, hard and symbolic links, FIFOs; the place itself may be reached by a link."""
    run(volumes, "-v", f"copy:{place}", image=prepared, script="true")
    script = (
        "cd /d; stat -c '%n %a %u:%g %F' . file soft pipe dir dir/x; stat -c '%Y' file;"
        "stat -c %h file; readlink soft; cat hard; wc -c < dir/x"
    )
    assert run(volumes, "-v", "copy:/d", script=script).splitlines() == [
        ". 2750 7:8 directory",
        "file 644 0:1 regular file",
        "soft 777 9:10 symbolic link",
        "pipe 600 0:1 fifo",
        "dir 700 5:6 directory",
        "dir/x 4711 5:6 regular file",
        "1000000000",
        "2",
        "/etc/passwd",
        "hi100000",
    ]


def test_volume_of_a_directory_of_the_host(volumes: Engine, tmp_path: Path) -> None:
    """type=none with o=bind shows the device, and removing the volume leaves it alone."""
    (tmp_path / "here").write_text("host")
    options = ("-o", "type=none", "-o", "o=bind", "-o", f"device={tmp_path}")
    volumes.ok("volume", "create", *options, "shown")
    assert run(volumes, "-v", "shown:/d", script="cat /d/here; echo back > /d/there") == "host"
    assert (tmp_path / "there").read_text() == "back\n"
    volumes.ok("volume", "rm", "shown")
    assert (tmp_path / "here").exists()


def test_volume_of_memory(volumes: Engine) -> None:
    """type=tmpfs is a file system in memory with the options asked for."""
    volumes.ok("volume", "create", "-o", "type=tmpfs", "-o", "o=size=1m,uid=7", "-o", "device=tmpfs", "memory")
    out = run(volumes, "-v", "memory:/d", script="grep ' /d ' /proc/mounts; stat -c %u /d")
    assert re.fullmatch(r"tmpfs /d tmpfs rw,relatime,size=1024k,uid=7\S* 0 0\n7", out)


@pytest.mark.parametrize("subpath", ["part", "other", "part/file"])
def test_part_of_a_volume_is_mounted(volumes: Engine, subpath: str) -> None:
    """`volume-subpath` is a directory, a file, or a link to one of them inside the volume. Docker 26 and later."""
    if volumes.name == "dockerd":
        pytest.skip("Debian's dockerd 20.10 ignores the sub-path")
    run(volumes, "-v", "data:/d", script="mkdir /d/part; echo x > /d/part/file; ln -s part /d/other")
    out = run(volumes, "--mount", f"src=data,dst=/p,volume-subpath={subpath}", script="ls /p")
    assert out == ("/p" if subpath.endswith("file") else "file")
    missing = refused(volumes, "run", "--rm", "--mount", "src=data,dst=/p,volume-subpath=no", "busybox")
    assert re.search("cannot access path .*/no: no such file or directory", missing)
    up = refused(volumes, "create", "--mount", "src=data,dst=/p,volume-subpath=../..", "busybox")
    assert "subpath must be a relative path within the volume" in up


def test_volume_onto_a_file_of_the_image_is_refused(volumes: Engine) -> None:
    """A volume is a directory."""
    told = refused(volumes, "run", "-v", "data:/etc/passwd", "busybox")
    assert re.search(sentence(volumes, "volume-onto-a-file"), told)


def test_df_counts_volumes(volumes: Engine) -> None:
    """Each with its size and the number of its containers."""
    run(volumes, "-v", "data:/d", script="head -c 5000 /dev/zero > /d/x")
    volumes.ok("create", "-v", "data:/d", "busybox")
    (shown,) = volumes.request("GET", "/system/df").json["Volumes"]
    assert (shown["Name"], shown["UsageData"]) == ("data", {"RefCount": 1, "Size": 5000})
