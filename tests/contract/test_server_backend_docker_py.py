"""docker-py against the server and the fake engine: the client that Python tools are built on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import docker
import docker.errors
import pytest

from shoal.api.log import LogEntry
from shoal.server.api_server import ApiServer
from tests.unit.server.fake_engine import CONTAINER_ID, IMAGE_ID, FakeEngine


def play(
    tmp_path: Path, scenario: Callable[[docker.DockerClient, FakeEngine], None], version: str = "auto"
) -> FakeEngine:
    """Run a scenario, in a thread, with a docker-py client that talks to a server of its own."""

    def use(engine: FakeEngine) -> None:
        client = docker.DockerClient(base_url=f"unix://{tmp_path}/docker.sock", version=version, timeout=20)
        try:
            scenario(client, engine)
        finally:
            client.close()

    async def main() -> FakeEngine:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "docker.sock"))
        listener.listen(64)
        engine = FakeEngine()
        server = ApiServer(engine)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(server.serve([listener]))
            try:
                await asyncio.to_thread(use, engine)
            finally:
                await server.close(grace_s=0)
        return engine

    return asyncio.run(main())


@pytest.mark.parametrize("version", ["auto", "1.24", "1.45"])
def test_docker_py_lists_and_inspects(tmp_path: Path, version: str) -> None:
    """Ping, version, info, containers and images are understood in old and new versions of the API."""

    def scenario(client: docker.DockerClient, _: FakeEngine) -> None:
        assert client.ping() is True
        assert client.version()["ApiVersion"] == "1.50"
        assert client.info()["Driver"] == "overlay2"
        (container,) = client.containers.list(all=True, filters={"status": "running"})
        assert (container.id, container.name, container.status) == (CONTAINER_ID, "c1", "running")
        assert client.images.get("alpine").id == IMAGE_ID
        assert [volume.name for volume in client.volumes.list()] == ["v1"]
        assert [network.name for network in client.networks.list()] == ["bridge"]

    play(tmp_path, scenario, version)


def test_docker_py_raises_its_own_exceptions(tmp_path: Path) -> None:
    """The library picks an exception by status and by words in the sentence."""

    def scenario(client: docker.DockerClient, _: FakeEngine) -> None:
        with pytest.raises(docker.errors.NotFound, match="No such container: nope"):
            client.containers.get("nope")
        with pytest.raises(docker.errors.ImageNotFound):
            client.containers.create("nope", "true")
        with pytest.raises(docker.errors.APIError) as caught:
            client.api.create_container("alpine", name="taken")
        assert caught.value.status_code == 409
        with pytest.raises(docker.errors.APIError, match="does not serve"):
            client.images.search("alpine")

    play(tmp_path, scenario)


def test_docker_py_create_start_wait_and_remove(tmp_path: Path) -> None:
    """The life of a container through the library's own shapes of request."""

    def scenario(client: docker.DockerClient, _: FakeEngine) -> None:
        container = client.containers.create(
            "alpine",
            ["sleep", "1"],
            name="web",
            ports={"80/tcp": None, "53/udp": ("127.0.0.1", 5353)},
            volumes={"/a": {"bind": "/b", "mode": "ro"}},
            ulimits=[docker.types.Ulimit(name="nofile", soft=1, hard=2)],
            mem_limit="64m",
            network="bridge",
            detach=True,
        )
        assert container.id == CONTAINER_ID
        container.stop(timeout=3)
        container.kill("HUP")
        container.rename("other")
        container.resize(24, 80)
        container.remove(force=True, v=True)

    notes = play(tmp_path, scenario).containers.notes
    request = notes[0][2]
    assert notes[0][1] == "web"
    assert request.host_config.memory == 64 << 20  # type: ignore[attr-defined]
    assert request.host_config.binds == ["/a:/b:ro"]  # type: ignore[attr-defined]
    assert set(request.host_config.port_bindings) == {"80/tcp", "53/udp"}  # type: ignore[attr-defined]
    assert request.host_config.network_mode == "bridge"  # type: ignore[attr-defined]
    assert notes[1:] == [
        ("stop", None, 3),
        ("kill", "HUP"),
        ("rename", "other"),
        ("resize", 24, 80),
        ("remove", True, True, False),
    ]


def test_docker_py_logs_and_exec_streams(tmp_path: Path) -> None:
    """The library takes frames apart, and reads an exec through its hijacked socket."""

    def scenario(client: docker.DockerClient, engine: FakeEngine) -> None:
        engine.containers.log = [LogEntry(1, 0, b"out\n"), LogEntry(2, 0, b"err\n")]
        container = client.containers.get("c1")
        assert container.logs() == b"out\nerr\n"
        assert container.logs(stderr=False, stream=False) == b"out\n"
        result = container.exec_run(["cat"], socket=True, stdin=True)
        raw = result.output._sock
        raw.sendall(b"hello\n")
        raw.shutdown(socket.SHUT_WR)
        received = b""
        while piece := raw.recv(4096):
            received += piece
        assert received == b"\x01\0\0\0\0\0\0\x06hello\n" + b"\x02\0\0\0\0\0\0\x04bye\n"
        result.output.close()

    play(tmp_path, scenario)


def test_docker_py_images_go_in_and_out(tmp_path: Path) -> None:
    """Load, save, tag and remove."""

    def scenario(client: docker.DockerClient, engine: FakeEngine) -> None:
        (image,) = client.images.load(b"tar" * 100_000)
        assert image.id == IMAGE_ID
        assert sum(len(piece) for piece in client.api.get_image("alpine")) == 64 * 65536
        assert client.api.tag("alpine", "a/b", "c") is True
        client.images.remove("alpine", force=True)
        assert bytes(engine.images.received) == b"tar" * 100_000

    play(tmp_path, scenario)
