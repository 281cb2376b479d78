"""TLS as a machine of bytes: two ends joined in memory."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import pytest

from shoal.api.tls_stream import TlsStream
from tests.engines.certificates import make_certificates


@pytest.fixture
def ends(tmp_path: Path) -> tuple[TlsStream, TlsStream]:
    """A client and a server whose handshake is still to come."""
    files = make_certificates(tmp_path)
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.load_verify_locations(files.authority)
    server.load_cert_chain(files.engine, files.engine_key)
    near = TlsStream(client, server_side=False, server_hostname="localhost")
    near.begin()
    return near, TlsStream(server, server_side=True)


def pump(near: TlsStream, far: TlsStream) -> None:
    """Carries what each end wants to send to the other, until neither wants to."""
    while (there := near.take_sealed()) or (back := far.take_sealed()):
        if there:
            far.receive(there)
        else:
            near.receive(back)


def test_handshake_opens_both_ends(ends: tuple[TlsStream, TlsStream]) -> None:
    """After it, what one says the other hears, however much that is."""
    near, far = ends
    pump(near, far)
    assert (near.is_open, far.is_open) == (True, True)
    data = os.urandom(300_000)
    near.send(data)
    far.send(b"hello")
    pump(near, far)
    assert (far.take_plain(), near.take_plain()) == (data, b"hello")
    assert far.take_plain() == b""


def test_close_write_ends_one_direction_alone(ends: tuple[TlsStream, TlsStream]) -> None:
    """The other end goes on talking, and is heard: what the socket of `ssl` can't do."""
    near, far = ends
    pump(near, far)
    near.send(b"last words")
    near.close_write()
    near.close_write()
    pump(near, far)
    assert (far.take_plain(), far.peer_closed, near.peer_closed) == (b"last words", True, False)
    far.send(b"an answer" * 10_000)
    pump(near, far)
    assert near.take_plain() == b"an answer" * 10_000
    far.close_write()
    pump(near, far)
    assert near.peer_closed


def test_close_write_loses_nothing_that_came_before_it(ends: tuple[TlsStream, TlsStream]) -> None:
    """Bytes of the peer's that are on their way when we end our side still arrive."""
    near, far = ends
    pump(near, far)
    far.send(b"x" * 50_000)
    sealed = far.take_sealed()
    near.receive(sealed[:20_000])
    near.close_write()
    near.receive(sealed[20_000:])
    assert near.take_plain() == b"x" * 50_000


def test_tampered_bytes_are_refused(ends: tuple[TlsStream, TlsStream]) -> None:
    """One flipped bit ends the connection."""
    near, far = ends
    pump(near, far)
    near.send(b"secret")
    sealed = bytearray(near.take_sealed())
    sealed[-1] ^= 1
    with pytest.raises(ssl.SSLError):
        far.receive(bytes(sealed))


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100, os.urandom(500)])
def test_noise_is_no_handshake(ends: tuple[TlsStream, TlsStream], noise: bytes) -> None:
    """What is no TLS is told at once."""
    with pytest.raises(ssl.SSLError):
        ends[1].receive(noise)


def test_end_of_the_connection_is_the_end_of_the_peer(ends: tuple[TlsStream, TlsStream]) -> None:
    """Without a close_notify too, since that is how a peer dies."""
    near, far = ends
    pump(near, far)
    far.receive(b"")
    assert far.peer_closed
