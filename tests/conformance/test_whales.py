"""The same through python-on-whales, which calls a docker command and parses what it prints; and with `shoal` as that.

What it parses is typed, so that a field of another shape than Docker's fails here.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from python_on_whales import DockerClient
from python_on_whales.exceptions import DockerException, NoSuchContainer

from tests.engines.engine import Engine

ALL = '{"all":["true"]}'
CALLS = [pytest.param("docker", id="docker-command"), pytest.param("shoal", id="shoal-command")]


@pytest.fixture(params=CALLS)
def whales(request: pytest.FixtureRequest, engine: Engine, cli: None) -> Iterator[DockerClient]:  # noqa: ARG001
    """A client of the engine, over each of the two commands."""
    call = "docker" if request.param == "docker" else str(Path(sysconfig.get_path("scripts")) / "shoal")
    yield DockerClient(host=f"unix://{engine.socket}", config=engine.directory / "config", client_call=[call])
    engine.remove_containers()
    engine.remove_images()
    engine.request("POST", f"/volumes/prune?filters={quote(ALL)}")


def test_run_returns_the_output(whales: DockerClient) -> None:
    """run in the foreground, and a program that fails."""
    assert whales.run("busybox", ["echo", "hi"], remove=True) == "hi"
    with pytest.raises(DockerException) as caught:
        whales.run("busybox", ["sh", "-c", "echo why >&2; exit 4"], remove=True)
    assert caught.value.return_code == 4
    assert "why" in str(caught.value)
    assert whales.ps(all=True) == []


def test_options_are_inspected_as_given(whales: DockerClient) -> None:
    """What run was given is in the parsed details."""
    container = whales.run(
        "busybox",
        ["sleep", "1000"],
        detach=True,
        name="given",
        envs={"A": "1"},
        labels={"a": "b"},
        memory="64m",
        cpus=0.5,
        user="app",
        workdir="/tmp",
        hostname="box",
        publish=[(0, 80)],
        volumes=[("vol", "/data")],
        cap_drop=["ALL"],
        restart="on-failure:2",
        stop_timeout=3,
        networks=["bridge"],
    )
    assert (container.name, container.state.status, container.state.running) == ("given", "running", True)
    assert container.state.started_at is not None
    assert "A=1" in container.config.env
    assert (container.config.labels, container.config.user) == ({"a": "b"}, "app")
    assert (container.host_config.memory, container.host_config.nano_cpus) == (64 << 20, 500_000_000)
    assert container.host_config.restart_policy.maximum_retry_count == 2
    assert container.network_settings.ip_address or container.network_settings.networks["bridge"].ip_address
    assert int(container.network_settings.ports["80/tcp"][0]["HostPort"]) > 0
    assert [(mount.type, mount.name) for mount in container.mounts] == [("volume", "vol")]
    container.remove(force=True, volumes=True)
    whales.volume.remove("vol")


def test_life_of_a_container(whales: DockerClient) -> None:
    """create, start, pause, unpause, rename, restart, kill, wait, remove."""
    container = whales.create("busybox", ["sleep", "1000"])
    container.start()
    container.pause()
    assert container.state.paused
    container.unpause()
    container.rename("renamed")
    container.reload()
    assert container.name == "renamed"
    container.restart(time=0)
    container.kill()
    assert whales.wait(container) == 137
    container.remove()
    with pytest.raises(NoSuchContainer):
        whales.container.inspect("renamed")


def test_execute_in_a_container(whales: DockerClient) -> None:
    """execute: output, stream, user, environment and failure."""
    container = whales.run("busybox", ["sleep", "1000"], detach=True)
    assert container.execute(["sh", "-c", "echo $A $(id -u) $PWD"], envs={"A": "y"}, user="app", workdir="/tmp") == (
        "y 1000 /tmp"
    )
    streamed = list(container.execute(["sh", "-c", "echo o; echo e >&2"], stream=True))
    assert sorted(streamed) == [("stderr", b"e\n"), ("stdout", b"o\n")]
    with pytest.raises(DockerException) as caught:
        container.execute(["sh", "-c", "exit 9"])
    assert caught.value.return_code == 9


def test_logs_whole_and_streamed(whales: DockerClient) -> None:
    """logs at once, its tail, and followed to the end."""
    container = whales.run("busybox", ["sh", "-c", "seq 1 20; echo err >&2"], detach=True)
    whales.wait(container)
    assert len(whales.logs(container).splitlines()) == 21
    assert len(whales.logs(container, tail=3).splitlines()) == 3
    streamed = list(whales.logs(container, follow=True, stream=True))
    assert (b"".join(data for kind, data in streamed if kind == "stderr")) == b"err\n"


def test_copies_in_and_out(whales: DockerClient, tmp_path: Path) -> None:
    """copy to and from a container that never ran."""
    container = whales.create("busybox")
    (tmp_path / "given").write_text("given")
    whales.copy(tmp_path / "given", (container, "/tmp/here"))
    whales.copy((container, "/tmp/here"), tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "given"
    assert container.diff()["/tmp/here"] == "A"


def test_lists_with_filters(whales: DockerClient) -> None:
    """ps by label, name and state."""
    whales.run("busybox", ["sleep", "1000"], detach=True, name="one", labels={"a": "b"})
    whales.create("busybox", name="two")
    assert [container.name for container in whales.ps()] == ["one"]
    assert [container.name for container in whales.ps(filters=[("label", "a=b")])] == ["one"]
    assert [container.name for container in whales.ps(all=True, filters=[("status", "created")])] == ["two"]
    assert whales.container.exists("two")
    assert not whales.container.exists("three")


def test_stats_and_top(whales: DockerClient) -> None:
    """One sample of a container, parsed into numbers, and its processes."""
    container = whales.run("busybox", ["sleep", "1000"], detach=True)
    (sample,) = whales.stats()
    assert sample.container_id == container.id[: len(sample.container_id)]
    assert sample.memory_used > 0
    assert sample.cpu_percentage >= 0


def test_volumes(whales: DockerClient) -> None:
    """create, list, inspect, copy into, remove."""
    volume = whales.volume.create("vol", labels={"a": "b"})
    assert (volume.name, volume.driver, volume.labels) == ("vol", "local", {"a": "b"})
    assert [entry.name for entry in whales.volume.list(filters=[("label", "a=b")])] == ["vol"]
    assert whales.run("busybox", ["touch", "/d/x"], volumes=[("vol", "/d")], remove=True) == ""
    volume.remove()
    assert not whales.volume.exists("vol")


def test_images(whales: DockerClient, tmp_path: Path) -> None:
    """inspect, tag, save, remove, load, and what there is."""
    image = whales.image.inspect("busybox")
    assert (image.repo_tags, image.os, image.config.cmd) == (["busybox:latest"], "linux", ["sh"])
    image.tag("mine:1")
    whales.image.save("mine:1", output=tmp_path / "mine.tar")
    whales.image.remove("mine:1")
    assert whales.image.load(tmp_path / "mine.tar") == ["mine:1"]
    assert {tag for entry in whales.image.list() for tag in entry.repo_tags} == {"busybox:latest", "mine:1"}


def test_commit_update_and_prune(whales: DockerClient) -> None:
    """A new image of a container, other limits, and the removal of what has stopped."""
    container = whales.run("busybox", ["sleep", "1000"], detach=True, memory="64m", memory_swap="64m")
    whales.container.update(container, memory="32m", memory_swap="32m")
    container.reload()
    assert container.host_config.memory == 32 << 20
    assert container.commit("made:x").repo_tags == ["made:x"]
    container.kill()
    whales.wait(container)
    whales.container.prune()
    assert whales.ps(all=True) == []


def test_system(whales: DockerClient) -> None:
    """info, version, disk usage and events."""
    assert whales.system.info().os_type == "linux"
    assert whales.version().server is not None
    assert whales.system.disk_free().images.total_count == 1
