"""Runs the commands of builds (`build.ports.Runner`): each in a container of its own that nobody else knows of.

It is started as every container is, on a snapshot of its own, with the limits and the network of the build; but no
record of it is kept, so that what a killed shoald leaves of it belongs to no container, and the next start ends it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from signal import SIGKILL

import msgspec

from shoal.api.container import ContainerConfig
from shoal.api.host_config import HostConfig
from shoal.api.network import NetworkingConfig
from shoal.api.stdcopy import StdcopyDecoder
from shoal.build.ports import Command, Ended, Output, StepMount, Tell
from shoal.engine.building.agents import relayed
from shoal.engine.building.step_containers import StepContainers
from shoal.engine.container.isolation import check_isolation
from shoal.engine.container.record import ContainerRecord
from shoal.engine.specgen.requested import RequestedMount, clean_target, tmpfs_options
from shoal.errors import NotFound
from shoal.linux.fd import Fd
from shoal.oci.digest import Digest
from shoal.oci.rootfs import Rootfs
from shoal.runtime.driver import AttachOptions, Client, Exit, LogSink

# The same for every build on every machine: a command may write it into a file.
HOSTNAME = "shoal-build"
_STREAMS = AttachOptions(stdin=False, stdout=True, stderr=True, mux=True)
_PIECE_BYTES = 64 * 1024


class StepRunner:
    """Runs the commands of one build; `host` are its limits, names and network."""

    def __init__(self, containers: StepContainers, host: HostConfig) -> None:
        self._all = containers
        self._host = containers.generator.complete(host)

    @asynccontextmanager
    async def run(
        self, command: Command, chain_ids: Sequence[Digest], started: Tell, output: Output
    ) -> AsyncIterator[Ended]:
        """See Runner."""
        id = secrets.token_hex(32)
        rootfs = self._all.snapshotter.prepare(id, chain_ids)
        try:
            record = self._record(id, command, rootfs)
            await started(id)
            async with AsyncExitStack() as sockets:
                for number, mount in enumerate(command.mounts):
                    if mount.kind == "socket":
                        await sockets.enter_async_context(relayed(self._path(id, number), mount))
                exit = await self._run(record, output)
            tree = await asyncio.to_thread(self._all.snapshotter.written, id)
            yield Ended(id, exit.code, exit.oom_killed, tree)
        finally:
            await self._all.background.complete(self._clean_up(id))

    async def _run(self, record: ContainerRecord, output: Output) -> Exit:
        """How the command ended; when cancelled, it has been killed."""
        waiting: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._all.running[record.id] = waiting
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with ours:
                await self._start(record, Client(_STREAMS, Fd(theirs.detach())))
                try:
                    await _pass_on(ours, output)
                    return await waiting
                except BaseException:
                    await self._all.background.complete(self._kill(record.id, waiting))
                    raise
        finally:
            del self._all.running[record.id]
            await self._all.background.complete(self._all.networks.release(record))

    async def _start(self, record: ContainerRecord, client: Client) -> None:
        all = self._all
        try:
            places = await all.networks.allocate(record)
            launch = all.launches.build(record, places, (client,), LogSink("none"))
            wire = all.networks.wire(places)
        except BaseException:
            client.socket.close()
            raise
        await all.driver.start(launch, wire)

    async def _kill(self, id: str, waiting: asyncio.Future[Exit]) -> None:
        try:
            await self._all.driver.signal(id, None, SIGKILL)
        except NotFound:
            return
        await waiting

    async def _clean_up(self, id: str) -> None:
        await asyncio.to_thread(self._discard, id)

    def _discard(self, id: str) -> None:
        try:
            self._all.snapshotter.remove(id)
        except NotFound:
            pass
        shutil.rmtree(self._all.paths.container_dir(id), ignore_errors=True)
        shutil.rmtree(self._all.paths.run_dir(id), ignore_errors=True)

    def _record(self, id: str, command: Command, rootfs: Rootfs) -> ContainerRecord:
        network = self._host.network_mode if command.network == "default" else command.network
        host = msgspec.structs.replace(self._host, network_mode=network)
        # A RUN may ask for the host's network, which a machine has no part in.
        check_isolation(host)
        self._all.paths.container_dir(id).mkdir(mode=0o710)
        return ContainerRecord(
            id=id,
            name=f"build-{id[:12]}",
            created_ns=self._all.clock(),
            image_id="",
            config=ContainerConfig(
                hostname=HOSTNAME,
                user=command.user,
                env=[*command.environment, *command.hidden],
                cmd=list(command.arguments),
                working_dir=command.directory,
                network_disabled=network == "none",
            ),
            host_config=host,
            networking=NetworkingConfig(),
            path=command.arguments[0],
            args=list(command.arguments[1:]),
            rootfs=rootfs,
            mounts=[self._mount(id, number, mount, command.directory) for number, mount in enumerate(command.mounts)],
        )

    def _mount(self, id: str, number: int, mount: StepMount, directory: str) -> RequestedMount:
        target = clean_target(os.path.join(directory, mount.target))
        if mount.kind == "tmpfs":
            return RequestedMount(
                kind="tmpfs", source="", target=target, options=tmpfs_options(",".join(mount.options))
            )
        source = mount.source
        if mount.kind == "file":
            source = str(self._write(id, number, mount))
        elif mount.kind == "socket":
            source = str(self._path(id, number))
        return RequestedMount(kind="bind", source=source, target=target, read_only="mount" if mount.read_only else "no")

    def _path(self, id: str, number: int) -> Path:
        """The place of a mount beside the container's FIFOs: in memory, as all of the exec root."""
        directory = self._all.paths.run_dir(id)
        directory.mkdir(mode=0o710, parents=True, exist_ok=True)
        return directory / f"mount-{number}"

    def _write(self, id: str, number: int, mount: StepMount) -> Path:
        path = self._path(id, number)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as file:
            file.write(mount.content)
            os.fchown(fd, *mount.owner)
            os.fchmod(fd, mount.mode)
        return path


async def _pass_on(stream: socket.socket, output: Output) -> None:
    """Everything that comes out of a framed stream, until its end."""
    loop = asyncio.get_running_loop()
    decoder = StdcopyDecoder()
    while data := await loop.sock_recv(stream, _PIECE_BYTES):
        for number, piece in decoder.feed(data):
            await output(number, piece)
