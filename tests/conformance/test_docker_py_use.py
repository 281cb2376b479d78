"""More of docker-py: files in and out, statistics, processes, limits, volumes, sockets of execs, clean-up."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from typing import Any

import docker.errors
import pytest
from docker.types import Mount

from tests.conformance.differences import sentence
from tests.engines.engine import Engine


def archive_of(name: str, data: bytes) -> bytes:
    """A tar with one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def entries_of(pieces: Iterator[bytes]) -> dict[str, bytes]:
    """The regular files of a tar, by name."""
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive if entry.isreg()}  # type: ignore[union-attr]


def test_archives_in_and_out(engine: Engine) -> None:
    """put_archive and get_archive, on a container that never ran and one that runs, larger than every buffer."""
    data = bytes(range(256)) * 20_000
    for command, runs in (("true", False), ("sleep 1000", True)):
        container = engine.client.containers.create("busybox", command)
        if runs:
            container.start()
        assert container.put_archive("/tmp", archive_of("given", data)) is True
        pieces, stat = container.get_archive("/tmp/given")
        assert (stat["name"], stat["size"]) == ("given", len(data))
        assert entries_of(pieces) == {"given": data}
        with pytest.raises(docker.errors.NotFound):
            container.get_archive("/no/such")
        with pytest.raises(docker.errors.NotFound):
            container.put_archive("/no/such", archive_of("x", b""))
        with pytest.raises(docker.errors.APIError) as caught:
            container.put_archive("/tmp/given", archive_of("x", b""))
        assert re.fullmatch(sentence(engine, "archive-refused-status"), str(caught.value.status_code))


def test_diff_commit_and_export(images: Engine) -> None:
    """What a container changed, as a list, as an image, and in a tar of its whole root."""
    container = images.client.containers.run(
        "busybox", ["sh", "-c", "echo new > /tmp/new; rm /www/index.html"], detach=True
    )
    container.wait()
    changes = {entry["Path"]: entry["Kind"] for entry in container.diff()}
    assert (changes["/tmp/new"], changes["/www/index.html"], changes["/tmp"]) == (1, 2, 0)
    image = container.commit("made", tag="1", message="by a test", author="me", changes="ENV A=b", conf={"User": "app"})
    assert image.tags == ["made:1"]
    assert "A=b" in image.attrs["Config"]["Env"]
    assert images.client.containers.run("made:1", ["sh", "-c", "id -u; cat /tmp/new"], remove=True) == b"1000\nnew\n"
    exported = entries_of(container.export())
    assert exported["tmp/new"] == b"new\n"
    assert "www/index.html" not in exported


def test_stats_once_and_streamed(engine: Engine) -> None:
    """A sample with one to compare, one without, a stream, and a stopped container's."""
    container = engine.client.containers.run("busybox", "sleep 1000", detach=True)
    sample: dict[str, Any] = container.stats(stream=False)
    assert sample["memory_stats"]["usage"] > 0
    assert sample["pids_stats"]["current"] >= 1
    assert sample["cpu_stats"]["system_cpu_usage"] > sample["precpu_stats"]["system_cpu_usage"]
    assert set(sample["networks"]) == {"eth0"}
    alone: dict[str, Any] = engine.client.api.stats(container.id, stream=False, one_shot=True)
    assert "system_cpu_usage" not in alone["precpu_stats"]
    stream = container.stats(decode=True)
    first, second = next(stream), next(stream)
    assert second["read"] > first["read"]
    stream.close()
    container.kill()
    container.wait()
    assert container.stats(stream=False)["pids_stats"] == {}


def test_top_update_and_port(engine: Engine) -> None:
    """Its processes, other limits while it runs, and where its port is."""
    container = engine.client.containers.run(
        "busybox", "sleep 1000", detach=True, mem_limit="64m", ports={"80/tcp": None}
    )
    container.exec_run("true")
    top = container.top(ps_args="-o pid,args")
    assert (top["Titles"], top["Processes"][0][1]) == (["PID", "COMMAND"], "sleep 1000")
    container.update(
        mem_limit="32m", memswap_limit="64m", restart_policy={"Name": "on-failure", "MaximumRetryCount": 2}
    )
    container.reload()
    assert container.attrs["HostConfig"]["Memory"] == 32 << 20
    assert container.attrs["HostConfig"]["RestartPolicy"]["Name"] == "on-failure"
    assert int(engine.client.api.port(container.id, 80)[0]["HostPort"]) > 0


def test_volumes(engine: Engine) -> None:
    """Volumes.create, get, list, use by name and by Mount, conflict, remove, prune."""
    client = engine.client
    volume = client.volumes.create("vol", labels={"a": "b"})
    assert [entry.name for entry in client.volumes.list(filters={"label": "a=b"})] == ["vol"]
    client.containers.run("busybox", "touch /d/one", volumes={"vol": {"bind": "/d", "mode": "rw"}}, remove=True)
    output = client.containers.run("busybox", "ls /d", mounts=[Mount("/d", "vol", read_only=True)], remove=True)
    assert output == b"one\n"
    user = client.containers.create("busybox", volumes=["vol:/d:ro"])
    with pytest.raises(docker.errors.APIError) as caught:
        volume.remove()
    assert (caught.value.status_code, "volume is in use" in str(caught.value)) == (409, True)
    user.remove()
    volume.remove()
    with pytest.raises(docker.errors.NotFound):
        client.volumes.get("vol")
    client.containers.create("busybox", volumes=["/anonymous"]).remove()
    assert len(client.volumes.prune()["VolumesDeleted"]) == 1


def test_exec_socket_writes_and_reads(engine: Engine) -> None:
    """exec_run(socket=True) is the raw stream with frames; a half-closed input lets the program end."""
    container = engine.client.containers.run("busybox", "sleep 1000", detach=True)
    stream = container.exec_run("sort", stdin=True, socket=True).output
    stream._sock.sendall(b"b\na\n")
    stream._sock.shutdown(1)
    received = b""
    while data := stream._sock.recv(4096):
        received += data
    assert received == b"\x01\0\0\0\0\0\0\x04a\nb\n"
    stream.close()


def test_events_stream_ends_when_it_is_closed(engine: Engine) -> None:
    """A stream of events that is followed while things happen, and closed from this side."""
    events = engine.client.events(decode=True, filters={"type": ["container"], "event": ["start", "die"]})
    container = engine.client.containers.run("busybox", ["sh", "-c", "exit 3"], detach=True)
    first, second = next(events), next(events)
    assert [first["Action"], second["Action"]] == ["start", "die"]
    assert second["Actor"]["Attributes"]["exitCode"] == "3"
    assert second["id"] == container.id
    events.close()


def test_wait_for_conditions(engine: Engine) -> None:
    """wait for the removal of a container, and for the next end of one that has ended before."""
    client = engine.client
    container = client.containers.run("busybox", ["sh", "-c", "exit 5"], detach=True)
    assert container.wait()["StatusCode"] == 5
    assert container.wait(condition="not-running")["StatusCode"] == 5
    gone = client.containers.create("busybox", ["sh", "-c", "exit 6"], auto_remove=True)
    gone.start()
    assert gone.wait(condition="removed")["StatusCode"] == 6
    with pytest.raises(docker.errors.NotFound):
        gone.reload()


def test_prune_removes_what_has_stopped(engine: Engine) -> None:
    """containers.prune, with a filter and without."""
    client = engine.client
    kept = client.containers.create("busybox", labels={"keep": "1"})
    other = client.containers.create("busybox")
    assert client.containers.prune(filters={"label!": "keep"})["ContainersDeleted"] == [other.id]
    assert client.containers.prune()["ContainersDeleted"] == [kept.id]
