"""What the demo's steps share: the engine, the reader, and containers that are noted as they start."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from shoal.cli.bootstrap.busybox import busybox_tar
from shoal.cli.demo import archives
from shoal.cli.demo.debian import RootTar
from shoal.cli.demo.engine import PrivateEngine
from shoal.cli.demo.footprint import Footprint
from shoal.cli.demo.narration import Narration
from shoal.cli.quantities import decimal_size
from shoal.client.client import Client
from shoal.client.document import Json


@dataclass(frozen=True, slots=True)
class Started:
    """A container that runs: its PID 1 as the host numbers it, and how long create and start took together."""

    pid: int
    took_s: float


@dataclass(frozen=True, slots=True)
class Stage:
    """Handed from step to step."""

    engine: PrivateEngine
    narration: Narration
    footprint: Footprint

    @property
    def client(self) -> Client:
        """The private engine's client."""
        return self.engine.client

    def run(
        self, name: str, image: str, *, command: Sequence[str] = (), host: dict[str, Json] | None = None
    ) -> Started:
        """Creates and starts a container, and notes what it has."""
        body: dict[str, Json] = {"Image": image, "Hostname": name, "HostConfig": host or {}}
        if command:
            body["Cmd"] = list(command)
        began = time.monotonic()
        container = self.client.containers.create(body, name=name).text("Id")
        self.client.containers.start(container)
        took_s = time.monotonic() - began
        pid = self.pid(name)
        self.footprint.note_container(pid)
        return Started(pid, took_s)

    def pid(self, name: str) -> int:
        """The container's PID 1 on the host, 0 if it does not run."""
        return self.client.containers.inspect(name).number("State", "Pid")


def prepare_images(stage: Stage, root: RootTar, busybox: str) -> None:
    """Makes the three images through the API."""
    narration, images = stage.narration, stage.client.images
    built = f"built by mmdebstrap in {root.build_s:.1f} s" if root.build_s is not None else "kept from an earlier run"
    narration.figure(
        "Debian's root file system", f"{decimal_size(root.size_bytes)}, {built} ({os.path.dirname(root.path)})"
    )
    narration.progress("importing busybox")
    began = time.monotonic()
    tar = busybox_tar(busybox)
    for _ in images.import_archive("-", [tar], repo=f"{archives.BUSYBOX_IMAGE}:latest", changes=['CMD ["sh"]']):
        pass
    narration.figure("image busybox", f"{decimal_size(len(tar))}, imported in {time.monotonic() - began:.2f} s")
    narration.progress(f"loading {archives.DEBIAN_IMAGE} and {archives.WEB_IMAGE}")
    began = time.monotonic()
    archive = archives.saved_archive(root)
    for _ in images.load(archive.chunks(), size_bytes=archive.size_bytes, quiet=True):
        pass
    took_s = time.monotonic() - began
    narration.figure(f"image {archives.DEBIAN_IMAGE}", f"{decimal_size(archive.size_bytes)}, loaded in {took_s:.2f} s")
    narration.figure("image web", "the same, and one layer on top: a web server that insists on port 4000")
