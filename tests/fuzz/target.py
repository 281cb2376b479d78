"""The engine under fire: how a made-up request reaches it, and what is never right as an answer."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.engines import busybox
from tests.engines.http import UnixConnection
from tests.engines.shoald import Shoald

# 501 is shoal's word for what it does not serve, 503 Docker's for what needs a swarm.
REFUSALS = (501, 503)
HEAD_S = 10
_SLACK = 6  # threads of the pool, and descriptors of theirs, come with the work
_STREAM_BYTES = 64 * 1024
_STREAM_S = 0.05
# Their answer takes as long as a container, or the client, wants it to.
PATIENT = ("ContainerStop", "ContainerRestart", "ContainerStats", "ContainerKill")
NAMES = ("it", "tty", "idle", "ended")


@dataclass(frozen=True)
class Attempt:
    """One request as it goes on the wire."""

    operation: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


class Target:
    """A shoald with containers of every state, which are put back when requests have taken them away."""

    def __init__(self, engine: Shoald) -> None:
        self.engine = engine

    def exec_id(self) -> str:
        """A fresh exec of the container that runs."""
        answer = self.engine.request("POST", "/containers/it/exec", {"Cmd": ["true"], "AttachStdout": True})
        return str(answer.json.get("Id", "none"))

    def prepare(self) -> None:
        """Puts back what the requests before have stopped, renamed or removed."""
        states = {entry["Names"][0][1:]: entry["State"] for entry in self._containers()}
        for name in set(states) - set(NAMES):
            self.engine.request("DELETE", f"/containers/{name}?force=1&v=1")
        for name in NAMES:
            if name not in states:
                self._create(name)
            if name in ("it", "tty") and states.get(name) != "running":
                self.engine.request("POST", f"/containers/{name}/unpause")
                self.engine.request("POST", f"/containers/{name}/start")
        self.engine.request("POST", "/volumes/create", {"Name": "data"})
        if self.engine.request("GET", f"/images/{busybox.IMAGE}/json").status != 200:
            self.engine.import_busybox()

    def _containers(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.engine.request("GET", "/containers/json?all=1").json
        return found

    def _create(self, name: str) -> None:
        command = ["true"] if name == "ended" else ["sleep", "1000"]
        body = {"Image": busybox.IMAGE, "Cmd": command, "Tty": name == "tty", "HostConfig": {"Init": True}}
        assert self.engine.request("POST", f"/containers/create?name={name}", body).status == 201
        if name == "ended":
            self.engine.request("POST", "/containers/ended/start")
            self.engine.request("POST", "/containers/ended/wait")

    def send(self, attempt: Attempt) -> int | None:
        """The status of the answer; None where it may wait, or the request was cut off. A stream is read a little.

        Raises: AssertionError for a failure of the engine's, or an answer that does not come.
        """
        connection = UnixConnection(self.engine.socket, timeout_s=HEAD_S)
        try:
            connection.putrequest(attempt.method, attempt.target, skip_host=False, skip_accept_encoding=True)
            for name, value in attempt.headers:
                connection.putheader(name, value)
            connection.endheaders(attempt.body)
            answer = connection.getresponse()
            status = answer.status
            self._read_a_little(connection.sock)
        except TimeoutError:
            assert attempt.operation in PATIENT, f"no answer in {HEAD_S} s to {attempt}"
            return None
        except (ConnectionError, socket.error):  # noqa: UP024 - a connection that the engine closed early is an answer
            return None
        finally:
            connection.close()
        assert status < 500 or status in REFUSALS, f"{status} to {attempt}: {self._told(attempt)}"
        return status

    def _read_a_little(self, connection: socket.socket | None) -> None:
        if connection is None:
            return  # the whole answer is there
        connection.settimeout(_STREAM_S)
        try:
            connection.recv(_STREAM_BYTES)
        except TimeoutError:
            pass  # a stream that has nothing to say yet

    def _told(self, attempt: Attempt) -> str:
        """The sentence of a failure, asked for once more."""
        answer = self.engine.request(attempt.method, attempt.target, attempt.body, dict(attempt.headers))
        return answer.body[:2000].decode(errors="replace")

    def run_newest(self) -> None:
        """Starts the container that was just made, and removes it."""
        newest = self._containers()[0]["Id"]
        self.send(Attempt("start", "POST", f"/containers/{newest}/start", (), None))
        self.send(Attempt("inspect", "GET", f"/containers/{newest}/json?size=1", (), None))
        self.send(Attempt("remove", "DELETE", f"/containers/{newest}?force=1&v=1", (), None))

    def holdings(self) -> tuple[int, int]:
        """How many descriptors the daemon has open, and how many threads and tasks it runs."""
        info = self.engine.request("GET", "/info").json
        return info["NFd"], info["NGoroutines"]

    def check_holdings(self, before: tuple[int, int]) -> None:
        """Raises: AssertionError where the daemon holds more than before, when its clients have gone for a while."""
        deadline = time.monotonic() + 15
        while any(now > then + _SLACK for now, then in zip(self.holdings(), before, strict=True)):
            assert time.monotonic() < deadline, f"{before} before, {self.holdings()} after: {self._descriptors()}"
            time.sleep(0.1)  # nothing tells when the last connection is closed

    def _descriptors(self) -> list[str]:
        """What the daemon has open."""
        return sorted(str(path.readlink()) for path in Path(f"/proc/{self.engine.pid}/fd").iterdir())

    def check_alive(self) -> None:
        """Raises: AssertionError where the engine serves no more."""
        assert self.engine.request("GET", "/_ping").body == b"OK"
