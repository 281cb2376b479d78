"""Processes of shoal that are killed at the worst moments: containers go on, nothing is lost, nothing leaks.

Against shoald alone: no other engine promises this. The fixture's end asserts that nothing is left on the machine.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.engines.shoald import Shoald

COUNT = "i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i; usleep 2000; done; exit 7"
# The same for one that is to live until it is told to end, however long the machine takes.
COUNT_AND_STAY = COUNT.replace("exit 7", "while [ ! -e /end ]; do usleep 2000; done; exit 7")
PATIENCE_S = 30


def start(engine: Shoald, name: str, script: str, **settings: object) -> str:
    """The id of a new, running container."""
    body = {"Image": "busybox", "Cmd": ["sh", "-c", script], **settings}
    created = engine.request("POST", f"/containers/create?name={name}", body)
    assert created.status == 201, created.body
    started = engine.request("POST", f"/containers/{name}/start")
    assert started.status == 204, started.body
    return str(created.json["Id"])


def state(engine: Shoald, name: str) -> dict[str, object]:
    """Its State in inspect."""
    got = engine.inspect(name)["State"]
    assert isinstance(got, dict)
    return got


def logs(engine: Shoald, name: str) -> list[str]:
    """The lines of its stdout so far, the frames' headers taken off."""
    data = engine.request("GET", f"/containers/{name}/logs?stdout=1").body
    text = b""
    while data:
        size = int.from_bytes(data[4:8], "big")
        text, data = text + data[8 : 8 + size], data[8 + size :]
    return text.decode().splitlines()


def until(condition: Callable[[], bool], what: str) -> None:
    """Return when a condition holds that nothing announces; fails after PATIENCE_S."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s in vain for: {what}"
        time.sleep(0.02)


def ends_with(engine: Shoald, name: str) -> int:
    """The exit code that wait reports."""
    return int(engine.request("POST", f"/containers/{name}/wait").json["StatusCode"])


def kill_supervisors(engine: Shoald) -> None:
    """Kill -9 every supervisor."""
    pids = engine.supervisor_pids()
    assert pids, "no supervisor was found"
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def exec_output(engine: Shoald, name: str, *command: str) -> bytes:
    """What a command in a running container prints."""
    created = engine.request("POST", f"/containers/{name}/exec", {"Cmd": command, "AttachStdout": True, "Tty": True})
    assert created.status == 201, created.body
    return engine.request("POST", f"/exec/{created.json['Id']}/start", {"Tty": True}).body


def whole(lines: int) -> list[str]:
    """The log of COUNT."""
    return [f"line {number}" for number in range(1, lines + 1)]


def test_shoald_killed_container_goes_on_and_is_found_again(private_shoald: Shoald) -> None:
    """The same process, its log without a gap, exec, and the right exit code at its end."""
    engine = private_shoald
    start(engine, "it", COUNT_AND_STAY.format(lines=600))
    pid = state(engine, "it")["Pid"]
    engine.kill9()
    assert os.path.exists(f"/proc/{pid}")
    engine.start()
    assert (state(engine, "it")["Running"], state(engine, "it")["Pid"]) == (True, pid)
    assert exec_output(engine, "it", "sh", "-c", "echo alive; touch /end") == b"alive\r\n"
    assert ends_with(engine, "it") == 7
    assert logs(engine, "it") == whole(600)


def test_shoald_killed_end_in_the_meantime_is_recorded(private_shoald: Shoald) -> None:
    """A program that ends while no shoald runs has its exit code all the same, and the log says what was repaired."""
    engine = private_shoald
    start(engine, "it", COUNT.format(lines=20))
    pid = state(engine, "it")["Pid"]
    engine.kill9()
    until(lambda: not os.path.exists(f"/proc/{pid}"), "the program's end")
    engine.start()
    assert (state(engine, "it")["Status"], state(engine, "it")["ExitCode"]) == ("exited", 7)
    assert logs(engine, "it") == whole(20)
    assert "while shoald was away" in engine.log


def test_shoald_killed_during_a_commit_does_not_leave_the_container_paused(private_shoald: Shoald) -> None:
    """The pause was the commit's, which has ended with shoald; a user's own pause stays."""
    engine = private_shoald
    for name in ("it", "kept"):
        start(
            engine, name, "dd if=/dev/zero of=/file bs=1M count=64 2> /dev/null; while :; do date; usleep 20000; done"
        )
    until(lambda: len(logs(engine, "it")) > 0, "the file")
    assert engine.request("POST", "/containers/kept/pause").status == 204

    def commit() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            engine.request("POST", "/commit?container=it&repo=half")

    committing = threading.Thread(target=commit)
    committing.start()
    until(lambda: state(engine, "it")["Paused"] is True, "the commit's pause")
    engine.kill9()
    committing.join()
    engine.start()
    assert (state(engine, "it")["Status"], state(engine, "kept")["Status"]) == ("running", "paused")
    lines = len(logs(engine, "it"))
    until(lambda: len(logs(engine, "it")) > lines, "the container to go on")
    assert engine.request("GET", "/images/half/json").status == 404


def test_shoald_killed_attached_client_goes_on(private_shoald: Shoald) -> None:
    """A client's stream belongs to the supervisor: it has all output though shoald dies in the middle."""
    engine = private_shoald
    body = {"Image": "busybox", "Cmd": ["sh", "-c", COUNT.format(lines=300)], "Tty": True}
    assert engine.request("POST", "/containers/create?name=it", body).status == 201
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect(engine.socket)
        target = "/containers/it/attach?stream=1&stdout=1"
        head = f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        client.sendall(f"{head}Content-Length: 0\r\n\r\n".encode())
        received = client.recv(4096)
        assert engine.request("POST", "/containers/it/start").status == 204
        received += client.recv(4096)
        engine.kill9()
        while chunk := client.recv(65536):
            received += chunk
    assert received.partition(b"\r\n\r\n")[2].decode().split("\r\n")[:-1] == whole(300)
    engine.start()
    assert state(engine, "it")["ExitCode"] == 7


def test_supervisor_killed_container_goes_on(private_shoald: Shoald) -> None:
    """A successor takes the streams up: no SIGPIPE, no gap in the log; exec and the exit code are right."""
    engine = private_shoald
    start(engine, "it", COUNT_AND_STAY.format(lines=800))
    until(lambda: len(logs(engine, "it")) > 50, "the first lines")
    kill_supervisors(engine)
    until(lambda: len(logs(engine, "it")) > 300, "lines after the supervisor's death")
    assert exec_output(engine, "it", "sh", "-c", "echo alive; touch /end") == b"alive\r\n"
    assert ends_with(engine, "it") == 7
    assert logs(engine, "it") == whole(800)


def test_supervisor_killed_with_a_terminal_and_input(private_shoald: Shoald) -> None:
    """shoald keeps a duplicate of the terminal: the shell inside is not hung up, and a new client talks to it."""
    engine = private_shoald
    start(engine, "it", "while read line; do echo got $line; done", Tty=True, OpenStdin=True)
    pid = state(engine, "it")["Pid"]
    kill_supervisors(engine)
    until(lambda: exec_output(engine, "it", "echo", "alive") == b"alive\r\n", "a successor")
    assert state(engine, "it")["Pid"] == pid
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect(engine.socket)
        target = "/containers/it/attach?stream=1&stdin=1&stdout=1"
        head = f"POST {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        client.sendall(f"{head}Content-Length: 0\r\n\r\n".encode())
        received = client.recv(4096)
        client.sendall(b"hello\n")
        while b"got hello\r\n" not in received:
            chunk = client.recv(4096)
            assert chunk, received
            received += chunk


def test_both_killed_container_goes_on(private_shoald: Shoald) -> None:
    """Nobody of shoal is left, the program runs; the next start adopts it, with its log and its exit code."""
    engine = private_shoald
    start(engine, "it", COUNT_AND_STAY.format(lines=900))
    pid = state(engine, "it")["Pid"]
    until(lambda: len(logs(engine, "it")) > 50, "the first lines")
    supervisors = engine.supervisor_pids()
    engine.kill9()
    for supervisor in supervisors:
        os.kill(supervisor, signal.SIGKILL)
    assert os.path.exists(f"/proc/{pid}")
    engine.start()
    assert (state(engine, "it")["Running"], state(engine, "it")["Pid"]) == (True, pid)
    assert exec_output(engine, "it", "sh", "-c", "echo alive; touch /end") == b"alive\r\n"
    code = ends_with(engine, "it")
    assert code == 7 or (code == -1 and not kernel_tells_exit_codes())
    assert logs(engine, "it") == whole(900)


def kernel_tells_exit_codes() -> bool:
    """Whether this kernel gives an exit code through a pidfd to one who is not the parent (6.15 and later)."""
    major, minor = (int(part) for part in os.uname().release.split(".")[:2])
    return (major, minor) >= (6, 15)


def test_both_killed_end_in_the_meantime_is_unknown(private_shoald: Shoald) -> None:
    """Where nobody could see how it ended, the exit code is told as unknown, never as success."""
    engine = private_shoald
    start(engine, "it", COUNT.format(lines=100))
    pid = int(str(state(engine, "it")["Pid"]))
    supervisors = engine.supervisor_pids()
    engine.kill9()
    for supervisor in supervisors:
        os.kill(supervisor, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not _runs(pid), "the program's end")
    engine.start()
    after = state(engine, "it")
    assert after["Status"] == "exited"
    assert after["ExitCode"] == -1
    assert "unknown" in str(after["Error"])
    assert "unknown exit code" in engine.log


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_shutdown_leaves_containers_and_the_next_start_has_them(private_shoald: Shoald) -> None:
    """SIGTERM ends shoald with status 0 and leaves the containers running; ports and names are kept."""
    engine = private_shoald
    port = engine.free_port()
    binding = {"PortBindings": {"80/tcp": [{"HostPort": str(port)}]}}
    start(engine, "web", "exec httpd -f -p 80 -h /www", HostConfig=binding, ExposedPorts={"80/tcp": {}})
    pid = state(engine, "web")["Pid"]
    assert engine.stop() == 0
    assert os.path.exists(f"/proc/{pid}")
    engine.start()
    assert state(engine, "web")["Pid"] == pid
    until(lambda: _answers(engine, port), "the published port")
    assert engine.request("POST", "/containers/create?name=web", {"Image": "busybox"}).status == 409
    assert engine.request("POST", "/containers/web/stop?t=0").status == 204
    engine.listen(port).close()


def _answers(engine: Shoald, port: int) -> bool:
    try:
        with engine.connect(port) as sock:
            sock.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
            return sock.recv(65536).startswith(b"HTTP/1.")
    except OSError:
        return False


def test_shutdown_with_the_flag_stops_the_containers() -> None:
    """--shutdown-containers: SIGTERM to shoald ends them in the ordinary way."""
    engine = Shoald("--shutdown-containers")
    try:
        engine.start()
        engine.import_busybox()
        start(engine, "it", "trap 'exit 3' TERM; echo ready; while :; do usleep 20000; done")
        pid = state(engine, "it")["Pid"]
        until(lambda: logs(engine, "it") == ["ready"], "the program's trap")
        assert engine.stop() == 0
        assert not os.path.exists(f"/proc/{pid}")
        engine.start()
        assert (state(engine, "it")["Status"], state(engine, "it")["ExitCode"]) == ("exited", 3)
    finally:
        engine.close()


def test_shutdown_with_the_flag_brings_unless_stopped_back() -> None:
    """What the daemon stopped because it left itself starts again with it; what a user had stopped does not."""
    engine = Shoald("--shutdown-containers")
    policy = {"HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}}}
    try:
        engine.start()
        engine.import_busybox()
        for name in ("stays", "stopped"):
            start(engine, name, "trap 'exit 0' TERM; while :; do sleep 0.1; done", **policy)
        assert engine.request("POST", "/containers/stopped/stop?t=0").status == 204
        assert engine.stop() == 0
        engine.start()
        until(lambda: state(engine, "stays")["Status"] == "running", "the start by the policy")
        assert state(engine, "stopped")["Status"] == "exited"
    finally:
        engine.close()


def test_shoald_killed_during_a_back_off_starts_the_container_again(private_shoald: Shoald) -> None:
    """A container that waits for its restart policy while shoald is killed is not forgotten."""
    engine = private_shoald
    policy = {"HostConfig": {"RestartPolicy": {"Name": "on-failure"}}}
    start(engine, "it", "test -e /once || { touch /once; exit 1; }; exec sleep 1000", **policy)
    until(lambda: state(engine, "it")["Status"] != "running" or engine.inspect("it")["RestartCount"] == 1, "its end")
    engine.kill9()
    engine.start()
    until(lambda: state(engine, "it")["Status"] == "running", "the start by the policy")
    assert engine.inspect("it")["RestartCount"] == 1


def busy(engine: Shoald, worker: int, stop: threading.Event) -> None:
    """Create, start and remove containers until told to stop; a daemon that is away is tried again."""
    number = 0
    while not stop.is_set():
        number += 1
        name = f"w{worker}-{number}"
        try:
            engine.request("POST", f"/containers/create?name={name}", {"Image": "busybox", "Cmd": ["sleep", "1000"]})
            engine.request("POST", f"/containers/{name}/start")
            if number % 8:
                engine.request("DELETE", f"/containers/{name}?force=1")
        except (OSError, http.client.HTTPException):
            stop.wait(0.05)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_random_moments_leaves_nothing_broken(private_shoald: Shoald, seed: int) -> None:
    """shoald, a supervisor, or both, killed while three clients work: afterwards each container runs or has ended."""
    engine, chance = private_shoald, random.Random(seed)
    start(engine, "steady", "exec sleep 1000")
    steady = state(engine, "steady")["Pid"]
    stop = threading.Event()
    workers = [threading.Thread(target=busy, args=(engine, number, stop)) for number in range(3)]
    for worker in workers:
        worker.start()
    try:
        for _ in range(5):
            time.sleep(chance.uniform(0.05, 0.6))  # the moment is the point
            what = chance.choice(["shoald", "supervisor", "both"])
            victims = engine.supervisor_pids()
            if what != "supervisor":
                engine.kill9()
            if what != "shoald" and victims:
                for pid in victims if what == "both" else [chance.choice(victims)]:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            if engine.process is None:
                engine.start()
    finally:
        stop.set()
        for worker in workers:
            worker.join(PATIENCE_S)
    check_all(engine, str(steady))


def check_all(engine: Shoald, steady: str) -> None:
    """Assert that the steady container has lived through it, and that what the API says of the others is true."""
    assert str(state(engine, "steady")["Pid"]) == steady
    assert exec_output(engine, "steady", "echo", "alive") == b"alive\r\n"
    for entry in engine.request("GET", "/containers/json?all=1").json:
        until(partial(is_sound, engine, entry["Id"]), f"a sound state of {entry['Names'][0]}")


def is_sound(engine: Shoald, id: str) -> bool:
    """Whether a container is gone, has ended and says so, or runs and answers an exec."""
    answer = engine.request("GET", f"/containers/{id}/json")
    if answer.status == 404:
        return True
    now = answer.json["State"]
    if now["Running"]:
        created = engine.request("POST", f"/containers/{id}/exec", {"Cmd": ["true"]})
        return created.status == 201 and engine.request("POST", f"/exec/{created.json['Id']}/start", {}).status == 200
    return now["Status"] in {"created", "exited"} and now["Pid"] == 0
