"""shoal.network.firewall.elements and table against the kernel, in a namespace of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from shoal.network.endpoint import PublishedPort
from shoal.network.firewall.elements import SetElements
from shoal.network.firewall.nftables import Nftables, NftError
from shoal.network.firewall.publications import element_of
from shoal.network.firewall.ruleset import BridgedSubnet, Publication
from shoal.network.firewall.table import FirewallTable
from tests.kernel.network.namespaces import inside_new_namespace, nft

pytestmark = pytest.mark.root
ANYWHERE_PORT = Publication(PublishedPort("tcp", 80, "0.0.0.0", 8080), "172.17.0.2")
LOCAL_PORT = Publication(PublishedPort("udp", 53, "127.0.0.1", 5353), "172.17.0.3")
ANYWHERE, LOCAL = element_of(ANYWHERE_PORT), element_of(LOCAL_PORT)


@pytest.fixture
def elements() -> Iterator[SetElements]:
    """The maps of a table `shoal` in a new namespace."""
    with inside_new_namespace():
        library = Nftables()
        table = FirewallTable(library, "shoal")
        table.rebuild([BridgedSubnet("shoal0", "172.17.0.0/16")], [])
        elements = SetElements("shoal")
        yield elements
        elements.close()
        table.close()
        library.close()


def published() -> set[str]:
    """The elements of both maps as nft(8) shows them."""
    found: set[str] = set()
    for name in ("published_any", "published_at"):
        listed = nft("list", "map", "inet", "shoal", name).partition("elements = {")[2]
        found |= {element.strip() for element in listed.partition("}")[0].split(",") if element.strip()}
    return found


def test_map_elements_are_what_nft_reads(elements: SetElements) -> None:
    """Both maps in one transaction, as if nft(8) had added them; removed they are gone."""
    elements.add([ANYWHERE, LOCAL])
    assert published() == {"tcp . 8080 : 172.17.0.2 . 80", "udp . 127.0.0.1 . 5353 : 172.17.0.3 . 53"}
    elements.remove([ANYWHERE])
    assert published() == {"udp . 127.0.0.1 . 5353 : 172.17.0.3 . 53"}
    elements.add([])


def test_map_elements_remove_of_one_that_is_missing_changes_nothing(elements: SetElements) -> None:
    """All or none; the error says what the kernel missed, and the connection works on."""
    elements.add([LOCAL])
    with pytest.raises(NftError) as caught:
        elements.remove([LOCAL, ANYWHERE])
    assert caught.value.missing
    assert len(published()) == 1
    elements.remove([LOCAL])
    assert published() == set()


def test_map_elements_add_under_a_taken_key_is_refused(elements: SetElements) -> None:
    """A key leads to one container; adding the very same element again is harmless."""
    elements.add([ANYWHERE])
    elements.add([ANYWHERE])
    with pytest.raises(NftError):
        elements.add([element_of(replace(ANYWHERE_PORT, container_ip="172.17.0.9"))])
    assert published() == {"tcp . 8080 : 172.17.0.2 . 80"}


def test_map_elements_without_the_table_is_an_error(elements: SetElements) -> None:
    """A flushed ruleset is told, not passed over."""
    nft("flush", "ruleset")
    with pytest.raises(NftError) as caught:
        elements.add([ANYWHERE, LOCAL])
    assert caught.value.missing


def test_table_with_a_stale_element_in_the_way_is_rebuilt() -> None:
    """What somebody left under the key gives way to what the table should hold."""
    with inside_new_namespace():
        library = Nftables()
        table = FirewallTable(library, "shoal")
        table.rebuild([BridgedSubnet("shoal0", "172.17.0.0/16")], [LOCAL_PORT])
        nft("add", "element", "inet", "shoal", "published_any", "{ tcp . 8080 : 172.17.0.99 . 1 }")
        table.add([ANYWHERE_PORT])
        assert published() == {"tcp . 8080 : 172.17.0.2 . 80", "udp . 127.0.0.1 . 5353 : 172.17.0.3 . 53"}
        nft("delete", "element", "inet", "shoal", "published_any", "{ tcp . 8080 }")
        table.remove([ANYWHERE_PORT])
        assert published() == {"udp . 127.0.0.1 . 5353 : 172.17.0.3 . 53"}
        table.destroy()
        assert nft("list", "tables") == ""
        table.close()
        library.close()
