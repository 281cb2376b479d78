"""shoal.network.firewall.address_guard: what a claim is in the sets, and how ports of daemons are told apart."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import pytest

from shoal.network.firewall import address_guard
from shoal.network.firewall.address_guard import AddressGuard, Claim, elements_of
from shoal.network.firewall.elements import Element
from shoal.network.firewall.nftables import Nftables, NftError
from shoal.network.instance import daemon_group, network_group

GROUP = (0x12345678).to_bytes(4, sys.byteorder)


def test_elements_of_an_address_are_itself_and_its_pair() -> None:
    """The MAC is padded to eight bytes; the group is in the machine's byte order."""
    address = bytes([10, 0, 0, 2])
    assert elements_of(Claim(0x12345678, "10.0.0.2", "02:42:0a:00:00:02")) == [
        Element("owned", GROUP + address),
        Element("pairs", GROUP + bytes.fromhex("02420a0000020000") + address),
    ]


def test_elements_of_a_gateway_are_without_a_pair() -> None:
    """Nobody on a port may use it: neither as a sender nor as a target that is told of."""
    address = bytes.fromhex("fd00" + "00" * 13 + "01")
    assert elements_of(Claim(0x12345678, "fd00::1")) == [
        Element("owned6", GROUP + address),
        Element("told6", GROUP + address),
    ]


def test_groups_of_a_daemons_networks_share_their_upper_half() -> None:
    """And no daemon has that of the interfaces that nobody has put anywhere."""
    groups = [network_group("shoal", f"br-{number}") for number in range(100)]
    assert {group & 0xFFFF0000 for group in groups} == {daemon_group("shoal")}
    assert len(set(groups)) > 90
    assert daemon_group("shoal") not in (0, daemon_group("sh-12345678"))


class _Table(Nftables):
    """Has the table as it was last rendered."""

    def __init__(self) -> None:
        self.text = ""

    def run(self, commands: str) -> str:
        """Keeps what makes the table, and shows it."""
        self.text = self.text if commands.startswith("list") else commands
        return self.text


class _Elements:
    """What the kernel has; it has no room for the next ones where it `fails`."""

    def __init__(self, *_: object) -> None:
        self.kept: list[Element] = []
        self.fails = False

    def add(self, elements: Iterable[Element]) -> None:
        """Raises: NftError, once."""
        if self.fails:
            self.fails = False
            raise NftError("add elements", "No buffer space available")
        self.kept += elements


def test_table_whose_elements_did_not_arrive_is_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, but guards nobody: the next look at it fills it."""
    elements = _Elements()
    monkeypatch.setattr(address_guard, "SetElements", lambda *_: elements)
    guard = AddressGuard(_Table(), "shoal", 0x12340000)
    claim = Claim(0x12345678, "10.0.0.2", "02:42:0a:00:00:02")
    guard.bring_up()
    guard.add([claim])
    assert not guard.mend()
    elements.kept.clear()
    elements.fails = True
    with pytest.raises(NftError):
        guard.bring_up()
    assert guard.mend()
    assert elements.kept == elements_of(claim)
