"""What `RUN --mount` shows a command: caches, the context, stages and images, memory, secrets, agents' sockets.

Secrets are in memory only: they are neither in a cache's key nor in what is kept.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from shoal.build.cache_mounts import CacheMounts
from shoal.build.copying import Attributes, Item, Manifest, Source, place
from shoal.build.dockerfile.mounts import Mount
from shoal.build.files import clean, resolve
from shoal.build.layer_writing import LayerWriting, Unrecorded
from shoal.build.ports import Layers, StepMount
from shoal.build.state import State
from shoal.build.steps.files import Origin, TextFiles
from shoal.errors import InvalidArgument, NotFound

_ROOT = (0, 0)
_AGENT = "/run/buildkit/ssh_agent."


@dataclass(frozen=True, slots=True)
class Prepared:
    """The mounts of one RUN, and their part of its key. `origins` are what bind mounts and new caches are made of."""

    mounts: tuple[Mount, ...]
    origins: Mapping[int, Origin] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mounted:
    """The mounts in place for one run, and the variables that go with them."""

    mounts: tuple[StepMount, ...]
    environment: tuple[str, ...]


class Mounting:
    """The mounts of one build. `origin_of` finds what `from=` names, "" for the context."""

    def __init__(
        self,
        layers: Layers,
        caches: CacheMounts,
        origin_of: Callable[[str], Awaitable[Origin]],
        secrets: Mapping[str, bytes],
        ssh: Mapping[str, str],
    ) -> None:
        self._layers = layers
        self._caches = caches
        self._origin_of = origin_of
        self._secrets = secrets
        self._ssh = ssh

    async def prepare(self, mounts: Sequence[Mount], state: State) -> Prepared:
        """What is known of the mounts before the command runs.

        Raises: InvalidArgument for a source or a required secret that there is not; as `origin_of`.
        """
        origins: dict[int, Origin] = {}
        parts: dict[str, str] = {}
        for index, mount in enumerate(mounts):
            told = replace(mount, target=os.path.join(state.config.working_dir or "/", mount.target))
            parts[f"mount {index}"] = f"{told.type} {told.target} {told.source} {told.readonly} {told.id} {told.env}"
            if mount.type == "bind" or (mount.type == "cache" and mount.from_name):
                origins[index] = origin = await self._origin_of(mount.from_name)
                if mount.type == "bind":
                    parts[f"mount {index} files"] = await asyncio.to_thread(_digest, origin, mount.source)
            elif mount.type == "secret":
                self._check(mount, mount.id in self._secrets, "secret", f"--secret id={mount.id},src=FILE")
            elif mount.type == "ssh":
                self._check(mount, mount.id in self._ssh, "ssh agent", f"--ssh {mount.id}")
        return Prepared(tuple(mounts), origins, parts)

    def _check(self, mount: Mount, is_there: bool, kind: str, flag: str) -> None:
        if mount.required and not is_there:
            raise NotFound(f"{kind} {mount.id} not found: not found", fix=f"shoal build {flag}")

    @asynccontextmanager
    async def taken(self, prepared: Prepared) -> AsyncIterator[Mounted]:
        """The mounts, ready to be used within the block. Raises: OSError; InvalidArgument."""
        mounts: list[StepMount] = []
        environment: list[str] = []
        async with AsyncExitStack() as stack:
            for index, mount in enumerate(prepared.mounts):
                if mount.type == "tmpfs":
                    size = (f"size={mount.size_bytes}",) if mount.size_bytes else ()
                    mounts.append(StepMount(kind="tmpfs", target=mount.target, options=size))
                elif mount.type == "secret":
                    self._secret(mount, mounts, environment)
                elif mount.type == "ssh":
                    self._agent(mount, mounts, environment)
                elif mount.type == "cache":
                    mounts.append(await self._cache(stack, mount, prepared.origins.get(index)))
                else:
                    mounts.append(await self._bind(stack, mount, prepared.origins[index]))
            yield Mounted(tuple(mounts), tuple(environment))

    def _secret(self, mount: Mount, mounts: list[StepMount], environment: list[str]) -> None:
        content = self._secrets.get(mount.id)
        if content is None:
            return
        if mount.env:
            environment.append(f"{mount.env}={content.decode(errors='surrogateescape')}")
        if mount.target:
            owner = (mount.uid or 0, mount.gid or 0)
            mode = mount.mode if mount.mode is not None else 0o400
            mounts.append(StepMount(kind="file", target=mount.target, content=content, mode=mode, owner=owner))

    def _agent(self, mount: Mount, mounts: list[StepMount], environment: list[str]) -> None:
        socket = self._ssh.get(mount.id)
        if socket is None:
            return
        target = mount.target or f"{_AGENT}{len(mounts)}"
        owner = (mount.uid or 0, mount.gid or 0)
        mode = mount.mode if mount.mode is not None else 0o600
        mounts.append(StepMount(kind="socket", target=target, source=socket, read_only=False, mode=mode, owner=owner))
        environment.append(f"SSH_AUTH_SOCK={target}")

    async def _cache(self, stack: AsyncExitStack, mount: Mount, origin: Origin | None) -> StepMount:
        def fill(directory: str) -> None:
            if origin is not None:
                _write(origin, mount.source, directory)

        owner = (mount.uid or 0, mount.gid or 0)
        mode = mount.mode if mount.mode is not None else 0o755
        directory = await stack.enter_async_context(
            self._caches.taken(mount.id, mount.sharing, owner=owner, mode=mode, fill=fill)
        )
        return StepMount(kind="bind", target=mount.target, source=directory, read_only=mount.readonly)

    async def _bind(self, stack: AsyncExitStack, mount: Mount, origin: Origin) -> StepMount:
        """A copy of the files: what the command writes there, where it may, is nobody's afterwards."""
        tree = self._layers.fresh_tree()
        stack.callback(self._layers.drop_tree, tree)
        await asyncio.to_thread(_write, origin, mount.source, tree)
        path = clean(mount.source)
        entry = origin.files.find(resolve(origin.files, path)) if path else None
        source = tree
        if entry is not None and not entry.is_directory:
            source = os.path.join(tree, os.fsdecode(path.rpartition(b"/")[2]))
        return StepMount(kind="bind", target=mount.target, source=source, read_only=mount.readonly)


def _items(origin: Origin, source: str) -> list[Item]:
    """All below `source`, at the root of a new tree. Raises: InvalidArgument where it is not there."""
    path = resolve(origin.files, clean(source))
    entry = origin.files.find(path)
    if path and entry is None:
        raise InvalidArgument(f"failed to calculate checksum of ref: {source}: not found")
    owner = _ROOT if origin.is_context else None
    return list(
        place(origin.files, [Source(path, path.rpartition(b"/")[2])], b"", into=True, attributes=Attributes(owner))
    )


def _digest(origin: Origin, source: str) -> str:
    return Manifest(_items(origin, source)).digest


def _write(origin: Origin, source: str, directory: str) -> None:
    items = [item for item in _items(origin, source) if item.target]
    nothing = TextFiles({})
    LayerWriting(directory, nothing, Unrecorded(), owner=_ROOT, latest_ns=2**62).write(items)
