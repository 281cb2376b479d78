"""Networks of users' own: what is refused, and which networks a running container is in."""

from __future__ import annotations

import subprocess

import pytest

from tests.conformance.commands import started
from tests.engines.engine import Engine
from tests.engines.netns import in_network_of

pytestmark = pytest.mark.usefixtures("cli")

_BRIDGE_NAME = "com.docker.network.bridge.name"


def _refusal(engine: Engine, *options: str) -> str:
    """The last line of why a network is not made."""
    outcome = engine.docker("network", "create", *options)
    assert outcome.returncode == 1
    return outcome.stderr.splitlines()[0]


def _networks(engine: Engine, name: str) -> list[str]:
    shown = engine.ok("inspect", "-f", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}", name)
    return shown.split()


def test_network_with_the_subnet_of_another_is_refused(engine: Engine) -> None:
    """Be it that of a user's network or that of the daemon's."""
    engine.ok("network", "create", "--subnet", "10.231.0.0/16", "one")
    taken = "Error response from daemon: Pool overlaps with other one on this address space"
    assert _refusal(engine, "--subnet", "10.231.8.0/24", "two") == taken
    daemons = engine.ok("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "bridge")
    assert _refusal(engine, "--subnet", daemons, "two") == taken
    assert "two" not in engine.ok("network", "ls", "--format", "{{.Name}}").split()
    engine.ok("network", "rm", "one")


def test_network_with_the_bridge_of_another_is_refused(engine: Engine) -> None:
    """Neither network loses its bridge by it."""
    engine.ok("network", "create", "-o", f"{_BRIDGE_NAME}=br-conf0", "one")
    assert "networks have same bridge name" in _refusal(engine, "-o", f"{_BRIDGE_NAME}=br-conf0", "two")
    started(engine, "box", "--network", "one")
    engine.ok("rm", "-f", "box")
    engine.ok("network", "rm", "one")


@pytest.mark.parametrize("name", ["bridge", "host", "none"])
def test_network_of_the_daemons_cannot_be_made_or_removed(engine: Engine, name: str) -> None:
    """In Docker's words."""
    assert f"operation is not permitted on predefined {name} network" in _refusal(engine, name)
    assert f"{name} is a pre-defined network and cannot be removed" in engine.docker("network", "rm", name).stderr


def test_network_with_a_container_in_it_is_not_removed(engine: Engine) -> None:
    """It goes when the container has left it."""
    engine.ok("network", "create", "net")
    started(engine, "box", "--network", "net")
    assert "has active endpoints" in engine.docker("network", "rm", "net").stderr
    engine.ok("network", "disconnect", "net", "box")
    engine.ok("network", "rm", "net")


def test_container_that_left_its_network_is_in_the_next_one_alone(engine: Engine) -> None:
    """Its way outside leads through that one; left behind is no interface."""
    engine.ok("network", "create", "--subnet", "10.232.0.0/16", "net")
    started(engine, "box")
    engine.ok("network", "disconnect", "bridge", "box")
    assert _networks(engine, "box") == []
    assert engine.docker("network", "disconnect", "bridge", "box").returncode == 1
    engine.ok("network", "connect", "net", "box")
    assert _networks(engine, "box") == ["net"]
    assert "default via 10.232.0.1" in engine.ok("exec", "box", "ip", "route")
    engine.ok("restart", "-t", "0", "box")
    assert _networks(engine, "box") == ["net"]


def test_container_made_with_a_networks_id_is_in_it_by_name(engine: Engine) -> None:
    """So it can leave it by its name."""
    id = engine.ok("network", "create", "net")
    started(engine, "box", "--network", id)
    assert _networks(engine, "box") == ["net"]
    engine.ok("network", "disconnect", "net", "box")
    assert _networks(engine, "box") == []


def test_network_never_takes_an_interface_of_the_host(shoald: Engine) -> None:
    """It has its addresses and is there afterwards; Docker would use a bridge, and strip it."""

    def host(*words: str) -> str:
        command = ["ip", *words]
        return in_network_of(
            shoald.pid, lambda: subprocess.run(command, check=True, capture_output=True).stdout.decode()
        )

    for kind in ("bridge", "veth"):
        host("link", "add", "hosts0", "type", kind)
        try:
            host("addr", "add", "10.233.0.1/24", "dev", "hosts0")
            assert "the host has an interface hosts0 already" in _refusal(shoald, "-o", f"{_BRIDGE_NAME}=hosts0", "net")
            assert "10.233.0.1/24" in host("addr", "show", "dev", "hosts0")
        finally:
            host("link", "del", "hosts0")
