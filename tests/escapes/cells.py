"""Containers for attackers, by the API alone: what they run, what it prints, and a Python to attack with."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.engines.engine import Engine
from tests.engines.http import Response

# The interpreter of the tests, and what it is made of, read-only: system calls need no compiler in the container.
PYTHON = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
_PLACES = ["/usr", "/lib", "/lib64", *([] if sys.base_prefix.startswith("/usr") else [sys.base_prefix])]
PYTHON_BINDS = [f"{os.path.realpath(place)}:{place}:ro" for place in _PLACES if os.path.isdir(place)]
# What Docker gives, and what a user may add without giving the host away.
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "seccomp-unconfined": {"SecurityOpt": ["seccomp=unconfined"]},
    "apparmor-unconfined": {"SecurityOpt": ["apparmor=unconfined"]},
    "cgroupns-host": {"CgroupnsMode": "host"},
    "cgroupns-private": {"CgroupnsMode": "private"},
    "vfs-like-root": {"ReadonlyRootfs": True, "Tmpfs": {"/tmp": ""}},
}


def create(engine: Engine, name: str, command: list[str], host: dict[str, Any] | None = None, **more: Any) -> Response:
    """The answer to the creation of a container."""
    body = {"Image": "busybox", "Cmd": command, "HostConfig": host or {}, **more}
    return engine.request("POST", f"/containers/create?name={name}", body)


def start(engine: Engine, name: str, command: list[str], host: dict[str, Any] | None = None, **more: Any) -> None:
    """A container that runs."""
    created = create(engine, name, command, host, **more)
    assert created.status == 201, created.body
    started = engine.request("POST", f"/containers/{name}/start")
    assert started.status == 204, started.body


def run(engine: Engine, command: list[str], host: dict[str, Any] | None = None, **more: Any) -> tuple[int | None, str]:
    """Exit code and output of a container, which is gone afterwards; (None, the refusal) where it did not start."""
    created = create(engine, "cell", command, host, **more)
    if created.status != 201:
        return None, created.message
    try:
        started = engine.request("POST", "/containers/cell/start")
        if started.status != 204:
            return None, started.message
        code = int(engine.request("POST", "/containers/cell/wait").json["StatusCode"])
        return code, output(engine, "cell", terminal=bool(more.get("Tty")))
    finally:
        engine.request("DELETE", "/containers/cell?force=1&v=1")


def output(engine: Engine, name: str, *, terminal: bool = False) -> str:
    """All that a container has written so far."""
    data = engine.request("GET", f"/containers/{name}/logs?stdout=1&stderr=1").body
    return data.decode(errors="replace") if terminal else unframed(data)


def unframed(data: bytes) -> str:
    """The text of a multiplexed stream."""
    text = b""
    while data:
        size = int.from_bytes(data[4:8], "big")
        text, data = text + data[8 : 8 + size], data[8 + size :]
    return text.decode(errors="replace")


def exec(engine: Engine, name: str, command: list[str], **settings: Any) -> tuple[int | None, str]:
    """Exit code and output of one more process; (None, the refusal) where it did not come to be."""
    body = {"Cmd": command, "AttachStdout": True, "AttachStderr": True, **settings}
    made = engine.request("POST", f"/containers/{name}/exec", body)
    if made.status != 201:
        return None, made.message
    id = made.json["Id"]
    started = engine.request("POST", f"/exec/{id}/start", {"Detach": False, "Tty": bool(settings.get("Tty"))})
    if started.status not in (101, 200):
        return None, started.message
    text = started.body.decode(errors="replace") if settings.get("Tty") else unframed(started.body)
    return engine.request("GET", f"/exec/{id}/json").json["ExitCode"], text


def attempts(engine: Engine, program: str, host: dict[str, Any] | None = None, **more: Any) -> dict[str, str]:
    """What a Python program in a container tells of its attempts, as JSON on its last line: name and outcome."""
    host = {**(host or {})}
    host["Binds"] = [*host.get("Binds", []), *PYTHON_BINDS]
    code, text = run(engine, [PYTHON, "-ISc", program], host, **more)
    assert code == 0, text
    told: dict[str, str] = json.loads(text.strip().splitlines()[-1])
    return told


@contextmanager
def repeated(engine: Engine, method: str, target: str) -> Iterator[None]:
    """While the block runs, a client asks this again and again, whatever the answer."""
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            engine.request(method, target)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
