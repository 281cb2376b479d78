"""Whether the receiver of a remote log is there, asked before a container starts."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from shoal.errors import InvalidArgument
from shoal.logs.receivers import Receiver, reach, reach_first, resolve


def refused(receiver: Receiver) -> str:
    """The sentence with which it is refused."""
    with pytest.raises(InvalidArgument) as caught:
        asyncio.run(reach(receiver))
    return caught.value.what


def test_reach_gives_the_address_in_digits() -> None:
    """A name is looked up once; who writes the log later does not have to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = asyncio.run(reach(Receiver("tcp", "localhost", port)))
        assert found == Receiver("tcp", "127.0.0.1", port)


def test_reach_tries_each_address_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with two addresses is reached where somebody listens; the refusal is about the first."""
    monkeypatch.setattr(socket, "getaddrinfo", _two_addresses)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert asyncio.run(reach(Receiver("tcp", "logs.example", port))) == Receiver("tcp", "127.0.0.1", port)
    assert refused(Receiver("tcp", "logs.example", port)) == f"dial tcp 127.0.0.2:{port}: connect: connection refused"


def _two_addresses(_host: str, port: int, *_more: object, **_flags: object) -> list[tuple[object, ...]]:
    addresses = ("127.0.0.2", "127.0.0.1", "127.0.0.2")
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


def test_reach_nobody_there_is_told_as_docker_does(tmp_path: Path) -> None:
    """With network, address and reason."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert refused(Receiver("tcp", "127.0.0.1", port)) == f"dial tcp 127.0.0.1:{port}: connect: connection refused"
    path = str(tmp_path / "none")
    assert refused(Receiver("unix", path)) == f"dial unix {path}: connect: no such file or directory"
    with pytest.raises(InvalidArgument, match=r"dial udp: lookup .*: no such host"):
        asyncio.run(resolve(Receiver("udp", "no-such-host.invalid", 514)))


def test_reach_first_takes_what_is_there(tmp_path: Path) -> None:
    """The machine's own server may listen in one of several places."""
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        tried = [Receiver("unixgram", f"{path}.no"), Receiver("unix", path), Receiver("unixgram", path)]
        assert asyncio.run(reach_first(tried)) == Receiver("unixgram", path)
    assert asyncio.run(reach_first([Receiver("unixgram", f"{path}.no")])) is None


def test_reach_over_tls_checks_the_server(tmp_path: Path) -> None:
    """A certificate of an unknown authority is refused, unless it is not to be verified."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("syslog.example").configure_cert(context)

    async def body() -> None:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        async with server:
            host, port = server.sockets[0].getsockname()
            for ca, skip, is_there in ((str(tmp_path / "ca.pem"), "0", True), ("", "0", False), ("", "1", True)):
                receiver = Receiver("tcp+tls", host, port, ("syslog.example", ca, "", "", skip))
                if is_there:
                    assert await reach(receiver) == receiver
                else:
                    with pytest.raises(InvalidArgument, match="tls: "):
                        await reach(receiver)

    asyncio.run(body())
