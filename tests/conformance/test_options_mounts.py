"""`--mount`, `-v`, `--tmpfs` and `--volumes-from` in every form, and what is said to those that make no sense."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.commands import refused, run, run_refused, shown
from tests.conformance.differences import sentence
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")

_MOUNT_OF_D = "awk '$5 == \"/d\" {print $6}' /proc/self/mountinfo"


@pytest.fixture
def shared(engine: Engine, tmp_path: Path) -> Iterator[Path]:
    """A directory that is a mount of its own and shared, as the engine sees it."""
    directory = tmp_path / "shared"
    directory.mkdir()
    (directory / "below").mkdir()
    in_engine(engine, "mount", "--bind", str(directory), str(directory))
    in_engine(engine, "mount", "--make-shared", str(directory))
    yield directory
    engine.remove_containers()
    for _ in range(2):
        with contextlib.suppress(subprocess.CalledProcessError):
            in_engine(engine, "umount", "--recursive", str(directory))


def in_engine(engine: Engine, *command: str) -> str:
    """What a command prints that runs in the mount namespace of the daemon."""
    words = ["nsenter", f"--mount=/proc/{engine.pid}/ns/mnt", *command]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("suffix", "flags"),
    [
        ("", "rw"),
        (":ro", "ro"),
        (":rw", "rw"),
        (":z", "rw"),
        (":Z", "rw"),
        (":ro,z", "ro"),
        (":cached", "rw"),
        (":delegated", "rw"),
        (":consistent", "rw"),
        (":private", "rw"),
        (":ro,rprivate", "ro"),
    ],
)
def test_volume_flag_takes_every_suffix(engine: Engine, tmp_path: Path, suffix: str, flags: str) -> None:
    """Access as said; labels and consistency are taken and change nothing; `inspect` shows what was written."""
    engine.ok("create", "--name", "box", "-v", f"{tmp_path}:/d{suffix}", "busybox", "sh", "-c", _MOUNT_OF_D)
    assert engine.ok("start", "-a", "box").split(",")[0] == flags
    (mount,) = shown(engine, "box", "{{json .Mounts}}")
    assert mount == {
        "Type": "bind",
        "Source": str(tmp_path),
        "Destination": "/d",
        "Mode": suffix.removeprefix(":"),
        "RW": flags == "rw",
        "Propagation": "private" if suffix == ":private" else "rprivate",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{host}:/d:bogus", "invalid mode: bogus"),
        ("{host}:/d:ro,ro", "invalid mode: ro,ro"),
        ("{host}:/d:shared,slave", "invalid mode: shared,slave"),
        ("{host}:rel", "invalid mount config for type \"bind\": invalid mount path: 'rel' mount path must be absolute"),
        ("{host}:/..", "invalid mount config for type \"bind\": invalid specification: destination can't be '/'"),
        ("{host}:/d:nocopy", 'invalid mount config for type "bind": field VolumeOptions must not be specified'),
        ("named:/d:rshared", 'invalid mount config for type "volume": field BindOptions must not be specified'),
        (
            "named:rel",
            "invalid mount config for type \"volume\": invalid mount path: 'rel' mount path must be absolute",
        ),
        ("a/b:/d", '"a/b" includes invalid characters for a local volume name'),
        ("/d:ro", "invalid volume specification: '/d:ro'"),
    ],
)
def test_volume_flag_that_makes_no_sense_is_refused(engine: Engine, tmp_path: Path, text: str, expected: str) -> None:
    """Each fault has Docker's sentence."""
    assert expected in refused(engine, "create", "-v", text.format(host=tmp_path), "busybox")


def test_bind_mount_takes_its_options(engine: Engine, tmp_path: Path) -> None:
    """Read-only in both spellings, alone or with what is below, and a consistency that means nothing on Linux."""
    bind = f"type=bind,src={tmp_path},dst=/d"
    for more in (",ro", ",readonly", ",readonly=true", ",ro,bind-recursive=writable", ",ro,bind-nonrecursive"):
        assert run(engine, "--mount", bind + more, script=_MOUNT_OF_D).startswith("ro"), more
    for more in ("", ",readonly=false", ",bind-recursive=disabled", ",bind-propagation=rprivate,consistency=cached"):
        assert run(engine, "--mount", bind + more, script=_MOUNT_OF_D).startswith("rw"), more


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type=bind,dst=/d", 'invalid mount config for type "bind": field Source must not be empty'),
        ("type=bind,src=/nonexistent,dst=/d", "bind source path does not exist: /nonexistent"),
        ("type=bind,src=/tmp,dst=/", "for type \"bind\": invalid specification: destination can't be '/'"),
        ("type=bind,src=/tmp,dst=rel", "invalid mount path: 'rel' mount path must be absolute"),
        ("type=bind,src=/tmp,dst=/d,bind-propagation=bogus", "invalid propagation mode: bogus"),
        ("type=tmpfs,src=x,dst=/d", 'invalid mount config for type "tmpfs": field Source must not be specified'),
        ("type=volume,dst=/d,readonly", "must not set ReadOnly mode when using anonymous volumes"),
        ("type=bogus,dst=/d", 'invalid mount config for type "bogus": mount type unknown'),
        ("type=cluster,src=x,dst=/d", 'invalid mount config for type "cluster": mount type unknown'),
    ],
)
def test_mount_that_makes_no_sense_is_refused(engine: Engine, text: str, expected: str) -> None:
    """Each fault has Docker's sentence."""
    assert expected in refused(engine, "create", "--mount", text, "busybox")


def test_two_mounts_at_one_place_are_refused(engine: Engine, tmp_path: Path) -> None:
    """Whichever way they are asked for; a volume without a name gives way."""
    volume = ("-v", f"{tmp_path}:/d")
    for other in (("-v", f"{tmp_path}:/d/"), ("--mount", f"type=bind,src={tmp_path},dst=/d"), ("--tmpfs", "/d")):
        assert "Duplicate mount point: /d" in run_refused(engine, *volume, *other)
    assert run(engine, *volume, "-v", "/d", script="echo fine") == "fine"


def test_recursive_and_flat_binds_show_what_is_below_or_not(engine: Engine, shared: Path) -> None:
    """A mount below the source comes along unless `bind-nonrecursive`; read-only reaches it as far as it is said to."""
    in_engine(engine, "mount", "-t", "tmpfs", "tmpfs", str(shared / "below"))
    in_engine(engine, "touch", str(shared / "below/file"))
    bind = f"type=bind,src={shared},dst=/d"
    assert run(engine, "--mount", bind, script="ls /d/below") == "file"
    assert run(engine, "--mount", f"{bind},bind-recursive=disabled", script="ls /d/below") == ""
    assert run(engine, "--mount", f"{bind},ro,bind-recursive=writable", script="touch /d/below/x && echo written") == (
        "written"
    )
    if engine.name == "shoald":  # Docker has recursive read-only mounts since 25
        for options in (("-v", f"{shared}:/d:ro"), ("--mount", f"{bind},ro")):
            assert "Read-only" in run(engine, *options, script="touch /d/below/x 2>&1; true")
        forced = f"{bind},ro,bind-recursive=readonly,bind-propagation=rprivate"
        assert "Read-only" in run(engine, "--mount", forced, script="touch /d/below/x 2>&1; true")


def test_propagation_passes_mounts_on_as_asked(engine: Engine, shared: Path) -> None:
    """rslave takes later mounts of the host, rshared gives its own back as well, rprivate does neither."""
    script = "while ! grep -q ' /d/below tmpfs' /proc/mounts && [ ! -e /stop ]; do sleep 0.05; done; echo seen"
    for name, mode in (("private", "rprivate"), ("slave", "rslave")):
        engine.ok("run", "-d", "--name", name, "-v", f"{shared}:/d:{mode}", "busybox", "sh", "-c", script)
    in_engine(engine, "mount", "-t", "tmpfs", "tmpfs", str(shared / "below"))
    assert engine.ok("wait", "slave") == "0"
    engine.ok("exec", "private", "touch", "/stop")
    in_engine(engine, "umount", str(shared / "below"))
    mount = "mount -t tmpfs tmpfs /d/below && touch /d/below/given && sleep 1000"
    giver = ("--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined", "-v", f"{shared}:/d:rshared")
    engine.ok("run", "-d", "--name", "giver", *giver, "busybox", "sh", "-c", mount)
    script = f"while [ ! -e {shared}/below/given ]; do sleep 0.05; done; echo given"
    assert in_engine(engine, "timeout", "20", "sh", "-c", script) == "given\n"


@pytest.mark.parametrize(("mode", "what"), [("rshared", "a shared mount"), ("rslave", "a shared or slave mount")])
def test_propagation_that_the_host_does_not_share_is_refused(
    engine: Engine, shared: Path, mode: str, what: str
) -> None:
    """A bind that could pass nothing on says so, whichever way it is written."""
    in_engine(engine, "mount", "--make-private", str(shared))
    expected = f"path {shared} is mounted on {shared} but it is not {what}"
    assert expected in run_refused(engine, "-v", f"{shared}:/d:{mode}")
    mount = f"type=bind,src={shared},dst=/d,bind-propagation={mode}"
    assert expected in run_refused(engine, "--mount", mount)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", "rw,nosuid,nodev,noexec,relatime 1777"),
        (":ro", "ro,nosuid,nodev,noexec,relatime 1777"),
        (":exec,suid,dev", "rw,relatime 1777"),
        (":size=1m,mode=700,uid=5,gid=6", "rw,nosuid,nodev,noexec,relatime,size=1024k,mode=700,uid=5,gid=6 700"),
        (":noatime,nr_inodes=50", "rw,nosuid,nodev,noexec,noatime,nr_inodes=50 1777"),
        (":sync,dirsync", "rw,sync,dirsync,nosuid,nodev,noexec,relatime 1777"),
        (":mpol=local", "rw,nosuid,nodev,noexec,relatime,mpol=local 1777"),
    ],
)
def test_tmpfs_flag_takes_mount_options(engine: Engine, options: str, expected: str) -> None:
    """Docker's defaults, and what is said otherwise."""
    script = "echo $(awk '$2 == \"/d\" {print $4}' /proc/mounts) $(stat -c %a /d)"
    assert run(engine, "--tmpfs", f"/d{options}", script=script) == expected


def test_tmpfs_option_that_is_none_is_refused(engine: Engine) -> None:
    """An unknown word in Docker's sentence, a value that the kernel refuses in the kernel's."""
    assert 'invalid tmpfs option ["bogus"]' in run_refused(engine, "--tmpfs", "/d:bogus")
    assert "nvalid argument" in run_refused(engine, "--tmpfs", "/d:size=x")


def test_mount_of_tmpfs_takes_size_mode_and_access(engine: Engine) -> None:
    """The long spelling, shown by `inspect` too."""
    engine.ok("create", "--name", "box", "--mount", "type=tmpfs,dst=/d,tmpfs-size=1m,tmpfs-mode=700", "busybox")
    assert shown(engine, "box", "{{json .Mounts}}") == [
        {"Type": "tmpfs", "Source": "", "Destination": "/d", "Mode": "", "RW": True, "Propagation": ""}
    ]
    script = "awk '$2 == \"/d\" {print $4}' /proc/mounts"
    assert run(engine, "--mount", "type=tmpfs,dst=/d,ro", script=script) == "ro,nosuid,nodev,noexec,relatime"


def test_mount_of_a_part_of_a_volume(shoald: Engine) -> None:
    """volume-subpath (Docker 26) shows what lies there, links lead to places inside, nothing outside is reached."""
    engine = shoald
    engine.ok("volume", "create", "whole")
    run(
        engine,
        "-v",
        "whole:/w",
        script="mkdir -p /w/a/b; echo hi > /w/a/b/c; ln -s /a/b /w/link; ln -s ../../../etc /w/up",
    )
    mount = "type=volume,src=whole,dst=/d,volume-subpath="
    assert run(engine, "--mount", f"{mount}a/b", script="cat /d/c") == "hi"
    assert run(engine, "--mount", f"{mount}link", script="cat /d/c") == "hi"
    assert run(engine, "--mount", f"{mount}a/b/c", script="cat /d") == "hi"
    assert run(engine, "--mount", f"{mount}a,readonly", script="touch /d/x 2>&1; true").endswith(
        "Read-only file system"
    )
    for part, expected in (
        ("../x", "subpath must be a relative path"),
        ("nope", "no such file"),
        ("up", "no such file"),
    ):
        assert expected in run_refused(engine, "--mount", mount + part)
    assert "must not set Subpath when using anonymous volumes" in run_refused(
        engine, "--mount", "type=volume,dst=/d,volume-subpath=x"
    )
    engine.remove_containers()
    engine.ok("volume", "rm", "whole")


def test_mount_of_a_part_of_a_mount_younger_than_the_child(shoald: Engine) -> None:
    """A part is found in what is mounted now, though the child that becomes the container was made before."""
    shoald.ok("volume", "create", "young")
    data = shoald.ok("volume", "inspect", "-f", "{{.Mountpoint}}", "young")
    run(shoald, script="true")  # from here on a child waits for the next container
    subprocess.run(["mount", "-t", "tmpfs", "young", data], check=True)
    try:
        (Path(data) / "a").mkdir()
        (Path(data) / "a" / "b").write_text("hi\n")
        mount = "type=volume,src=young,dst=/d,volume-subpath=a"
        assert run(shoald, "--mount", mount, script="cat /d/b") == "hi"
        assert run(shoald, "--mount", f"{mount}/b,readonly", script="cat /d; ! echo > /d") == "hi"
    finally:
        subprocess.run(["umount", data], check=True)
    shoald.ok("volume", "rm", "young")


def test_mount_of_a_volume_with_driver_options(engine: Engine) -> None:
    """volume-opt and volume-label make the volume; the local driver can be named."""
    options = "volume-opt=type=tmpfs,volume-opt=device=tmpfs,volume-opt=o=size=1m,volume-label=tier=db"
    mount = f"type=volume,src=small,dst=/d,{options}"
    assert "size=1024k" in run(engine, "--mount", mount, script="grep ' /d ' /proc/mounts")
    assert engine.ok("volume", "inspect", "-f", "{{.Labels.tier}} {{.Options.o}}", "small") == "db size=1m"
    engine.ok("volume", "rm", "small")
    assert run(engine, "--volume-driver", "local", "-v", "/d", script="echo fine") == "fine"


def test_mount_of_an_image_is_read_only(images: Engine) -> None:
    """One layer, several, or a part of them; the image may go meanwhile; `cp` sees it in a stopped container."""
    if images.name == "dockerd":
        assert "mount type unknown" in run_refused(images, "--mount", "type=image,src=busybox,dst=/d")
        return
    images.ok("run", "--name", "base", "busybox", "sh", "-c", "mkdir -p /x/y; echo top > /x/y/f; rm /etc/plain-file")
    images.ok("commit", "base", "layered")
    assert "Read-only" in run(
        images, "--mount", "type=image,src=busybox,dst=/d", script="touch /d/x 2>&1; ls /d/bin/sh"
    )
    mount = "type=image,src=layered,dst=/d"
    assert run(images, "--mount", mount, script="cat /d/x/y/f; ls /d/etc") == "top\ngroup\npasswd"
    assert run(images, "--mount", f"{mount},image-subpath=x", script="cat /d/y/f; ls /d") == "top\ny"
    assert run(images, "--mount", f"{mount},image-subpath=x/y/f", script="cat /d; echo > /d 2>&1 || true") == "top"
    assert "cannot access path nope" in run_refused(images, "--mount", f"{mount},image-subpath=nope")
    assert "subpath must be a relative path" in run_refused(images, "--mount", f"{mount},image-subpath=../x")
    assert "No such image: nope:latest" in run_refused(images, "--mount", "type=image,src=nope,dst=/d")
    images.ok("create", "--name", "box", "--mount", mount, "busybox", "cat", "/d/x/y/f")
    (point,) = shown(images, "box", "{{json .Mounts}}")
    assert (point["Type"], point["Name"], point["Destination"], point["RW"]) == ("image", "layered", "/d", False)
    images.ok("rm", "base")
    images.ok("rmi", "layered")
    assert images.ok("start", "-a", "box") == "top"
    assert b"top\n" in images.docker_bytes("cp", "box:/d/x/y/f", "-").stdout


def test_volumes_from_takes_modes(engine: Engine, tmp_path: Path) -> None:
    """ro narrows, rw and labels change nothing; `inspect` shows them without a mode; others are refused."""
    engine.ok("create", "--name", "giver", "-v", "named:/d", "-v", f"{tmp_path}:/e:ro", "busybox")
    script = 'awk \'$5 == "/d" || $5 == "/e" {print $5, substr($6, 1, 2)}\' /proc/self/mountinfo | sort'
    assert run(engine, "--volumes-from", "giver", script=script) == "/d rw\n/e ro"
    assert run(engine, "--volumes-from", "giver:rw", script=script) == "/d rw\n/e ro"
    assert run(engine, "--volumes-from", "giver:ro", script=script) == "/d ro\n/e ro"
    engine.ok("create", "--name", "taker", "--volumes-from", "giver:z", "busybox")
    modes = {mount["Destination"]: mount["Mode"] for mount in shown(engine, "taker", "{{json .Mounts}}")}
    assert modes == {"/d": "", "/e": ""}
    for mode in ("bogus", "nocopy", "ro:x"):
        assert f"invalid mode: {mode}" in refused(engine, "create", "--volumes-from", f"giver:{mode}", "busybox")
    engine.remove_containers()
    engine.ok("volume", "rm", "named")


def test_volume_at_the_root_is_refused(engine: Engine) -> None:
    """It would hide the whole container."""
    answer = run_refused(engine, "-v", "/")
    assert re.search(sentence(engine, "volume-at-the-root"), answer), answer
