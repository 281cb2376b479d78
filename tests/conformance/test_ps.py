"""`docker ps`: which containers it shows, by every filter, with both engines of one mind."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")
EVERYTHING = ["new", "alone", "ended", "db", "web"]


def names(engine: Engine, *arguments: str) -> list[str]:
    """The names that `docker ps` shows, in its order."""
    return engine.ok("ps", "--format", "{{.Names}}", *arguments).split()


def until(is_so: Callable[[], bool]) -> None:
    """Returns when the engine says so."""
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline


def test_ps_chooses_by_every_filter(engine: Engine) -> None:
    """State, names, ports, networks, volumes, labels, order, image, exit code and health."""
    port = engine.free_port()
    web = engine.ok(
        *("run", "-d", "--name", "web", "-l", "tier=front", "--expose", "53/udp"),
        *("-p", f"127.0.0.1:{port}:80", "busybox", "sleep", "1000"),
    )
    engine.ok("run", "-d", "--name", "db", "-l", "tier=back", "-v", "data:/data", "busybox", "sleep", "1000")
    engine.docker("run", "--name", "ended", "busybox", "sh", "-c", "exit 3")
    check = ("--health-cmd", "true", "--health-interval", "100ms")
    engine.ok("run", "-d", "--name", "alone", "--net", "none", *check, "busybox", "sleep", "1000")
    engine.ok("create", "--name", "new", "busybox")
    until(lambda: names(engine, "-f", "health=healthy") == ["alone"])
    network = engine.request("GET", "/networks/bridge").json["Id"]
    chosen = {
        "ancestor=busybox": EVERYTHING,
        "ancestor=nothing": [],
        "before=ended": ["db", "web"],
        f"since={web}": ["new", "alone", "ended", "db"],
        "expose=53/udp": ["web"],
        "expose=80-81": ["web"],
        f"publish={port}": ["web"],
        f"publish={port}/tcp": ["web"],
        "publish=80": [],
        "exited=3": ["ended"],
        "health=none": ["new", "ended", "db", "web"],
        f"id={web[:6]}": ["web"],
        "is-task=false": EVERYTHING,
        "is-task=true": [],
        "isolation=default": EVERYTHING,
        "label=tier": ["db", "web"],
        "label=tier=back": ["db"],
        "name=^/?e": ["ended"],
        "network=none": ["alone"],
        f"network={network[:12]}": ["ended", "db", "web"],
        "status=created": ["new"],
        "volume=data": ["db"],
        "volume=/data": ["db"],
    }
    assert {asked: names(engine, "-a", "-f", asked) for asked in chosen} == chosen
    assert names(engine) == ["alone", "db", "web"]
    assert names(engine, "-f", "exited=3") == []
    assert names(engine, "-f", "status=exited") == ["ended"]
    assert names(engine, "-n", "2") == ["new", "alone"]
    assert names(engine, "-l") == ["new"]
    assert names(engine, "-a", "-f", "label=tier", "-f", "volume=data") == ["db"]
    for wrong in ("status=x", "health=x", "publish=x", "exited=x", "nothing=x"):
        assert engine.docker("ps", "-a", "-f", wrong).returncode == 1


def test_ps_shows_sizes(engine: Engine) -> None:
    """What the container has written, and that with its image."""
    engine.docker("run", "--name", "it", "busybox", "dd", "if=/dev/zero", "of=/big", "bs=1k", "count=5")
    written, _, whole = engine.ok("ps", "-a", "-s", "--format", "{{.Size}}").partition(" (virtual ")
    assert written == "5.12kB"
    assert whole.endswith("MB)")
    shown = engine.ok("inspect", "--size", "--type", "container", "-f", "{{.SizeRw}} {{.SizeRootFs}}", "it").split()
    assert int(shown[0]) == 5120 < int(shown[1])


def test_exec_that_was_never_started_goes_with_its_containers_run(engine: Engine) -> None:
    """It is listed while the container runs, and unknown after that."""
    engine.ok("run", "-d", "--init", "--name", "it", "busybox", "sleep", "1000")
    id = engine.request("POST", "/containers/it/exec", {"Cmd": ["true"]}).json["Id"]
    assert engine.inspect("it")["ExecIDs"] == [id]
    engine.ok("restart", "-t", "1", "it")
    assert engine.inspect("it")["ExecIDs"] is None
    assert engine.request("GET", f"/exec/{id}/json").status == 404


def test_resize_without_a_terminal_changes_nothing(engine: Engine) -> None:
    """Clients ask for it whether there is a terminal or not; the event tells the size."""
    engine.ok("run", "-d", "--name", "it", "busybox", "sleep", "1000")
    assert engine.request("POST", "/containers/it/resize?h=5&w=6").status == 200
    engine.ok("stop", "-t", "0", "it")
    assert engine.request("POST", "/containers/it/resize?h=5&w=6").status == 409


def test_start_with_a_body_is_refused(engine: Engine) -> None:
    """As since API 1.24: what old clients send for nothing passes, a host configuration does not."""
    engine.ok("create", "--name", "it", "busybox", "true")
    refused = engine.request("POST", "/containers/it/start", {"Binds": ["/etc:/etc"]})
    assert refused.status == 400
    assert "non-empty request body" in refused.message
    assert engine.request("POST", "/containers/it/start", {}).status == 204
