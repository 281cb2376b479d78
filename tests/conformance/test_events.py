"""`docker events`: what is told, in which order, with which filters."""

from __future__ import annotations

import json
import time

import pytest

from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")


def between(engine: Engine, since: float, *filters: str) -> list[str]:
    """The actions told between a time and now, as `TYPE ACTION`."""
    arguments = [part for entry in filters for part in ("--filter", entry)]
    bounds = ("--since", f"{since:.9f}", "--until", f"{time.time() + 0.01:.9f}")
    lines = engine.ok("events", *bounds, *arguments, "--format", "{{json .}}").splitlines()
    return [f"{event['Type']} {event['Action']}" for event in map(json.loads, lines)]


def test_events_of_a_run_come_in_order(engine: Engine) -> None:
    """create, attach, network connect, start, die, network disconnect, destroy."""
    since = time.time()
    engine.ok("run", "--rm", "busybox", "true")
    engine.docker("ps")
    told = between(engine, since)
    expected = ["container create", "container attach", "network connect", "container start", "container die"]
    expected += ["network disconnect", "container destroy"]
    assert [event for event in told if event in expected] == expected


def test_events_tell_name_image_and_exit_code(engine: Engine) -> None:
    """The actor has the container's id, name, image, labels; die has the exit code."""
    since = time.time()
    identifier = engine.ok("run", "-d", "--name", "it", "-l", "color=red", "busybox", "sh", "-c", "exit 3")
    engine.ok("wait", "it")
    bounds = ("--since", f"{since:.9f}", "--until", f"{time.time() + 0.01:.9f}")
    lines = engine.ok("events", *bounds, "--filter", "event=die", "--format", "{{json .}}").splitlines()
    event = json.loads(lines[0])
    attributes = event["Actor"]["Attributes"]
    assert event["Actor"]["ID"] == identifier
    assert (attributes["name"], attributes["image"], attributes["color"], attributes["exitCode"]) == (
        "it",
        "busybox",
        "red",
        "3",
    )
    assert (event["status"], event["id"], event["from"], event["scope"]) == ("die", identifier, "busybox", "local")
    assert event["timeNano"] // 10**9 == event["time"]


def test_events_filters_choose(engine: Engine) -> None:
    """By container, event, type, image and label."""
    since = time.time()
    engine.ok("run", "--name", "one", "-l", "color=red", "busybox", "true")
    engine.ok("run", "--name", "two", "busybox", "true")
    assert between(engine, since, "event=start") == ["container start"] * 2
    assert between(engine, since, "container=one", "event=die") == ["container die"]
    assert between(engine, since, "label=color=red", "event=start") == ["container start"]
    assert {event.split()[0] for event in between(engine, since, "type=network")} == {"network"}
    assert between(engine, since, "image=busybox", "event=create") == ["container create"] * 2
    assert between(engine, since, "image=other") == []


def test_events_of_exec_kill_stop_pause_rename(engine: Engine) -> None:
    """Each verb tells of itself."""
    engine.ok("run", "-d", "--name", "it", "busybox", "sleep", "1000")
    since = time.time()
    engine.ok("exec", "it", "true")
    engine.ok("pause", "it")
    engine.ok("unpause", "it")
    engine.ok("rename", "it", "renamed")
    engine.ok("stop", "-t", "0", "renamed")
    told = [event.removeprefix("container ") for event in between(engine, since, "type=container")]
    executed = [event.rstrip() for event in told if event.startswith("exec_")]
    assert executed[:2] == ["exec_create: true", "exec_start: true"]
    wanted = [event for event in told if event in {"pause", "unpause", "rename", "kill", "die", "stop"}]
    assert wanted[:3] == ["pause", "unpause", "rename"]
    assert {"kill", "die", "stop"} <= set(wanted)


def test_events_live_stream_tells_at_once(engine: Engine) -> None:
    """A client that listens hears of it when it happens, and --until ends the stream."""
    listener = engine.popen("events", "--until", f"{time.time() + 3:.3f}", "--format", "{{.Action}}")
    time.sleep(0.5)  # the client says nothing once it listens
    engine.ok("run", "--rm", "busybox", "true")
    out, _ = listener.communicate(timeout=20)
    assert {b"create", b"start", b"die", b"destroy"} <= set(out.split())


def test_events_with_an_end_alone_are_those_that_were(engine: Engine) -> None:
    """Without a beginning, an end that has passed gives what is kept up to it."""
    id = engine.ok("create", "--name", "it", "busybox")
    told = engine.ok(
        "events", "--until", f"{time.time() + 0.01:.9f}", "-f", f"container={id}", "--format", "{{.Action}}"
    )
    assert told == "create"


def test_events_of_a_commit(images: Engine) -> None:
    """The new image's name, with the labels that it has, then the commit itself."""
    images.ok("run", "--name", "it", "-l", "color=red", "busybox", "true")
    since = time.time()
    images.ok("commit", "-m", "why", "it", "other:1")
    bounds = ("--since", f"{since:.9f}", "--until", f"{time.time() + 0.01:.9f}")
    events = [json.loads(line) for line in images.ok("events", *bounds, "--format", "{{json .}}").splitlines()]
    assert [(event["Type"], event["Action"]) for event in events] == [("image", "tag"), ("container", "commit")]
    tagged, committed = (event["Actor"]["Attributes"] for event in events)
    assert tagged == {"color": "red", "name": "other:1"}
    assert (committed["comment"], committed["imageRef"]) == ("why", "other:1")


def test_events_of_images(images: Engine) -> None:
    """import, tag and untag."""
    since = time.time()
    images.ok("tag", "busybox", "other:1")
    images.ok("rmi", "other:1")
    told = between(images, since, "type=image")
    assert [event for event in told if event in {"image tag", "image untag"}] == ["image tag", "image untag"]


def test_events_of_an_oom_kill_come_before_the_end(engine: Engine) -> None:
    """A child that is killed for want of memory is told of while the container runs on."""
    since = time.time()
    limits = ("-m", "20m", "--memory-swap", "20m")
    engine.ok("run", "-d", "--name", "it", *limits, "busybox", "sh", "-c", "tail /dev/zero; sleep 1000")
    deadline = time.monotonic() + 20
    while "container oom" not in between(engine, since, "container=it"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    engine.ok("kill", "it")
    told = between(engine, since, "container=it")
    assert told.count("container oom") == 1
    assert told.index("container oom") < told.index("container kill") < told.index("container die")
