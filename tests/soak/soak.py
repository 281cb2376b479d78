"""A soak: clients that do random things, somebody who kills shoald and supervisors, and what must hold at the end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable

from tests.engines.http import UnixConnection
from tests.engines.shoald import Shoald
from tests.soak.client import Client
from tests.soak.history import History

CLIENTS = 4
PAUSE_S = (0.3, 2.5)
_JOIN_S = 60.0


class Events(threading.Thread):
    """Follows the daemon's events: a container starts and ends in turns, and nothing follows its destruction."""

    def __init__(self, engine: Shoald, history: History, stop: threading.Event) -> None:
        super().__init__(name="events", daemon=True)
        self._engine, self._history, self._stop_event = engine, history, stop
        self.seen = 0

    def run(self) -> None:
        """Until told to stop; a stream that breaks with the daemon is opened again."""
        while not self._stop_event.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                self._follow()
            self._stop_event.wait(0.05)

    def _follow(self) -> None:
        last: dict[str, str] = {}
        connection = UnixConnection(self._engine.socket, timeout_s=1.0)
        try:
            connection.request("GET", "/events")
            answer = connection.getresponse()
            while not self._stop_event.is_set():
                try:
                    line = answer.readline()
                except TimeoutError:
                    return  # quiet: a new connection, with new beginnings
                if not line:
                    return
                self._take(json.loads(line), last)
        finally:
            connection.close()

    def _take(self, event: dict[str, object], last: dict[str, str]) -> None:
        action = str(event["Action"])
        if event["Type"] != "container" or action not in ("create", "start", "die", "destroy"):
            return
        self.seen += 1
        id = str(event["Actor"]["ID"])  # type: ignore[index]
        before, last[id] = last.get(id), action
        wrong = before == action or before == "destroy" or (before == "start" and action != "die")
        if wrong and not self._history.disturbed(time.monotonic() - 1):
            self._history.fail("events", f"{before} was followed by {action} for container {id}")


class Soak:
    """One soak, reproducible by its seed as far as the machine's timing lets it."""

    def __init__(self, engine: Shoald, seed: int, *, say: Callable[[str], None] = lambda _: None) -> None:
        self.history = History()
        self._engine = engine
        self._say = say
        self._seed = seed
        self._chance = random.Random(f"{seed}-killer")
        self._stop = threading.Event()
        self._clients = [Client(engine, self.history, number, seed, self._stop) for number in range(CLIENTS)]
        self._events = Events(engine, self.history, self._stop)
        self.kills = 0

    def run(self, seconds: float) -> list[str]:
        """The failures, each with what led to it; the daemon runs afterwards, and has no container."""
        end = time.monotonic() + seconds
        for thread in (*self._clients, self._events):
            thread.start()
        try:
            self._kill_until(end)
        finally:
            self._stop.set()
            for client in self._clients:
                client.join(_JOIN_S)
                if client.is_alive():
                    self.history.fail(client.name, "it hangs")
        time.sleep(1.5)  # what was killed last may excuse nothing below
        if not self.history.failures:
            for client in self._clients:
                client.settle()
        self._events.join(_JOIN_S)
        if "Traceback" in self._engine.log:
            at = self._engine.log.index("Traceback")
            self.history.fail("shoald", self._engine.log[max(at - 500, 0) : at + 3000])
        self._engine.remove_containers()
        return self.history.failures

    def _kill_until(self, end: float) -> None:
        told = time.monotonic()
        while time.monotonic() < end and not self.history.failures:
            self._stop.wait(min(self._chance.uniform(*PAUSE_S), max(end - time.monotonic(), 0)))
            self._kill(self._chance.choice(("shoald", "supervisor", "supervisor", "both", "restart")))
            if time.monotonic() > told + 15:
                told = time.monotonic()
                self._say(f"{self.history.operations} operations, {self.kills} kills, {self._events.seen} events")

    def _kill(self, what: str) -> None:
        self.kills += 1
        self.history.killing()
        self.history.note("killer", what)
        victims = self._engine.supervisor_pids()
        if what in ("supervisor", "both"):
            for client in self._clients:
                client.witness_lost()
        if what == "restart":
            self._engine.stop()
        elif what != "supervisor":
            self._engine.kill9()
        if what in ("supervisor", "both") and victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._chance.choice(victims), signal.SIGKILL)
        if self._engine.process is None:
            self._engine.start()
        self.history.alive()
        self.history.note("killer", "all is back")
