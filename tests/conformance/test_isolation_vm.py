"""`--isolation vm`: the same image, the same command line, the same verbs, in a machine with a kernel of its own.

One long-lived container and one long-lived machine, made with the same words, are asked the same things. Against
shoald alone: dockerd refuses the flag.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pexpect
import pytest

from tests.conformance.machines import prepare
from tests.engines.engine import DOCKER
from tests.engines.shoald import Shoald

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(DOCKER is None, reason="the docker command is not installed"),
]
BOOT_S = 180
# As busybox's shell runs it: says that it is up, serves a page, ends with 7 when it is asked to.
SERVICE = (
    "mkdir -p /www; echo page >/www/index.html; httpd -p 8080 -h /www; trap 'echo asked; exit 7' TERM; "
    "echo up; echo bad >&2; while :; do sleep 0.1; done"
)
WORDS = (
    "--hostname=box -e A=b -w /kept -v /kept --tmpfs /scratch --mount type=tmpfs,destination=/little,tmpfs-size=1m "
    "--add-host far:10.9.8.7 --pids-limit=64 --ulimit=nofile=333:444 --cap-drop=CHOWN --cap-add=SYS_TIME "
    "--memory=256m --init --health-cmd=true --health-interval=1s --security-opt=no-new-privileges "
    "--sysctl=net.ipv4.ip_default_ttl=42"
)


@pytest.fixture(scope="module")
def shoald() -> Iterator[Shoald]:
    """An engine of its own with a kernel for machines; the end asserts that nothing of it is left, no QEMU either."""
    engine = Shoald("--ip-forward=false")
    with contextlib.ExitStack() as stack:
        engine.start()
        stack.callback(engine.close)
        prepare(engine)
        engine.import_busybox()
        yield engine


@pytest.fixture(scope="module")
def pair(shoald: Shoald, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The names of a container and of a machine, made with the same words in a network with names."""
    shared = tmp_path_factory.mktemp("shared")
    (shared / "given").write_text("from the host\n")
    shoald.ok("network", "create", "together")
    for isolation in ("default", "vm"):
        words = [*WORDS.split(), "-v", f"{shared}:/given:ro", "-p", "127.0.0.1::8080", "--network=together"]
        name = f"in-{isolation}"
        shoald.ok(
            "run",
            "-d",
            f"--name={name}",
            f"--isolation={isolation}",
            *words,
            "busybox",
            "sh",
            "-c",
            SERVICE,
            timeout_s=BOOT_S,
        )
    for name in ("in-default", "in-vm"):
        wait_for(lambda name=name: "up" in shoald.docker("logs", name).stdout)  # type: ignore[misc]
    return {"default": "in-default", "vm": "in-vm"}


def wait_for(is_so: object, *, timeout_s: float = 60) -> None:
    """Returns when `is_so()` is true."""
    deadline = time.monotonic() + timeout_s
    assert callable(is_so)
    while not is_so():
        assert time.monotonic() < deadline, "it has not come to that"
        time.sleep(0.1)  # what is waited for is told nowhere


def both(shoald: Shoald, pair: dict[str, str], *words: str, input: str | None = None) -> list[tuple[int, str, str]]:
    """(exit code, output, errors) of a command in each; NAME stands for theirs, also in what they say."""
    outcomes = []
    for name in pair.values():
        done = shoald.docker(*(word.replace("NAME", name) for word in words), input=input)
        outcomes.append((done.returncode, done.stdout.replace(name, "NAME"), done.stderr.replace(name, "NAME")))
    return outcomes


EXECS = {
    "output": ["sh", "-c", "echo out; echo err >&2; exit 9"],
    "environment": ["sh", "-c", "echo $A $HOME $PATH"],
    "directory": ["pwd"],
    "user": ["id"],
    "host name": ["hostname"],
    "added host": ["grep", "far", "/etc/hosts"],
    "limit of files": ["sh", "-c", "ulimit -Sn; ulimit -Hn"],
    "capabilities": ["grep", "Cap", "/proc/self/status"],
    "no new privileges": ["grep", "NoNewPrivs", "/proc/self/status"],
    "system call filter": ["grep", "Seccomp:", "/proc/self/status"],
    "limit of tasks": ["cat", "/sys/fs/cgroup/pids.max"],
    "file systems in memory": ["sh", "-c", "df -k /scratch /little | awk '{print $6, ($2 == 1024)}'; touch /scratch/a"],
    "read-only bind": ["sh", "-c", "cat /given/given; echo x >/given/given"],
    "volume": ["sh", "-c", "echo kept >/kept/file; cat /kept/file; ls /kept"],
    "parameter": ["cat", "/proc/sys/net/ipv4/ip_default_ttl"],
    "first process": ["sh", "-c", "tr '\\0' ' ' </proc/1/cmdline | cut -c1-40"],
    "masked paths": ["sh", "-c", "wc -c </proc/keys; ls /sys/firmware; echo 1 >/proc/sys/kernel/hostname"],
    "devices": ["sh", "-c", "ls -l /dev | awk '{print $1, $NF}'"],
    "names": ["nslookup", "-type=a", "host.docker.internal"],
    "unknown names": ["nslookup", "nobody.invalid"],
    "not found": ["nothing-of-this-name"],
    "not executable": ["/etc/passwd"],
    "died": ["sh", "-c", "kill -9 $$"],
}


@pytest.mark.parametrize("what", EXECS)
def test_exec_in_container_and_machine_is_the_same(shoald: Shoald, pair: dict[str, str], what: str) -> None:
    """What a process is given, sees and says does not depend on the isolation."""
    if what == "limit of tasks":
        # On version 1 of cgroups the container finds it elsewhere.
        assert shoald.ok("exec", pair["vm"], *EXECS[what]) == "64"
        return
    container, machine = both(shoald, pair, "exec", "NAME", *EXECS[what])
    assert machine == container


def test_exec_options_in_container_and_machine_are_the_same(shoald: Shoald, pair: dict[str, str]) -> None:
    """User, directory and variables of an exec, and its input to its end."""
    options = ["-u", "daemon:root", "-w", "/tmp", "-e", "Q=1", "-i"]
    container, machine = both(shoald, pair, "exec", *options, "NAME", "sh", "-c", "id; pwd; echo $Q; cat", input="a\nb")
    assert machine == container
    assert machine[0] == 0


def test_exec_output_of_a_megabyte_arrives_whole(shoald: Shoald, pair: dict[str, str]) -> None:
    """More than all buffers on the way hold, in both directions."""
    data = os.urandom(1 << 20)
    assert DOCKER is not None
    done = shoald.docker_bytes("exec", "-i", pair["vm"], "cat", input=data)
    assert done.stdout == data


def test_machine_has_a_kernel_of_its_own(shoald: Shoald, pair: dict[str, str]) -> None:
    """It is no container that is called a machine; and it has the memory that it was given."""
    assert "cloud" in shoald.ok("exec", pair["vm"], "uname", "-r")
    total_kib = int(shoald.ok("exec", pair["vm"], "sh", "-c", "awk '/MemTotal/{print $2}' /proc/meminfo"))
    assert 150 << 10 < total_kib < 256 << 10


def test_inspect_tells_the_isolation(shoald: Shoald, pair: dict[str, str]) -> None:
    """HostConfig.Isolation is what was asked for."""
    assert shoald.ok("inspect", "-f", "{{.HostConfig.Isolation}}", pair["vm"]) == "vm"


def test_published_port_of_container_and_machine_answers(shoald: Shoald, pair: dict[str, str]) -> None:
    """A client on the host reaches the program in the guest."""
    for name in pair.values():
        address = shoald.ok("port", name, "8080")
        assert (
            subprocess.run(["busybox", "wget", "-qO-", f"http://{address}/"], capture_output=True, timeout=20).stdout
            == b"page\n"
        )


def test_container_and_machine_reach_each_other_by_name(shoald: Shoald, pair: dict[str, str]) -> None:
    """Traffic and names go both ways between them."""
    for name, other in (tuple(pair.values()), tuple(reversed(pair.values()))):
        assert shoald.ok("exec", name, "wget", "-qO-", f"http://{other}:8080/") == "page"


def test_top_of_container_and_machine_shows_the_same_programs(shoald: Shoald, pair: dict[str, str]) -> None:
    """The guest's processes, not QEMU. Health checks come and go, so it may take a second look."""

    def programs(name: str) -> list[str]:
        return sorted(
            line.split(maxsplit=7)[7] for line in shoald.ok("top", name).splitlines()[1:] if "sleep" not in line
        )

    with contextlib.suppress(AssertionError):
        wait_for(lambda: programs(pair["vm"]) == programs(pair["default"]))
    assert programs(pair["vm"]) == programs(pair["default"])
    assert any("httpd" in program for program in programs(pair["vm"]))


def test_files_of_container_and_machine_change_alike(shoald: Shoald, pair: dict[str, str], tmp_path: Path) -> None:
    """cp in and out, diff, export and commit."""
    source = tmp_path / "file"
    source.write_text("copied\n")
    for name in pair.values():
        shoald.ok("cp", str(source), f"{name}:/root/copied")
        assert shoald.ok("exec", name, "cat", "/root/copied") == "copied"
        shoald.ok("exec", name, "sh", "-c", "echo made >/root/made; rm /bin/vi")
        shoald.ok("cp", f"{name}:/root/made", str(tmp_path / name))
        assert (tmp_path / name).read_text() == "made\n"
    changes = [sorted(shoald.ok("diff", name).splitlines()) for name in pair.values()]
    assert changes[1] == changes[0]
    members = []
    for name in pair.values():
        with tarfile.open(fileobj=BytesIO(shoald.docker_bytes("export", name).stdout)) as archive:
            members.append(sorted(archive.getnames()))
    assert members[1] == members[0]
    shoald.ok("commit", pair["vm"], "snapshot-of-vm")
    assert shoald.ok("run", "--rm", "snapshot-of-vm", "cat", "/root/made") == "made"


def test_pause_of_a_machine_stops_the_guest(shoald: Shoald, pair: dict[str, str]) -> None:
    """It is shown as paused, takes no processor time, and goes on."""
    shoald.ok("pause", pair["vm"])
    assert shoald.ok("inspect", "-f", "{{.State.Status}}", pair["vm"]) == "paused"
    shoald.ok("unpause", pair["vm"])
    assert shoald.ok("exec", pair["vm"], "echo", "on") == "on"


def test_stats_of_a_machine_are_what_it_costs(shoald: Shoald, pair: dict[str, str]) -> None:
    """Memory, network and processes of QEMU are the container's; its limit is the size of the machine."""
    address = shoald.ok("port", pair["vm"], "8080")
    page = ["busybox", "wget", "-qO-", f"http://{address}/"]
    wait_for(lambda: subprocess.run(page, capture_output=True, timeout=20).returncode == 0)  # some traffic both ways
    memory, traffic, pids = shoald.ok(
        "stats", "--no-stream", "--format", "{{.MemUsage}}|{{.NetIO}}|{{.PIDs}}", pair["vm"]
    ).split("|")
    assert re.fullmatch(r"[0-9.]+MiB / 256MiB", memory)
    assert not traffic.startswith("0B")
    assert int(pids) >= 3


def test_copies_of_a_template_have_nothing_of_each_other(shoald: Shoald) -> None:
    """Each draws random numbers of its own, and knows the time."""
    script = "cat /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | od -An -tx1; date +%s"
    sights = []
    for _ in range(2):
        before = int(time.time())
        boot, drawn, now = shoald.ok(
            "run", "--rm", "--isolation=vm", "busybox", "sh", "-c", script, timeout_s=BOOT_S
        ).splitlines()[-3:]
        assert before <= int(now) <= time.time()
        sights.append((boot, drawn))
    assert len({boot for boot, _ in sights}) == 2
    assert len({drawn for _, drawn in sights}) == 2


def test_signals_reach_the_program_in_the_guest(shoald: Shoald, pair: dict[str, str]) -> None:
    """STOP and CONT too, which an ordinary process that stands for another could not pass on."""
    shoald.ok("exec", "-d", pair["vm"], "sleep", "77")
    shoald.ok("kill", "-s", "STOP", pair["vm"])
    assert "T" in shoald.ok("exec", pair["vm"], "sh", "-c", "cut -d' ' -f3 /proc/1/stat")
    shoald.ok("kill", "-s", "CONT", pair["vm"])
    wait_for(lambda: "T" not in shoald.ok("exec", pair["vm"], "sh", "-c", "cut -d' ' -f3 /proc/1/stat"))


def test_stop_and_start_of_a_machine_keep_its_files(shoald: Shoald, pair: dict[str, str]) -> None:
    """Stop asks the program, whose exit code is the container's; files stay; logs have both runs."""
    shoald.ok("exec", pair["vm"], "sh", "-c", "echo stays >/root/stays")
    shoald.ok("stop", "-t", "60", pair["vm"], timeout_s=90)
    assert shoald.ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", pair["vm"]) == "exited 7"
    shoald.ok("start", pair["vm"], timeout_s=BOOT_S)
    wait_for(lambda: shoald.docker("logs", pair["vm"]).stdout.splitlines().count("up") == 2)
    logged = shoald.docker("logs", pair["vm"])
    assert logged.stdout.splitlines() == ["up", "asked", "up"]
    assert logged.stderr.splitlines() == ["bad", "bad"]
    assert shoald.ok("exec", pair["vm"], "cat", "/root/stays") == "stays"
    shoald.ok("exec", pair["vm"], "rm", "/root/stays")  # other cases compare the two


def test_exec_with_a_terminal_has_its_size_and_its_keys(shoald: Shoald, pair: dict[str, str]) -> None:
    """The terminal is the guest's: its size follows the client's, and Ctrl-C interrupts what runs in it."""
    assert DOCKER is not None
    terminal = pexpect.spawn(
        DOCKER, ["exec", "-it", pair["vm"], "sh"], env=shoald.environment(), timeout=60, dimensions=(33, 100)
    )
    terminal.expect("# ")
    terminal.sendline("stty size")
    terminal.expect("33 100")
    terminal.setwinsize(44, 120)
    wait_for(lambda: _size(terminal) == "44 120")
    terminal.sendline("tr a-z A-Z")
    terminal.sendline("it runs")
    terminal.expect("IT RUNS")
    terminal.send("\x03")
    terminal.expect("# ")
    terminal.sendline("exit 5")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 5


def _size(terminal: pexpect.spawn[bytes]) -> str:
    """What the guest says of the terminal's size."""
    terminal.sendline("stty size")
    terminal.expect(r"(\d+ \d+)\r")
    assert isinstance(terminal.match, re.Match)
    return str(terminal.match.group(1).decode())


def test_health_checks_run_in_the_guest(shoald: Shoald, pair: dict[str, str]) -> None:
    """As any other process of the container's."""
    for name in pair.values():
        wait_for(lambda name=name: shoald.ok("inspect", "-f", "{{.State.Health.Status}}", name) == "healthy")  # type: ignore[misc]


def test_machine_out_of_memory_is_told_as_such(shoald: Shoald) -> None:
    """The guest's kernel kills the program, and who asks learns that it was for want of memory."""
    script = "echo 1000 >/proc/self/oom_score_adj; exec tail /dev/zero"
    done = shoald.docker(
        "run", "--name=greedy", "--isolation=vm", "--memory=128m", "busybox", "sh", "-c", script, timeout_s=BOOT_S
    )
    state = shoald.ok("inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", "greedy")
    shoald.ok("rm", "greedy")
    assert (done.returncode, state) == (137, "true 137")


def test_machine_in_several_networks_has_their_interfaces(shoald: Shoald) -> None:
    """Each with its name, addresses of both families, and a way to the host; on a root that is read-only.

    It also finds a container that has never spoken to it: asking for the other's MAC is what a guest does that
    publishes ports, whose own questions its network sends back to it.
    """
    shoald.ok("network", "create", "--ipv6", "--subnet=fd00:77::/64", "first-of-vm")
    shoald.ok("network", "create", "second-of-vm")
    shoald.ok(
        "run", "-d", "--name=silent", "--network=first-of-vm", "busybox", "httpd", "-f", "-p", "8080", "-h", "/bin"
    )
    ask = "com.docker.network.endpoint.ifname"
    body = {
        "Image": "busybox",
        "Cmd": ["sleep", "600"],
        "User": "1:1",
        "HostConfig": {
            "Isolation": "vm",
            "NetworkMode": "first-of-vm",
            "ReadonlyRootfs": True,
            "PortBindings": {"1/tcp": [{"HostIp": "127.0.0.1"}]},
        },
        "NetworkingConfig": {
            "EndpointsConfig": {
                "first-of-vm": {"DriverOpts": {ask: "front"}},
                "second-of-vm": {"DriverOpts": {ask: "eth0"}},
            }
        },
    }
    assert shoald.request("POST", "/containers/create?name=many", body).status == 201
    shoald.ok("start", "many", timeout_s=BOOT_S)
    shoald.ok("exec", "many", "wget", "-qO/dev/null", "http://silent:8080/sh")
    for network, interface in (("first-of-vm", "front"), ("second-of-vm", "eth0")):
        address = shoald.ok("inspect", "-f", f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}', "many")
        assert address in shoald.ok("exec", "many", "ip", "address", "show", "dev", interface)
    assert "fd00:77::" in shoald.ok("exec", "many", "ip", "address", "show", "dev", "front")
    shoald.ok("exec", "-u0", "many", "ping", "-c1", "-w20", "fd00:77::1")
    assert "Read-only" in shoald.docker("exec", "many", "touch", "/file").stderr
    shoald.ok("rm", "-f", "many", "silent")


def test_build_runs_its_commands_in_machines(shoald: Shoald) -> None:
    """What a RUN writes is in the image, and it was written by a kernel of its own."""
    context = BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        text = b"FROM busybox\nRUN uname -r >/kernel\n"
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(text)
        archive.addfile(member, BytesIO(text))
    headers = {"Content-Type": "application/x-tar"}
    answer = shoald.request("POST", "/build?t=by-vm&isolation=vm", context.getvalue(), headers)
    assert b"Successfully tagged by-vm:latest" in answer.body
    assert "cloud" in shoald.ok("run", "--rm", "by-vm", "cat", "/kernel")


def test_move_keeps_everything_but_the_kernel(shoald: Shoald, pair: dict[str, str]) -> None:
    """A container goes into a machine and comes back: id, address, port, files and volume are what they were."""
    name = pair["default"]
    shown = "{{.Id}} {{.NetworkSettings.Networks.together.IPAddress}}"
    before, port = shoald.ok("inspect", "-f", shown, name), shoald.ok("port", name)
    shoald.ok("exec", name, "sh", "-c", "echo mine >/root/mine; echo ours >/kept/ours")
    for isolation, release in (("vm", "cloud"), ("default", os.uname().release)):
        moved = shoald.request("POST", f"/containers/{name}/move?isolation={isolation}")
        assert moved.status == 204, moved.body
        assert release in shoald.ok("exec", name, "uname", "-r")
        assert shoald.ok("exec", name, "cat", "/root/mine", "/kept/ours") == "mine\nours"
        assert shoald.ok("inspect", "-f", shown, name) == before
    shoald.ok("exec", name, "rm", "/root/mine", "/kept/ours")
    assert shoald.ok("port", name).partition(":")[0] == port.partition(":")[0]
    assert shoald.request("POST", f"/containers/{name}/move?isolation=default").status == 304
    assert shoald.request("POST", f"/containers/{name}/move?isolation=jail").status == 400
