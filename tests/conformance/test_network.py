"""The default bridge: addresses, names, published ports for TCP and UDP, and the networks that every engine has."""

from __future__ import annotations

import ipaddress
import json
import socket

import pytest

from tests.engines.engine import Engine
from tests.engines.netns import in_network_of, listening_socket

pytestmark = pytest.mark.usefixtures("cli")

HELLO = "hello from the container\n"


def web(engine: Engine, *options: str, name: str = "web") -> str:
    """A running container with busybox's web server on its port 80, ready to answer."""
    engine.ok("run", "-d", "--name", name, *options, "busybox", "httpd", "-f", "-p", "80", "-h", "/www")
    listening = "while ! netstat -ltn | grep -q ':80 '; do sleep 0.02; done"
    engine.ok("exec", name, "sh", "-c", listening)
    return name


def fetch(engine: Engine, port: int, host: str = "127.0.0.1") -> str:
    """The page that a published port answers with."""
    with engine.connect(port, host) as sock:
        sock.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
        data = b""
        while chunk := sock.recv(65536):
            data += chunk
    return data.partition(b"\r\n\r\n")[2].decode()


def container_pid(engine: Engine, name: str) -> int:
    """The host's process id of the container's first program."""
    return int(engine.ok("inspect", "-f", "{{.State.Pid}}", name))


def address(engine: Engine, name: str) -> str:
    """The container's address on the default bridge."""
    return engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPAddress}}", name)


def test_bridge_containers_reach_each_other_by_address(engine: Engine) -> None:
    """Two containers of the default bridge have different addresses of one subnet and talk."""
    web(engine)
    assert engine.ok("run", "--rm", "busybox", "wget", "-qO-", f"http://{address(engine, 'web')}/") + "\n" == HELLO
    gateway = engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", "web")
    prefix = engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.IPPrefixLen}}", "web")
    subnet = ipaddress.ip_network(f"{gateway}/{prefix}", strict=False)
    assert ipaddress.ip_address(address(engine, "web")) in subnet
    route = engine.ok("run", "--rm", "busybox", "ip", "route")
    assert f"default via {gateway} dev eth0" in route


def test_bridge_host_reaches_the_container(engine: Engine) -> None:
    """The host reaches the container at its own address."""
    web(engine)
    assert fetch(engine, 80, address(engine, "web")) == HELLO


def test_publish_tcp_on_all_addresses(engine: Engine) -> None:
    """-p HOST:CONTAINER answers on the loopback and on the bridge's own address."""
    port = engine.free_port()
    web(engine, "-p", f"{port}:80")
    assert fetch(engine, port) == HELLO
    gateway = engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", "web")
    assert fetch(engine, port, gateway) == HELLO
    assert engine.ok("port", "web", "80/tcp").splitlines()[0] == f"0.0.0.0:{port}"
    assert f"0.0.0.0:{port}->80/tcp" in engine.ok("ps", "--format", "{{.Ports}}")


def test_publish_on_one_address_only(engine: Engine) -> None:
    """-p 127.0.0.1:PORT:80 binds this address and no other."""
    port = engine.free_port()
    web(engine, "-p", f"127.0.0.1:{port}:80")
    assert fetch(engine, port) == HELLO
    assert engine.ok("port", "web") == f"80/tcp -> 127.0.0.1:{port}"
    gateway = engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", "web")
    with pytest.raises(OSError):
        engine.connect(port, gateway, timeout_s=1)


def test_publish_picks_a_free_port(engine: Engine) -> None:
    """-p 80 takes a free host port and tells which; -P does it for each exposed port."""
    web(engine, "-p", "80")
    port = int(engine.ok("port", "web", "80").splitlines()[0].rpartition(":")[2])
    assert fetch(engine, port) == HELLO
    web(engine, "-P", "--expose", "80", name="all")
    assert fetch(engine, int(engine.ok("port", "all", "80").splitlines()[0].rpartition(":")[2])) == HELLO


def test_publish_the_same_container_port_twice_and_a_range(engine: Engine) -> None:
    """Several host ports lead to one container port, and ranges match one to one."""
    first, second = engine.free_port(), engine.free_port()
    web(engine, "-p", f"{first}:80", "-p", f"{second}:80")
    assert (fetch(engine, first), fetch(engine, second)) == (HELLO, HELLO)
    done = engine.docker("create", "-p", "5000-5002:80-81", "busybox")
    assert done.returncode in {1, 125}
    assert "nvalid ranges specified for container and host Ports: 80-81 and 5000-5002" in done.stderr


def test_publish_udp_answers(engine: Engine) -> None:
    """-p PORT:PORT/udp passes datagrams both ways."""
    with engine.datagram_socket() as probe:
        port = probe.getsockname()[1]
    engine.ok("run", "-d", "--name", "udp", "-p", f"{port}:9000/udp", "busybox", "sleep", "1000")
    # busybox has no UDP server, so the test itself listens inside the container's network.
    inside = in_network_of(container_pid(engine, "udp"), lambda: listening_socket(9000, socket.SOCK_DGRAM))
    with inside, engine.datagram_socket() as outside:
        inside.settimeout(5)
        outside.settimeout(5)
        outside.sendto(b"ping", ("127.0.0.1", port))
        data, sender = inside.recvfrom(100)
        assert data == b"ping"
        inside.sendto(b"pong", sender)
        assert outside.recv(100) == b"pong"


def test_publish_ends_with_the_container(engine: Engine) -> None:
    """A stopped container's port is free and answers nobody; started again, it answers again."""
    port = engine.free_port()
    web(engine, "-p", f"{port}:80")
    engine.ok("stop", "-t", "0", "web")
    with pytest.raises(OSError):
        engine.connect(port, timeout_s=1)
    engine.listen(port).close()
    engine.ok("start", "web")
    engine.ok("exec", "web", "sh", "-c", "while ! netstat -ltn | grep -q ':80 '; do sleep 0.02; done")
    assert fetch(engine, port) == HELLO


def test_publish_from_another_container_through_the_gateway(engine: Engine) -> None:
    """A container reaches a port that another one has published on the host."""
    port = engine.free_port()
    web(engine, "-p", f"{port}:80")
    gateway = engine.ok("inspect", "-f", "{{.NetworkSettings.Networks.bridge.Gateway}}", "web")
    got = engine.ok("run", "--rm", "busybox", "wget", "-qO-", f"http://{gateway}:{port}/")
    assert got + "\n" == HELLO


def test_publish_large_transfer_is_whole(engine: Engine) -> None:
    """Five megabytes through a published port."""
    port = engine.free_port()
    engine.ok(
        "run",
        "-d",
        "--name",
        "big",
        "-p",
        f"{port}:80",
        "busybox",
        "sh",
        "-c",
        "head -c 5000000 /dev/urandom > /www/index.html; md5sum < /www/index.html; exec httpd -f -p 80 -h /www",
    )
    engine.ok("exec", "big", "sh", "-c", "while ! netstat -ltn | grep -q ':80 '; do sleep 0.02; done")
    with engine.connect(port) as sock:
        sock.sendall(b"GET /index.html HTTP/1.0\r\n\r\n")
        data = b""
        while chunk := sock.recv(1 << 20):
            data += chunk
    assert len(data.partition(b"\r\n\r\n")[2]) == 5_000_000


def test_hosts_and_resolv_conf_can_be_written(engine: Engine) -> None:
    """The three files are the container's own: it may change them, and they are not in its diff."""
    script = "echo '10.0.0.9 x' >> /etc/hosts && cat /etc/hosts /etc/hostname /etc/resolv.conf"
    out = engine.ok("run", "--name", "it", "busybox", "sh", "-c", script)
    assert "127.0.0.1\tlocalhost" in out
    assert "10.0.0.9 x" in out


def test_network_list_and_inspect_have_the_three(engine: Engine) -> None:
    """bridge, host and none exist; the bridge tells its subnet and who is on it."""
    names = set(engine.ok("network", "ls", "--format", "{{.Name}} {{.Driver}}").splitlines())
    assert {"bridge bridge", "host host", "none null"} <= names
    identifier = engine.ok("run", "-d", "--name", "it", "busybox", "sleep", "1000")
    bridge = json.loads(engine.ok("network", "inspect", "bridge"))[0]
    assert ipaddress.ip_address(address(engine, "it")) in ipaddress.ip_network(bridge["IPAM"]["Config"][0]["Subnet"])
    assert bridge["Containers"][identifier]["Name"] == "it"


def test_network_container_shares_the_others_namespace(engine: Engine) -> None:
    """--network container:NAME sees the other's interfaces and ports, or is said not to be served yet."""
    web(engine)
    done = engine.docker("run", "--rm", "--network", "container:web", "busybox", "wget", "-qO-", "http://127.0.0.1/")
    if engine.name == "shoald" and done.returncode == 125:
        assert "not" in done.stderr
        return
    assert done.stdout == HELLO


def test_mac_and_fixed_address_of_the_bridge(engine: Engine) -> None:
    """--mac-address is the interface's; --ip is refused on the default bridge."""
    body = {"Image": "busybox", "Cmd": ["cat", "/sys/class/net/eth0/address"], "MacAddress": "02:42:ac:11:00:99"}
    assert engine.request("POST", "/v1.41/containers/create?name=it", body).status == 201
    assert engine.ok("start", "-a", "it") == "02:42:ac:11:00:99"
    done = engine.docker("run", "--rm", "--ip", "172.17.0.99", "busybox", "true")
    assert done.returncode == 125
    assert "user specified ip address is supported on user defined networks only" in done.stderr.lower()


def test_port_of_a_stopped_listener_is_not_left_in_use(engine: Engine) -> None:
    """After rm -f a host process can listen on the port at once."""
    port = engine.free_port()
    web(engine, "-p", f"{port}:80")
    engine.ok("rm", "-f", "web")
    with engine.listen(port) as sock:
        assert sock.type == socket.SOCK_STREAM


def test_network_is_found_by_the_id_that_its_creation_answers(engine: Engine) -> None:
    """The id that `network create` prints is the one of every list and inspection, also after a restart."""
    made = engine.ok("network", "create", "owned").strip()
    try:
        engine.restart()
        assert engine.ok("network", "inspect", "-f", "{{.Id}} {{.Name}}", made).split() == [made, "owned"]
        assert engine.ok("network", "ls", "-q", "--no-trunc", "-f", "name=owned").strip() == made
    finally:
        engine.ok("network", "rm", made)
