"""Volumes and a shoald that is killed at random moments: no content is lost, no half is left, nothing leaks.

Against shoald alone: no other engine promises this.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import re
import threading
import time
from pathlib import Path

import pytest

from tests.engines.shoald import Shoald

ETC = {"passwd", "group", "plain-file"}


def _use(engine: Shoald, stop: threading.Event, choose: random.Random) -> None:
    """Runs and removes containers with volumes until told to stop, whether or not anybody answers."""
    number = 0
    while not stop.is_set():
        number += 1
        name = f"volume-{choose.randrange(4)}"
        body = {
            "Image": "busybox",
            "Cmd": ["sh", "-c", "ls /etc > /anonymous/x"],
            "Volumes": {"/anonymous": {}},
            "HostConfig": {"Binds": [f"{name}:/etc"], "AutoRemove": choose.random() < 0.3},
        }
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError, KeyError):
            created = engine.request("POST", "/containers/create", body).json["Id"]
            engine.request("POST", f"/containers/{created}/start")
            engine.request("POST", f"/containers/{created}/wait")
            engine.request("DELETE", f"/containers/{created}?force=1&v=1")
            if choose.random() < 0.5:
                engine.request("DELETE", f"/volumes/{name}")


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_moments_leaves_volumes_whole(private_shoald: Shoald, seed: int) -> None:
    """Each named volume has what the image has or is not there; without containers no anonymous one is left."""
    engine, choose, stop = private_shoald, random.Random(seed), threading.Event()
    clients = [threading.Thread(target=_use, args=(engine, stop, random.Random(seed * 10 + i))) for i in range(2)]
    for client in clients:
        client.start()
    try:
        for _ in range(6):
            time.sleep(choose.uniform(0.05, 0.5))  # the moment is what is random here
            engine.kill9()
            engine.start()
    finally:
        stop.set()
        for client in clients:
            client.join()
    engine.remove_containers()
    engine.kill9()
    engine.start()
    left = [str(volume["Name"]) for volume in engine.request("GET", "/volumes").json["Volumes"]]
    directory = Path(engine.data_root, "volumes")
    assert sorted(os.listdir(directory)) == sorted(left)
    assert not [name for name in left if re.fullmatch("[0-9a-f]{64}", name)], engine.log[-3000:]
    for name in left:
        assert os.listdir(directory / name) == ["_data"]
        content = set(os.listdir(directory / name / "_data"))
        assert not content or content >= ETC, f"{name} has only {content}"
        assert engine.request("DELETE", f"/volumes/{name}").status == 204
    assert os.listdir(Path(engine.data_root, "tmp", "volumes")) == []


def test_killed_between_two_containers_keeps_anonymous_volumes_that_are_used(private_shoald: Shoald) -> None:
    """A restart sweeps nothing that a container has, whoever it was made for."""
    engine = private_shoald
    body = {"Image": "busybox", "Volumes": {"/anonymous": {}}}
    assert engine.request("POST", "/containers/create?name=giver", body).status == 201
    taker = {"Image": "busybox", "HostConfig": {"VolumesFrom": ["giver"]}}
    assert engine.request("POST", "/containers/create?name=taker", taker).status == 201
    assert engine.request("DELETE", "/containers/giver?v=1").status == 204
    engine.kill9()
    engine.start()
    assert len(engine.request("GET", "/volumes").json["Volumes"]) == 1
    assert engine.request("DELETE", "/containers/taker?v=1").status == 204
    assert engine.request("GET", "/volumes").json["Volumes"] == []
