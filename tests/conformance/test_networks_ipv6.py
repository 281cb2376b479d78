"""Networks with IPv6: made, shown, refused; addresses, names and ports of containers in them."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.conformance.commands import refused, run, shown, started
from tests.engines.engine import Engine
from tests.engines.shoald import Shoald

pytestmark = pytest.mark.usefixtures("cli")
SUBNET = "fd00:77::/64"
SUBNETS = ("--ipv6", "--subnet", SUBNET, "--subnet", "10.9.0.0/24")


def network(engine: Engine, ref: str) -> dict[str, Any]:
    """What `network inspect` shows."""
    return dict(json.loads(engine.ok("network", "inspect", ref))[0])


def status_of(engine: Engine, *pools: dict[str, str], **body: object) -> tuple[int, str]:
    """The status and the sentence for a network that must be refused."""
    request = {"Name": "net", "EnableIPv6": True, "IPAM": {"Config": pools}, **body}
    answer = engine.request("POST", "/networks/create", request)
    assert answer.status >= 400, answer.body
    return answer.status, answer.json["message"]


def answered(engine: Engine, host: str, port: int) -> bytes:
    """What the server in a container says, which may be just about to listen."""
    deadline = time.monotonic() + 20
    while True:
        try:
            with engine.connect(port, host, timeout_s=3) as client:
                if said := client.recv(10):
                    return said
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def test_create_with_a_subnet_of_each_family(engine: Engine) -> None:
    """Both are shown, whatever the order in which they were given; the gateway is the first address."""
    engine.ok("network", "create", *SUBNETS, "net")
    made = network(engine, "net")
    pools = {pool["Subnet"]: pool.get("Gateway", "").partition("/")[0] for pool in made["IPAM"]["Config"]}
    assert made["EnableIPv6"] is True
    assert set(pools) == {"10.9.0.0/24", SUBNET}
    assert engine.ok("network", "ls", "--format", "{{.IPv6}}", "-f", "name=net") == "true"
    out = run(engine, "--network", "net", script="ip -6 addr show eth0; ip -6 route")
    assert "inet6 fd00:77::2/64" in out
    assert "default via fd00:77::1" in out


def test_container_shows_its_addresses_and_keeps_to_its_wish(engine: Engine) -> None:
    """Inspections of container and network agree with the interface; --ip6 is obeyed, a taken one refused."""
    engine.ok("network", "create", *SUBNETS, "--gateway", "fd00:77::ff", "--aux-address", "a=fd00:77::1", "net")
    started(engine, "box", "--network", "net", "--ip6", "fd00:77::42")
    place = shown(engine, "box", "{{json .NetworkSettings.Networks.net}}")
    assert (place["GlobalIPv6Address"], place["GlobalIPv6PrefixLen"]) == ("fd00:77::42", 64)
    assert place["IPv6Gateway"] == "fd00:77::ff"
    (member,) = network(engine, "net")["Containers"].values()
    assert (member["IPv6Address"], member["IPv4Address"]) == ("fd00:77::42/64", "10.9.0.2/24")
    assert "inet6 fd00:77::42/64" in engine.ok("exec", "box", "ip", "-6", "addr", "show", "eth0")
    assert "fd00:77::42\t" in engine.ok("exec", "box", "cat", "/etc/hosts")
    told = refused(engine, "run", "--rm", "--network", "net", "--ip6", "fd00:77::42", "busybox", "true", code=125)
    assert "Address already in use" in told
    told = refused(engine, "run", "--rm", "--network", "net", "--ip6", "fd00:78::1", "busybox", "true", code=125)
    assert re.search("(no configured subnet|Invalid address|invalid address)", told), told


def test_neighbours_find_each_other_by_both_families(engine: Engine) -> None:
    """A and AAAA, by name and alias, and traffic over IPv6."""
    engine.ok("network", "create", *SUBNETS, "net")
    started(engine, "web", "--network", "net", "--network-alias", "www", script="echo hello | nc -l -p 80")
    for name in ("web", "www"):
        out = run(engine, "--network", "net", script=f"nslookup {name} 127.0.0.11 || true")
        assert "fd00:77::2" in out
        assert "10.9.0.2" in out
    assert run(engine, "--network", "net", script="nc -w 3 fd00:77::2 80 < /dev/null") == "hello"


def test_connect_and_disconnect_while_running(engine: Engine) -> None:
    """The address and the way outside come with the network, and go with it."""
    engine.ok("network", "create", *SUBNETS, "net")
    started(engine, "box")
    engine.ok("network", "connect", "--ip6", "fd00:77::7", "net", "box")
    assert "inet6 fd00:77::7/64" in engine.ok("exec", "box", "ip", "-6", "addr", "show", "eth1")
    if engine.name == "shoald":  # dockerd 20.10 leaves it without a route
        assert "default via fd00:77::1" in engine.ok("exec", "box", "ip", "-6", "route")
    engine.ok("network", "disconnect", "net", "box")
    assert "fd00:77" not in engine.ok("exec", "box", "sh", "-c", "ip -6 addr; ip -6 route")


def test_subnets_that_overlap_or_mean_nothing_are_refused(engine: Engine) -> None:
    """403 for another network's, 403 for two of one family; nothing is made."""
    engine.ok("network", "create", *SUBNETS, "first")
    four, other = {"Subnet": "10.10.0.0/24"}, {"Subnet": "fd00:78::/64"}
    for subnet in (SUBNET, "fd00:77::/48", "fd00:77:0:0:8000::/65"):
        status, message = status_of(engine, four, {"Subnet": subnet})
        assert (status, "Pool overlaps with other one on this address space" in message) == (403, True)
    status, message = status_of(engine, four, other, {"Subnet": "fd00:79::/64"})
    assert (status, "bridge driver doesn't support multiple subnets" in message) == (403, True)
    assert set(engine.ok("network", "ls", "-qf", "type=custom").split()) == {network(engine, "first")["Id"][:12]}


def test_addresses_that_do_not_fit_are_told_together(shoald: Engine) -> None:
    """In the words of Docker 25 and later, all of them at once."""
    four = {"Subnet": "10.10.0.0/24"}
    cases = {
        "invalid subnet fd00:78::/129: invalid CIDR block notation": {"Subnet": "fd00:78::/129"},
        "invalid subnet fd00:78::1/64: it should be fd00:78::/64": {"Subnet": "fd00:78::1/64"},
        "invalid gateway fd00:79::1: parent subnet fd00:78::/64 doesn't contain this address": {
            "Subnet": "fd00:78::/64",
            "Gateway": "fd00:79::1",
        },
        "invalid gateway 10.0.0.1: parent subnet is an IPv6 block": {"Subnet": "fd00:78::/64", "Gateway": "10.0.0.1"},
        "invalid ip-range fd00:79::/80: parent subnet fd00:78::/64 doesn't contain ip-range": {
            "Subnet": "fd00:78::/64",
            "IPRange": "fd00:79::/80",
        },
    }
    for sentence, pool in cases.items():
        assert status_of(shoald, four, pool) == (400, f"invalid network config:\n{sentence}")
    told = status_of(shoald, four, {"Subnet": "fd00:78::/127"})
    assert told[0] == 400
    assert "failed to allocate gateway (): No available addresses on this pool" in told[1]


def test_without_a_subnet_the_daemon_has_a_prefix_of_its_own(shoald: Engine) -> None:
    """A /64 of a /48 of unique local addresses, another one for each network, the same /48 after a kill."""
    for name in ("one", "two"):
        shoald.ok("network", "create", "--ipv6", name)
    subnets = [network(shoald, name)["IPAM"]["Config"][1]["Subnet"] for name in ("one", "two")]
    assert all(re.fullmatch(r"fd[0-9a-f:]+::/64", subnet) for subnet in subnets)
    assert len(set(subnets)) == 2
    started(shoald, "box", "--network", "one")
    address = shown(shoald, "box", "{{json .NetworkSettings.Networks.one.GlobalIPv6Address}}")
    shoald.kill9()
    shoald.start()
    assert [network(shoald, name)["IPAM"]["Config"][1]["Subnet"] for name in ("one", "two")] == subnets
    assert shown(shoald, "box", "{{json .NetworkSettings.Networks.one.GlobalIPv6Address}}") == address
    assert address not in run(shoald, "--network", "one", script="ip -6 addr show eth0")
    shoald.ok("network", "create", "--ipv6", "three")
    third = network(shoald, "three")["IPAM"]["Config"][1]["Subnet"]
    assert third not in subnets
    assert third.split(":")[:3] == subnets[0].split(":")[:3]


def test_ports_are_published_in_both_families(shoald: Engine) -> None:
    """One number for both where no address is named; what is taken, and what the container lacks, is told."""
    shoald.ok("network", "create", "--ipv6", "net")
    answer = "while :; do echo hello | nc -l -p 80; done"
    started(shoald, "web", "--network", "net", "-p", "80", script=answer)
    hosts = shown(shoald, "web", '{{json (index .NetworkSettings.Ports "80/tcp")}}')
    assert [host["HostIp"] for host in hosts] == ["0.0.0.0", "::"]
    (number,) = {int(host["HostPort"]) for host in hosts}
    gateway = network(shoald, "net")["IPAM"]["Config"][1]["Gateway"]
    assert answered(shoald, "127.0.0.1", number) == answered(shoald, gateway, number) == b"hello\n"
    assert shoald.ok("port", "web", "80").splitlines() == [f"0.0.0.0:{number}", f"[::]:{number}"]
    told = refused(shoald, "run", "--rm", "--network", "net", "-p", f"[::1]:{number}:80", "busybox", "true", code=125)
    assert f"Bind for ::1:{number} failed: port is already allocated" in told
    told = refused(shoald, "run", "--rm", "-p", "[::1]:0:80", "busybox", "true", code=125)
    assert "the container has no IPv6 address in the network bridge" in told
    started(shoald, "local", "--network", "net", "-p", "[::1]::80", script=answer)
    (local,) = shown(shoald, "local", '{{json (index .NetworkSettings.Ports "80/tcp")}}')
    assert local["HostIp"] == "::1"


def test_gateway_modes(shoald: Engine) -> None:
    """Routed: shown without a number; isolated: without a gateway, and without a way out; others are refused."""
    mode = "com.docker.network.bridge.gateway_mode_ipv"
    shoald.ok("network", "create", "--ipv6", "-o", f"{mode}4=routed", "-o", f"{mode}6=routed", "net")
    started(shoald, "web", "--network", "net", "-p", "8080:80")
    hosts = shown(shoald, "web", '{{json (index .NetworkSettings.Ports "80/tcp")}}')
    assert hosts == [{"HostIp": "0.0.0.0", "HostPort": ""}, {"HostIp": "::", "HostPort": ""}]
    assert shoald.ok("ps", "--format", "{{.Ports}}") == "80/tcp"
    isolated = ("-o", f"{mode}4=isolated", "-o", f"{mode}6=isolated")
    shoald.ok("network", "create", "--ipv6", "--internal", *isolated, "alone")
    assert all("Gateway" not in pool for pool in network(shoald, "alone")["IPAM"]["Config"])
    assert "default" not in run(shoald, "--network", "alone", script="ip route; ip -6 route")
    told = refused(shoald, "network", "create", *isolated, "net2", code=1)
    assert "gateway mode 'isolated' can only be used for an internal network" in told
    told = refused(shoald, "network", "create", "-o", f"{mode}6=nope", "--ipv6", "net2", code=1)
    assert f"failed to parse {mode}6 value: nope (unknown gateway mode nope)" in told


def test_default_bridge_with_ipv6() -> None:
    """--ipv6 and --fixed-cidr-v6: addresses, shown also where old clients look, and ports; the same after a kill."""
    engine = Shoald("--ipv6", "--fixed-cidr-v6", "fd00:99::/64")
    try:
        engine.start()
        engine.import_busybox()
        started(engine, "box", "-p", "80", script="while :; do echo hello | nc -l -p 80; done")
        settings = shown(engine, "box", "{{json .NetworkSettings}}")
        assert (settings["GlobalIPv6Address"], settings["IPv6Gateway"]) == ("fd00:99::2", "fd00:99::1")
        assert settings["GlobalIPv6PrefixLen"] == settings["Networks"]["bridge"]["GlobalIPv6PrefixLen"] == 64
        assert network(engine, "bridge")["EnableIPv6"] is True
        number = settings["Ports"]["80/tcp"][1]["HostPort"]
        assert answered(engine, "fd00:99::1", int(number)) == b"hello\n"
        engine.kill9()
        engine.start()
        assert shown(engine, "box", "{{json .NetworkSettings.GlobalIPv6Address}}") == "fd00:99::2"
        assert answered(engine, "fd00:99::1", int(number)) == b"hello\n"
    finally:
        engine.clear()
        engine.close()


def test_an_mtu_that_ipv6_cannot_use(shoald: Engine) -> None:
    """Every link of IPv6 has 1280."""
    told = refused(shoald, "network", "create", "--ipv6", "-o", "com.docker.network.driver.mtu=1279", "net", code=1)
    assert "invalid MTU number: 1279" in told
    shoald.ok("network", "create", "--ipv6", "-o", "com.docker.network.driver.mtu=1280", "net")
    assert "\n1280" in run(shoald, "--network", "net", script="echo; cat /sys/class/net/eth0/mtu")


def test_interface_has_the_name_and_the_settings_that_were_asked(shoald: Engine) -> None:
    """At the start, and the settings at a later connect too; what is no such setting is refused before."""
    option = "driver-opt=com.docker.network.endpoint."
    shoald.ok("network", "create", *SUBNETS, "net")
    shoald.ok("network", "create", "other")
    sysctls = f'"{option}sysctls=net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.accept_ra=2"'
    started(shoald, "box", "--network", f"name=net,{option}ifname=lan0,{sysctls}")
    script = (
        "cat /proc/sys/net/ipv4/conf/lan0/log_martians /proc/sys/net/ipv6/conf/lan0/accept_ra; ip -6 addr show lan0"
    )
    out = shoald.ok("exec", "box", "sh", "-c", script)
    assert out.startswith("1\n2\n")
    assert "inet6 fd00:77::2/64" in out
    words = ("--driver-opt", "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1", "other", "box")
    shoald.ok("network", "connect", *words)
    assert shoald.ok("exec", "box", "cat", "/proc/sys/net/ipv4/conf/eth0/log_martians") == "1"
    told = refused(shoald, "create", "--network", f"name=net,{option}sysctls=kernel.msgmax=1", "busybox", code=1)
    assert "unrecognised network interface sysctl 'kernel.msgmax=1'" in told
