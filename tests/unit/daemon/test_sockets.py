"""Listening sockets of shoald."""

from __future__ import annotations

import os
import socket
import ssl
import stat
from pathlib import Path

import pytest
from tests.engines.certificates import Certificates, make_certificates

from shoal.daemon.ownership import exclusive, pidfile
from shoal.daemon.sockets import open_sockets, remove_socket_files
from shoal.daemon.tls import TlsSettings, server_context
from shoal.errors import Conflict, InvalidArgument
from shoal.server.tls import SecuredSocket


def test_open_sockets_unix_is_for_owner_and_group_only(tmp_path: Path) -> None:
    """Nobody else may reach the engine: who can is root."""
    path = tmp_path / "run" / "docker.sock"
    (listening,) = open_sockets([f"unix://{path}"])
    with listening:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
        assert not listening.getblocking()
    remove_socket_files([f"unix://{path}"])
    assert not path.exists()


def test_open_sockets_leftover_is_replaced(tmp_path: Path) -> None:
    """The socket file of a killed daemon does not stand in the way."""
    host = f"unix://{tmp_path}/docker.sock"
    open_sockets([host])[0].close()
    (listening,) = open_sockets([host])
    listening.close()


def test_open_sockets_living_daemon_is_left_alone(tmp_path: Path) -> None:
    """A socket that somebody serves is not taken away, and the others are given back."""
    host = f"unix://{tmp_path}/docker.sock"
    (living,) = open_sockets([host])
    with living:
        with pytest.raises(Conflict) as caught:
            open_sockets([f"unix://{tmp_path}/other.sock", host])
        assert (caught.value.what, caught.value.why) == (f"cannot listen on {host}", "another daemon serves it")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{tmp_path}/docker.sock")


def test_open_sockets_plain_file_is_not_removed(tmp_path: Path) -> None:
    """A file of that name is somebody's."""
    path = tmp_path / "docker.sock"
    path.write_text("mine")
    with pytest.raises(Conflict):
        open_sockets([f"unix://{path}"])
    assert path.read_text() == "mine"


@pytest.mark.parametrize("address", ["0.0.0.0:2375", "192.0.2.1:2375", "[::]:2375"])
def test_open_sockets_tcp_to_the_world_is_refused(address: str) -> None:
    """Without TLS, a port that others reach would give them root."""
    with pytest.raises(InvalidArgument) as caught:
        open_sockets([f"tcp://{address}"])
    assert "--tlsverify" in caught.value.fix


def test_open_sockets_tcp_on_loopback_listens() -> None:
    """On this machine's own address, plain TCP is served."""
    (listening,) = open_sockets(["tcp://127.0.0.1:0"])
    with listening, socket.create_connection(listening.getsockname(), 5):
        pass


def test_exclusive_second_daemon_is_refused(tmp_path: Path) -> None:
    """Two daemons never share a root."""
    with exclusive(tmp_path / "root"):
        with pytest.raises(Conflict) as caught, exclusive(tmp_path / "root"):
            pass
        assert caught.value.why == "another shoald runs on it"


def test_pidfile_ends_with_the_daemon(tmp_path: Path) -> None:
    """The pid is there while the daemon runs, and gone afterwards."""
    path = tmp_path / "shoald.pid"
    with pidfile(path):
        assert int(path.read_text()) == os.getpid()
    assert not path.exists()


def _settings(certificates: Certificates, *, verify: bool) -> TlsSettings:
    authority = certificates.authority if verify else None
    return TlsSettings(certificates.engine, certificates.engine_key, authority)


def test_open_sockets_with_tls_secures_tcp_alone(tmp_path: Path) -> None:
    """A unix socket is guarded by its mode; the port speaks TLS, and wants to see certificates."""
    settings = _settings(make_certificates(tmp_path), verify=True)
    unix, tcp = open_sockets([f"unix://{tmp_path}/s", "tcp://127.0.0.1:0"], settings)
    with unix, tcp:
        assert not isinstance(unix, SecuredSocket)
        assert isinstance(tcp, SecuredSocket)
        assert tcp.verifies
        assert not tcp.getblocking()


def test_open_sockets_to_the_world_need_verified_clients(tmp_path: Path) -> None:
    """TLS without certificates of clients keeps nobody out: the port stays on this machine."""
    certificates = make_certificates(tmp_path)
    with pytest.raises(InvalidArgument, match="refusing to listen"):
        open_sockets(["tcp://0.0.0.0:0"], _settings(certificates, verify=False))
    (listening,) = open_sockets(["tcp://0.0.0.0:0"], _settings(certificates, verify=True))
    listening.close()


def test_server_context_is_strict(tmp_path: Path) -> None:
    """TLS 1.2 at least, and no client without a certificate."""
    context = server_context(_settings(make_certificates(tmp_path), verify=True))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_server_context_names_the_file_that_is_wrong(tmp_path: Path) -> None:
    """A missing file, and a file that is no certificate, are told by name before anything listens."""
    certificates = make_certificates(tmp_path)
    with pytest.raises(InvalidArgument, match="nowhere"):
        server_context(TlsSettings(tmp_path / "nowhere", certificates.engine_key, None))
    broken = tmp_path / "broken"
    broken.write_text("no certificate")
    with pytest.raises(InvalidArgument, match="broken"):
        server_context(TlsSettings(broken, certificates.engine_key, None))
    with pytest.raises(InvalidArgument, match="engine"):
        server_context(TlsSettings(certificates.engine, certificates.client / "key.pem", None))
