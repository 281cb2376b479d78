"""The relay between a supervisor and a syslog server that speaks TLS, as the program that it is."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from shoal.logs import tls_relay

Serve = Callable[[ssl.SSLSocket], None]
Relay = Callable[[Serve], tuple[socket.socket, subprocess.Popen[bytes]]]


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    """Starts a relay to a server that does what it is told; gives the supervisor's end, and the process."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("syslog.example").configure_cert(context)
    listener = socket.create_server(("127.0.0.1", 0))
    processes: list[subprocess.Popen[bytes]] = []
    threads: list[threading.Thread] = []

    def begin(serve: Serve) -> tuple[socket.socket, subprocess.Popen[bytes]]:
        ours, theirs = socket.socketpair()
        words = [sys.executable, "-SI", tls_relay.__file__, "127.0.0.1", str(listener.getsockname()[1])]
        with theirs:
            processes.append(
                subprocess.Popen([*words, "syslog.example", str(tmp_path / "ca.pem"), "", "", "0"], stdin=theirs)
            )

        def accept() -> None:
            plain = listener.accept()[0]
            with context.wrap_socket(plain, server_side=True, suppress_ragged_eofs=True) as client:
                serve(client)

        threads.append(threading.Thread(target=accept))
        threads[-1].start()
        return ours, processes[-1]

    with listener:
        yield begin
        for process in processes:
            process.kill()
            process.wait()
        for thread in threads:
            thread.join()


def test_relay_carries_all_and_ends_with_the_supervisor(relay: Relay) -> None:
    """More than the buffers hold arrives whole, and the end is TLS's own."""
    received: list[bytes] = []

    def serve(client: ssl.SSLSocket) -> None:
        while data := client.recv(1 << 16):
            received.append(data)
        client.unwrap()

    ours, process = relay(serve)
    with ours:
        ours.sendall(b"x" * 5_000_000)
    assert process.wait(10) == 0
    assert b"".join(received) == b"x" * 5_000_000


def test_relay_ends_when_the_server_leaves(relay: Relay) -> None:
    """A supervisor learns from its own socket that the server is away."""
    ours, process = relay(lambda _client: None)
    with ours:
        assert ours.recv(1) == b""
        assert process.wait(10) == 0


@pytest.mark.parametrize("waiting", [b"x" * 5_000_000, b"one"], ids=["in the middle", "at the end"])
def test_relay_does_not_outlive_the_supervisor_for_a_server_that_stalls(relay: Relay, waiting: bytes) -> None:
    """A server that takes nothing, or never says goodbye, is waited for some seconds."""
    is_over = threading.Event()

    def stall(_client: ssl.SSLSocket) -> None:
        is_over.wait(20)

    ours, process = relay(stall)
    try:
        with ours:
            ours.setblocking(False)
            while waiting:
                try:
                    waiting = waiting[ours.send(waiting) :]
                except BlockingIOError:
                    break
        assert process.wait(10) is not None
    finally:
        is_over.set()
