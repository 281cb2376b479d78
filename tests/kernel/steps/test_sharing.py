"""Binds, propagation, shared namespaces, and further processes in a running container."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.api.host_config import BindOptions, HostConfig, Mount
from shoal.linux.mounts import MNT_DETACH, MS_BIND, MS_SHARED, mount, umount2
from shoal.linux.namespaces import CLONE_NEWNS
from tests.kernel.child import run_in_child
from tests.kernel.steps.container import Box

pytestmark = pytest.mark.root


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory of the host with a file."""
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "file").write_text("of the host\n")
    return directory


def test_bind_is_written_through_and_read_only_is_not(box: Box, source: Path) -> None:
    """`-v A:/a -v A:/b:ro`: the same files, once writable."""
    host = HostConfig(binds=[f"{source}:/a", f"{source}:/b:ro", f"{source / 'file'}:/etc/one"])
    outcome = box.run(["sh", "-c", "cat /etc/one; echo new > /a/new; cat /b/new; touch /b/x"], host=host)
    assert outcome.output.startswith("of the host\nnew\n")
    assert "/b/x: Read-only file system" in outcome.output
    assert (source / "new").read_text() == "new\n"


@pytest.fixture
def lower_mount(source: Path) -> Iterator[Path]:
    """A tmpfs mounted below the source on the host."""
    below = source / "below"
    below.mkdir()
    mount("tmpfs", str(below), "tmpfs", 0, "")
    yield below
    umount2(str(below), MNT_DETACH)


def test_bind_read_only_covers_what_is_mounted_below(box: Box, source: Path, lower_mount: Path) -> None:
    """Since Docker 25 `ro` is recursive; `ReadOnlyNonRecursive` is the old way, `NonRecursive` leaves it out."""
    assert lower_mount.is_dir()
    deep = box.run(["touch", "/a/below/x"], host=HostConfig(binds=[f"{source}:/a:ro"]))
    assert "Read-only file system" in deep.output

    def with_options(options: BindOptions) -> HostConfig:
        asked = Mount(type="bind", source=str(source), target="/a", read_only=True, bind_options=options)
        return HostConfig(mounts=[asked])

    shallow = box.run(["touch", "/a/below/x"], host=with_options(BindOptions(read_only_non_recursive=True)))
    assert (shallow.output, shallow.code) == ("", 0)
    alone = box.run(["ls", "/a/below"], host=with_options(BindOptions(non_recursive=True)))
    assert alone.output == ""


@pytest.mark.parametrize(("mode", "seen"), [("rshared", True), ("rslave", False), ("rprivate", False)])
def test_bind_shared_shows_the_containers_mounts_to_the_host(box: Box, source: Path, mode: str, seen: bool) -> None:
    """`:rshared` is what a storage plugin in a container needs; the others keep its mounts to itself."""
    (source / "point").mkdir()

    def look() -> object:
        mount(str(source), str(source), "", MS_BIND)
        mount("", str(source), "", MS_SHARED)
        script = "mount -t tmpfs none /a/point && echo yes > /a/point/made"
        outcome = box.run(["sh", "-c", script], host=HostConfig(binds=[f"{source}:/a:{mode}"], privileged=True))
        assert (outcome.output, outcome.error) == ("", "")
        return (source / "point/made").exists()

    assert run_in_child(look, CLONE_NEWNS) is seen


def test_bind_slave_sees_what_the_host_mounts_later(box: Box, source: Path) -> None:
    """`:rslave` lets a mount of the host appear in a running container."""
    (source / "point").mkdir()

    def look() -> object:
        mount(str(source), str(source), "", MS_BIND)
        mount("", str(source), "", MS_SHARED)
        host = HostConfig(binds=[f"{source}:/a:rslave", f"{source}:/b"])
        with box.started(["sleep", "30"], host=host) as container:
            mount("tmpfs", str(source / "point"), "tmpfs", 0, "")
            (source / "point/later").write_text("")
            return box.exec(container, ["sh", "-c", "ls /a/point /b/point"]).output

    assert run_in_child(look, CLONE_NEWNS) == "/a/point:\nlater\n\n/b/point:\n"


def test_root_of_a_shared_container_is_not_seen_by_the_host(box: Box, source: Path) -> None:
    """Leaving a peer group open for one bind must not show the container's root to the host."""

    def look() -> object:
        mount(str(box.directory), str(box.directory), "", MS_BIND)
        mount("", str(box.directory), "", MS_SHARED)
        with box.started(["sleep", "30"], host=HostConfig(binds=[f"{source}:/a:rshared"])):
            return os.listdir(box.directory / "mnt")

    assert run_in_child(look, CLONE_NEWNS) == []


def test_exec_joins_everything_of_the_container(box: Box) -> None:
    """Its root, processes, host name, user and rights; and its own terminal size or none."""
    with box.started(["sleep", "30"], hostname="joined") as container:
        outcome = box.exec(container, ["sh", "-c", "hostname; cat /proc/1/comm; id -u; ls /sys/class/net"], user="app")
        assert outcome.output == "joined\nsleep\n1000\nlo\n"
        rights = box.exec(container, ["grep", "-E", "CapEff|Seccomp:", "/proc/self/status"])
        assert rights.output == "CapEff:\t00000000a80425fb\nSeccomp:\t2\n"


def test_exec_privileged_in_a_plain_container_has_all_capabilities(box: Box) -> None:
    """`docker exec --privileged`."""
    with box.started(["sleep", "30"]) as container:
        outcome = box.exec(container, ["grep", "CapEff", "/proc/self/status"], privileged=True)
        assert int(outcome.output.split()[1], 16) > 0xA80425FB


@pytest.mark.parametrize(
    ("config", "step", "error"),
    [
        ({"cmd": ["nope"]}, "find-program", 'exec: "nope": executable file not found in $PATH'),
        (
            {"cmd": ["true"], "working_dir": "/nowhere"},
            "chdir",
            'chdir to cwd ("/nowhere") set in config.json failed: no such file or directory',
        ),
        (
            {"cmd": ["true"], "user": "nobody"},
            "user",
            "unable to find user nobody: no matching entries in passwd file",
        ),
    ],
)
def test_exec_that_cannot_run_fails_in_dockers_words(
    box: Box, config: dict[str, object], step: str, error: str
) -> None:
    """An exec makes no directory, and finds no program that is not there."""
    command = config.pop("cmd")
    assert isinstance(command, list)
    with box.started(["sleep", "30"]) as container:
        outcome = box.exec(container, command, **config)
    assert (outcome.step, outcome.error) == (step, error)


def test_exec_with_a_hostile_passwd_does_not_hang(box: Box) -> None:
    """The running container may have replaced its passwd by a FIFO."""
    script = "rm -f /etc/passwd; mkfifo /etc/passwd; echo ready; exec sleep 30"
    with box.started(["sh", "-c", script]) as container:
        container.wait_output("ready\n")
        outcome = box.exec(container, ["true"])
    assert (outcome.step, outcome.kind) == ("user", "InvalidArgument")


def test_ipc_of_another_container_shares_its_memory(box: Box) -> None:
    """`--ipc container:ID`: the same /dev/shm, though it is mounted in that container only."""
    with box.started(["sh", "-c", "echo shared > /dev/shm/file; echo ready; sleep 30"]) as first:
        first.wait_output("ready\n")
        outcome = box.run(["cat", "/dev/shm/file"], host=HostConfig(ipc_mode="container:first"), ipc_pid=first.pid)
    assert outcome.output == "shared\n"


def test_network_of_another_container_is_the_same_one(box: Box) -> None:
    """`--network container:ID`: one namespace, by its inode."""
    with box.started(["sleep", "30"]) as first:
        inode = os.readlink(f"/proc/{first.pid}/ns/net")
        outcome = box.run(
            ["readlink", "/proc/self/ns/net"],
            host=HostConfig(network_mode="container:first"),
            network_pid=first.pid,
        )
    assert outcome.output.strip() == inode


def test_host_namespaces_are_the_hosts(box: Box) -> None:
    """`--network host --uts host --pid host` share, and change nothing of the host."""
    before = os.uname().nodename
    host = HostConfig(network_mode="host", uts_mode="host", pid_mode="host")
    outcome = box.run(["sh", "-c", "hostname; echo $$"], host=host)
    name, pid = outcome.output.split()
    assert name == before == os.uname().nodename
    assert int(pid) > 1
