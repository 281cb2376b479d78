"""The kernel's tables of sockets, read."""

from __future__ import annotations

import sys

import pytest

from shoal.network.listeners import Listener, parse_listeners

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LINE = "   0: {} 00000000:0000 {} 00000000:00000000 00:00000000 00000000     0        0 1\n"


@pytest.mark.skipif(sys.byteorder != "little", reason="the kernel prints addresses as numbers of the machine")
@pytest.mark.parametrize(
    ("local", "address", "port", "is_everywhere", "is_loopback"),
    [
        ("00000000:0050", "0.0.0.0", 80, True, False),
        ("0100007F:1F90", "127.0.0.1", 8080, False, True),
        ("020011AC:0050", "172.17.0.2", 80, False, False),
        ("00000000000000000000000000000000:0050", "::", 80, True, False),
        ("00000000000000000000000001000000:0050", "::1", 80, False, True),
        ("0000000000000000FFFF00000100007F:0050", "::ffff:127.0.0.1", 80, False, True),
    ],
)
def test_parse_listeners_reads_the_kernels_addresses(
    local: str, address: str, port: int, is_everywhere: bool, is_loopback: bool
) -> None:
    """IPv4, IPv6 and mapped addresses come out as people write them."""
    (found,) = parse_listeners(HEAD + LINE.format(local, "0A"), "tcp")
    assert found == Listener("tcp", address, port)
    assert (found.is_everywhere, found.is_loopback) == (is_everywhere, is_loopback)


def test_parse_listeners_leaves_connections_out() -> None:
    """An established connection of the same port is no listener, nor is a line that is cut off."""
    assert list(parse_listeners(HEAD + LINE.format("00000000:0050", "01") + "  1: 0000", "tcp")) == []
