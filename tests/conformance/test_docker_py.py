"""The same through docker-py, the library that most Python tools stand on. Needs no docker command."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator

import docker.errors
import pytest
from docker.types import LogConfig, Mount, Ulimit

from tests.engines import busybox
from tests.engines.engine import Engine


def test_run_returns_the_output(engine: Engine) -> None:
    """containers.run in the foreground."""
    assert engine.client.containers.run("busybox", ["echo", "hi"], remove=True) == b"hi\n"
    assert engine.client.containers.list(all=True) == []


def test_run_failure_is_a_container_error(engine: Engine) -> None:
    """A program that fails: exit code, command and stderr are in the exception."""
    with pytest.raises(docker.errors.ContainerError) as caught:
        engine.client.containers.run("busybox", ["sh", "-c", "echo why >&2; exit 4"], remove=True)
    assert (caught.value.exit_status, caught.value.stderr) == (4, b"why\n")


def test_image_not_found_has_its_own_exception(engine: Engine) -> None:
    """docker-py tells a missing image by Docker's words."""
    with pytest.raises(docker.errors.ImageNotFound):
        engine.client.images.get("no-such-image")
    with pytest.raises(docker.errors.ImageNotFound):
        engine.client.api.create_container("no-such-image", "true")
    with pytest.raises(docker.errors.NotFound):
        engine.client.containers.get("no-such-container")


def test_command_not_found_is_an_api_error(engine: Engine) -> None:
    """A start that fails says why, and the container is still there to look at."""
    container = engine.client.containers.create("busybox", "no-such-program")
    with pytest.raises(docker.errors.APIError) as caught:
        container.start()
    assert caught.value.status_code in {400, 404}
    assert "executable file not found in $PATH" in caught.value.explanation
    container.reload()
    assert (container.status, container.attrs["State"]["ExitCode"]) == ("created", 127)


def test_options_reach_the_container(engine: Engine) -> None:
    """Environment, user, limits, mounts, capabilities, tmpfs, labels: as given, as seen."""
    container = engine.client.containers.run(
        "busybox",
        [
            "sh",
            "-c",
            "echo $A; id -u; pwd; ulimit -n; ls /mnt; grep CapEff /proc/self/status; grep ' /t ' /proc/mounts",
        ],
        detach=True,
        environment={"A": "1"},
        user="app",
        working_dir="/tmp",
        ulimits=[Ulimit(name="nofile", soft=77, hard=99)],
        mounts=[Mount("/mnt", "/etc/apt", type="bind", read_only=True)],
        cap_drop=["ALL"],
        tmpfs={"/t": "size=1m"},
        labels={"a": "b"},
        mem_limit="64m",
        nano_cpus=500_000_000,
        pids_limit=33,
        network_mode="none",
        read_only=True,
        hostname="box",
        init=True,
        log_config=LogConfig(type="json-file", config={"max-size": "1m"}),
    )
    assert container.wait(timeout=20)["StatusCode"] == 0
    lines = container.logs().decode().splitlines()
    assert lines[:4] == ["1", "1000", "/tmp", "77"]
    assert "sources.list.d" in lines
    assert "CapEff:\t0000000000000000" in lines
    assert lines[-1].startswith("tmpfs /t tmpfs")
    host = container.attrs["HostConfig"]
    container.reload()
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"], host["ReadonlyRootfs"]) == (
        64 << 20,
        500_000_000,
        33,
        True,
    )
    assert container.labels == {"a": "b"}


def test_life_of_a_container(engine: Engine) -> None:
    """create, start, pause, unpause, restart, stop, wait, rename, remove."""
    container = engine.client.containers.create("busybox", "sleep 1000", name="life")
    assert container.status == "created"
    for verb, status in (("start", "running"), ("pause", "paused"), ("unpause", "running")):
        getattr(container, verb)()
        container.reload()
        assert container.status == status
    container.restart(timeout=0)
    container.rename("renamed")
    container.reload()
    assert (container.name, container.status) == ("renamed", "running")
    container.stop(timeout=0)
    assert container.wait()["StatusCode"] == 137
    container.remove()
    with pytest.raises(docker.errors.NotFound):
        container.reload()


def test_kill_and_conflicts(engine: Engine) -> None:
    """kill with a signal; killing a stopped one, and removing a running one, are conflicts."""
    container = engine.client.containers.run("busybox", "sleep 1000", detach=True)
    with pytest.raises(docker.errors.APIError) as caught:
        container.remove()
    assert caught.value.status_code == 409
    container.kill("SIGKILL")
    assert container.wait()["StatusCode"] == 137
    with pytest.raises(docker.errors.APIError) as caught:
        container.kill()
    assert caught.value.status_code == 409


def test_logs_stream_tail_and_timestamps(engine: Engine) -> None:
    """The whole, the last lines, with times, and as a stream that ends with the container."""
    container = engine.client.containers.run("busybox", ["sh", "-c", "seq 1 50; echo err >&2"], detach=True)
    container.wait()
    assert container.logs(stdout=True, stderr=False).split() == [b"%d" % n for n in range(1, 51)]
    assert container.logs(stdout=False, stderr=True) == b"err\n"
    assert len(container.logs(tail=7).splitlines()) == 7
    assert container.logs(timestamps=True, stderr=False).split()[0].endswith(b"Z")
    assert b"".join(container.logs(stream=True, follow=True)) == container.logs()


def test_logs_follow_a_running_container(engine: Engine) -> None:
    """A stream has each line when it is written."""
    script = "echo one; while [ ! -e /go ]; do sleep 0.05; done; echo two"
    container = engine.client.containers.run("busybox", ["sh", "-c", script], detach=True)
    lines: Iterator[bytes] = container.logs(stream=True, follow=True)
    assert next(lines) == b"one\n"
    container.exec_run(["touch", "/go"])
    assert next(lines) == b"two\n"
    assert list(lines) == []


def test_exec_run_gives_code_and_output(engine: Engine) -> None:
    """exec_run: together, apart, with user, environment, directory, and as a stream."""
    container = engine.client.containers.run("busybox", "sleep 1000", detach=True)
    assert container.exec_run("sh -c 'echo hi; exit 3'") == (3, b"hi\n")
    options = {"environment": ["X=y"], "user": "app", "workdir": "/tmp"}
    assert container.exec_run(["sh", "-c", "echo $X $(id -u) $PWD"], **options).output == b"y 1000 /tmp\n"
    assert container.exec_run(["sh", "-c", "echo o; echo e >&2"], demux=True).output == (b"o\n", b"e\n")
    assert b"".join(container.exec_run("seq 1 30000", stream=True).output).count(b"\n") == 30_000
    assert container.exec_run("tty", tty=True).output == b"/dev/pts/0\r\n"
    identifier = engine.client.api.exec_create(container.id, "sleep 1000", tty=True)["Id"]
    engine.client.api.exec_start(identifier, detach=True, tty=True)
    engine.client.api.exec_resize(identifier, height=30, width=100)
    assert engine.client.api.exec_inspect(identifier)["Running"] is True


def test_attach_socket_writes_and_reads(engine: Engine) -> None:
    """attach_socket is a raw stream in both directions."""
    container = engine.client.containers.create("busybox", "cat", stdin_open=True, tty=True)
    stream = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    stream._sock.sendall(b"hello\n")
    received = b""
    while received.count(b"hello") < 2:
        received += stream._sock.recv(4096)
    assert received == b"hello\r\nhello\r\n"
    container.resize(height=40, width=120)
    assert container.exec_run(["sh", "-c", "stty size < /proc/1/fd/0"]).output.strip() == b"40 120"
    stream.close()
    container.kill()


def test_attach_streams_output(engine: Engine) -> None:
    """attach(stream=True) has all output, demultiplexed."""
    container = engine.client.containers.create("busybox", ["sh", "-c", "echo out; echo err >&2"])
    stream = container.attach(stream=True, stdout=True, stderr=True, demux=True)
    container.start()
    parts = list(stream)
    assert b"".join(part[0] or b"" for part in parts) == b"out\n"
    assert b"".join(part[1] or b"" for part in parts) == b"err\n"


def test_wait_in_another_thread(engine: Engine) -> None:
    """A wait that stands while the container is killed."""
    container = engine.client.containers.run("busybox", "sleep 1000", detach=True)
    outcome: list[int] = []
    waiter = threading.Thread(target=lambda: outcome.append(container.wait(timeout=30)["StatusCode"]))
    waiter.start()
    container.kill()
    waiter.join(30)
    assert outcome == [137]


def test_ports_are_published(engine: Engine) -> None:
    """ports= publishes, and the attributes tell where."""
    command = ["httpd", "-f", "-p", "80", "-h", "/www"]
    container = engine.client.containers.run("busybox", command, detach=True, ports={"80/tcp": None})
    container.exec_run(["sh", "-c", "while ! netstat -ltn | grep -q ':80 '; do sleep 0.02; done"])
    container.reload()
    port = int(container.ports["80/tcp"][0]["HostPort"])
    with engine.connect(port) as sock:
        sock.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
        data = b""
        while chunk := sock.recv(65536):
            data += chunk
    assert data.endswith(b"hello from the container\n")


def test_list_with_filters(engine: Engine) -> None:
    """containers.list by status, label and name."""
    engine.client.containers.run("busybox", "sleep 1000", detach=True, name="one", labels={"a": "b"})
    engine.client.containers.create("busybox", name="two")
    listed = engine.client.containers.list
    assert [container.name for container in listed()] == ["one"]
    assert {container.name for container in listed(all=True)} == {"one", "two"}
    assert [container.name for container in listed(all=True, filters={"status": "created"})] == ["two"]
    assert [container.name for container in listed(all=True, filters={"label": "a=b"})] == ["one"]


def test_events_are_decoded(engine: Engine) -> None:
    """events(decode=True) between two times."""
    import time

    since = time.time()
    engine.client.containers.run("busybox", "true", remove=True)
    events = engine.client.events(since=since, until=time.time() + 0.01, decode=True, filters={"type": "container"})
    actions = [event["Action"] for event in events]
    assert actions[0] == "create"
    assert {"start", "die", "destroy"} <= set(actions)


def test_images_import_tag_save_load_remove(images: Engine) -> None:
    """The life of an image."""
    client = images.client
    client.api.import_image_from_data(busybox.root_filesystem(), repository="mine", tag="1", changes=["CMD echo made"])
    image = client.images.get("mine:1")
    assert client.containers.run("mine:1", remove=True) == b"made\n"
    assert image.tag("mine", "2")
    data = b"".join(image.save(named=True))
    client.images.remove("mine:1")
    client.images.remove("mine:2")
    loaded = client.images.load(io.BytesIO(data))
    assert [entry.id for entry in loaded] == [image.id]
    assert [entry["Size"] > 0 for entry in loaded[0].history()][:1] == [True]
    client.images.remove(image.id, force=True)
    assert [entry.tags for entry in client.images.list()] == [["busybox:latest"]]


def test_info_version_ping_df(engine: Engine) -> None:
    """The system calls."""
    assert engine.client.ping() is True
    assert engine.client.info()["OSType"] == "linux"
    assert engine.client.version()["Os"] == "linux"
    assert engine.client.df()["Images"][0]["RepoTags"] == ["busybox:latest"]
