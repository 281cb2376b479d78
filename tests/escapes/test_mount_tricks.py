"""Ways out through mounts: volumes that put links where the engine itself writes, masks and mounts by path."""

from __future__ import annotations

import contextlib
import http.client
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines import busybox
from tests.engines.shoald import Shoald
from tests.escapes.cells import exec, repeated, run, start

SECRET = "not for containers"
SWAP = "while :; do mv /v/d /v/away; ln -s {target} /v/d; rm /v/d; mv /v/away /v/d; done 2>/dev/null"


@pytest.fixture
def host_directory(tmp_path: Path) -> Path:
    """A directory of the host with a secret in it."""
    (tmp_path / "secret").write_text(SECRET)
    return tmp_path


@pytest.fixture
def volume(shoald: Shoald) -> Iterator[str]:
    """A volume, removed behind the test."""
    yield "trap"
    shoald.remove_containers()
    assert shoald.request("DELETE", "/volumes/trap?force=1").status == 204


def prepared(shoald: Shoald, volume: str, script: str) -> None:
    """An earlier container lays the trap."""
    code, text = run(shoald, ["sh", "-c", script], {"Binds": [f"{volume}:/v"]})
    assert code == 0, text


@pytest.mark.parametrize("name", ["null", "console", "ptmx", "pts", "shm", "mqueue", "fd", "stdin"])
@pytest.mark.parametrize("target", ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/1/root"])
@pytest.mark.parametrize("terminal", [False, True])
def test_dev_from_a_volume_does_not_redirect_masks_and_console(
    shoald: Shoald, volume: str, name: str, target: str, terminal: bool
) -> None:
    """A link in a volume at /dev is not taken for null or console (CVE-2025-31133, CVE-2025-52565)."""
    prepared(shoald, volume, f"test {name} = null || mknod /v/null c 1 3; ln -s {target} /v/{name}")
    script = "for p in /proc/kcore /proc/keys /dev/console /proc/sys/kernel/core_pattern; do test -e $p && "
    script += "(true 3>>$p) 2>/dev/null && readlink -f $p && grep -c . $p; done; grep ' /proc/kcore ' /proc/mounts"
    code, text = run(shoald, ["timeout", "5", "sh", "-c", script], {"Binds": [f"{volume}:/dev"]}, Tty=terminal)
    assert "/proc/sys" not in text.replace("/proc/sys/kernel/core_pattern: not a", ""), text
    assert "sysrq" not in text or code is None, text
    # Without a null device there is nothing to mask with, and no terminal without a devpts: then it does not start.
    assert (code is None) == (terminal or name == "null"), text


@pytest.mark.parametrize(
    "target", ["/proc", "/proc/sys", "/proc/self/attr", "/proc/sys/kernel", "/sys", "/sys/fs/cgroup", "/dev/../proc"]
)
def test_volume_over_proc_or_sys_does_not_redirect_the_engine(
    shoald: Shoald, volume: str, target: str, host_directory: Path
) -> None:
    """What the engine writes by path (labels, kernel parameters) goes to the kernel or nowhere (CVE-2025-52881)."""
    core_pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    links = "mkdir -p /v/sys/net/ipv4 /v/net/ipv4 /v/self/attr; for p in sys/net/ipv4/ip_forward net/ipv4/ip_forward "
    links += f"attr/current self/attr/current; do ln -sf {host_directory}/secret /v/$p 2>/dev/null; done; true"
    prepared(shoald, volume, links)
    host = {"Binds": [f"{volume}:{target}"], "Sysctls": {"net.ipv4.ip_forward": "0"}}
    code, text = run(shoald, ["sh", "-c", "(true 3>>/proc/sys/kernel/core_pattern) && echo opened"], host)
    assert "opened" not in text or code is None, text
    assert (host_directory / "secret").read_text() == SECRET
    assert Path("/proc/sys/kernel/core_pattern").read_text() == core_pattern


@pytest.mark.parametrize("kind", ["volume", "tmpfs", "bind"])
@pytest.mark.parametrize("link", ["{host}", "../../../../../../..{host}", "/proc/1/root{host}", "/proc/self/cwd"])
def test_mount_target_behind_a_link_stays_inside(
    shoald: Shoald, volume: str, host_directory: Path, kind: str, link: str
) -> None:
    """A target below a link that a volume holds is looked up in the container: nothing is made or hidden outside."""
    prepared(shoald, volume, f"ln -s {link.format(host=host_directory)} /v/link")
    mounts: list[dict[str, Any]] = [{"Type": "volume", "Source": volume, "Target": "/v"}]
    source = {"volume": "other", "bind": "/var/empty-of-nobody", "tmpfs": ""}[kind]
    entry: dict[str, Any] = {"Type": kind, "Target": "/v/link/made/deep"}
    if kind == "bind":
        entry |= {"Source": str(host_directory)}
    elif source:
        entry |= {"Source": source}
    run(shoald, ["true"], {"Mounts": [*mounts, entry]})
    shoald.request("DELETE", "/volumes/other?force=1")
    assert [path.name for path in host_directory.iterdir()] == ["secret"]


def test_part_of_a_volume_that_becomes_a_link_shows_nothing_of_the_host(
    shoald: Shoald, volume: str, host_directory: Path
) -> None:
    """A running container swaps the part for a link, over and over, while others mount it."""
    prepared(shoald, volume, "mkdir /v/d && echo inside > /v/d/file")
    start(shoald, "attacker", ["sh", "-c", SWAP.format(target=host_directory)], {"Binds": [f"{volume}:/v"]})
    part = {"Type": "volume", "Source": volume, "Target": "/p", "VolumeOptions": {"Subpath": "d"}}
    seen = {run(shoald, ["sh", "-c", "ls /p; cat /p/*"], {"Mounts": [part]})[1] for _ in range(25)}
    assert not any(SECRET in text or "secret" in text.split() for text in seen), seen


@pytest.mark.parametrize("direction", ["in", "out"])
def test_copy_races_with_a_container_that_swaps_links(shoald: Shoald, host_directory: Path, direction: str) -> None:
    """`docker cp` into or out of a directory that a running container keeps exchanging for a link to the host."""
    script = f"mkdir -p /v/d; echo inside > /v/d/file; {SWAP.format(target=host_directory)}"
    start(shoald, "attacker", ["sh", "-c", script])
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("loot/file")
        archive.addfile(entry, io.BytesIO())
    for path in ["/v/d", "/v/d/sub/..", "/v/./d/"] * 12:
        target = f"/containers/attacker/archive?path={path}"
        if direction == "in":
            shoald.request("PUT", target, buffer.getvalue(), {"Content-Type": "application/x-tar"})
        else:
            with contextlib.suppress(http.client.IncompleteRead):  # what was being sent has gone: the stream is cut
                assert SECRET.encode() not in shoald.request("GET", target).body
    assert [path.name for path in host_directory.iterdir()] == ["secret"]


@pytest.mark.parametrize(
    "trick",
    [
        [("../../../../../../..{host}/made", tarfile.REGTYPE, "")],
        [("{host}/made", tarfile.REGTYPE, "")],
        [("d", tarfile.SYMTYPE, "{host}"), ("d/made", tarfile.REGTYPE, "")],
        [("d", tarfile.SYMTYPE, "../../../../../../../..{host}"), ("d/made/deep", tarfile.DIRTYPE, "")],
        [("f", tarfile.LNKTYPE, "{host}/secret")],
        [("f", tarfile.LNKTYPE, "../../../../../../../..{host}/secret")],
        [("d", tarfile.SYMTYPE, "{host}"), ("f", tarfile.LNKTYPE, "d/secret")],
        [("d", tarfile.SYMTYPE, "{host}"), ("d/.wh.secret", tarfile.REGTYPE, "")],
        [("d", tarfile.SYMTYPE, "{host}"), ("d/.wh..wh..opq", tarfile.REGTYPE, "")],
        [("d", tarfile.SYMTYPE, "{host}/secret"), ("d", tarfile.REGTYPE, "")],
    ],
)
def test_layer_of_an_image_does_not_leave_its_directory(
    shoald: Shoald, host_directory: Path, trick: list[tuple[str, bytes, str]]
) -> None:
    """Names with dots, links as ways, hard links, whiteouts: nothing outside is made, read or removed."""
    buffer = io.BytesIO(busybox.root_filesystem())
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        for name, kind, link in trick:
            entry = tarfile.TarInfo(name.format(host=host_directory))
            entry.type, entry.linkname, entry.mode = kind, link.format(host=host_directory), 0o777
            archive.addfile(entry, io.BytesIO())
    shoald.request("POST", "/images/create?fromSrc=-&repo=trick&tag=latest", buffer.getvalue())
    _code, text = run(shoald, ["sh", "-c", f"cat /f /d /d/secret {host_directory}/secret"], Image="trick")
    shoald.request("DELETE", "/images/trick:latest?force=1")
    assert SECRET not in text
    assert [(path.name, path.read_text()) for path in host_directory.iterdir()] == [("secret", SECRET)]


def test_hard_link_out_of_a_volume_or_a_bind_is_refused(shoald: Shoald, volume: str, host_directory: Path) -> None:
    """A file of a mount gets no second name outside of it, and no link in the root leads to the mount's file system."""
    host = {"Binds": [f"{volume}:/v", f"{host_directory}:/h"]}
    script = "touch /v/f; ln /v/f /tmp/f; ln /h/secret /tmp/s; ln /h/secret /v/s; ln /tmp/f /v/g; ls /tmp /v"
    _code, text = run(shoald, ["sh", "-c", script], host)
    assert text.count("Invalid cross-device link") + text.count("No such file") >= 4, text
    assert (host_directory / "secret").stat().st_nlink == 1


@pytest.mark.parametrize("name", ["../escape", "..", "a/b", "a/../../b", "x%2F..%2F..", "."])
def test_volume_and_container_names_are_no_paths(shoald: Shoald, name: str) -> None:
    """A name with slashes or dots makes no directory anywhere."""
    assert shoald.request("POST", "/volumes/create", {"Name": name}).status == 400
    assert shoald.request("POST", f"/containers/create?name={name}", {"Image": "busybox"}).status == 400


def test_masks_are_there_whatever_the_moment(shoald: Shoald) -> None:
    """Execs that start while the container is restarted never find /proc unmasked or writable."""
    start(shoald, "cell", ["sleep", "1000"])
    texts = []
    with repeated(shoald, "POST", "/containers/cell/restart?t=0"), contextlib.suppress(OSError):
        for _ in range(25):
            texts.append(
                exec(shoald, "cell", ["sh", "-c", "(true 3>>/proc/sys/kernel/core_pattern) && echo opened"])[1]
            )
    assert not any("opened" in text for text in texts)
