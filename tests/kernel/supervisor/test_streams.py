"""What goes in and out of containers: clients, terminals, logs, and much more than a pipe holds."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from pathlib import Path

import pytest

from shoal.errors import Conflict
from tests.kernel.supervisor.bench import Bench, client, on_bench

pytestmark = pytest.mark.root

MIB = 1 << 20


def frames(data: bytes) -> dict[int, bytes]:
    """The bytes of each stream out of stdcopy frames."""
    streams: dict[int, bytes] = {}
    while data:
        number, length = struct.unpack(">B3xI", data[:8])
        streams[number] = streams.get(number, b"") + data[8 : 8 + length]
        data = data[8 + length :]
    return streams


def test_attach_mux_separates_stdout_and_stderr(tmp_path: Path) -> None:
    """Without a terminal, frames say which stream the bytes are of."""

    async def body(bench: Bench) -> None:
        reader, attached = client(mux=True)
        launch = bench.launch("sh", "-c", "echo out; echo err >&2; echo out2", clients=(attached,))
        await bench.start(launch)
        assert frames(await reader.all()) == {1: b"out\nout2\n", 2: b"err\n"}

    on_bench(tmp_path, body)


def test_log_holds_records_as_dockers(tmp_path: Path) -> None:
    """One JSON object a line with log, stream and time; what lacks a newline comes last, without one."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sh", "-c", "echo 'a<b'; echo e >&2; printf end")
        await bench.start(launch)
        await bench.exit_of(launch)
        text = bench.log_text(launch)
        assert '"log":"a\\u003cb\\n","stream":"stdout","time":"' in text
        records = [json.loads(line) for line in text.splitlines()]
        assert {(r["log"], r["stream"]) for r in records} == {("a<b\n", "stdout"), ("e\n", "stderr"), ("end", "stdout")}

    on_bench(tmp_path, body)


def test_stdin_half_close_ends_input_and_output_goes_on(tmp_path: Path) -> None:
    """`echo hi | docker run -i cat`: the client's end of input is the program's, and it still gets the output."""

    async def body(bench: Bench) -> None:
        reader, attached = client(early=b"first ")
        launch = bench.launch("cat", open_stdin=True, clients=(attached,))
        await bench.start(launch)
        await reader.send(b"hi\n")
        reader.end_input()
        assert await reader.all() == b"first hi\n"
        assert (await bench.exit_of(launch)).code == 0

    on_bench(tmp_path, body)


def test_stdin_client_that_sends_and_vanishes_is_heard(tmp_path: Path) -> None:
    """Input that was sent before the connection was closed reaches the program, and then its end."""

    async def body(bench: Bench) -> None:
        reader, attached = client()
        launch = bench.launch("cat", open_stdin=True, clients=(attached,))
        await reader.send(b"hello\n" * 20_000)
        reader.sock.close()
        await bench.start(launch)
        assert (await bench.exit_of(launch)).code == 0
        assert bench.log_text(launch).count("hello") == 20_000

    on_bench(tmp_path, body)


def test_mebibyte_through_stdin_and_stdout_is_whole(tmp_path: Path) -> None:
    """Far more than the pipes hold passes in both directions at once."""
    data = bytes(range(256)) * (4 * MIB // 256)

    async def body(bench: Bench) -> None:
        reader, attached = client()
        launch = bench.launch("cat", open_stdin=True, clients=(attached,), log="none")
        await bench.start(launch)

        async def feed() -> None:
            await reader.send(data)
            reader.end_input()

        feeding = asyncio.ensure_future(feed())
        assert await reader.all() == data
        await feeding
        assert (await bench.exit_of(launch)).code == 0

    on_bench(tmp_path, body)


def test_mebibyte_of_lines_is_in_the_log_and_at_the_client(tmp_path: Path) -> None:
    """Nothing is lost between the program, the log and the client."""

    async def body(bench: Bench) -> None:
        output, exit = await bench.run("seq", "1", "200000")
        assert exit.code == 0
        assert output == b"".join(b"%d\n" % n for n in range(1, 200_001))

    on_bench(tmp_path, body)


def test_log_rotation_keeps_the_newest_files_within_the_limit(tmp_path: Path) -> None:
    """At most five files of the size that was set, and no record is cut."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("seq", "1", "20000", max_size_bytes=100_000)
        await bench.start(launch)
        await bench.exit_of(launch)
        files = sorted(Path(launch.log.path).parent.glob("log.json*"))
        assert len(files) == 5
        assert all(file.stat().st_size <= 100_000 for file in files)
        last = [json.loads(line)["log"] for line in bench.log_text(launch).splitlines()]
        assert last[-1] == "20000\n"

    on_bench(tmp_path, body)


def test_two_clients_get_the_same_and_both_may_type(tmp_path: Path) -> None:
    """Clients come and go at any time; each gets what is printed while it is there."""

    async def body(bench: Bench) -> None:
        first, attached = client()
        launch = bench.launch("cat", open_stdin=True, stdin_once=False, clients=(attached,))
        await bench.start(launch)
        second, other = client()
        await bench.attach(launch, other)
        await first.send(b"one\n")
        assert await first.until(b"one\n") == await second.until(b"one\n") == b"one\n"
        first.sock.close()
        await second.send(b"two\n")
        assert await second.until(b"two\n") == b"two\n"
        second.end_input()
        await bench.driver.signal(launch.id, None, 9)
        assert await second.all() == b""

    on_bench(tmp_path, body)


def test_slow_client_holds_the_program_and_loses_nothing(tmp_path: Path) -> None:
    """A client that does not read stops the program once a bound is reached; then it gets every byte."""

    async def body(bench: Bench) -> None:
        reader, attached = client(stdin=False)
        script = "dd if=/dev/zero bs=65536 count=200 2>/dev/null; echo end"
        launch = bench.launch("sh", "-c", script, clients=(attached,), log="none")
        await bench.start(launch)
        await asyncio.sleep(0.5)  # long enough for all of it, if nobody held it back
        assert not bench.exit_future((launch.id, None)).done()
        assert len(await reader.all()) == 200 * 65536 + 4
        assert (await bench.exit_of(launch)).code == 0

    on_bench(tmp_path, body)


def test_client_that_vanishes_does_not_hold_the_program(tmp_path: Path) -> None:
    """A closed connection is forgotten; the program goes on."""

    async def body(bench: Bench) -> None:
        reader, attached = client(stdin=False)
        launch = bench.launch("sh", "-c", "dd if=/dev/zero bs=65536 count=100; true", clients=(attached,), log="none")
        await bench.start(launch)
        reader.sock.close()
        assert (await bench.exit_of(launch)).code == 0

    on_bench(tmp_path, body)


def test_detach_keys_split_over_reads_let_the_container_run(tmp_path: Path) -> None:
    """Ctrl-P, then Ctrl-Q in another packet: the client is let go, what it typed before is not lost."""

    async def body(bench: Bench) -> None:
        reader, attached = client(keys=b"\x10\x11")
        launch = bench.launch("cat", open_stdin=True, terminal=True, clients=(attached,))
        await bench.start(launch)
        await reader.send(b"typed\n\x10")
        await reader.until(b"typed\r\ntyped\r\n")
        await reader.send(b"\x11")
        assert await reader.all() == b""
        async with asyncio.timeout(5):
            while bench.detached != [launch.id]:
                await asyncio.sleep(0.01)
        again, attached = client()
        await bench.attach(launch, attached)
        await again.send(b"back\n")
        await again.until(b"back\r\nback\r\n")

    on_bench(tmp_path, body)


def test_terminal_has_its_size_and_can_be_resized(tmp_path: Path) -> None:
    """The first size is there before the program runs; a later one arrives, with its signal."""

    async def body(bench: Bench) -> None:
        reader, attached = client()
        script = "trap 'stty size' WINCH; stty size; tty; while :; do read line; done"
        launch = bench.launch("sh", "-c", script, open_stdin=True, terminal=True, clients=(attached,))
        await bench.start(launch)
        assert (await reader.until(b"/dev/pts/0\r\n")).startswith(b"24 80\r\n")
        await bench.driver.resize(launch.id, None, 30, 100)
        await reader.send(b"\n")
        await reader.until(b"30 100\r\n")

    on_bench(tmp_path, body)


def test_terminal_output_is_whole_at_the_end(tmp_path: Path) -> None:
    """A terminal is drained like a pipe when its program ends."""

    async def body(bench: Bench) -> None:
        reader, attached = client()
        launch = bench.launch("seq", "1", "50000", terminal=True, clients=(attached,))
        await bench.start(launch)
        assert (await reader.all()).split() == [b"%d" % n for n in range(1, 50_001)]
        await bench.exit_of(launch)

    on_bench(tmp_path, body)


def test_resize_without_terminal_is_a_conflict(tmp_path: Path) -> None:
    """There is nothing to resize."""

    async def body(bench: Bench) -> None:
        launch = bench.launch("sleep", "1000")
        await bench.start(launch)
        with pytest.raises(Conflict):
            await bench.driver.resize(launch.id, None, 1, 1)

    on_bench(tmp_path, body)


def test_attached_tcp_client_gets_everything_and_then_the_end(tmp_path: Path) -> None:
    """The same over TCP, where unread input would reset the connection and take output with it."""

    async def body(bench: Bench) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
        listener.close()
        reader, attached = client()
        attached.socket.close()
        reader.sock.close()
        reader.sock = ours
        ours.setblocking(False)
        attached = type(attached)(attached.options, type(attached.socket)(theirs.detach()))
        launch = bench.launch("seq", "1", "100000", clients=(attached,), log="none")
        await reader.send(b"never read by anyone")
        await bench.start(launch)
        assert (await reader.all()).endswith(b"\n100000\n")
        await bench.exit_of(launch)

    on_bench(tmp_path, body)
