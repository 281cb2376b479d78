"""Listening sockets of shoald."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from shoal.daemon.ownership import exclusive, pidfile
from shoal.daemon.sockets import open_sockets, remove_socket_files
from shoal.errors import Conflict, InvalidArgument


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
    assert "no TLS" in caught.value.why


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
