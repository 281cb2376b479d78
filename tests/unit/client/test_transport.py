"""Addresses and real sockets."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from shoal import errors
from shoal.client import transport
from shoal.client.transport import TcpTransport, UnixTransport, parse_host
from shoal.client.transport_ssh import SshTransport, ssh_transport


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("unix:///run/x.sock", "unix:///run/x.sock"),
        ("/run/x.sock", "unix:///run/x.sock"),
        ("tcp://box:2375", "tcp://box:2375"),
        ("tcp://box:2375/", "tcp://box:2375"),
        ("tcp://:2375", "tcp://127.0.0.1:2375"),
        ("tcp://[::1]:2375", "tcp://::1:2375"),
        ("tcp://box", "tcp://box:2375"),
        ("tcp://[::1]", "tcp://::1:2375"),
        ("ssh://box", "ssh://box"),
        ("ssh://me@box:2222/run/x.sock", "ssh://me@box:2222/run/x.sock"),
    ],
)
def test_parse_host_accepts_docker_host_addresses(host: str, address: str) -> None:
    """Addresses as in DOCKER_HOST."""
    assert parse_host(host).address == address


@pytest.mark.parametrize("host", ["unix://", "tcp://box:0", "tcp://box:99999", "tcp://box:http"])
def test_parse_host_refuses_malformed_addresses(host: str) -> None:
    """The error names what to write instead."""
    with pytest.raises(errors.InvalidArgument) as caught:
        parse_host(host)
    assert caught.value.fix


def test_parse_host_unknown_scheme_is_told_as_unsupported() -> None:
    """A scheme that is not served says so, instead of being taken for a path."""
    with pytest.raises(errors.Unsupported, match="gopher://"):
        parse_host("gopher://me@box")


@pytest.mark.parametrize(
    "host", ["ssh://", "ssh://-oProxyCommand=x", "ssh://-l@box", "ssh://me:secret@box", "ssh://box:x", "ssh://box?a=b"]
)
def test_parse_host_refuses_ssh_addresses_that_name_no_host(host: str) -> None:
    """Nothing of an address can become an option of ssh, and a password has no place in one."""
    with pytest.raises(errors.InvalidArgument, match="invalid host address"):
        parse_host(host)


def test_ssh_transport_runs_dial_stdio_on_the_other_machine() -> None:
    """User, port and socket become ssh's and shoal's own flags."""
    through = parse_host("ssh://me@box:2222/run/x.sock")
    assert isinstance(through, SshTransport)
    words = " ".join(through.command())
    assert words.endswith("-l me -p 2222 -- box shoal -H unix:///run/x.sock system dial-stdio")


def test_unix_transport_without_a_socket_is_unavailable(tmp_path: Path) -> None:
    """Docker's question, and what to do."""
    with pytest.raises(errors.Unavailable, match="Is shoald running") as caught:
        UnixTransport(str(tmp_path / "no.sock")).connect()
    assert "shoald" in caught.value.fix


def test_unix_transport_with_a_dead_socket_is_unavailable(tmp_path: Path) -> None:
    """A file that a killed engine left behind reads like no engine."""
    path = str(tmp_path / "dead.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
    with pytest.raises(errors.Unavailable, match="Is shoald running"):
        UnixTransport(path).connect()


def test_unix_transport_half_close_keeps_the_other_direction(tmp_path: Path) -> None:
    """After close_write the peer sees the end, and may still answer."""
    path = str(tmp_path / "s.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        connection = UnixTransport(path).connect()
        peer, _ = listener.accept()
        with peer:
            connection.send_all(b"in")
            connection.close_write()
            assert peer.recv(10) == b"in"
            assert peer.recv(10) == b""
            peer.sendall(b"out")
            assert connection.receive(10) == b"out"
        assert connection.receive(10) == b""
        connection.close_write()  # the peer has gone: not an error
        connection.close()
        connection.close()


def test_socket_connection_send_nowait_takes_what_fits(tmp_path: Path) -> None:
    """A full socket takes nothing more, without waiting."""
    path = str(tmp_path / "s.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        connection = UnixTransport(path).connect()
        total = 0
        while taken := connection.send_nowait(bytes(65536)):
            total += taken
        assert total > 0
        connection.close()


def test_tcp_transport_refused_is_unavailable() -> None:
    """A port where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(errors.Unavailable):
            TcpTransport("127.0.0.1", port).connect()


def test_unix_transport_without_permission_is_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """EACCES tells who may, instead of asking whether the engine runs."""

    class Refused:
        def connect(self, _path: str) -> None:
            raise PermissionError(13, os.strerror(13))

        def close(self) -> None:
            pass

    monkeypatch.setattr(transport, "RawSocket", lambda *_: Refused())
    with pytest.raises(errors.Forbidden, match="Permission denied") as caught:
        UnixTransport("/run/x.sock").connect()
    assert "group" in caught.value.fix


def test_ssh_address_is_no_program_for_the_shell_on_the_other_side() -> None:
    """What a context of somebody else's names as the socket is a path there, whatever is in it."""
    words = ssh_transport("host/run/$(reboot); x").command()
    assert words[words.index("--") + 1 :] == [
        "host",
        "shoal",
        "-H",
        "'unix:///run/$(reboot); x'",
        "system",
        "dial-stdio",
    ]
    assert ssh_transport("host/run/shoal.sock").command()[-3] == "unix:///run/shoal.sock"
