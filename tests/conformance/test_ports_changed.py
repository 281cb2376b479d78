"""Ports published by a container that exists, and no longer: `shoal port add/rm`. Against shoald alone: no twin."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conformance.test_network import HELLO, fetch, web
from tests.engines.engine import Engine
from tests.engines.shoald import Shoald

pytestmark = pytest.mark.usefixtures("cli")


def port(engine: Engine, *words: str, code: int = 0) -> str:
    """What `shoal port` prints, or its complaint where it is to fail."""
    command = [sys.executable, "-m", "shoal.cli.main", "-H", f"unix://{engine.socket}", "port", *words]
    done = subprocess.run(command, capture_output=True, text=True, env=engine.environment(), timeout=30)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def is_open(engine: Engine, number: int, host: str = "127.0.0.1") -> bool:
    """Whether somebody accepts connections there."""
    try:
        engine.connect(number, host, timeout_s=1).close()
    except OSError:
        return False
    return True


def test_port_add_answers_at_once_and_after_a_restart(shoald: Engine) -> None:
    """A running container that published nothing does so at once; a restart changes nothing of that."""
    web(shoald)
    number = shoald.free_port()
    assert port(shoald, "add", "web", f"{number}:80") == f"80/tcp -> 0.0.0.0:{number}\n"
    assert fetch(shoald, number) == HELLO
    assert shoald.ok("port", "web") == f"80/tcp -> 0.0.0.0:{number}"
    bindings = json.loads(shoald.ok("inspect", "-f", "{{json .HostConfig.PortBindings}}", "web"))
    assert bindings == {"80/tcp": [{"HostIp": "", "HostPort": str(number)}]}
    shoald.ok("restart", "-t", "0", "web")
    shoald.ok("exec", "web", "sh", "-c", "while ! netstat -ltn | grep -q ':80 '; do sleep 0.02; done")
    assert fetch(shoald, number) == HELLO


def test_ports_of_both_families_come_and_go_together(shoald: Engine) -> None:
    """One number in both, where no address is named; what is published to ::1 alone stays, and goes by its address."""
    shoald.ok("network", "create", "--ipv6", "six")
    web(shoald, "--network", "six")
    number, other = shoald.free_port(), shoald.free_port()
    both, local = f"80/tcp -> 0.0.0.0:{number}\n80/tcp -> [::]:{number}\n", f"80/tcp -> [::1]:{other}\n"
    assert port(shoald, "add", "web", f"{number}:80", f"[::1]:{other}:80") == both + local
    gateway = json.loads(shoald.ok("network", "inspect", "six"))[0]["IPAM"]["Config"][1]["Gateway"]
    assert is_open(shoald, number)
    assert is_open(shoald, number, gateway)
    assert port(shoald, "rm", "web", f"{number}:80") == local
    assert not is_open(shoald, number)
    assert not is_open(shoald, number, gateway)
    assert port(shoald, "add", "web", f"{number}:80").startswith(local)
    assert port(shoald, "rm", "web", "80") == ""


def test_port_rm_closes_at_once_and_frees_the_port(shoald: Engine) -> None:
    """One of two goes: it is refused and free for others, the other one answers on."""
    first, second = shoald.free_port(), shoald.free_port()
    web(shoald, "-p", f"{first}:80", "-p", f"{second}:80")
    assert port(shoald, "rm", "web", f"{first}:80") == f"80/tcp -> 0.0.0.0:{second}\n"
    assert not is_open(shoald, first)
    shoald.listen(first).close()
    assert fetch(shoald, second) == HELLO
    assert port(shoald, "rm", "web", "80") == ""
    assert not is_open(shoald, second)
    assert "No public port '80/tcp' published for web" in port(shoald, "rm", "web", "80", code=1)


def test_port_add_of_a_taken_port_changes_nothing(shoald: Engine) -> None:
    """Docker's error, and neither the port before it in the same request nor the record has changed."""
    free = shoald.free_port()
    web(shoald)
    with shoald.listen() as taken:
        number = taken.getsockname()[1]
        complaint = port(shoald, "add", "web", f"{free}:80", f"{number}:80", code=1)
    assert "driver failed programming external connectivity on endpoint web" in complaint
    assert f"0.0.0.0:{number}:" in complaint
    assert "address already in use" in complaint
    assert shoald.ok("port", "web") == ""
    assert not is_open(shoald, free)
    shoald.listen(free).close()
    assert shoald.ok("inspect", "-f", "{{len .HostConfig.PortBindings}}", "web") == "0"


def test_port_add_of_another_containers_port_is_refused(shoald: Engine) -> None:
    """Docker's words for a port of another container, and for one's own."""
    number = shoald.free_port()
    web(shoald, "-p", f"{number}:80")
    web(shoald, name="other")
    for name in ("other", "web"):
        complaint = port(shoald, "add", name, f"{number}:80", code=1)
        assert f"Bind for 0.0.0.0:{number} failed: port is already allocated" in complaint
    assert fetch(shoald, number) == HELLO


def test_port_add_and_rm_of_a_container_that_does_not_run(shoald: Engine) -> None:
    """The next start publishes what was said."""
    shoald.ok("create", "--name", "web", "busybox", "httpd", "-f", "-p", "80", "-h", "/www")
    first, second = shoald.free_port(), shoald.free_port()
    port(shoald, "add", "web", f"{first}:80", f"127.0.0.1:{second}:80")
    port(shoald, "rm", "web", f"{first}:80")
    shoald.ok("start", "web")
    shoald.ok("exec", "web", "sh", "-c", "while ! netstat -ltn | grep -q ':80 '; do sleep 0.02; done")
    assert shoald.ok("port", "web") == f"80/tcp -> 127.0.0.1:{second}"
    assert fetch(shoald, second) == HELLO


def test_port_add_picks_a_free_port_and_rm_knows_it(shoald: Engine) -> None:
    """A random port is told, and taken away by its number; the other random one stays."""
    web(shoald)
    first = int(port(shoald, "add", "web", "80").rpartition(":")[2])
    both = {int(line.rpartition(":")[2]) for line in port(shoald, "add", "web", "80").splitlines()}
    (second,) = both - {first}
    assert port(shoald, "rm", "web", f"{first}:80") == f"80/tcp -> 0.0.0.0:{second}\n"
    assert (is_open(shoald, first), fetch(shoald, second)) == (False, HELLO)


def test_port_add_where_nothing_can_be_published_is_refused(shoald: Engine) -> None:
    """The host's network, none, another's, and -P: a conflict that says why."""
    for name, network in (("host", "host"), ("none", "none"), ("guest", "container:none")):
        shoald.ok("run", "-d", "--name", name, "--network", network, "busybox", "sleep", "1000")
        assert "has no network of its own that leads outside" in port(shoald, "add", name, "8080:80", code=1)
    web(shoald, "-P")
    assert "publishes all the ports that it exposes" in port(shoald, "add", "web", "8080:80", code=1)


def test_port_of_a_container_called_add(shoald: Engine) -> None:
    """`shoal port add` still tells the ports of a container of that name."""
    number = shoald.free_port()
    web(shoald, "-p", f"{number}:80", name="add")
    assert port(shoald, "add") == f"80/tcp -> 0.0.0.0:{number}\n"
    assert port(shoald, "add", "80") == f"0.0.0.0:{number}\n"


def test_ports_bad_request_is_refused(shoald: Engine) -> None:
    """No such container, no such protocol, no such port number, an IPv6 address: Docker's kinds of refusal."""
    web(shoald)
    for target, key, binding, status in (
        ("nobody", "80/tcp", {}, 404),
        ("web", "80/xtp", {}, 400),
        ("web", "70000/tcp", {}, 400),
        ("web", "80/tcp", {"HostPort": "9-8"}, 400),
        ("web", "80/tcp", {"HostIp": "not an address", "HostPort": "8080"}, 400),
        ("web", "80/tcp", {"HostIp": "::1", "HostPort": "8080"}, 400),
    ):
        answer = shoald.request("POST", f"/containers/{target}/ports", {"Add": {key: [binding]}})
        assert answer.status == status, answer.body
    assert shoald.ok("port", "web") == ""


def test_port_changes_survive_a_killed_shoald(private_shoald: Shoald) -> None:
    """What was answered holds after kill -9 of the daemon, on the host and in the record."""
    first, second = private_shoald.free_port(), private_shoald.free_port()
    web(private_shoald, "-p", f"{first}:80")
    port(private_shoald, "add", "web", f"{second}:80")
    port(private_shoald, "rm", "web", f"{first}:80")
    private_shoald.kill9()
    private_shoald.start()
    assert private_shoald.ok("port", "web") == f"80/tcp -> 0.0.0.0:{second}"
    assert (is_open(private_shoald, first), fetch(private_shoald, second)) == (False, HELLO)
