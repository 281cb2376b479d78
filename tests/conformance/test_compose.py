"""Compose 1.29 as Debian has it: services on a network of their own, with a volume, health, published ports."""

from __future__ import annotations

import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engines.engine import Engine
from tests.engines.netns import in_network_of

COMPOSE = shutil.which("docker-compose")
pytestmark = pytest.mark.skipif(COMPOSE is None, reason="docker-compose is not installed")
PROJECT = """
version: "2.4"
services:
  web:
    image: busybox
    command: ["sh", "-c", "echo hello > /data/index.html; exec httpd -f -p 80 -h /data"]
    networks: {back: {aliases: [site]}}
    volumes: ["data:/data"]
    ports: ["80"]
    stop_signal: SIGKILL
    healthcheck: {test: [CMD, wget, -qO-, "http://127.0.0.1/"], interval: 1s, retries: 30}
  client:
    image: busybox
    command: ["sh", "-c", "wget -qO- http://site/; exec sleep 1000"]
    depends_on: {web: {condition: service_healthy}}
    networks: [back]
    volumes: ["data:/seen"]
    stop_signal: SIGKILL
networks: {back: {}}
volumes: {data: {}}
"""
Compose = Callable[..., str]


@pytest.fixture
def compose(engine: Engine, tmp_path: Path) -> Iterator[Compose]:
    """Runs a docker-compose command on the project, asserts its success, and gives what it printed."""
    (tmp_path / "docker-compose.yml").write_text(PROJECT)

    def run(*words: str) -> str:
        assert COMPOSE is not None
        command = [COMPOSE, "--no-ansi", "-p", "project", *words]
        done = subprocess.run(
            command, env=engine.environment(), cwd=tmp_path, input="", capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
        return done.stdout

    yield run
    run("down", "-v")


def test_compose_brings_a_project_up_and_down(engine: Engine, compose: Compose) -> None:
    """Two of one service, the other one after they are healthy; found by name and alias; nothing left at the end."""
    compose("up", "-d", "--scale", "web=2")
    states = compose("ps")
    assert states.count("Up (healthy)") == 2
    assert "hello" in compose("logs", "client")
    assert compose("exec", "-T", "client", "wget", "-qO-", "http://web/") == "hello\n"
    assert compose("exec", "-T", "client", "cat", "/seen/index.html") == "hello\n"
    names = compose("exec", "-T", "client", "nslookup", "site", "127.0.0.11")
    assert names.count("Name:\tsite") == 2
    for index in ("1", "2"):
        address = compose("port", "--index", index, "web", "80").strip()
        assert _fetch(engine, address.replace("0.0.0.0", "127.0.0.1")) == b"hello\n"
    before = engine.ok("ps", "-q", "--no-trunc")
    compose("up", "-d", "--scale", "web=2")
    assert engine.ok("ps", "-q", "--no-trunc") == before
    compose("down", "-v")
    assert engine.ok("ps", "-aq") == engine.ok("volume", "ls", "-q") == ""
    assert engine.ok("network", "ls", "-q", "--filter", "type=custom") == ""


def test_compose_restarts_stops_starts_and_runs_once(engine: Engine, compose: Compose) -> None:
    """Each command finds its containers by their labels; a service scaled down loses the last one."""
    compose("up", "-d", "--scale", "web=2")
    compose("restart", "-t", "0", "client")
    assert compose("logs", "client").count("hello") == 2
    compose("stop", "-t", "0", "client")
    compose("start", "client")
    assert compose("run", "--rm", "client", "wget", "-qO-", "http://web/") == "hello\n"
    compose("up", "-d", "--scale", "web=1")
    web = ("--filter", "label=com.docker.compose.service=web", "--format", "{{.Names}}")
    assert engine.ok("ps", "-a", *web) == "project_web_1"


def _fetch(engine: Engine, address: str) -> bytes:
    def get() -> bytes:
        with urllib.request.urlopen(f"http://{address}/", timeout=10) as answer:
            return bytes(answer.read())

    return in_network_of(engine.pid if engine.own_network else None, get)
