"""Asking other name servers what a container asks, in its place. On the event loop of shoald.

A question goes to one server after the other, the preferred first, by the protocol that it came by, until one has an
answer; with none there is SERVFAIL before the client's own patience of five seconds ends. Every query has an id and a
port of its own, taken at random, and only what answers its very question is an answer.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable, Sequence

from shoal.errors import ShoalError
from shoal.network.dns.answer import answer_empty
from shoal.network.dns.cache import AnswerCache
from shoal.network.dns.names import Upstream
from shoal.network.dns.question import HEADER_SIZE, REFUSED, RESPONSE, SERVFAIL, Question

OpenSocket = Callable[[Upstream, socket.AddressFamily, socket.SocketKind], Awaitable[socket.socket]]

_PATIENCE_S = 4.0
_ONE_SERVER_S = 1.5
# So long a server that did not answer is asked after the others.
_DISTRUST_S = 30.0
_MOST_STRANGE_ANSWERS = 16
_LONGEST = 65535
_FLAGS = struct.Struct(">H")


class Forwarder:
    """The foreign names of one container. `open_socket` gives sockets in the network that an upstream is asked from."""

    def __init__(self, open_socket: OpenSocket, clock_s: Callable[[], float]) -> None:
        self._open_socket = open_socket
        self._clock_s = clock_s
        self._cache = AnswerCache(clock_s)
        self._silent_until: dict[Upstream, float] = {}

    async def answer(self, query: bytes, question: Question, upstreams: Sequence[Upstream], *, stream: bool) -> bytes:
        """The upstreams' answer to the query, or SERVFAIL; never later than four seconds."""
        known = self._cache.get(query, question.id)
        # One that came by TCP may be too long for a datagram.
        if known is not None and (stream or len(known) <= question.payload):
            return known
        answer, is_answer = await self._ask_all(query, question, upstreams, stream=stream)
        # Behind the answer, because to read it takes longer than to pass it on.
        keep = self._cache.put if is_answer else self._cache.put_failure
        asyncio.get_running_loop().call_soon(keep, query, answer)
        return answer

    async def _ask_all(
        self, query: bytes, question: Question, upstreams: Sequence[Upstream], *, stream: bool
    ) -> tuple[bytes, bool]:
        """(the message for the client, whether it is a server's answer and no failure)."""
        failure = answer_empty(question, SERVFAIL)
        usable = sorted(upstreams, key=self._is_distrusted)
        end_s = self._clock_s() + _PATIENCE_S
        for upstream in itertools.chain.from_iterable(itertools.repeat(tuple(usable), 4)):
            left_s = end_s - self._clock_s()
            if left_s <= 0:
                break
            if upstream not in usable:
                continue
            try:
                async with asyncio.timeout(min(_ONE_SERVER_S, left_s)):
                    answer = await self._ask(upstream, query, question, stream=stream)
            except TimeoutError:
                self._silent_until[upstream] = self._clock_s() + _DISTRUST_S
                continue
            except (OSError, ShoalError, EOFError):
                usable.remove(upstream)  # it, or the way to it, is not there
                continue
            self._silent_until.pop(upstream, None)
            if answer[3] & 0xF not in (SERVFAIL, REFUSED):
                return answer, True
            failure = answer
            usable.remove(upstream)
        return failure, False

    def _is_distrusted(self, upstream: Upstream) -> bool:
        return self._silent_until.get(upstream, 0.0) > self._clock_s()

    async def _ask(self, upstream: Upstream, query: bytes, question: Question, *, stream: bool) -> bytes:
        """The answer of one server, with the client's id. Raises: OSError, ShoalError, EOFError."""
        id = secrets.token_bytes(2)
        family = socket.AF_INET6 if ":" in upstream.address else socket.AF_INET
        kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
        with await self._open_socket(upstream, family, kind) as sock:
            sent = id + query[2:]
            exchange = _exchange_stream if stream else _exchange_datagrams
            answer = await exchange(sock, upstream, sent, question)
        return query[:2] + answer[2:]


async def _exchange_datagrams(sock: socket.socket, upstream: Upstream, sent: bytes, question: Question) -> bytes:
    loop = asyncio.get_running_loop()
    # Connected, so that the kernel chooses a port at random, passes on nothing from elsewhere, and tells when nobody
    # listens there.
    sock.connect((upstream.address, upstream.port))
    await loop.sock_sendall(sock, sent)
    for _ in range(_MOST_STRANGE_ANSWERS):
        answer = await loop.sock_recv(sock, _LONGEST)
        if is_answer(answer, sent, question):
            return answer
    raise EOFError("too many answers to other questions")


async def _exchange_stream(sock: socket.socket, upstream: Upstream, sent: bytes, question: Question) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, (upstream.address, upstream.port))
    await loop.sock_sendall(sock, _FLAGS.pack(len(sent)) + sent)
    answer = await receive_message(sock)
    if not is_answer(answer, sent, question):
        raise EOFError("an answer to another question")
    return answer


async def receive_message(sock: socket.socket) -> bytes:
    """The next message of a stream, without its length. Raises: EOFError, OSError."""
    (length,) = _FLAGS.unpack(await _receive(sock, 2))
    return await _receive(sock, length)


async def _receive(sock: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < count:
        piece = await loop.sock_recv(sock, count - len(data))
        if not piece:
            raise EOFError("the stream ended within a message")
        data += piece
    return data


def is_answer(answer: bytes, query: bytes, question: Question) -> bool:
    """Whether a message answers this very query: its id, its question."""
    end = HEADER_SIZE + len(question.wire)
    if len(answer) < HEADER_SIZE or answer[:2] != query[:2] or not _FLAGS.unpack_from(answer, 2)[0] & RESPONSE:
        return False
    if len(answer) == HEADER_SIZE:
        return bool(answer[3] & 0xF)  # a refusal may come without the question
    return answer[4:6] == b"\0\1" and answer[HEADER_SIZE:end].lower() == question.wire.lower()
