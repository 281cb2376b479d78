"""`--ipc`, `--pid`, `--uts`, `--userns`, `--cgroupns`, `--network container:…`, `--sysctl`: what is shared or not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance.commands import refused, run, run_refused, shown, started
from tests.conformance.differences import sentence
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")


@pytest.mark.parametrize(("mode", "has_shm"), [("private", True), ("shareable", True), ("none", False), ("host", True)])
def test_ipc_mode_decides_about_dev_shm(engine: Engine, mode: str, has_shm: bool) -> None:
    """A /dev/shm of its own, the host's, or none; the namespace alike."""
    assert run(engine, "--ipc", mode, script="grep -c ' /dev/shm ' /proc/mounts || true") == str(int(has_shm))
    host = Path("/proc/self/ns/ipc").readlink()
    assert (run(engine, "--ipc", mode, script="readlink /proc/self/ns/ipc") == str(host)) == (mode == "host")


def test_ipc_of_another_container_is_shared_if_it_allows(engine: Engine) -> None:
    """Memory of a shareable container is seen, a private one and one without are refused, a stopped one too."""
    started(engine, "open", "--ipc", "shareable", script="echo hi > /dev/shm/x; sleep 1000")
    assert run(engine, "--ipc", "container:open", script="until cat /dev/shm/x 2>/dev/null; do sleep 0.1; done") == "hi"
    for name, mode in (("closed", "private"), ("without", "none")):
        identifier = started(engine, name, "--ipc", mode)
        expected = f"can't join IPC of container {identifier}: non-shareable IPC (hint: use IpcMode:shareable"
        assert expected in run_refused(engine, "--ipc", f"container:{name}")
    engine.ok("stop", "-t", "0", "open")
    assert "is not running" in run_refused(engine, "--ipc", "container:open")
    assert "No such container: nope" in run_refused(engine, "--ipc", "container:nope")
    assert "nvalid IPC mode: bogus" in run_refused(engine, "--ipc", "bogus")


def test_pid_namespace_of_another_container_is_shared(engine: Engine) -> None:
    """The other's processes are seen; its id is kept, its end is told."""
    identifier = started(engine, "first")
    assert "sleep 1000" in run(engine, "--pid", "container:first", script="ps")
    engine.ok("create", "--name", "second", "--pid", "container:first", "busybox")
    assert engine.ok("inspect", "-f", "{{.HostConfig.PidMode}}", "second") == f"container:{identifier}"
    engine.ok("stop", "-t", "0", "first")
    assert f"container {identifier} is not running" in refused(engine, "start", "second")


def test_uts_of_the_host_has_its_name(engine: Engine) -> None:
    """And takes no other one."""
    host = Path("/proc/sys/kernel/hostname").read_text().strip()
    assert run(engine, "--uts", "host", script="hostname") == host
    assert "conflicting options: hostname and the UTS mode" in run_refused(engine, "--uts", "host", "-h", "other")
    answer = run_refused(engine, "--uts", "host", "--domainname", "example.org")
    assert re.search(sentence(engine, "domainname-of-the-host"), answer), answer


def test_domainname_is_in_the_kernel_and_the_files(engine: Engine) -> None:
    """Beside the host's name."""
    script = "cat /proc/sys/kernel/domainname; hostname; tail -n 1 /etc/hosts | cut -f 2"
    out = run(engine, "--domainname", "example.org", "-h", "box", script=script)
    assert out.splitlines() == ["example.org", "box", "box.example.org box"]


def test_userns_is_the_hosts(engine: Engine) -> None:
    """`host` is what there is."""
    assert run(engine, "--userns", "host", script="cat /proc/self/uid_map").split() == ["0", "0", "4294967295"]


def test_userns_of_another_kind_is_refused(shoald: Engine) -> None:
    """The command knows no other word; by the API Debian's Docker passes it over."""
    answer = shoald.request("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"UsernsMode": "bogus"}})
    assert (answer.status, answer.json["message"]) == (400, "invalid user namespace mode: bogus")


def test_cgroup_namespace_is_private_or_the_hosts(engine: Engine) -> None:
    """A private one begins at the container's own cgroup."""
    script = "cut -d : -f 3 /proc/self/cgroup | sort -u"
    assert run(engine, "--cgroupns", "private", script=script) == "/"
    assert len(run(engine, "--cgroupns", "host", script=script)) > 64
    body = {"Image": "busybox", "HostConfig": {"CgroupnsMode": "bogus"}}
    assert b"invalid cgroup namespace mode: bogus" in engine.request("POST", "/containers/create", body).body


def test_network_of_another_container_comes_with_its_files(engine: Engine) -> None:
    """Addresses, name, hosts and resolver are the other's; `inspect` shows the other's files; exits are told apart."""
    options = ("-h", "named", "--add-host", "extra:10.1.2.3", "--dns", "9.9.9.9", "--domainname", "example.org")
    identifier = started(engine, "owner", *options)
    script = "hostname; cat /etc/hostname; grep -c 10.1.2.3 /etc/hosts; grep -c 9.9.9.9 /etc/resolv.conf; ip -o -4 addr"
    seen = run(engine, "--network", "container:owner", script=script).splitlines()
    assert seen[:4] == ["named", "named", "1", "1"]
    assert seen[4:] == engine.ok("exec", "owner", "ip", "-o", "-4", "addr").splitlines()
    started(engine, "guest", "--network", "container:owner")
    assert engine.ok("inspect", "-f", "{{.HostConfig.NetworkMode}}", "guest") == f"container:{identifier}"
    paths = "{{.HostsPath}} {{.HostnamePath}} {{.ResolvConfPath}}"
    assert engine.ok("inspect", "-f", paths, "guest") == engine.ok("inspect", "-f", paths, "owner")
    assert shown(engine, "guest", "{{json .NetworkSettings.Networks}}") == {}
    engine.ok("rm", "-f", "guest")
    engine.ok("create", "--name", "late", "--network", "container:owner", "busybox")
    engine.ok("stop", "-t", "0", "owner")
    assert f"cannot join network of a non running container: {identifier}" in refused(engine, "start", "late")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("-h other", "hostname and the network mode"),
        ("--dns 1.1.1.1", "dns and the network mode"),
        ("--add-host x:1.1.1.1", "custom host-to-IP mapping and the network mode"),
        ("-p 80", "port publishing and the container type network mode"),
        ("-P", "port publishing and the container type network mode"),
        ("--expose 80", "port exposing and the container type network mode"),
        ("--link owner", "container type network can't be used with links. This would result in undefined behavior"),
    ],
)
def test_network_of_another_container_excludes_own_settings(engine: Engine, options: str, what: str) -> None:
    """What would contradict the other's is refused in Docker's words."""
    started(engine, "owner")
    answer = run_refused(engine, "--network", "container:owner", *options.split())
    assert f"conflicting options: {what}" in answer


def test_sysctls_of_own_namespaces_are_set_and_others_refused(engine: Engine) -> None:
    """Of net, ipc and mqueue; not those of the host's namespaces, nor of no namespace."""
    options = (
        "--sysctl",
        "fs.mqueue.msg_max=20",
        "--sysctl",
        "kernel.msgmax=1234",
        "--sysctl",
        "net.core.somaxconn=99",
    )
    files = "/proc/sys/fs/mqueue/msg_max /proc/sys/kernel/msgmax /proc/sys/net/core/somaxconn"
    assert run(engine, *options, script=f"cat {files}").split() == ["20", "1234", "99"]
    answer = run_refused(engine, "--ipc", "host", "--sysctl", "kernel.shmmax=10000")
    assert 'sysctl "kernel.shmmax" is not allowed in the hosts ipc namespace' in answer
    answer = run_refused(engine, "--network", "host", "--sysctl", "net.ipv4.ip_default_ttl=3")
    assert 'sysctl "net.ipv4.ip_default_ttl" not allowed in host network namespace' in answer
    answer = refused(engine, "run", "--rm", "--sysctl", "net.nope=1", "busybox", "true", code=127)
    assert "no such file or directory" in answer
