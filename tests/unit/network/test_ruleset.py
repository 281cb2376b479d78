"""shoal.network.firewall.ruleset: the commands, against a golden file and by element."""

from __future__ import annotations

from pathlib import Path

from shoal.network.endpoint import PublishedPort
from shoal.network.firewall.ruleset import BridgedSubnet, Publication, map_of, render_table

GOLDEN = Path(__file__).parent / "golden" / "table.nft"
ANYWHERE = Publication(PublishedPort("tcp", 80, "0.0.0.0", 8080), "172.17.0.2")
GOLDEN6 = Path(__file__).parent / "golden" / "table6.nft"
LOCAL = Publication(PublishedPort("udp", 53, "127.0.0.1", 5353), "172.17.0.3")


def test_render_table_is_the_golden_file() -> None:
    """A change of any rule shows up in review."""
    text = render_table("shoal", [BridgedSubnet("shoal0", "172.17.0.0/16")], [ANYWHERE, LOCAL])
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_map_of_is_chosen_by_the_host_address() -> None:
    """0.0.0.0 goes by port alone, anything else by address and port."""
    assert map_of(ANYWHERE) == "published_any"
    assert map_of(LOCAL) == "published_at"


def test_render_table_of_two_networks_has_rules_for_each() -> None:
    """Every bridge has its own guard, its own chain and its own masquerading."""
    text = render_table("t", [BridgedSubnet("a0", "10.0.0.0/24"), BridgedSubnet("b0", "10.0.1.0/24")], [])
    for bridge, subnet in (("a0", "10.0.0.0/24"), ("b0", "10.0.1.0/24")):
        assert f'iifname "{bridge}" ip daddr 127.0.0.0/8 drop' in text
        assert f'ip saddr {subnet} oifname != "{bridge}" masquerade' in text
    assert 'oifname "a0" jump inbound_0' in text
    assert 'oifname "b0" jump inbound_1' in text


def test_render_table_of_both_families_is_the_golden_file() -> None:
    """One network of each mode: what a mode leaves out shows up in review, too."""
    networks = [
        BridgedSubnet("nat0", "10.0.0.0/24", subnet6="fd00::/64"),
        BridgedSubnet("open0", "10.0.1.0/24", mode="nat-unprotected", subnet6="fd00:1::/64", mode6="nat-unprotected"),
        BridgedSubnet("way0", "10.0.2.0/24", mode="routed", subnet6="fd00:2::/64", mode6="routed"),
        BridgedSubnet(
            "alone0", "10.0.3.0/24", True, mode="isolated", has_address=False, subnet6="fd00:3::/64", mode6="isolated"
        ),
    ]
    publications = [
        ANYWHERE,
        Publication(PublishedPort("tcp", 80, "::", 8080), "fd00::2"),
        Publication(PublishedPort("tcp", 81, "::1", 8081), "fd00::2"),
        Publication(PublishedPort("tcp", 82, "::", 8082, guarded=True), "fd00::2"),
        Publication(PublishedPort("tcp", 80, "0.0.0.0", 0), "10.0.2.2"),
        Publication(PublishedPort("udp", 53, "::", 0), "fd00:2::2"),
    ]
    text = render_table("shoal", networks, publications, reaches_loopback6=False)
    assert text == GOLDEN6.read_text(encoding="utf-8")
