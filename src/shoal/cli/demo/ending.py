"""Step 5 of the demo: everything is stopped and removed, and looked for."""

from __future__ import annotations

import os
import time

from shoal.cli.demo import measures
from shoal.cli.demo.footprint import Footprint
from shoal.cli.demo.stage import Stage

_DEADLINE_S = 5.0
_PAUSE_S = 0.05
_SERVERS = ("web-1", "web-2")
# What an engine may keep for an image or a container; its database and log are not among them.
_KEPT = ("blobs", "layers", "snapshots", "containers", "tmp")


def show_end(stage: Stage) -> None:
    """Step 5. The engine is stopped and its directory gone afterwards."""
    narration, client, engine = stage.narration, stage.client, stage.engine
    narration.step(5, "Nothing is left")
    narration.explain(
        "The web servers are asked to stop, the others are removed as they run; then the images go, then the engine. "
        "What each of them had was noted while it ran, and is looked for now."
    )
    stage.footprint.note_processes()
    codes = _stop_servers(stage)
    count = len(client.containers.list(all=True))
    began = time.monotonic()
    engine.remove_containers()
    narration.figure("containers removed", f"{count} in {measures.milliseconds(time.monotonic() - began)}")
    for image in client.images.list():
        client.images.remove(image.text("Id"), force=True)
    files = kept_files(engine.data_root)
    began = time.monotonic()
    engine.close()
    narration.figure("engine stopped", measures.milliseconds(time.monotonic() - began))
    left = wait_nothing_left(stage.footprint)
    left["files"] = files + ([engine.root] if os.path.exists(engine.root) else [])
    for kind, items in left.items():
        narration.listing([f"left of {kind}: {item}" for item in items[:5]])
    narration.promise("the servers ended by themselves, with exit code 0", codes == [0, 0])
    total = ", ".join(f"{len(items)} {kind}" for kind, items in left.items())
    narration.promise(f"left of this engine: {total}", not any(left.values()))


def kept_files(data_root: str) -> list[str]:
    """The files that the engine keeps for images and containers.

    Directories with a dot are the engine's own, made once for all containers, and go with it.
    """
    places = (os.path.join(data_root, name) for name in _KEPT)
    entries = (os.path.join(place, name) for place in places if os.path.isdir(place) for name in os.listdir(place))
    return measures.files_in(entry for entry in entries if not os.path.basename(entry).startswith("."))


def _stop_servers(stage: Stage) -> list[int]:
    """The exit codes of both."""
    containers = stage.client.containers
    began = time.monotonic()
    for name in _SERVERS:
        containers.stop(name)
    took_s = time.monotonic() - began
    codes = [containers.inspect(name).number("State", "ExitCode") for name in _SERVERS]
    shown = f"{len(codes)} in {measures.milliseconds(took_s)}, exit codes {codes}"
    stage.narration.figure("servers stopped", shown)
    return codes


def wait_nothing_left(footprint: Footprint) -> dict[str, list[str]]:
    """What is left of the engine by kind, once the kernel had time: it takes namespaces down behind our back."""
    deadline = time.monotonic() + _DEADLINE_S
    while True:
        left = footprint.left()
        if not any(left.values()) or time.monotonic() > deadline:
            return left
        time.sleep(_PAUSE_S)
