"""The objects of the Python API: containers, their streams and files, images, volumes, events; both clients."""

from __future__ import annotations

import asyncio
import io
import tarfile
import threading
import time
from pathlib import Path

import pytest

import shoal
from tests.engines.shoald import Shoald

IDLE = "sleep 1000"


def test_life_of_a_container(engine: shoal.Engine) -> None:
    """Every verb, and the state that it leads to."""
    container = engine.containers.create("busybox", IDLE, name="life", labels={"a": "b"}, network="none")
    assert (container.name, container.image, container.labels) == ("life", "busybox", {"a": "b"})
    assert container.state().status == "created"
    container.start()
    container.start()  # does nothing
    container.pause()
    assert (container.state().status, container.state().running) == ("paused", True)
    container.unpause()
    container.rename("renamed")
    container.restart(timeout_s=0)
    assert engine.containers.get("renamed") == container
    container.stop(timeout_s=0)
    container.stop()  # does nothing
    state = container.state()
    assert (state.status, state.exit_code, state.running) == ("exited", 137, False)
    assert state.started_at is not None
    assert state.finished_at is not None
    assert state.started_at < state.finished_at
    container.remove()
    with pytest.raises(shoal.NotFound, match="No such container"):
        container.state()


def test_container_in_a_with_block_is_removed_when_it_fails(engine: shoal.Engine) -> None:
    """An exception in the block does not leave the container there, nor its anonymous volume."""
    with pytest.raises(RuntimeError), engine.containers.start("busybox", IDLE, volumes=["/anonymous"]):
        raise RuntimeError
    assert engine.containers.list(all=True) == []
    assert engine.volumes.list() == []


def test_start_of_what_cannot_start_leaves_nothing(engine: shoal.Engine) -> None:
    """containers.start removes a container that it could not start."""
    with pytest.raises(shoal.InvalidArgument, match="executable file not found"):
        engine.containers.start("busybox", "no-such-program")
    assert engine.containers.list(all=True) == []


def test_wait_with_a_time_limit_leaves_it_running(engine: shoal.Engine) -> None:
    """TimedOut says nothing about the container, and the engine object goes on being of use."""
    with engine.containers.start("busybox", IDLE) as container:
        with pytest.raises(shoal.TimedOut):
            container.wait(timeout_s=0.2)
        assert container.state().running
        container.kill()
        assert container.wait() == 137


def test_time_limit_bounds_all_calls_of_a_block(engine: shoal.Engine) -> None:
    """A stream that would never end, ended by the clock; a nested limit counts if it is nearer."""
    with engine.containers.start("busybox", IDLE) as container:
        began = time.monotonic()
        with pytest.raises(shoal.TimedOut), shoal.time_limit(0.3), shoal.time_limit(60):
            for _ in container.logs(follow=True):
                pass
        assert 0.25 < time.monotonic() - began < 20


def test_logs_tell_streams_times_and_tails(engine: shoal.Engine) -> None:
    """Lines of both streams, with their times, the last ones, those since a moment, and one without an end."""
    with engine.containers.start("busybox", ["sh", "-c", "seq 3; echo err >&2; printf unfinished"]) as container:
        container.wait()
        lines = list(container.logs(timestamps=True))
        assert [line.text for line in lines if line.stream == "stdout"] == ["1", "2", "3", "unfinished"]
        assert [line.data for line in lines if line.stream == "stderr"] == [b"err"]
        assert all(line.time is not None and abs(line.time.timestamp() - time.time()) < 60 for line in lines)
        assert len(list(container.logs(tail=2))) == 2
        assert list(container.logs(since=time.time() + 100)) == []
        assert container.output() == shoal.Output(0, b"1\n2\n3\nunfinished", b"err\n")


def test_logs_of_a_terminal_are_its_bytes(engine: shoal.Engine) -> None:
    """A terminal's log has no frames."""
    with engine.containers.start("busybox", "echo hi", tty=True) as container:
        container.wait()
        assert [line.data for line in container.logs()] == [b"hi\r"]


def test_exec_fails_times_out_and_has_a_terminal(engine: shoal.Engine) -> None:
    """ExecFailed with what it said, a time limit with what it said until then, and a terminal of a given size."""
    with engine.containers.start("busybox", IDLE) as container:
        with pytest.raises(shoal.ExecFailed) as caught:
            container.exec(["sh", "-c", "echo why >&2; exit 9"])
        assert (caught.value.exit_code, caught.value.stderr) == (9, b"why\n")
        with pytest.raises(shoal.CommandTimedOut) as late:
            container.exec(["sh", "-c", "echo early; sleep 1000"], timeout_s=1)
        assert late.value.stdout == b"early\n"
        with container.open_exec("sh -c 'read go; stty size'", tty=True) as process:
            process.resize(rows=33, cols=77)
            process.write("go\n")
            assert b"".join(chunk.data for chunk in process).endswith(b"33 77\r\n")
            assert process.wait() == 0
        data = b"z" * (3 << 20)
        assert container.exec("cat", input=data).stdout == data
        with pytest.raises(shoal.NotFound):
            container.get_archive("/no/such").__next__()
    with pytest.raises(shoal.NotFound):
        container.exec("true")


def test_files_of_a_container(engine: shoal.Engine) -> None:
    """Written with mode and owner, read through a link, as archives both ways, and what can't be."""
    with engine.containers.create("busybox") as container:
        data = bytes(range(256)) * 10_000
        container.write_file("/tmp/data", data, mode=0o640, owner=(1000, 1000))
        container.write_file("tmp/data", data, mode=0o640, owner=(1000, 1000))
        assert container.read_file("/tmp/data") == data
        stat = container.stat("/tmp/data")
        assert (stat.name, stat.mode & 0o777, stat.is_directory) == ("data", 0o640, False)
        with tarfile.open(fileobj=io.BytesIO(b"".join(container.get_archive("/tmp")))) as archive:
            entry = archive.getmember("tmp/data")
            assert (entry.uid, entry.size) == (1000, len(data))
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/tmp/data"
            archive.addfile(link)
        pieces = buffer.getvalue()
        container.put_archive("/", (pieces[at : at + 100] for at in range(0, len(pieces), 100)))
        assert container.read_file("/link") == data
        assert {change.path: change.kind for change in container.changes()}["/link"] == "added"
        for path, kind in (("/tmp", shoal.InvalidArgument), ("/no/such", shoal.NotFound)):
            with pytest.raises(kind):
                container.read_file(path)
        with pytest.raises(shoal.NotFound):
            container.write_file("/no/such/file", b"")
        with pytest.raises(shoal.InvalidArgument, match="names no file"):
            container.write_file("/", b"")
        with tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))) as archive:
            assert "tmp/data" in archive.getnames()


def _tree(directory: Path) -> None:
    (directory / "tree" / "sub").mkdir(parents=True)
    (directory / "tree" / "sub" / "file").write_bytes(bytes(range(256)) * 8000)
    (directory / "tree" / "link").symlink_to("sub/file")
    (directory / "back").mkdir()


def test_directories_are_copied_in_and_out(engine: shoal.Engine, tmp_path: Path) -> None:
    """A tree goes in, and comes out the same: by name, by its content alone, and one file of it."""
    _tree(tmp_path)
    with engine.containers.create("busybox") as container:
        container.upload(tmp_path / "tree", "/tmp")
        container.download("/tmp/tree", tmp_path / "back")
        container.download("/tmp/tree/.", tmp_path / "back")
        container.download("/tmp/tree/sub/file", tmp_path / "back")
        data = (tmp_path / "tree/sub/file").read_bytes()
        for name in ("tree/sub/file", "tree/link", "sub/file", "file"):
            assert (tmp_path / "back" / name).read_bytes() == data, name
        assert (tmp_path / "back/tree/link").is_symlink()
        with pytest.raises(shoal.NotFound):
            container.upload(tmp_path / "tree", "/no/such")
        with pytest.raises(shoal.NotFound):
            container.download("/no/such", tmp_path)
        with pytest.raises(shoal.InvalidArgument):
            container.upload(tmp_path / "nothing", "/tmp")
        with pytest.raises(shoal.InvalidArgument):
            container.download("/tmp/tree", tmp_path / "nothing")


def test_directories_are_copied_awaiting_and_cancelled(shoald: Shoald, tmp_path: Path) -> None:
    """The same under asyncio, where other tasks go on; a copy that is cancelled ends."""
    _tree(tmp_path)

    async def scenario() -> None:
        async with shoal.aio.connect(f"unix://{shoald.socket}") as engine:
            async with await engine.containers.create("busybox") as container:
                await container.upload(tmp_path / "tree", "/tmp")
                await container.download("/tmp/tree", tmp_path / "back")
                copy = (tmp_path / "back/tree/sub/file").read_bytes()
                assert copy == (tmp_path / "tree/sub/file").read_bytes()
                copying = asyncio.create_task(container.download("/", tmp_path / "back"))
                while not (tmp_path / "back" / "bin").exists():
                    await asyncio.sleep(0.001)
                copying.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await copying

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_samples_processes_and_limits(engine: shoal.Engine) -> None:
    """What it uses, now and second after second; its processes; other limits."""
    with engine.containers.start("busybox", IDLE, memory="64m") as container:
        container.exec("true")
        sample = container.stats()
        assert sample.memory_limit_bytes == 64 << 20
        assert 0 < sample.memory_bytes < 64 << 20
        assert sample.pids == 1
        with container.watch_stats() as samples:
            assert next(samples).cpu_ns <= next(samples).cpu_ns
        assert container.processes("-o pid,args")[0]["COMMAND"] == IDLE
        container.update({"Memory": 32 << 20, "MemorySwap": 64 << 20})
        assert container.inspect().number("HostConfig", "Memory") == 32 << 20


def test_events_are_followed(engine: shoal.Engine) -> None:
    """What happens from now on, with its attributes, until the block ends."""
    with engine.events(filters={"type": "container", "event": ["die", "destroy"]}, since=time.time()) as events:
        thread = threading.Thread(target=lambda: engine.run("busybox", "sh -c 'exit 3'", check=False))
        thread.start()
        die, destroy = next(events), next(events)
        thread.join()
    assert (die.type, die.action, die.attributes["exitCode"], destroy.action) == ("container", "die", "3", "destroy")
    assert die.id == destroy.id
    assert die.time is not None


def test_images_are_saved_loaded_and_made(engine: shoal.Engine, tmp_path: Path) -> None:
    """save, load from a path and from bytes, tag, history, import, commit, remove."""
    image = engine.images.get("busybox")
    archive = tmp_path / "busybox.tar"
    archive.write_bytes(b"".join(engine.images.save("busybox")))
    assert engine.images.load(archive) == [image]
    assert engine.images.load(archive.read_bytes()) == [image]
    image.tag("mine:1")
    assert engine.images.get("mine:1").tags == ["busybox:latest", "mine:1"]
    with engine.containers.create("busybox", IDLE) as container:
        container.write_file("/made", "made")
        made = engine.images.get(container.commit("made:1", changes=["CMD cat /made"]))
        assert engine.run("made:1").text == "made"
        imported = engine.images.import_archive(container.export(), "imported:1", changes=["ENV A=b"])
    assert engine.run("imported:1", ["sh", "-c", "echo $A"]).text == "b\n"
    assert len(made.history()) == 2
    assert {tag for entry in engine.images.list() for tag in entry.tags} == {
        "busybox:latest",
        "mine:1",
        "made:1",
        "imported:1",
    }
    with pytest.raises(shoal.InvalidArgument, match="the tar archive is truncated"):
        engine.images.load(b"no archive")
    made.remove()
    imported.remove()
    with pytest.raises(shoal.Conflict):
        image.remove()  # it has two names
    image.remove(force=True)
    assert engine.images.list() == []
    engine.images.load(archive)
    assert engine.images.get("busybox") == image


def test_volumes_are_made_used_and_removed(engine: shoal.Engine) -> None:
    """create, list, conflict while in use, prune; one in a with block is removed."""
    with engine.volumes.create("data", labels={"a": "b"}) as volume:
        assert [entry.name for entry in engine.volumes.list(filters={"label": "a=b"})] == ["data"]
        engine.run("busybox", "touch /d/x", volumes=["data:/d"])
        with engine.containers.create("busybox", volumes=["data:/d:ro"]):
            with pytest.raises(shoal.Conflict, match="volume is in use"):
                volume.remove()
    with pytest.raises(shoal.NotFound):
        engine.volumes.get("data")
    engine.volumes.create()
    assert len(engine.volumes.prune().removed) == 1


def test_networks_are_made_joined_left_and_removed(engine: shoal.Engine) -> None:
    """create, list, connect with a name and an address, conflict while in use, disconnect, prune."""
    with engine.networks.create("web", subnet="10.213.7.0/24", labels={"a": "b"}) as network:
        assert engine.networks.list(filters={"label": "a=b"}) == [network]
        assert (network.name, network.driver, network.internal) == ("web", "bridge", False)
        with engine.containers.start("busybox", IDLE) as box:
            network.connect(box, aliases=["db"], address="10.213.7.9")
            assert "10.213.7.9" in box.exec("ip address").text
            assert "10.213.7.9" in engine.run("busybox", "nslookup db", network="web").text
            assert list(network.inspect().mapping("Containers")) == [box.id]
            with pytest.raises(shoal.Forbidden, match="active endpoints"):
                network.remove()
            network.disconnect(box)
            assert "10.213.7.9" not in box.exec("ip address").text
            with pytest.raises(shoal.ShoalError, match="is not connected"):
                network.disconnect(box.id)
    with pytest.raises(shoal.NotFound):
        engine.networks.get("web")
    engine.networks.create("idle")
    assert engine.networks.prune().removed == ("idle",)


def test_streams_that_are_awaited(shoald: Shoald) -> None:
    """The same streams under asyncio: left early, cancelled, and used side by side."""

    async def scenario() -> None:
        async with shoal.aio.connect(f"unix://{shoald.socket}") as engine:
            async with await engine.containers.start("busybox", "sh -c 'echo one; exec sleep 1000'") as container:
                async with container.logs(follow=True) as lines:
                    assert (await anext(lines)).text == "one"
                following = asyncio.create_task(_last(container.logs(follow=True)))
                waiting = asyncio.create_task(container.wait())
                await asyncio.gather(*(container.exec(["echo", str(number)]) for number in range(8)))
                async with await container.open_exec("cat") as process:
                    await process.write("x" * 200_000)
                    await process.end_input()
                    assert sum([len(chunk.data) async for chunk in process]) == 200_000
                    assert await process.wait() == 0
                waiting.cancel()
                with pytest.raises(shoal.TimedOut):
                    await container.wait(timeout_s=0.1)
                assert (await container.state()).running
                await container.kill()
                assert await following == "one"

    async def _last(lines: shoal.aio.Stream[shoal.LogLine]) -> str:
        return [line.text async for line in lines][-1]

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_engine_goes_on_after_a_restart_of_shoald(private_shoald: Shoald) -> None:
    """An idle connection that the engine has closed is not taken for an answer."""
    with shoal.connect(f"unix://{private_shoald.socket}") as engine:
        assert engine.ping() == "1.50"
        private_shoald.restart()
        assert engine.containers.list() == []
        private_shoald.restart()
        assert engine.run("busybox", "echo again").text == "again\n"
