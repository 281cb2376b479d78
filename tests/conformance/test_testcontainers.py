"""Testcontainers, as integration tests of Python programs use it: without Ryuk, its container that cleans up."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import pytest
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy

from tests.engines.shoald import Shoald


@pytest.fixture
def environment(shoald: Shoald, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The engine as Testcontainers finds it. shoald alone: dockerd's ports are in a network of its own."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{shoald.socket}")
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    return


@pytest.mark.usefixtures("environment")
def test_web_server_is_waited_for_and_answers(shoald: Shoald) -> None:
    """A container with a published port: started, waited for, asked, read from, and removed."""
    container = (
        DockerContainer("busybox")
        .with_command("sh -c 'echo ready; httpd -f -p 80 -h /www'")
        .with_env("A", "b")
        .with_exposed_ports(80)
        .waiting_for(HttpWaitStrategy(80, "/index.html").for_status_code(200))
    )
    with container as web:
        address = f"http://{web.get_container_host_ip()}:{web.get_exposed_port(80)}/index.html"
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.read() == b"hello from the container\n"
        assert web.exec(["sh", "-c", "echo $A"]) == (0, b"b\n")
        assert web.get_logs() == (b"ready\n", b"")
    assert shoald.request("GET", "/containers/json?all=1").json == []


@pytest.mark.usefixtures("environment")
def test_log_message_is_waited_for() -> None:
    """Its other way to wait: for a line of the log."""
    container = DockerContainer("busybox").with_command("sh -c 'echo one; echo two; sleep 60'")
    with container.waiting_for(LogMessageWaitStrategy("two")) as started:
        assert started.get_logs()[0] == b"one\ntwo\n"
