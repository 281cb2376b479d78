"""A container's resolver at 127.0.0.11: in real namespaces, with servers upstream that are made for each test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from shoal.network.dns.names import Upstream
from shoal.network.dns.redirect import RESOLVER_ADDRESS
from shoal.network.dns.resolver import MOST_CONNECTIONS, MOST_FORWARDED
from shoal.network.dns.resolvers import Resolvers
from tests.kernel.network.namespaces import Namespace, inside_new_namespace, udp

pytestmark = pytest.mark.root
PLACE = (RESOLVER_ADDRESS, 53)
SOA = "ns. admin. 1 3600 600 86400 60"


class Book:
    """The names that the resolvers of a test know, the same for each container."""

    def __init__(self) -> None:
        self.addresses: dict[str, Sequence[str]] = {"web": ("172.18.0.2",), "six": ("fd00::2",)}
        self.servers: list[Upstream] = []

    def lookup(self, container_id: str, name: str) -> Sequence[str] | None:  # noqa: ARG002 - the engine's differ
        """As Names.lookup."""
        return self.addresses.get(name)

    def reverse(self, container_id: str, address: str) -> str | None:  # noqa: ARG002
        """As Names.reverse."""
        return next((f"{name}.net" for name, has in self.addresses.items() if address in has), None)

    def upstreams(self, container_id: str) -> Sequence[Upstream]:  # noqa: ARG002
        """As Names.upstreams."""
        return self.servers


class Serving:
    """Resolvers on an event loop in a thread of its own, as in shoald."""

    def __init__(self) -> None:
        self.book = Book()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.resolvers = Resolvers(self.book, self._spawn)

    def _spawn(self, work: Coroutine[Any, Any, object], what: str) -> asyncio.Task[None]:
        async def guarded() -> None:
            await work

        task = self._loop.create_task(guarded(), name=what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs `work` on the loop, within ten seconds."""
        asyncio.run_coroutine_threadsafe(work(), self._loop).result(10)

    def open(self, namespace: Namespace, id: str = "a", *, anew: bool = False) -> None:
        """A resolver for the container."""
        self.run(lambda: self.resolvers.open(id, namespace.pid, anew=anew))

    def close(self) -> None:
        """Ends all resolvers, their tasks, and the loop."""

        async def end() -> None:
            self.resolvers.close_all()
            if self._tasks:
                await asyncio.wait(self._tasks)

        self.run(end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Upper:
    """A name server made for a test: `reply` turns a query into the datagrams that it sends back."""

    def __init__(self, sock: socket.socket, reply: Callable[[dns.message.Message], list[bytes]]) -> None:
        self._socket = sock
        self._reply = reply
        self.asked: list[tuple[dns.message.Message, Any]] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(4096)
            if query == b"end":
                return
            message = dns.message.from_wire(query)
            self.asked.append((message, client))
            for answer in self._reply(message):
                self._socket.sendto(answer, client)

    @property
    def upstream(self) -> Upstream:
        """How a resolver is told of it."""
        address, port = self._socket.getsockname()
        return Upstream(address, on_host=True, port=port)

    def close(self) -> None:
        """Ends it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"end", self._socket.getsockname())
        self._thread.join()
        self._socket.close()


def addressed(query: dns.message.Message, address: str = "192.0.2.80", ttl: int = 300) -> bytes:
    """An answer with one address."""
    answer = dns.message.make_response(query, recursion_available=True)
    answer.answer.append(dns.rrset.from_text(query.question[0].name, ttl, "IN", "A", address))
    return answer.to_wire()


def missing(query: dns.message.Message) -> bytes:
    """An answer that the name is not there, with how long this may be kept."""
    answer = dns.message.make_response(query, recursion_available=True)
    answer.set_rcode(dns.rcode.NXDOMAIN)
    answer.authority.append(dns.rrset.from_text(".", 300, "IN", "SOA", SOA))
    return answer.to_wire()


@pytest.fixture
def box(real_host_untouched: None) -> Iterator[Namespace]:  # noqa: ARG001 - the outer leak check
    """A container's network namespace, on a host of its own, whose loopback is not up yet."""
    with inside_new_namespace(), Namespace() as namespace:
        yield namespace


@pytest.fixture
def serving(box: Namespace) -> Iterator[Serving]:  # noqa: ARG001 - the host's namespace, which the loop's thread is in
    """Resolvers on the host."""
    serving = Serving()
    yield serving
    serving.close()


@pytest.fixture
def upper(serving: Serving) -> Iterator[Callable[..., Upper]]:
    """Makes a name server on the host's loopback, and tells the resolvers of it."""
    with contextlib.ExitStack() as stack:

        def make(reply: Callable[[dns.message.Message], list[bytes]]) -> Upper:
            server = Upper(udp("127.0.0.1", 0), reply)
            server._socket.settimeout(None)
            stack.callback(server.close)
            serving.book.servers.append(server.upstream)
            return server

        yield make


def up(box: Namespace) -> None:
    """Brings the loopback up, as the container's first process does."""
    box.ip("link", "set", "lo", "up")


def ask(box: Namespace, name: str, type: str = "A", **options: Any) -> dns.message.Message:
    """The answer to a question from within."""
    query = dns.message.make_query(name, type, **options)
    with box.udp("0.0.0.0", 0) as client:
        client.settimeout(6)
        client.sendto(query.to_wire(), PLACE)
        data, sender = client.recvfrom(65535)
    assert sender == PLACE
    answer = dns.message.from_wire(data)
    assert query.is_response(answer)
    return answer


def found(answer: dns.message.Message) -> list[str]:
    """The records of an answer, as text."""
    return [str(record) for rrset in answer.answer for record in rrset]


def test_resolver_opened_before_loopback_is_up_answers_names(box: Namespace, serving: Serving) -> None:
    """Addresses of the asked family, nothing of another type, the name of an address."""
    serving.open(box)
    up(box)
    assert found(ask(box, "WEB.")) == ["172.18.0.2"]
    assert found(ask(box, "six", "AAAA")) == ["fd00::2"]
    for type in ("AAAA", "MX"):
        nothing = ask(box, "web", type)
        assert (nothing.rcode(), nothing.answer) == (dns.rcode.NOERROR, [])
    assert found(ask(box, "2.0.18.172.in-addr.arpa", "PTR")) == ["web.net."]


def test_resolver_answers_by_tcp_several_questions(box: Namespace, serving: Serving) -> None:
    """One connection, more than one question; what is too long for a datagram comes whole."""
    serving.book.addresses["many"] = [f"172.18.1.{number}" for number in range(1, 201)]
    serving.open(box)
    up(box)
    short = ask(box, "many", use_edns=False)
    assert short.flags & dns.flags.TC
    assert len(found(short)) == 30
    assert len(found(ask(box, "many", use_edns=0, payload=1232))) == 74
    with box.connect(*PLACE) as connection:
        for count in (200, 200):
            query = dns.message.make_query("many", "A").to_wire()
            connection.sendall(struct.pack(">H", len(query)) + query)
            (length,) = struct.unpack(">H", connection.recv(2, socket.MSG_WAITALL))
            assert len(found(dns.message.from_wire(connection.recv(length, socket.MSG_WAITALL)))) == count


def test_resolver_leaves_port_53_to_the_container(box: Namespace, serving: Serving) -> None:
    """A server of the container's own binds every address, and answers at its other ones."""
    serving.open(box)
    up(box)
    with box.udp("0.0.0.0", 53) as own, box.listen("0.0.0.0", 53), box.udp("127.0.0.1", 0) as client:
        client.sendto(b"mine", ("127.0.0.1", 53))
        assert own.recv(10) == b"mine"
        assert found(ask(box, "web")) == ["172.18.0.2"]


def test_resolver_opened_anew_takes_the_place_of_the_one_before(box: Namespace, serving: Serving) -> None:
    """As after a kill of shoald: the table leads to the new ports, and there is one table."""
    serving.open(box)
    up(box)
    other = Serving()
    other.book.addresses = {"web": ("172.18.0.9",)}
    try:
        other.open(box)
        assert found(ask(box, "web")) == ["172.18.0.9"]
        other.open(box)
    finally:
        other.close()
    rules = box.call(lambda: os.popen("nft list ruleset").read())
    assert rules.count("table") == 1
    assert rules.count("set") == 4


@pytest.mark.parametrize(
    "change", ["", "delete table ip shoal_dns", "delete chain ip shoal_dns output", "flush ruleset"]
)
def test_resolver_of_a_container_that_ran_on_is_opened_anew(box: Namespace, serving: Serving, change: str) -> None:
    """By the next shoald: quickly in the table that there is, and well though the container has changed it."""
    serving.open(box)
    up(box)
    box.call(lambda: subprocess.run(["nft", *change.split()], check=True) if change else None)
    other = Serving()
    other.book.addresses = {"web": ("172.18.0.9",)}
    try:
        other.open(box, anew=True)
        assert found(ask(box, "web")) == ["172.18.0.9"]
    finally:
        other.close()
    rules = box.call(lambda: os.popen("nft list ruleset").read())
    assert rules.count("table") == 1
    assert rules.count("set") == 4


def test_resolver_closed_lets_the_namespace_die(box: Namespace, serving: Serving) -> None:
    """No descriptor of it is left; a second close is harmless."""
    before = len(os.listdir("/proc/self/fd"))
    serving.open(box)

    async def close() -> None:
        serving.resolvers.close("a")
        serving.resolvers.close("a")

    serving.run(close)
    left = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_there(fd)]
    assert os.readlink(f"/proc/{box.pid}/ns/net") in left  # the test's own
    assert left.count(os.readlink(f"/proc/{box.pid}/ns/net")) == 1
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # the thread's way home


def _is_there(fd: str) -> bool:
    try:
        os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return False
    return True


def test_foreign_names_are_asked_for_once_while_they_are_kept(
    box: Namespace, serving: Serving, upper: Callable[..., Upper]
) -> None:
    """From a server on the host's loopback; id and port differ from query to query; what is not, is kept too."""
    server = upper(lambda query: [addressed(query) if "www" in str(query.question[0].name) else missing(query)])
    serving.open(box)
    up(box)
    for _ in range(3):
        assert found(ask(box, "www.example.org", id=7)) == ["192.0.2.80"]
        assert ask(box, "no.example.org").rcode() == dns.rcode.NXDOMAIN
    assert len(server.asked) == 2
    for number in range(20):
        assert found(ask(box, f"www{number}.example.org", id=7)) == ["192.0.2.80"]
    assert len({message.id for message, _ in server.asked}) > 15
    assert len({client[1] for _, client in server.asked}) > 15


def test_foreign_names_go_to_the_next_server_when_one_is_down_or_refuses(
    box: Namespace, serving: Serving, upper: Callable[..., Upper]
) -> None:
    """A closed port costs nothing, nor does a refusal; silence costs its time once."""

    def refuse(query: dns.message.Message) -> list[bytes]:
        answer = dns.message.make_response(query)
        answer.set_rcode(dns.rcode.REFUSED)
        return [answer.to_wire()]

    with udp("127.0.0.1", 0) as gone:
        serving.book.servers.append(Upstream("127.0.0.1", on_host=True, port=gone.getsockname()[1]))
    upper(refuse)
    silent = upper(lambda _: [])
    upper(lambda query: [addressed(query)])
    serving.open(box)
    up(box)
    began = time.monotonic()
    assert found(ask(box, "one.example.org")) == ["192.0.2.80"]
    assert 1 < time.monotonic() - began < 3
    began = time.monotonic()
    assert found(ask(box, "two.example.org")) == ["192.0.2.80"]
    assert time.monotonic() - began < 1
    assert len(silent.asked) == 1


def test_servers_that_are_silent_make_servfail_in_time(
    box: Namespace, serving: Serving, upper: Callable[..., Upper]
) -> None:
    """Before a client's usual five seconds are over; names of containers are answered meanwhile. So without servers."""
    server = upper(lambda _: [])
    serving.open(box)
    up(box)
    began = time.monotonic()
    query = dns.message.make_query("example.org", "A")
    with box.udp("0.0.0.0", 0) as client:
        client.settimeout(6)
        client.sendto(query.to_wire(), PLACE)
        assert found(ask(box, "web")) == ["172.18.0.2"]
        assert time.monotonic() - began < 1
        assert dns.message.from_wire(client.recv(512)).rcode() == dns.rcode.SERVFAIL
    assert time.monotonic() - began < 4.5
    assert len(server.asked) == 3
    serving.book.servers.clear()
    assert ask(box, "example.net").rcode() == dns.rcode.SERVFAIL


def test_answers_that_nobody_asked_for_are_not_passed_on(
    box: Namespace, serving: Serving, upper: Callable[..., Upper]
) -> None:
    """Another id, another question, no answer at all, a broken one: the true one behind them is taken."""

    def lie(query: dns.message.Message) -> list[bytes]:
        other = dns.message.make_query("evil.example.org", "A", id=query.id)
        false_id = dns.message.from_wire(query.to_wire())
        false_id.id = query.id ^ 1
        return [
            addressed(other, "192.0.2.66"),
            addressed(false_id, "192.0.2.66"),
            query.to_wire(),
            b"",
            query.to_wire()[:11],
            addressed(query),
        ]

    upper(lie)
    serving.open(box)
    up(box)
    assert found(ask(box, "www.example.org")) == ["192.0.2.80"]


def test_a_broken_answer_is_passed_on_and_not_kept(
    box: Namespace, serving: Serving, upper: Callable[..., Upper]
) -> None:
    """Names that point at themselves, lengths beyond the end: nothing of shoald's breaks."""

    def broken(query: dns.message.Message) -> list[bytes]:
        answer = bytearray(addressed(query))
        end = len(answer) - 16
        answer[end : end + 2] = struct.pack(">H", 0xC000 | end)
        return [bytes(answer)]

    server = upper(broken)
    serving.open(box)
    up(box)
    query = dns.message.make_query("www.example.org", "A").to_wire()
    with box.udp("0.0.0.0", 0) as client:
        for _ in range(2):
            client.sendto(query, PLACE)
            assert client.recv(512)[:2] == query[:2]
    assert len(server.asked) == 2


@pytest.mark.parametrize("address", ["127.0.0.5", "::1"])
def test_a_server_in_reach_of_the_container_is_asked_from_its_network(
    box: Namespace, serving: Serving, address: str
) -> None:
    """By datagram and by stream, as the question came, over IPv4 and IPv6."""
    serving.open(box)
    up(box)
    with box.udp(address, 5300) as server, box.listen(address, 5300) as streams:
        serving.book.servers.append(Upstream(address, port=5300))
        query = dns.message.make_query("www.example.org", "A").to_wire()
        with box.udp("0.0.0.0", 0) as client:
            client.sendto(query, PLACE)
            asked, peer = server.recvfrom(512)
            server.sendto(addressed(dns.message.from_wire(asked)), peer)
            assert found(dns.message.from_wire(client.recv(512))) == ["192.0.2.80"]
        with box.connect(*PLACE) as connection:
            query = dns.message.make_query("by-stream.example.org", "A").to_wire()
            connection.sendall(struct.pack(">H", len(query)) + query)
            upstream, _ = streams.accept()
            with upstream:
                upstream.settimeout(3)
                asked = upstream.recv(512)
                answer = addressed(dns.message.from_wire(asked[2:]))
                for piece in (struct.pack(">H", len(answer)), answer[:5], answer[5:]):
                    upstream.sendall(piece)
                received = connection.recv(512)
                received += connection.recv(512) if len(received) == 2 else b""
            assert found(dns.message.from_wire(received[2:])) == ["192.0.2.80"]


def test_a_flood_from_one_container_does_not_starve_another(
    box: Namespace, serving: Serving, upper: Callable[..., Upper]
) -> None:
    """Questions that hang are bounded for each, idle connections too, and the other is answered at once."""
    upper(lambda _: [])
    serving.open(box)
    up(box)
    with Namespace() as other, contextlib.ExitStack() as stack, box.udp("0.0.0.0", 0) as flood:
        serving.open(other, "b")
        up(other)
        for number in range(MOST_FORWARDED * 3):
            flood.sendto(dns.message.make_query(f"x{number}.example.org", "A").to_wire(), PLACE)
        refused = dns.message.from_wire(flood.recv(512))
        assert refused.rcode() == dns.rcode.SERVFAIL
        for _ in range(MOST_CONNECTIONS):
            stack.enter_context(box.connect(*PLACE))
        with box.connect(*PLACE) as one_more:
            assert one_more.recv(1) == b""
        stop = threading.Event()
        query = dns.message.make_query("web", "A").to_wire()

        def shout() -> None:
            while not stop.is_set():
                flood.sendto(query, PLACE)

        thread = threading.Thread(target=shout)
        thread.start()
        try:
            took = []
            for _ in range(20):
                began = time.monotonic()
                assert found(ask(other, "web")) == ["172.18.0.2"]
                took.append(time.monotonic() - began)
        finally:
            stop.set()
            thread.join()
        assert sorted(took)[10] < 0.25


@pytest.mark.parametrize(
    "junk", [b"", b"\0", bytes(12), bytes(65000), b"\xff" * 300, bytes(5) + b"\1" + bytes(6) + b"\xc0\x0c" * 9]
)
def test_junk_from_a_container_is_survived(box: Namespace, serving: Serving, junk: bytes) -> None:
    """By datagram and by stream; the next question is answered."""
    serving.open(box)
    up(box)
    with box.udp("0.0.0.0", 0) as client, box.connect(*PLACE) as connection:
        client.sendto(junk, PLACE)
        connection.sendall(struct.pack(">H", len(junk)) + junk)
        connection.shutdown(socket.SHUT_WR)
        assert found(ask(box, "web")) == ["172.18.0.2"]
        while connection.recv(4096):
            pass


def test_open_for_a_process_that_is_gone_tells_so(box: Namespace, serving: Serving) -> None:  # noqa: ARG001
    """And leaves nothing behind."""
    with Namespace() as gone:
        pid = gone.pid
    with pytest.raises(Exception, match="such file"):
        serving.run(lambda: serving.resolvers.open("a", pid))
    assert not serving.resolvers.is_open("a")
