"""shoal: a container engine for Linux that any Docker client drives, and its Python API.

    import shoal

    print(shoal.run("busybox", "echo hello").text)

`shoal.connect()` gives an engine with its containers, images, networks and volumes; `shoal.aio` has the same to be
awaited.
Every process of shoal imports this module, and most need nothing but the version: the API is loaded when it is first
used.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal import aio as aio
    from shoal.client.results import Change as Change
    from shoal.client.results import Chunk as Chunk
    from shoal.client.results import CommandFailed as CommandFailed
    from shoal.client.results import CommandTimedOut as CommandTimedOut
    from shoal.client.results import ContainerFailed as ContainerFailed
    from shoal.client.results import ContainerState as ContainerState
    from shoal.client.results import Event as Event
    from shoal.client.results import ExecFailed as ExecFailed
    from shoal.client.results import LogLine as LogLine
    from shoal.client.results import Output as Output
    from shoal.client.results import Pruned as Pruned
    from shoal.client.results import Sample as Sample
    from shoal.errors import Conflict as Conflict
    from shoal.errors import Forbidden as Forbidden
    from shoal.errors import Internal as Internal
    from shoal.errors import InvalidArgument as InvalidArgument
    from shoal.errors import NotFound as NotFound
    from shoal.errors import ShoalError as ShoalError
    from shoal.errors import TimedOut as TimedOut
    from shoal.errors import Unauthorized as Unauthorized
    from shoal.errors import Unavailable as Unavailable
    from shoal.errors import Unsupported as Unsupported
    from shoal.sync import Attachment as Attachment
    from shoal.sync import Container as Container
    from shoal.sync import Containers as Containers
    from shoal.sync import Engine as Engine
    from shoal.sync import Exec as Exec
    from shoal.sync import Image as Image
    from shoal.sync import Images as Images
    from shoal.sync import Network as Network
    from shoal.sync import Networks as Networks
    from shoal.sync import Stream as Stream
    from shoal.sync import Volume as Volume
    from shoal.sync import Volumes as Volumes
    from shoal.sync import connect as connect
    from shoal.sync import run as run
    from shoal.sync import time_limit as time_limit

# Where each name of the API is.
_RESULTS = (
    "Change Chunk CommandFailed CommandTimedOut ContainerFailed ContainerState Event ExecFailed LogLine Output Pruned "
    "Sample"
)
_ERRORS = (
    "Conflict Forbidden Internal InvalidArgument NotFound ShoalError TimedOut Unauthorized Unavailable Unsupported"
)
_SYNC = (
    "Attachment Container Containers Engine Exec Image Images Network Networks Stream Volume Volumes connect run "
    "time_limit"
)
_HOMES = {
    **dict.fromkeys(_RESULTS.split(), "shoal.client.results"),
    **dict.fromkeys(_ERRORS.split(), "shoal.errors"),
    **dict.fromkeys(_SYNC.split(), "shoal.sync"),
}


def __getattr__(name: str) -> object:
    """A name of the API, loaded at its first use (PEP 562)."""
    if name == "aio":
        return _module("shoal.aio")
    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module 'shoal' has no attribute {name!r}")
    value: object = getattr(_module(home), name)
    globals()[name] = value
    return value


def _module(name: str) -> object:
    from importlib import import_module

    return import_module(name)


def __dir__() -> list[str]:
    """The names of the API, for completion."""
    return sorted([*_HOMES, "__version__", "aio"])
