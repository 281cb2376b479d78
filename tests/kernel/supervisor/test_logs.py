"""Log drivers in real supervisors: whole after every kill, past dead receivers, over TLS, with nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from shoal.logs.local_file import LocalFormat
from shoal.runtime.driver import Launch, LogSink, RemoteLog
from tests.kernel.supervisor.bench import Bench, on_bench
from tests.kernel.supervisor.test_death import COUNT, kill_supervisor

pytestmark = pytest.mark.root

LINES = [str(number) for number in range(1, 30_001)]


def logging_to(launch: Launch, remote: RemoteLog | None) -> Launch:
    """The launch with a log in the `local` format, which is the copy where there is a remote."""
    path = Path(launch.bundle_dir) / "local.log"
    return replace(launch, log=LogSink("local", str(path), remote=remote))


def lines_of(launch: Launch) -> list[str]:
    """The lines in its `local` file."""
    data = Path(launch.log.path).read_bytes()
    entries, length = LocalFormat().parse(data)
    assert length == len(data)
    return b"".join(entry.data for entry in entries).decode().split()


async def accept(server: socket.socket) -> socket.socket:
    """The next connection."""
    async with asyncio.timeout(10):
        connection, _ = await asyncio.get_running_loop().sock_accept(server)
    return connection


async def read_until(connection: socket.socket, text: bytes) -> bytes:
    """What comes until `text` has come."""
    data = b""
    async with asyncio.timeout(20):
        while text not in data:
            piece = await asyncio.get_running_loop().sock_recv(connection, 1 << 16)
            if not piece:
                break
            data += piece
    return data


@pytest.mark.parametrize("delay_s", [0.0, 0.03, 0.07, 0.15])
def test_local_is_whole_after_a_kill(tmp_path: Path, delay_s: float) -> None:
    """Killed in the middle of heavy output, the log has every line once."""

    async def body(bench: Bench) -> None:
        launch = logging_to(bench.launch("sh", "-c", COUNT), None)
        await bench.start(launch)
        await asyncio.sleep(delay_s)
        if not bench.exit_future((launch.id, None)).done():
            await kill_supervisor(bench)
        await bench.exit_of(launch)
        assert lines_of(launch) == LINES

    on_bench(tmp_path, body)


def test_copy_of_a_remote_log_is_whole_after_a_kill(tmp_path: Path) -> None:
    """The copy has every line once; the server has every line, those around the kill perhaps twice."""

    async def body(bench: Bench) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setblocking(False)
            remote = RemoteLog("tcp", *server.getsockname(), tag="t", hostname="h")
            launch = logging_to(bench.launch("sh", "-c", COUNT), remote)
            await bench.start(launch)
            first = await accept(server)
            begin = await read_until(first, b": 500\n")
            await kill_supervisor(bench)
            rest = read_until(first, b"never")
            second = await accept(server)
            begin += await rest
            end = await read_until(second, b": 30000\n")
            await bench.exit_of(launch)
            assert lines_of(launch) == LINES
            # What was in the buffers of a server that read all the while was not much.
            told = {line.rpartition(b": ")[2] for line in (begin + end).splitlines()}
            assert {line.encode() for line in LINES} - told == set()
            first.close()
            second.close()

    on_bench(tmp_path, body)


def test_receiver_that_never_was_costs_no_line_of_the_copy(tmp_path: Path) -> None:
    """A dead server stops nobody, and the container's end waits for nothing."""

    async def body(bench: Bench) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = server.getsockname()
        launch = logging_to(bench.launch("sh", "-c", COUNT), RemoteLog("tcp", *address))
        await bench.start(launch)
        await bench.exit_of(launch)
        assert lines_of(launch) == LINES
        assert any("log receiver tcp://127.0.0.1" in text for _, text in bench.logs)

    on_bench(tmp_path, body)


def test_receiver_that_stalls_holds_its_container_alone(tmp_path: Path) -> None:
    """One container waits for its server, in the same supervisor another one prints and is logged."""

    async def body(bench: Bench) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            stalled = bench.launch("sh", "-c", "while :; do echo flood flood flood; done", log="none")
            remote = RemoteLog("tcp", *server.getsockname(), queue_bytes=10_000)
            stalled = replace(stalled, log=LogSink("none", remote=remote))
            started = await bench.start(stalled)
            await asyncio.sleep(0.5)
            output, _ = await bench.run("sh", "-c", COUNT)
            assert output.decode().split() == LINES
            assert len(bench.supervisor_pids()) == 1
            os.kill(started.pid, signal.SIGKILL)
            await bench.exit_of(stalled)

    on_bench(tmp_path, body)


def test_journal_gets_fields_and_lines(tmp_path: Path) -> None:
    """The native protocol, over a socket that stands in for systemd's."""

    async def body(bench: Bench) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.bind(str(tmp_path / "journal"))
            journal.setblocking(False)
            fields = {"CONTAINER_NAME": "web", "SYSLOG_IDENTIFIER": "web"}
            remote = RemoteLog("unixgram", str(tmp_path / "journal"), format="journald", fields=fields)
            launch = logging_to(bench.launch("sh", "-c", "echo out; sleep 0.1; echo err >&2"), remote)
            await bench.start(launch)
            async with asyncio.timeout(10):
                messages = [await asyncio.get_running_loop().sock_recv(journal, 1 << 16) for _ in range(2)]
            await bench.exit_of(launch)
            for message, priority, line in zip(messages, (b"6", b"3"), (b"out", b"err"), strict=True):
                found = dict(pair.split(b"=", 1) for pair in message.splitlines())
                assert found.pop(b"SYSLOG_TIMESTAMP")
                expected = {b"PRIORITY": priority, b"CONTAINER_NAME": b"web", b"SYSLOG_IDENTIFIER": b"web"}
                assert found == {**expected, b"MESSAGE": line}
            assert lines_of(launch) == ["out", "err"]

    on_bench(tmp_path, body)


def test_syslog_over_tls(tmp_path: Path) -> None:
    """A relay beside the supervisor speaks TLS, checks the server's name, and ends with the container."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("syslog.example").configure_cert(context)

    async def body(bench: Bench) -> None:
        received = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            data = await reader.read()
            writer.close()
            if not received.done():
                received.set_result(data)

        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
            host, port = server.sockets[0].getsockname()
            tls = ("syslog.example", str(tmp_path / "ca.pem"), "", "", "0")
            remote = RemoteLog("tcp+tls", host, port, format="rfc5424", tag="web", hostname="h", tls=tls)
            launch = logging_to(bench.launch("sh", "-c", "echo one; sleep 0.2; echo two"), remote)
            await bench.start(launch)
            await bench.exit_of(launch)
            data = await asyncio.wait_for(received, 10)
        sizes_and_lines = [line.split(b" ", 1) for line in data.splitlines(keepends=True)]
        assert [line[-5:] for _, line in sizes_and_lines] == [b" one\n", b" two\n"]
        assert all(int(size) == len(line) for size, line in sizes_and_lines)

    on_bench(tmp_path, body)
