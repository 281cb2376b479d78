# Derived from src/shoal/aio/__init__.py by ./dev twins: change it there.
"""The Python API on asyncio: `with shoal.connect() as engine`, `shoal.run(image, command)`."""

from __future__ import annotations

from shoal.client.endings import time_limit
from shoal.sync.containers import Container, Containers
from shoal.sync.engine import Engine, connect, run
from shoal.sync.execs import Exec
from shoal.sync.images import Image, Images
from shoal.sync.networks import Network, Networks
from shoal.sync.streams import Attachment, Stream
from shoal.sync.volumes import Volume, Volumes

__all__ = [
    "Attachment",
    "Container",
    "Containers",
    "Engine",
    "Exec",
    "Image",
    "Images",
    "Network",
    "Networks",
    "Stream",
    "Volume",
    "Volumes",
    "connect",
    "run",
    "time_limit",
]
