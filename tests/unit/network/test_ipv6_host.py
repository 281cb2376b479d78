"""shoal.network.ipv6_host: what of the host's settings is changed, and taken back; on a tree of files."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.errors import Unavailable
from shoal.network import ipv6_host


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings of a host that forwards nothing and listens to routers on two of its interfaces."""
    for name, accept in (("all", "1"), ("default", "1"), ("eth0", "1"), ("eth1", "0"), ("wlan0", "2")):
        directory = tmp_path / "conf" / name
        directory.mkdir(parents=True)
        (directory / "accept_ra").write_text(f"{accept}\n")
        (directory / "forwarding").write_text("0\n")
    monkeypatch.setattr(ipv6_host, "_ROOT", str(tmp_path))
    return tmp_path


def test_host_without_ipv6_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is missing, why it may be, and two ways out."""
    monkeypatch.setattr(ipv6_host, "_ROOT", str(tmp_path / "ipv6"))
    with pytest.raises(Unavailable) as caught:
        ipv6_host.check_ipv6()
    assert (caught.value.what, "ipv6.disable=1" in caught.value.fix) == ("this host has no IPv6", True)
    assert ipv6_host.forwarding_changes() == {}


def test_forwarding_changes_let_interfaces_that_listen_go_on_first(settings: Path) -> None:
    """Only those that would stop; forwarding comes last, because the kernel drops routes at that moment."""
    changes = ipv6_host.forwarding_changes()
    assert list(changes.items()) == [
        ("conf/default/accept_ra", "2"),
        ("conf/eth0/accept_ra", "2"),
        ("conf/all/forwarding", "1"),
    ]
    ipv6_host.apply(changes)
    assert (settings / "conf/all/forwarding").read_text() == "1"
    assert ipv6_host.forwarding_changes() == {}
    assert (settings / "conf/eth1/accept_ra").read_text() == "0\n"


def test_take_back_leaves_what_somebody_has_changed_since(settings: Path) -> None:
    """And passes over an interface that has gone."""
    changes = ipv6_host.forwarding_changes()
    ipv6_host.apply(changes)
    (settings / "conf/default/accept_ra").write_text("0")
    (settings / "conf/eth0/accept_ra").unlink()
    ipv6_host.take_back(changes.items())
    assert (settings / "conf/all/forwarding").read_text() == "0"
    assert (settings / "conf/default/accept_ra").read_text() == "0"
