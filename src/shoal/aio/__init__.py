"""The Python API on asyncio: `async with shoal.aio.connect() as engine`, `await shoal.aio.run(image, command)`."""

from __future__ import annotations

from shoal.aio.containers import Container, Containers
from shoal.aio.engine import Engine, connect, run
from shoal.aio.execs import Exec
from shoal.aio.images import Image, Images
from shoal.aio.networks import Network, Networks
from shoal.aio.streams import Attachment, Stream
from shoal.aio.volumes import Volume, Volumes
from shoal.client.aio.endings import time_limit

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
