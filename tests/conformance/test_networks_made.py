"""Networks of a user's own: made, shown, listed, refused, removed."""

from __future__ import annotations

import json
import re
import secrets
from itertools import groupby
from typing import Any

import pytest

from tests.conformance.commands import refused, run, started
from tests.conformance.differences import sentence
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")


def network(engine: Engine, ref: str) -> dict[str, Any]:
    """What `network inspect` shows."""
    return dict(json.loads(engine.ok("network", "inspect", ref))[0])


def names(engine: Engine, *filters: str) -> set[str]:
    """The networks that `network ls` lists with these filters."""
    options = [word for text in filters for word in ("--filter", text)]
    return set(engine.ok("network", "ls", "--format", "{{.Name}}", *options).splitlines())


def status_of(engine: Engine, **body: object) -> tuple[int, str]:
    """The status and the sentence for a network that must be refused."""
    answer = engine.request("POST", "/networks/create", {"Name": "net", "CheckDuplicate": True, **body})
    assert answer.status >= 400, answer.body
    return answer.status, answer.json["message"]


def test_create_gives_an_id_that_leads_everywhere(engine: Engine) -> None:
    """The printed id is the network's in inspections, lists, containers and as a network to run on."""
    identifier = engine.ok("network", "create", "net")
    assert re.fullmatch("[0-9a-f]{64}", identifier)
    assert network(engine, "net")["Id"] == network(engine, identifier[:12])["Id"] == identifier
    assert engine.ok("network", "ls", "-q", "--no-trunc", "-f", "name=net") == identifier
    started(engine, "box", "--network", identifier)
    shown = engine.inspect("box")["NetworkSettings"]
    assert isinstance(shown, dict)
    assert list(shown["Networks"]) == ["net"]
    assert next(iter(shown["Networks"].values()))["NetworkID"] == identifier
    assert list(network(engine, "net")["Containers"]) == [engine.ok("inspect", "-f", "{{.Id}}", "box")]


def test_create_with_everything_shows_everything(engine: Engine) -> None:
    """Addresses, options, labels and switches come back as they were given."""
    options = {
        "com.docker.network.bridge.name": f"br-{secrets.token_hex(4)}",
        "com.docker.network.driver.mtu": "1400",
        "com.docker.network.bridge.enable_icc": "false",
        "com.docker.network.bridge.enable_ip_masquerade": "false",
        "com.docker.network.bridge.host_binding_ipv4": "127.0.0.1",
        "unknown": "kept",
    }
    words = ["--subnet", "10.9.0.0/24", "--gateway", "10.9.0.254", "--ip-range", "10.9.0.128/25"]
    words += ["--aux-address", "one=10.9.0.128", "--internal", "--attachable", "--label", "k=v", "--label", "e"]
    words += [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    engine.ok("network", "create", *words, "net")
    shown = network(engine, "net")
    expected = {
        "Subnet": "10.9.0.0/24",
        "IPRange": "10.9.0.128/25",
        "Gateway": "10.9.0.254",
        "AuxiliaryAddresses": {"one": "10.9.0.128"},
    }
    assert shown["IPAM"] == {"Driver": "default", "Options": {}, "Config": [expected]}
    assert (shown["Internal"], shown["Attachable"], shown["EnableIPv6"], shown["Scope"]) == (True, True, False, "local")
    assert (shown["Options"], shown["Labels"]) == (options, {"k": "v", "e": ""})
    assert json.loads(engine.ok("network", "inspect", "-v", "net"))[0]["Name"] == "net"
    out = run(engine, "--network", "net", script="ip -4 -o addr show eth0; cat /sys/class/net/eth0/mtu; ip route")
    assert "inet 10.9.0.129/24" in out
    assert "\n1400\n" in out
    if engine.name == "shoald":  # dockerd 20.10 gives a way outside that leads nowhere
        assert "default" not in out


def test_create_without_a_gateway_takes_the_first_address_of_the_range(engine: Engine) -> None:
    """The bridge has the range's first, a container its second."""
    engine.ok("network", "create", "--subnet", "10.9.0.0/24", "--ip-range", "10.9.0.128/25", "net")
    out = run(engine, "--network", "net", script="ip route")
    assert "default via 10.9.0.128" in out
    assert "src 10.9.0.129" in out


def test_subnets_are_chosen_apart(engine: Engine) -> None:
    """Networks that name no subnet get different ones, away from those that were named."""
    engine.ok("network", "create", "--subnet", "192.168.224.0/20", "named")
    subnets = []
    for name in ("one", "two", "three"):
        engine.ok("network", "create", name)
        config = network(engine, name)["IPAM"]["Config"][0]
        subnets.append(config["Subnet"])
        assert config["Gateway"].rpartition(".")[0] == config["Subnet"].rpartition(".")[0]
    assert len({*subnets, "192.168.224.0/20"}) == 4


def test_ls_filters(engine: Engine) -> None:
    """Every filter, alone and together."""
    engine.ok("network", "create", "--label", "k=v", "alpha")
    identifier = engine.ok("network", "create", "--label", "k=w", "beta")
    started(engine, "box", "--network", "beta")
    built_in = {"bridge", "host", "none"}
    assert names(engine) == names(engine, "scope=local") == {"alpha", "beta", *built_in}
    assert names(engine, "type=custom") == names(engine, "label=k") == {"alpha", "beta"}
    assert names(engine, "type=builtin") == built_in
    assert names(engine, "type=builtin", "type=custom") == {"alpha", "beta", *built_in}
    assert names(engine, "label=k=v") == names(engine, "name=^al") == {"alpha"}
    assert names(engine, "label=k=w", "label=k=v") == names(engine, "scope=swarm") == set()
    assert names(engine, f"id={identifier[:12]}") == names(engine, "name=beta") == {"beta"}
    if engine.name == "shoald":  # dockerd 20.10 doesn't look for containers
        assert names(engine, "dangling=true") == {"alpha"}
        assert names(engine, "dangling=false") == {"beta", *built_in}
    assert names(engine, "driver=null", "driver=host") == {"none", "host"}
    for wrong in ("nope=1", "type=nope", "dangling=nope"):
        assert " filter" in refused(engine, "network", "ls", "-f", wrong, code=1)


def test_names_that_are_taken(engine: Engine) -> None:
    """A second network of a name, and those of every daemon, with their statuses."""
    engine.ok("network", "create", "net")
    assert status_of(engine) == (409, "network with name net already exists")
    for name in ("bridge", "host", "none", "default"):
        status, message = status_of(engine, Name=name)
        assert (status, message.strip()) == (403, f"operation is not permitted on predefined {name} network")
    for name in ("bridge", "host", "none"):
        told = refused(engine, "network", "rm", name, code=1)
        assert f"{name} is a pre-defined network and cannot be removed" in told
    assert engine.request("DELETE", "/networks/nope").status == 404
    assert "network nope not found" in refused(engine, "network", "inspect", "nope", code=1)


@pytest.mark.parametrize("text", ["foo", "10.9.0.0/33", "10.9.0"])
def test_create_with_a_malformed_subnet(engine: Engine, text: str) -> None:
    """Nothing is made."""
    told = refused(engine, "network", "create", "--subnet", text, "net", code=1)
    assert sentence(engine, "network-subnet").format(text=text) in told
    assert names(engine, "type=custom") == set()


def test_create_with_addresses_that_do_not_fit(engine: Engine) -> None:
    """A gateway and a range outside or malformed, told by the daemon; nothing is made."""
    allowed = sentence(engine, "network-request-status")
    for key, config in {
        "network-gateway-outside": {"Subnet": "10.9.0.0/24", "Gateway": "10.8.0.1"},
        "network-gateway-malformed": {"Subnet": "10.12.0.0/24", "Gateway": "foo"},
        "network-range": {"Subnet": "10.9.0.0/24", "IPRange": "foo"},
    }.items():
        status, message = status_of(engine, IPAM={"Config": [config]})
        assert re.search(sentence(engine, key), message), message
        assert re.fullmatch(allowed, str(status))
    for option in ("--gateway=10.8.0.1", "--ip-range=10.8.0.0/25", "--aux-address=a=10.8.0.1"):
        assert "no matching subnet" in refused(engine, "network", "create", "--subnet", "10.13.0.0/24", option, "net")
    told = refused(engine, "network", "create", "--subnet", "10.14.0.0/31", "net", code=1)
    assert "failed to allocate gateway (): No available addresses on this pool" in told
    words = ("--subnet", "10.15.0.0/24", "--gateway", "10.15.0.0")
    told = refused(engine, "network", "create", *words, "net", code=1)
    assert "failed to allocate gateway (10.15.0.0): Address already in use" in told
    assert names(engine, "type=custom") == set()


def test_subnets_that_overlap_are_refused(engine: Engine) -> None:
    """With another network's, the default one's too: 403, and nothing is made."""
    engine.ok("network", "create", "--subnet", "10.9.0.0/24", "first")
    default = network(engine, "bridge")["IPAM"]["Config"][0]["Subnet"]
    for subnet in ("10.9.0.0/24", "10.9.0.0/16", "10.9.0.128/25", default):
        status, message = status_of(engine, IPAM={"Config": [{"Subnet": subnet}]})
        assert (status, "Pool overlaps with other one on this address space" in message) == (403, True)
    assert names(engine, "type=custom") == {"first"}
    engine.ok("network", "rm", "first")
    engine.ok("network", "create", "--subnet", "10.9.0.128/25", "second")


def test_options_that_mean_nothing(engine: Engine) -> None:
    """An MTU, a switch and an address that are none, a bridge that is another's: nothing is made."""

    def told(option: str) -> str:
        return refused(engine, "network", "create", "-o", f"com.docker.network.{option}", "net", code=1)

    assert "failed to parse com.docker.network.driver.mtu value: foo" in told("driver.mtu=foo")
    assert "invalid MTU number: -1" in told("driver.mtu=-1")
    assert "failed to parse com.docker.network.bridge.enable_icc value: foo" in told("bridge.enable_icc=foo")
    expected = "failed to parse com.docker.network.bridge.host_binding_ipv4 value: foo"
    assert expected in told("bridge.host_binding_ipv4=foo")
    bridge = f"br-{secrets.token_hex(4)}"
    engine.ok("network", "create", "-o", f"com.docker.network.bridge.name={bridge}", "first")
    assert "networks have same bridge name" in told(f"bridge.name={bridge}")
    assert names(engine, "type=custom") == {"first"}


def test_an_mtu_that_no_interface_has(shoald: Engine) -> None:
    """Docker makes such a network, on which nothing starts."""
    for mtu in ("67", "100000"):
        told = refused(shoald, "network", "create", "-o", f"com.docker.network.driver.mtu={mtu}", "net", code=1)
        assert f"invalid MTU number: {mtu}" in told


def test_drivers_that_are_not(engine: Engine) -> None:
    """An unknown one, an unknown one for addresses, a swarm's, and a second host or none."""
    assert 'plugin "nope" not found' in status_of(engine, Driver="nope")[1]
    assert status_of(engine, Driver="nope")[0] == 404
    assert 'plugin "nope" not found' in status_of(engine, IPAM={"Driver": "nope"})[1]
    for driver in ("host", "null"):
        assert status_of(engine, Driver=driver) == (403, f'only one instance of "{driver}" network is allowed')
    assert "This node is not a swarm manager." in status_of(engine, Driver="overlay")[1]
    expected = "cannot create a swarm scoped network when swarm is not active"
    assert expected in status_of(engine, Scope="swarm")[1]
    config = [{"Subnet": "10.10.0.0/24"}, {"Subnet": "10.11.0.0/24"}]
    assert "bridge driver doesn't support multiple subnets" in status_of(engine, IPAM={"Config": config})[1]


def test_rm_of_a_network_in_use_is_refused(engine: Engine) -> None:
    """403 while a container runs in it; a stopped one does not hold it, and fails to start afterwards."""
    identifier = engine.ok("network", "create", "net")
    started(engine, "box", "--network", "net")
    told = refused(engine, "network", "rm", "net", code=1)
    assert f"error while removing network: network net id {identifier} has active endpoints" in told
    assert engine.request("DELETE", "/networks/net").status == 403
    engine.ok("stop", "-t", "0", "box")
    assert engine.ok("network", "rm", "net") == "net"
    # dockerd 20.10 remembers the network by its id, and shows it
    assert re.search(f"network (net|{identifier}) not found", refused(engine, "start", "box"))
    engine.ok("network", "create", "net")
    if engine.name == "shoald":
        engine.ok("start", "box")


def test_prune_takes_the_network_of_a_stopped_container(engine: Engine) -> None:
    """It is not in it before it starts again, which then says what is missing."""
    engine.ok("network", "create", "net")
    started(engine, "box", "--network", "net")
    engine.ok("stop", "-t", "0", "box")
    assert engine.ok("network", "prune", "-f").split() == ["Deleted", "Networks:", "net"]
    assert "not found" in refused(engine, "start", "box", code=1)


def test_prune_takes_what_nobody_uses(engine: Engine) -> None:
    """With and without a label; networks with a container stay."""
    for name, label in (("used", "a"), ("free", "a"), ("kept", "b")):
        engine.ok("network", "create", "--label", label, name)
    started(engine, "box", "--network", "used")
    assert engine.ok("network", "prune", "-f", "--filter", "label=a").split() == ["Deleted", "Networks:", "free"]
    assert engine.ok("network", "prune", "-f", "--filter", "label!=b") == ""
    assert engine.ok("network", "prune", "-f", "--filter", "until=1h") == ""
    assert engine.ok("network", "prune", "-f").split() == ["Deleted", "Networks:", "kept"]
    assert names(engine, "type=custom") == {"used"}


def test_events_tell_of_networks(engine: Engine) -> None:
    """Made, joined, left and removed, with name, type and container."""
    before = engine.request("GET", "/info").json["SystemTime"]
    identifier = engine.ok("network", "create", "net")
    box = started(engine, "box", "--network", "net")
    engine.ok("network", "disconnect", "net", "box")
    engine.ok("network", "connect", "net", "box")
    engine.ok("rm", "-f", "box")
    engine.ok("network", "rm", "net")
    after = engine.request("GET", "/info").json["SystemTime"]
    lines = engine.ok(
        "events", "--since", before, "--until", after, "--filter", "type=network", "--format", "{{json .}}"
    ).splitlines()
    told = [(event["Action"], event["Actor"]) for event in map(json.loads, lines)]
    actions = ["create", "connect", "disconnect", "connect", "disconnect", "destroy"]
    # dockerd 20.10 tells of a disconnection twice.
    assert [action for action, _ in groupby(action for action, _ in told)] == actions
    for action, actor in told:
        attributes = {"name": "net", "type": "bridge"} | ({"container": box} if "connect" in action else {})
        assert (actor["ID"], actor["Attributes"]) == (identifier, attributes)


def test_docker_py_makes_and_uses_networks(engine: Engine) -> None:
    """The library's own objects: create with IPAM, connect with an address, reload, list, disconnect, remove."""
    from docker.types import IPAMConfig, IPAMPool

    client = engine.client
    pool = IPAMPool(subnet="10.9.0.0/24", gateway="10.9.0.1")
    made = client.networks.create("net", driver="bridge", ipam=IPAMConfig(pool_configs=[pool]), labels={"k": "v"})
    box = client.containers.run("busybox", ["sleep", "1000"], name="box", network="net", detach=True)
    made.reload()
    assert made.containers == [box]
    made.disconnect(box)
    made.connect(box, ipv4_address="10.9.0.7", aliases=["other"])
    box.reload()
    assert box.attrs["NetworkSettings"]["Networks"]["net"]["IPAddress"] == "10.9.0.7"
    assert [found.name for found in client.networks.list(filters={"label": "k=v"})] == ["net"]
    made.disconnect(box, force=True)
    made.remove()
    assert client.networks.list(names=["net"]) == []
