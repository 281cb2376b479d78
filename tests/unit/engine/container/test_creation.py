"""Making containers: what is left when it fails."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest

from shoal.api.container import ContainerCreateRequest
from shoal.api.host_config import HostConfig, LogConfig
from shoal.api.image import ImageConfig
from shoal.engine.container.container_logs import ContainerLogs
from shoal.engine.container.container_volumes import ContainerVolumes
from shoal.engine.container.creation import Creator
from shoal.engine.container.image_mounts import ImageMounts
from shoal.engine.container.links import Links
from shoal.engine.container.registry import ContainerRegistry
from shoal.engine.container.waiters import Waiters
from shoal.engine.events import EventLog
from shoal.engine.image_names import ImageNames
from shoal.engine.paths import Paths
from shoal.engine.specgen import SpecGenerator
from shoal.errors import NotFound
from shoal.image.snapshot.protocol import Snapshotter


class _Snapshotter:
    def prepare(self, key: str, chain_ids: object) -> None:
        del key, chain_ids
        raise OSError(errno.ENOSPC, "No space left on device")

    def remove(self, key: str) -> None:
        raise NotFound(f"no snapshot {key}")


class _Images:
    def find(self, ref: str, platform: object) -> Any:
        del ref, platform
        return type("Image", (), {"chain_ids": (), "id": "sha256:0"})

    def config(self, image: object) -> ImageConfig:
        del image
        return ImageConfig(cmd=["true"])


class _Generator:
    def validate(self, request: object) -> list[str]:
        del request
        return []

    def complete(self, host: HostConfig) -> HostConfig:
        return host


def test_create_failing_tells_the_cause_and_leaves_nothing(tmp_path: Path) -> None:
    """A full disk is what the client hears of, not that there is no snapshot to take back; the directory goes."""
    (tmp_path / "containers").mkdir()
    creator = Creator(
        paths=Paths(tmp_path, tmp_path),
        registry=ContainerRegistry(sqlite3.connect(":memory:", isolation_level=None)),
        images=cast(ImageNames, _Images()),
        snapshotter=cast(Snapshotter, _Snapshotter()),
        generator=cast(SpecGenerator, _Generator()),
        volumes=cast(ContainerVolumes, None),
        links=cast(Links, None),
        image_mounts=cast(ImageMounts, None),
        logs=ContainerLogs(Paths(tmp_path, tmp_path), Waiters(), LogConfig(type="json-file"), "host"),
        events=EventLog(lambda: 1),
        clock=lambda: 1,
    )
    with pytest.raises(OSError, match="No space left on device"):
        asyncio.run(creator.create("web", ContainerCreateRequest(image="busybox"), None))
    assert list((tmp_path / "containers").iterdir()) == []
