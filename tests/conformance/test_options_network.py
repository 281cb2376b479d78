"""`--add-host`, `--dns*`, `--expose`, `-P`, `--mac-address`, `--network`, `--link`: names, addresses and ports."""

from __future__ import annotations

import re

import pytest

from tests.conformance.commands import refused, run, run_refused, shown, started
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")


def test_add_host_takes_addresses_and_the_gateway(engine: Engine) -> None:
    """In both spellings, of both families, and host-gateway for the host itself."""
    options = ("--add-host", "gw:host-gateway", "--add-host", "six:::1", "--add-host", "four=1.2.3.4")
    lines = run(engine, *options, script="grep -E 'gw|six|four' /etc/hosts; ip route | head -n 1").splitlines()
    gateway = lines[3].split()[2]
    assert lines[:3] == [f"{gateway}\tgw", "::1\tsix", "1.2.3.4\tfour"]
    assert run(engine, "--network", "host", "--add-host", "x:1.2.3.4", script="tail -n 1 /etc/hosts") == "1.2.3.4\tx"
    bad = {"Image": "busybox", "HostConfig": {"ExtraHosts": ["bad"]}}
    assert b'bad format for add-host: \\"bad\\"' in engine.request("POST", "/containers/create", bad).body


def test_dns_options_are_in_resolv_conf(engine: Engine) -> None:
    """Servers of both families, search domains, a dot for none, and options; on the host's network too."""
    options = ("--dns", "1.1.1.1", "--dns", "2001:db8::1", "--dns-search", "x.y", "--dns-search", "z.w")
    out = run(engine, *options, "--dns-option", "ndots:1", script="grep -v '#' /etc/resolv.conf")
    lines = ["nameserver 1.1.1.1", "nameserver 2001:db8::1", "options ndots:1", "search x.y z.w"]
    assert sorted(out.splitlines()) == lines
    assert run(engine, "--dns-search", ".", script="grep -c search /etc/resolv.conf || true") == "0"
    out = run(engine, "--network", "host", "--dns", "1.1.1.1", script="grep nameserver /etc/resolv.conf")
    assert out == "nameserver 1.1.1.1"


def test_expose_and_publish_all(engine: Engine) -> None:
    """Exposed ports are shown, single ones and ranges; -P gives each one of the host's."""
    options = ("--expose", "80", "--expose", "100-102/udp")
    engine.ok("create", "--name", "box", *options, "busybox")
    assert sorted(shown(engine, "box", "{{json .Config.ExposedPorts}}")) == ["100/udp", "101/udp", "102/udp", "80/tcp"]
    assert shown(engine, "box", "{{json .HostConfig.PortBindings}}") == {}
    started(engine, "all", *options, "-P", script="nc -l -p 80 < /etc/hostname")
    ports = shown(engine, "all", "{{json .NetworkSettings.Ports}}")
    assert sorted(ports) == ["100/udp", "101/udp", "102/udp", "80/tcp"]
    assert all(int(binding["HostPort"]) > 0 for bindings in ports.values() for binding in bindings)
    assert shown(engine, "all", "{{json .HostConfig.PublishAllPorts}}") is True


def test_published_ports_on_the_hosts_network_are_warned_of(engine: Engine) -> None:
    """They mean nothing there."""
    done = engine.docker("create", "--network", "host", "-p", "80:80", "busybox")
    assert done.stderr == "WARNING: Published ports are discarded when using host network mode\n"


def test_mac_address_is_the_interfaces(engine: Engine) -> None:
    """By the field of the older API, which both know; shown by `inspect` while it runs."""
    body = {"Image": "busybox", "Cmd": ["sleep", "1000"], "MacAddress": "02:42:ac:11:00:99"}
    assert engine.request("POST", "/v1.41/containers/create?name=box", body).status == 201
    engine.ok("start", "box")
    assert engine.ok("exec", "box", "cat", "/sys/class/net/eth0/address") == "02:42:ac:11:00:99"
    assert engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.MacAddress}}", "box") == "02:42:ac:11:00:99"


def test_mac_address_of_the_endpoint_is_the_interfaces(shoald: Engine) -> None:
    """As the command sends it since API 1.44, by the default network's name."""
    script = "cat /sys/class/net/eth0/address"
    assert run(shoald, "--mac-address", "02:42:ac:11:00:98", script=script) == "02:42:ac:11:00:98"
    assert run(shoald, "--network", "name=bridge,mac-address=02:42:ac:11:00:97", script=script) == "02:42:ac:11:00:97"


def test_networks_that_are_not_are_refused(engine: Engine) -> None:
    """Unknown ones, addresses where Docker's own networks give them, and more networks than one."""
    assert "network nope not found" in run_refused(engine, "--network", "nope")
    expected = "user specified IP address is supported on user defined networks only"
    assert expected in run_refused(engine, "--ip", "172.17.0.99")
    assert expected in run_refused(engine, "--ip6", "fd00::9")
    answer = run_refused(engine, "--network", "bridge", "--network", "host")
    assert re.search("ontainer cannot be connected to network endpoints: (bridge, host|host, bridge)", answer)


def test_link_gives_a_name_and_variables(engine: Engine) -> None:
    """The alias, the other's host name and its own name lead to it; its ports and environment become variables."""
    options = ("--expose", "80", "--expose", "90-92/udp", "-e", "FOO=a=b", "-e", "HOME=/not/passed")
    identifier = started(engine, "target", *options)
    address = engine.ok("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "target")
    script = "grep alias /etc/hosts; env | grep ^AN_ALIAS | sort; ping -c 1 -W 5 an-alias | grep -c ' 0% packet loss'"
    lines = run(engine, "--link", "target:an-alias", script=script).splitlines()
    assert lines[0] == f"{address}\tan-alias {identifier[:12]} target"
    assert lines[-1] == "1"
    variables = dict(line.split("=", 1) for line in lines[1:-1])
    assert variables.pop("AN_ALIAS_NAME").endswith("/an-alias")
    expected = {
        "AN_ALIAS_PORT": f"tcp://{address}:80",
        "AN_ALIAS_ENV_FOO": "a=b",
        "AN_ALIAS_PORT_90_UDP_START": f"udp://{address}:90",
        "AN_ALIAS_PORT_90_UDP_PORT_START": "90",
        "AN_ALIAS_PORT_90_UDP_END": f"udp://{address}:92",
        "AN_ALIAS_PORT_90_UDP_PORT_END": "92",
    }
    for number, protocol in ((80, "tcp"), (90, "udp"), (91, "udp"), (92, "udp")):
        key = f"AN_ALIAS_PORT_{number}_{protocol.upper()}"
        expected[key] = f"{protocol}://{address}:{number}"
        expected |= {f"{key}_ADDR": address, f"{key}_PORT": str(number), f"{key}_PROTO": protocol}
    assert variables == expected


def test_link_is_shown_and_is_a_name_of_its_target(engine: Engine) -> None:
    """`inspect` of both sides, `ps --no-trunc`, and every command that takes a name; exec has the variables too."""
    started(engine, "target", "--expose", "80")
    started(engine, "owner", "--link", "target:one", "--link", "target:two", "--link", "target:one")
    links = shown(engine, "owner", "{{json .HostConfig.Links}}")
    assert sorted(links) == ["/target:/owner/one", "/target:/owner/two"]
    assert engine.ok("inspect", "-f", "{{.Name}}", "owner/one") == "/target"
    rows = engine.ok("ps", "--no-trunc", "--format", "{{.Names}}").splitlines()
    assert {name for row in rows for name in row.split(",")} == {"owner", "target", "owner/one", "owner/two"}
    assert engine.ok("ps", "--format", "{{.Names}}").split() == ["owner", "target"]
    assert "ONE_PORT_80_TCP_PORT=80" in engine.ok("exec", "owner", "env").splitlines()
    engine.ok("rename", "target", "renamed")
    assert "/renamed:/owner/two" in shown(engine, "owner", "{{json .HostConfig.Links}}")


def test_link_is_removed_alone(engine: Engine) -> None:
    """`rm --link` takes the name out of a running container's hosts; the target goes on."""
    started(engine, "target")
    started(engine, "owner", "--link", "target:one", "--link", "target:two")
    assert engine.ok("rm", "--link", "owner/one") == "owner/one"
    assert shown(engine, "owner", "{{json .HostConfig.Links}}") == ["/target:/owner/two"]
    hosts = engine.ok("exec", "owner", "cat", "/etc/hosts")
    assert re.search(r"\ttwo ", hosts)
    assert not re.search(r"\tone ", hosts)
    assert engine.ok("inspect", "-f", "{{.State.Status}}", "target") == "running"
    assert "No such container: owner/one" in refused(engine, "rm", "--link", "owner/one")
    assert "annot remove the default link name of the container" in refused(engine, "rm", "--link", "target")


def test_link_follows_its_target_to_another_address(engine: Engine) -> None:
    """A target that is started anew is found again by those who link to it, without their being restarted."""
    started(engine, "target")
    started(engine, "owner", "--link", "target:one")
    engine.ok("stop", "-t", "0", "target")
    started(engine, "other")
    engine.ok("start", "target")
    form = "{{.NetworkSettings.IPAddress}}"
    address = engine.ok("inspect", "-f", form, "target")
    assert address != engine.ok("inspect", "-f", form, "other")
    assert engine.ok("exec", "owner", "sh", "-c", "grep one /etc/hosts | cut -f 1") == address


def test_link_to_what_does_not_run_is_refused(engine: Engine) -> None:
    """At create for one that there is not, at start for one that is stopped; kept over a restart of the daemon."""
    expected = "could not get container for nope: No such container: nope"
    assert expected in run_refused(engine, "--link", "nope")
    started(engine, "target")
    engine.ok("create", "--name", "owner", "--link", "target:one", "busybox")
    engine.ok("stop", "-t", "0", "target")
    expected = "Cannot link to a non running container: /target AS /owner/one"
    assert expected in refused(engine, "start", "owner")
    engine.restart()
    assert shown(engine, "owner", "{{json .HostConfig.Links}}") == ["/target:/owner/one"]
    assert expected in refused(engine, "start", "owner")
    assert shown(engine, "owner", "{{.State.ExitCode}}") == 128
    engine.ok("start", "target")
    engine.ok("start", "owner")


def test_link_to_what_does_not_run_keeps_the_exit_code(engine: Engine) -> None:
    """A start that came to nothing before there was a process leaves the code of the last one."""
    started(engine, "target")
    engine.docker("run", "--name", "owner", "--link", "target:one", "busybox", "sh", "-c", "exit 3")
    engine.ok("stop", "-t", "0", "target")
    assert "Cannot link to a non running container" in refused(engine, "start", "owner")
    assert shown(engine, "owner", "{{.State.ExitCode}}") == 3


def test_link_on_the_hosts_network_is_refused(engine: Engine) -> None:
    """From there, and to there; from none it is taken and means nothing."""
    expected = "conflicting options: host type networking can't be used with links. This would result in undefined"
    started(engine, "hosted", "--network", "host")
    assert expected in run_refused(engine, "--link", "hosted")
    started(engine, "target")
    assert expected in run_refused(engine, "--network", "host", "--link", "target")
    assert run(engine, "--network", "none", "--link", "target", script="grep -c target /etc/hosts || true") == "0"


@pytest.mark.parametrize("link", ["target:", "target:/x", "target:a/b"])
def test_link_with_an_odd_alias(engine: Engine, link: str) -> None:
    """Slashes are no part of a name in the hosts file, and an empty alias is no link."""
    started(engine, "target")
    out = run(engine, "--link", link, script="cat /etc/hosts")
    assert bool(re.search("\t[xb] ", out)) == (link != "target:"), out
