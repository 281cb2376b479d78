"""shoal.network.firewall.elements: the bytes of a map element."""

from __future__ import annotations

from shoal.network.endpoint import PublishedPort
from shoal.network.firewall.elements import pack_elements
from shoal.network.firewall.publications import element_of
from shoal.network.firewall.ruleset import Publication

ANYWHERE = Publication(PublishedPort("tcp", 80, "0.0.0.0", 8080), "172.17.0.2")
LOCAL = Publication(PublishedPort("udp", 53, "127.0.0.1", 5353), "172.17.0.3")


def test_pack_elements_key_is_protocol_and_port_padded_to_words() -> None:
    """tcp . 8080 : 172.17.0.2 . 80, each part in four bytes, network order."""
    packed = pack_elements("shoal", "published_any", [element_of(ANYWHERE)], with_data=True)
    assert bytes.fromhex("06000000 1f900000") in packed
    assert bytes.fromhex("ac110002 00500000") in packed
    assert b"shoal\0" in packed
    assert b"published_any\0" in packed


def test_pack_elements_with_an_address_has_it_in_the_middle() -> None:
    """udp . 127.0.0.1 . 5353; a removal has the key only."""
    packed = pack_elements("shoal", "published_at", [element_of(LOCAL)], with_data=False)
    assert bytes.fromhex("11000000 7f000001 14e90000") in packed
    assert bytes.fromhex("ac110003") not in packed
