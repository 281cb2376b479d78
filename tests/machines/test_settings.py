"""Who asks for machines elsewhere than on the command line: Compose, the daemon's configuration; and `shoal move`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.machines import prepare
from tests.engines.shoald import Shoald
from tests.machines.modes import BOOT_S, wait_for

COMPOSE = shutil.which("docker-compose")
PROJECT = """
version: "2.4"
services:
  web:
    image: busybox
    isolation: vm
    mem_limit: 256m
    command: ["sh", "-c", "uname -r > /data/index.html; exec httpd -f -p 80 -h /data"]
    volumes: ["data:/data"]
    ports: ["127.0.0.1::80"]
    stop_signal: SIGKILL
    restart: always
    healthcheck: {test: [CMD, wget, -qO-, "http://127.0.0.1/"], interval: 1s, timeout: 20s, retries: 30}
  client:
    image: busybox
    command: ["sh", "-c", "wget -qO- http://web/; exec sleep 1000"]
    depends_on: {web: {condition: service_healthy}}
    volumes: ["data:/seen"]
    stop_signal: SIGKILL
volumes: {data: {}}
"""


def fetched(address: str) -> str:
    """The page at an address of the host."""
    with urllib.request.urlopen(f"http://{address}/", timeout=20) as answer:
        return str(answer.read().decode())


def release(engine: Shoald, name: str) -> str:
    """The release of the kernel that a container's processes have."""
    return engine.ok("exec", name, "uname", "-r")


@pytest.mark.skipif(COMPOSE is None, reason="docker-compose is not installed")
def test_compose_with_isolation_vm_is_an_ordinary_project(shoald: Shoald, tmp_path: Path) -> None:
    """A machine beside a container: health, names, volume, port; stopped, started, run again, and taken down."""
    (tmp_path / "docker-compose.yml").write_text(PROJECT)

    def compose(*words: str) -> str:
        assert COMPOSE is not None
        command = [COMPOSE, "--no-ansi", "-p", "project", *words]
        done = subprocess.run(
            command, env=shoald.environment(), cwd=tmp_path, input="", capture_output=True, text=True, timeout=BOOT_S
        )
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done.stdout

    compose("up", "-d")
    assert compose("ps").count("Up (healthy)") == 1
    assert "cloud" in compose("logs", "client")
    assert "cloud" in fetched(compose("port", "web", "80").strip())
    assert "cloud" in compose("exec", "-T", "client", "cat", "/seen/index.html")
    assert "cloud" in compose("exec", "-T", "web", "uname", "-r")
    before = shoald.ok("ps", "-q", "--no-trunc")
    compose("up", "-d")
    assert shoald.ok("ps", "-q", "--no-trunc") == before, "nothing has changed, so nothing is made anew"
    compose("stop", "-t", "0", "web")
    compose("start", "web")
    wait_for(lambda: shoald.docker("exec", "project_web_1", "wget", "-qO-", "http://127.0.0.1/").returncode == 0)
    assert "cloud" in compose("run", "--rm", "client", "wget", "-qO-", "http://web/")
    compose("down", "-v")
    assert shoald.ok("ps", "-aq") == shoald.ok("volume", "ls", "-q") == ""


@pytest.fixture
def engine_of_machines(tmp_path: Path) -> Iterator[Shoald]:
    """An engine whose configuration file makes machines the default."""
    (tmp_path / "daemon.json").write_text(json.dumps({"default-isolation": "vm"}))
    engine = Shoald("--ip-forward=false", "--config-file", str(tmp_path / "daemon.json"))
    with contextlib.ExitStack() as stack:
        engine.start()
        stack.callback(engine.close)
        prepare(engine)
        engine.import_busybox()
        yield engine


def test_default_isolation_of_the_configuration_is_everyones(engine_of_machines: Shoald) -> None:
    """Of run and create; inspect says so; a container is had by asking; refusals hold; a restart changes none."""
    engine, here = engine_of_machines, os.uname().release
    assert "cloud" in engine.ok("run", "--rm", "busybox", "uname", "-r", timeout_s=BOOT_S)
    assert engine.ok("run", "--rm", "--isolation=process", "busybox", "uname", "-r") == here
    assert engine.ok("create", "--name=made", "busybox", "sleep", "1000") != ""
    assert engine.ok("inspect", "-f", "{{.HostConfig.Isolation}}", "made") == "vm"
    assert "cannot be used with --isolation vm" in engine.docker("run", "--network=host", "busybox", "true").stderr
    assert engine.ok("run", "--rm", "--isolation=process", "--network=host", "busybox", "uname", "-r") == here
    engine.kill9()
    engine.flags = ("--ip-forward=false",)
    engine.start()
    engine.ok("start", "made", timeout_s=BOOT_S)
    assert "cloud" in release(engine, "made")
    assert engine.ok("run", "--rm", "busybox", "uname", "-r") == here


def test_move_keeps_id_name_address_ports_volumes_and_files(shoald: Shoald, tmp_path: Path) -> None:
    """There and back by `shoal move`, running and stopped; a port that any number would do for keeps its number."""
    shoald.ok("network", "create", "net")
    words = [
        "--network=net",
        "--network-alias=known",
        "-p",
        "127.0.0.1::80",
        "-v",
        "kept:/kept",
        "-v",
        f"{tmp_path}:/bind",
    ]
    script = "echo run >>/log; exec httpd -f -p 80 -h /kept"
    shoald.ok("run", "-d", "--name=one", "--stop-signal=KILL", *words, "busybox", "sh", "-c", script)
    shoald.ok("run", "-d", "--name=near", "--network=net", "busybox", "sleep", "1000")
    shoald.ok(
        "exec", "one", "sh", "-c", "echo page >/kept/index.html; echo b >/bind/b; rm /bin/vi; echo own >/root/own"
    )
    network = ".NetworkSettings.Networks.net"
    shown = f"{{{{.Id}}}} {{{{.Name}}}} {{{{{network}.IPAddress}}}} {{{{{network}.MacAddress}}}} "
    shown += "{{json .Mounts}} {{json .HostConfig.PortBindings}}"
    before, address = shoald.ok("inspect", "-f", shown, "one"), shoald.ok("port", "one", "80")
    for count, isolation in enumerate(("vm", "default"), start=2):
        moved = _shoal(shoald, "move", "one", "--isolation", isolation)
        assert moved.returncode == 0, moved.stderr
        assert ("cloud" in release(shoald, "one")) == (isolation == "vm")
        assert shoald.ok("inspect", "-f", shown, "one") == before
        assert shoald.ok("exec", "one", "cat", "/root/own", "/bind/b").split() == ["own", "b"]
        assert shoald.docker("exec", "one", "ls", "/bin/vi").returncode != 0
        wait_for(lambda: shoald.docker("exec", "near", "wget", "-qO-", "http://known/").stdout == "page\n")
        assert fetched(shoald.ok("port", "one", "80")) == "page\n"
        assert shoald.ok("exec", "one", "cat", "/log").split() == ["run"] * count
        assert shoald.ok("port", "one", "80") == address
    shoald.ok("kill", "one")
    assert _shoal(shoald, "move", "one", "--isolation", "vm").returncode == 0
    assert shoald.ok("inspect", "-f", "{{.State.Running}}", "one") == "false"
    shoald.ok("start", "one", timeout_s=BOOT_S)
    assert "cloud" in release(shoald, "one")


def _shoal(shoald: Shoald, *words: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("shoal")
    return subprocess.run([program, *words], env=shoald.environment(), capture_output=True, text=True, timeout=BOOT_S)
