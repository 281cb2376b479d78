"""A dockerd on the same host, which drops all that is forwarded but its own; see also test_bridge_network.py."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from shoal.network.ports import PortRequest
from tests.engines import dockerd
from tests.kernel.network.conftest import HOST_IP, LAN_IP, Site
from tests.kernel.network.namespaces import exchange, link_names, nft, write_sysctl

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not dockerd.is_installed(), reason="dockerd is not installed"),
]


class Neighbour(dockerd.Dockerd):
    """A dockerd in the network namespace of whoever starts it."""

    def command(self) -> list[str]:
        """Without a network namespace of its own."""
        return [word for word in super().command() if word != "-n"]


@pytest.fixture
def neighbour(site: Site) -> Iterator[Neighbour]:
    """Not yet started; what it leaves in the host's namespace is taken away, before the site looks for it."""
    engine = Neighbour()
    yield engine
    engine.close()
    assert site
    for line in nft("list", "tables").splitlines():
        if line.split()[-1] != "shoal":
            nft("delete", *line.split())
    if "docker0" in link_names():
        subprocess.run(["ip", "link", "delete", "docker0"], check=True)
    write_sysctl("net.ipv4.ip_forward", "0")


def test_both_serve_their_containers_whoever_came_first(site: Site, neighbour: Neighbour) -> None:
    """Ports and the way outside, for a network from before dockerd came and from after it; subnets are apart."""
    port = PortRequest("tcp", 80, "0.0.0.0", range(8080, 8081))
    network = site.network()
    container, endpoint = site.container(network, port)

    def works() -> None:
        with container.listen("0.0.0.0", 80) as server:
            assert exchange(server, site.lan.connect(HOST_IP, 8080)) == LAN_IP
        with site.lan.listen("0.0.0.0", 81) as server:
            assert exchange(server, container.connect(LAN_IP, 81)) == HOST_IP

    works()
    # dockerd drops what is forwarded only where it was dockerd that switched forwarding on.
    write_sysctl("net.ipv4.ip_forward", "0")
    neighbour.start()
    assert "policy drop" in nft("list", "chain", "ip", "filter", "FORWARD")
    site.run(network.mend())  # as the watch does, which has seen its rules
    works()
    made = neighbour.request("POST", "/networks/create", {"Name": "theirs"}).json["Id"]
    theirs = neighbour.request("GET", f"/networks/{made}").json["IPAM"]["Config"][0]["Subnet"]
    assert theirs != f"{endpoint.gateway.removesuffix('.1')}.0/16"
    site.run(network.stop(remove=False))
    site.run(network.start())
    works()
    before = nft("list", "table", "inet", "shoal")
    neighbour.request("DELETE", f"/networks/{made}")
    neighbour.stop()
    works()
    assert nft("list", "table", "inet", "shoal") == before
    rules = nft("list", "chain", "ip", "filter", "DOCKER-USER")
    assert "shoal0" in rules
    site.end(container)
    site.run(network.stop(remove=True))
    assert "shoal0" not in nft("list", "chain", "ip", "filter", "DOCKER-USER")
