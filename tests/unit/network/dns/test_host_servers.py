"""The host's name servers, followed while they change."""

from __future__ import annotations

import os
from pathlib import Path

from shoal.network.dns.host_servers import HostServers
from shoal.network.dns.names import Upstream


def test_host_servers_follow_the_file(tmp_path: Path) -> None:
    """Loopback and link-local ones are asked from the host; what is no address is left out; no file, no servers."""
    path = tmp_path / "resolv.conf"
    servers = HostServers(str(path), lambda _: "/etc/resolv.conf")
    assert list(servers.get()) == []
    path.write_text(
        "nameserver 10.0.0.1\nnameserver 127.0.0.1\nnameserver nonsense\nnameserver ::1\nnameserver fe80::1%eth0\n"
    )
    assert list(servers.get()) == [
        Upstream("10.0.0.1"),
        Upstream("127.0.0.1", on_host=True),
        Upstream("::1", on_host=True),
        Upstream("fe80::1%eth0", on_host=True),
    ]
    assert servers.get() is servers.get()
    path.write_text("nameserver 10.0.0.2\n")
    os.utime(path, ns=(1, 1))
    assert list(servers.get()) == [Upstream("10.0.0.2")]


def test_host_servers_behind_a_stub(tmp_path: Path) -> None:
    """The file of those that the stub asks, where there is one; else the stub."""
    path, behind = tmp_path / "resolv.conf", tmp_path / "behind"
    path.write_text("nameserver 127.0.0.53\n")
    assert list(HostServers(str(path), lambda _: str(behind)).get()) == [Upstream("127.0.0.53", on_host=True)]
    behind.write_text("nameserver 10.0.0.3\n")
    assert list(HostServers(str(path), lambda _: str(behind)).get()) == [Upstream("10.0.0.3")]
