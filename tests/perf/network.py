"""Containers' networks measured: throughput and new connections on three ways, and networks made and removed.

The same for each engine: a machine of the LAN is a namespace with a cable to the engine's own, and programs that send
run in the containers' namespaces, so that nothing but the way is measured. dockerd has its userland proxy, as ever.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.engines.busybox import IMAGE
from tests.engines.engine import Engine
from tests.engines.netns import in_network_of
from tests.engines.shoald import Shoald
from tests.perf.measures import Row, note
from tests.perf.subjects import IDLE, DaemonSubject, Subject

HOST_IP, LAN_IP = "198.18.0.1", "198.18.0.2"  # of the block for benchmarks, RFC 2544
_PORT, _INNER = 20_201, 5201
_SENT = "256M"
_CONNECTIONS = 200


@dataclass(frozen=True)
class Way:
    """From the namespace of one process to an address, which leads to the namespace of another."""

    title: str
    client: int
    server: int
    address: str
    port: int = _INNER


class ShoaldApart(Shoald):
    """shoald in a network namespace of its own, as `Dockerd` is: no other engine's rules are in its packets' way."""

    own_network = True

    def command(self) -> list[str]:
        """shoald behind a shell that brings up loopback first."""
        return ["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *super().command()]


def network_rows(subjects: list[Subject], rounds: int) -> list[Row]:
    """Throughput and connections by published port, between containers, and out; then networks themselves."""
    if not shutil.which("iperf3"):
        note("iperf3 is not installed: throughput is not measured")
    with contextlib.ExitStack() as stack:
        engines = []
        for subject in subjects:
            if isinstance(subject, DaemonSubject):
                engines.append(_apart(subject.engine, stack))
        rows = _way_rows({engine.name: stack.enter_context(_ways(engine)) for engine in engines}, rounds)
        return [*rows, _made_row(engines, rounds)]


def _apart(engine: Engine, stack: contextlib.ExitStack) -> Engine:
    if engine.own_network:
        return engine
    apart = ShoaldApart()
    stack.callback(apart.close)
    apart.start()
    apart.import_busybox()
    return apart


def _way_rows(ways: dict[str, list[Way]], rounds: int) -> list[Row]:
    """Two rows for each way, the engines taking turns."""
    rows = []
    measured = [("new connections", "/s", _connections)]
    if shutil.which("iperf3"):
        measured.insert(0, ("throughput", "Gbit/s", _throughput))
    for each in zip(*ways.values(), strict=True):
        for what, unit, measure in measured:
            row = Row(f"{what} {each[0].title}", unit, more_is_better=True)
            note(row.title)
            samples = [[measure(way) for way in each] for _ in range(rounds)]
            row.values = dict(zip(ways, map(statistics.median, zip(*samples, strict=True)), strict=True))
            rows.append(row)
    return rows


@contextmanager
def _ways(engine: Engine) -> Iterator[list[Way]]:
    """Two containers in a network of a user's own, one with a published port, and a machine outside."""
    with _lan(engine) as lan:
        engine.ok("network", "create", "bench-net")
        try:
            pids = []
            for name, options in (("bench-server", ["-p", f"{_PORT}:{_INNER}"]), ("bench-client", [])):
                engine.ok("run", "-d", "--name", name, "--network", "bench-net", *options, IMAGE, *IDLE)
                pids.append(int(engine.ok("inspect", "-f", "{{.State.Pid}}", name)))
            form = '{{(index .NetworkSettings.Networks "bench-net").IPAddress}}'
            inner = engine.ok("inspect", "-f", form, "bench-server")
            server, client = pids
            yield [
                Way("through a published port, from another machine", lan, server, HOST_IP, _PORT),
                Way("between two containers", client, server, inner),
                Way("from a container to another machine", client, lan, LAN_IP),
            ]
        finally:
            engine.docker("rm", "-f", "bench-server", "bench-client")
            engine.docker("network", "rm", "bench-net")


@contextmanager
def _lan(engine: Engine) -> Iterator[int]:
    """The process of a machine that is connected to the engine's."""
    machine = subprocess.Popen(["unshare", "-n", "sleep", "1000000"])
    try:
        while os.readlink(f"/proc/{machine.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.001)  # until unshare has done so, which nothing tells
        engine.ip("link", "add", "bench0", "type", "veth", "peer", "name", "eth0", "netns", str(machine.pid))
        engine.ip("address", "add", f"{HOST_IP}/30", "dev", "bench0")
        engine.ip("link", "set", "bench0", "up")
        for words in (f"address add {LAN_IP}/30 dev eth0", "link set lo up", "link set eth0 up"):
            subprocess.run(["nsenter", "-n", "-t", str(machine.pid), "ip", *words.split()], check=True)
        yield machine.pid
    finally:
        machine.kill()
        machine.wait()


def _throughput(way: Way) -> float:
    """Gigabits a second of one TCP connection, by iperf3."""
    serve = [*_in(way.server), "iperf3", "-s", "-1", "--forceflush", "-p", str(_INNER)]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            while "listening" not in server.stdout.readline():
                assert server.poll() is None, "iperf3 does not serve"
            ask = ["iperf3", "-c", way.address, "-p", str(way.port), "-n", _SENT, "-J"]
            done = subprocess.run([*_in(way.client), *ask], capture_output=True, text=True, check=True, timeout=30)
        finally:
            server.kill()
    return float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"]) / 1e9


def _in(pid: int) -> list[str]:
    return ["nsenter", "-n", "-t", str(pid)]


def _connections(way: Way) -> float:
    """TCP connections a second, one after the other, each closed by its server at once."""

    def listen() -> socket.socket:
        return socket.create_server(("0.0.0.0", _INNER), backlog=64)

    def connect() -> float:
        begin = time.perf_counter()
        for _ in range(_CONNECTIONS):
            with socket.create_connection((way.address, way.port), 5) as client:
                client.recv(1)
        return time.perf_counter() - begin

    with in_network_of(way.server, listen) as server:
        thread = threading.Thread(target=_accept, args=(server,))
        thread.start()
        try:
            return _CONNECTIONS / in_network_of(way.client, connect)
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _accept(server: socket.socket) -> None:
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return


def _made_row(engines: list[Engine], rounds: int) -> Row:
    """By the API, because the docker command alone takes longer than what is measured; the engines take turns."""
    row = Row("a network made and removed (API)", "ms")
    note(row.title)
    samples: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for _ in range(rounds + 1):
        for engine in engines:
            begin = time.perf_counter()
            made = engine.request("POST", "/networks/create", {"Name": "bench-made", "CheckDuplicate": True})
            gone = engine.request("DELETE", "/networks/bench-made")
            samples[engine.name].append((time.perf_counter() - begin) * 1000)
            assert (made.status, gone.status) == (201, 204), (made.body, gone.body)
    row.values = {name: statistics.median(values[1:]) for name, values in samples.items()}
    return row
