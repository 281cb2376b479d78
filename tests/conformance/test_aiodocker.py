"""The same through aiodocker, the library of programs on asyncio. Needs no docker command."""

from __future__ import annotations

import asyncio
import io
import tarfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiodocker
import pytest

from tests.engines.engine import Engine

IDLE = {"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}


def driven(engine: Engine, scenario: Callable[[aiodocker.Docker], Awaitable[None]]) -> None:
    """Runs a scenario with a client of its own, which it must not keep waiting."""

    async def run() -> None:
        async with aiodocker.Docker(url=f"unix://{engine.socket}") as docker:
            async with asyncio.timeout(60):
                await scenario(docker)

    asyncio.run(run())


def config(*command: str, **further: Any) -> dict[str, Any]:
    """A container without a network."""
    return {**IDLE, "Cmd": list(command), **further}


def test_life_of_a_container(engine: Engine) -> None:
    """create_or_replace, start, pause, unpause, rename, restart, kill, wait, delete."""

    async def scenario(docker: aiodocker.Docker) -> None:
        first = await docker.containers.create_or_replace("life", IDLE)
        container = await docker.containers.create_or_replace("life", config("sleep", "2000"))
        assert container.id != first.id
        await container.start()
        await container.pause()
        assert (await container.show())["State"]["Status"] == "paused"
        await container.unpause()
        await container.rename("renamed")
        await container.restart(t=0)
        assert (await container.show())["Name"] == "/renamed"
        waiting = asyncio.create_task(container.wait())
        await container.kill(signal="SIGKILL")
        assert (await waiting)["StatusCode"] == 137
        await container.delete()
        with pytest.raises(aiodocker.DockerError) as caught:
            await container.show()
        assert (caught.value.status, "No such container" in caught.value.message) == (404, True)

    driven(engine, scenario)


def test_run_that_cannot_start_tells_the_container(engine: Engine) -> None:
    """A program that there is not: status, sentence, and which container it was."""

    async def scenario(docker: aiodocker.Docker) -> None:
        with pytest.raises(aiodocker.exceptions.DockerContainerError) as caught:
            await docker.containers.run(config("no-such-program"))
        assert caught.value.status == 400
        assert "executable file not found in $PATH" in caught.value.message
        assert caught.value.container_id == (await docker.containers.list(all=True))[0].id

    driven(engine, scenario)


def test_logs_whole_and_followed(engine: Engine) -> None:
    """log as a list of one stream, and as lines that end with the container."""

    async def scenario(docker: aiodocker.Docker) -> None:
        container = await docker.containers.run(config("sh", "-c", "echo out; echo err >&2"))
        await container.wait()
        assert await container.log(stdout=True) == ["out\n"]
        assert await container.log(stderr=True) == ["err\n"]
        assert sorted([line async for line in container.log(stdout=True, stderr=True, follow=True)]) == [
            "err\n",
            "out\n",
        ]

    driven(engine, scenario)


def test_exec_writes_reads_and_has_an_exit_code(engine: Engine) -> None:
    """An exec's stream in both directions, demultiplexed, and what it ended with."""

    async def scenario(docker: aiodocker.Docker) -> None:
        container = await docker.containers.run(IDLE)
        script = "read line; echo got $line; echo err >&2; exit 3"
        running = await container.exec(["sh", "-c", script], stdin=True, user="app", environment={"A": "b"})
        received: dict[int, bytes] = {1: b"", 2: b""}
        async with running.start() as stream:
            await stream.write_in(b"hello\n")
            while (message := await stream.read_out()) is not None:
                received[message.stream] += message.data
        assert received == {1: b"got hello\n", 2: b"err\n"}
        details = await running.inspect()
        assert (details["ExitCode"], details["Running"]) == (3, False)

    driven(engine, scenario)


def test_exec_with_a_terminal_and_detached(engine: Engine) -> None:
    """A terminal's stream is raw and can be resized; a detached exec runs by itself."""

    async def scenario(docker: aiodocker.Docker) -> None:
        container = await docker.containers.run(IDLE)
        running = await container.exec(["sh", "-c", "read go; stty size"], stdin=True, tty=True)
        async with running.start() as stream:
            await stream.write_in(b"")
            await running.resize(h=33, w=77)
            await stream.write_in(b"go\n")
            received = b""
            while (message := await stream.read_out()) is not None:
                received += message.data
        assert received.endswith(b"33 77\r\n")
        detached = await container.exec(["touch", "/touched"])
        await detached.start(detach=True)
        waiting = await container.exec(["sh", "-c", "until test -e /touched; do sleep 0.02; done; echo there"])
        async with waiting.start() as stream:
            message = await stream.read_out()
        assert message is not None
        assert message.data == b"there\n"

    driven(engine, scenario)


def test_attach_to_a_program_that_reads(engine: Engine) -> None:
    """attach gives the program's own streams."""

    async def scenario(docker: aiodocker.Docker) -> None:
        settings = config("cat", OpenStdin=True, StdinOnce=True, AttachStdin=True)
        container = await docker.containers.create(settings)
        async with container.attach(stdin=True, stdout=True, stderr=True) as stream:
            await container.start()
            await stream.write_in(b"to and fro\n")
            message = await stream.read_out()
        assert message is not None
        assert message.data == b"to and fro\n"
        await container.kill()

    driven(engine, scenario)


def test_websocket_attach(engine: Engine) -> None:
    """The same over a WebSocket, whose messages are what the program wrote, without frames."""

    async def scenario(docker: aiodocker.Docker) -> None:
        container = await docker.containers.create(config("cat", OpenStdin=True, Tty=False))
        await container.start()
        socket = await container.websocket(stdin=True, stdout=True, stream=True)
        await socket.send_bytes(b"through a web\n")
        received = b""
        while not received.endswith(b"web\n"):
            message = await socket.receive(timeout=20)
            received += message.data if isinstance(message.data, bytes) else str(message.data).encode()
        assert received == b"through a web\n"
        await socket.close()
        await container.kill()

    driven(engine, scenario)


def test_archives_in_and_out(engine: Engine) -> None:
    """put_archive and get_archive of a file."""

    async def scenario(docker: aiodocker.Docker) -> None:
        container = await docker.containers.create(IDLE)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            entry = tarfile.TarInfo("given")
            entry.size = 5
            archive.addfile(entry, io.BytesIO(b"given"))
        await container.put_archive("/tmp", buffer.getvalue())
        taken = await container.get_archive("/tmp/given")
        member = taken.extractfile("given")
        assert member is not None
        assert member.read() == b"given"
        with pytest.raises(aiodocker.DockerError) as caught:
            await container.get_archive("/no/such")
        assert caught.value.status == 404

    driven(engine, scenario)


def test_stats_once_and_streamed(engine: Engine) -> None:
    """One sample, and one that follows another."""

    async def scenario(docker: aiodocker.Docker) -> None:
        container = await docker.containers.run(IDLE)
        (once,) = await container.stats(stream=False)
        assert once["memory_stats"]["usage"] > 0
        samples = container.stats()
        first = await anext(samples)
        second = await anext(samples)
        assert second["read"] > first["read"]
        await samples.aclose()

    driven(engine, scenario)


def test_events_of_a_container(engine: Engine) -> None:
    """A subscriber hears what happens, with the times as datetime."""

    async def scenario(docker: aiodocker.Docker) -> None:
        subscriber = docker.events.subscribe(since=str(time.time()))
        container = await docker.containers.run(config("true"))
        actions = []
        while "die" not in actions:
            event = await subscriber.get()
            if event["Type"] == "container" and event["Actor"]["ID"] == container.id:
                actions.append(event["Action"])
        assert actions == ["create", "start", "die"]
        await docker.events.stop()

    driven(engine, scenario)


def test_volumes(engine: Engine) -> None:
    """create, list with a filter, show, delete; one that is in use stays."""

    async def scenario(docker: aiodocker.Docker) -> None:
        volume = await docker.volumes.create({"Name": "vol", "Labels": {"a": "b"}})
        assert (await volume.show())["Labels"] == {"a": "b"}
        listed = await docker.volumes.list(filters={"label": ["a=b"]})
        assert [entry["Name"] for entry in listed["Volumes"]] == ["vol"]
        settings = {**IDLE, "HostConfig": {"Binds": ["vol:/data"], "NetworkMode": "none"}}
        container = await docker.containers.create(settings)
        with pytest.raises(aiodocker.DockerError) as caught:
            await volume.delete()
        assert caught.value.status == 409
        await container.delete(force=True)
        await volume.delete()

    driven(engine, scenario)


def test_images_saved_and_loaded(images: Engine) -> None:
    """tag, export_image, delete, import_image, list and history."""

    async def scenario(docker: aiodocker.Docker) -> None:
        await docker.images.tag("busybox", "mine", tag="1")
        async with docker.images.export_image("mine:1") as exported:
            data = await exported.read()
        await docker.images.delete("mine:1")
        messages = await docker.images.import_image(data)
        assert any("Loaded image: mine:1" in message.get("stream", "") for message in messages)
        assert (await docker.images.inspect("mine:1"))["RepoTags"] == ["busybox:latest", "mine:1"]
        assert len(await docker.images.history("mine:1")) >= 1
        assert len(await docker.images.list()) == 1

    driven(images, scenario)


def test_commit_top_and_prune(images: Engine) -> None:
    """A new image of a container, its processes, and the removal of what has stopped."""

    async def scenario(docker: aiodocker.Docker) -> None:
        container = await docker.containers.run(IDLE)
        while "sleep 1000" not in str((await container.top())["Processes"]):
            pass  # a start is answered when nothing but the program's execve is left
        made = await container.commit(repository="made", tag="x", message="by a test")
        assert (await docker.images.inspect("made:x"))["Id"] == made["Id"]
        await container.kill()
        await container.wait()
        assert (await docker.containers.prune())["ContainersDeleted"] == [container.id]

    driven(images, scenario)


def test_ports_of_a_container(engine: Engine) -> None:
    """port() tells where a published port is."""

    async def scenario(docker: aiodocker.Docker) -> None:
        settings = {"Image": "busybox", "Cmd": ["sleep", "100"], "ExposedPorts": {"80/tcp": {}}}
        settings["HostConfig"] = {"PortBindings": {"80/tcp": [{"HostPort": ""}]}}
        container = await docker.containers.run(settings)
        bindings = await container.port(80)
        assert bindings is not None
        assert int(bindings[0]["HostPort"]) > 0

    driven(engine, scenario)


def test_many_at_once(engine: Engine) -> None:
    """Ten containers over one client, started together."""

    async def scenario(docker: aiodocker.Docker) -> None:
        async def one(number: int) -> list[str]:
            container = await docker.containers.run(config("echo", str(number)), name=f"many-{number}")
            await container.wait()
            return list(await container.log(stdout=True))

        outputs = await asyncio.gather(*(one(number) for number in range(10)))
        assert outputs == [[f"{number}\n"] for number in range(10)]

    driven(engine, scenario)
