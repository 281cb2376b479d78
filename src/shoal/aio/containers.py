"""Containers: made, listed, and found; and the one container as an object."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Unpack

from shoal.aio.execs import Exec, run_exec
from shoal.aio.files import FileCalls
from shoal.aio.running import discard
from shoal.aio.streams import Attachment, Stream
from shoal.client.aio.client import Client
from shoal.client.aio.endings import time_limit, undisturbed
from shoal.client.chunks import Collector, Decoder, LineSplitter
from shoal.client.document import Document, Json, parse_document
from shoal.client.options import (
    Command,
    ContainerOptions,
    ExecOptions,
    Selection,
    create_request,
    exec_request,
    filters_of,
    moment_text,
    split_reference,
)
from shoal.client.results import Change, ContainerState, LogLine, Output, Pruned, Sample

_KINDS = {0: "changed", 1: "added", 2: "deleted"}


class Containers:
    """The containers of an engine."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def create(self, image: str, command: Command = None, **options: Unpack[ContainerOptions]) -> Container:
        """A new container, not started. Raises: NotFound for the image, Conflict for the name, InvalidArgument."""
        request = create_request(image, command, options)
        name, platform = options.get("name", ""), options.get("platform", "")
        answer = await self._client.containers.create(request, name=name, platform=platform)
        return await self.get(answer.text("Id"))

    async def start(self, image: str, command: Command = None, **options: Unpack[ContainerOptions]) -> Container:
        """A new container, started; its program goes on by itself.

        As a context manager it is removed at the end of the block:

        >>> async with await engine.containers.start("busybox", "sleep 60", name="nap") as container:
        ...     (await container.state()).status
        'running'

        One that can't be started is removed again. Raises: as `create` and `Container.start`.
        """
        container = await self.create(image, command, **options)
        try:
            await container.start()
        except BaseException:
            await undisturbed(lambda: discard(self._client, container.id))
            raise
        return container

    async def get(self, ref: str) -> Container:
        """The container of this name, id, or unambiguous beginning of an id. Raises: NotFound."""
        return _from_details(self._client, await self._client.containers.inspect(ref))

    async def list(self, *, all: bool = False, filters: Selection | None = None) -> list[Container]:
        """The running containers, or all, newest first. `filters`: `{"label": "a=b", "status": "exited"}`."""
        found = await self._client.containers.list(all=all, filters=filters_of(filters))
        return [_from_summary(self._client, document) for document in found]

    async def prune(self, *, filters: Selection | None = None) -> Pruned:
        """Removes the stopped containers, and says which."""
        answer = await self._client.system.prune("containers", filters_of(filters))
        return Pruned(tuple(answer.texts("ContainersDeleted")), answer.number("SpaceReclaimed"))


class Container(FileCalls):
    """One container. `id`, `name`, `image` and `labels` are what it had when it was found; the rest is asked for.

    As a context manager it is removed at the end of the block, however that ends.
    """

    def __init__(self, client: Client, id: str, *, name: str, image: str, labels: Mapping[str, str]) -> None:
        super().__init__(client, id)
        self.name = name
        self.image = image
        self.labels = dict(labels)

    def __repr__(self) -> str:
        return f"<Container {self.name} {self.id[:12]}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Container) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    async def __aenter__(self) -> Container:
        return self

    async def __aexit__(self, *_: object) -> None:
        await undisturbed(lambda: discard(self._client, self.id))

    # ── life ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Starts it; starting a running one does nothing. Raises: NotFound for a program that there is not."""
        await self._client.containers.start(self.id)

    async def stop(self, *, timeout_s: int | None = None, signal: str = "") -> None:
        """Sends its stop signal, and SIGKILL after `timeout_s` (its own time, 10 s, without one)."""
        await self._client.containers.stop(self.id, signal=signal, timeout_s=timeout_s)

    async def restart(self, *, timeout_s: int | None = None, signal: str = "") -> None:
        """Stops it and starts it again."""
        await self._client.containers.stop(self.id, signal=signal, timeout_s=timeout_s, restart=True)

    async def kill(self, signal: str | int = "SIGKILL") -> None:
        """Sends a signal to its first process. Raises: Conflict when it does not run."""
        await self._client.containers.kill(self.id, signal=str(signal))

    async def pause(self) -> None:
        """Freezes all its processes."""
        await self._client.containers.change(self.id, "pause")

    async def unpause(self) -> None:
        """Lets them go on."""
        await self._client.containers.change(self.id, "unpause")

    async def wait(self, *, timeout_s: float | None = None) -> int:
        """Its exit code, once it does not run. Raises: TimedOut, which leaves it running.

        >>> async with await engine.containers.start("busybox", "sh -c 'exit 7'") as container:
        ...     await container.wait(timeout_s=10)
        7
        """
        async with time_limit(timeout_s):
            waiting = await self._client.containers.wait(self.id)
            try:
                return (await waiting.result()).number("StatusCode")
            finally:
                waiting.close()

    async def remove(self, *, force: bool = False, volumes: bool = False) -> None:
        """Removes it; `force` kills it first, `volumes` takes its anonymous volumes too.

        Raises: Conflict for a running one, without `force`.
        """
        await self._client.containers.remove(self.id, force=force, volumes=volumes)

    async def rename(self, name: str) -> None:
        """Gives it another name."""
        await self._client.containers.rename(self.id, name)
        self.name = name

    async def update(self, limits: Mapping[str, Json]) -> None:
        """Gives it other limits while it runs, under Docker's names: `{"Memory": 2 << 20}`. Docker API v1.50."""
        await self._client.containers.update(self.id, limits)

    # ── what it is and does ─────────────────────────────────────────────────────────────────────────────────────────

    async def state(self) -> ContainerState:
        """How it is now."""
        return ContainerState.parse((await self.inspect()).child("State"))

    async def inspect(self) -> Document:
        """All that the engine knows of it. Docker API v1.50 ContainerInspect.

        >>> async with await engine.containers.create("busybox", hostname="box") as container:
        ...     (await container.inspect()).text("Config", "Hostname")
        'box'
        """
        return await self._client.containers.inspect(self.id)

    async def port(self, port: int | str) -> tuple[str, int]:
        """The address and port of the host that lead to this port of the container. Raises: KeyError."""
        key = str(port) if "/" in str(port) else f"{port}/tcp"
        bindings = (await self.inspect()).children("NetworkSettings", "Ports", key)
        if not bindings:
            raise KeyError(f"{self.name} publishes no port {key}")
        return bindings[0].text("HostIp"), int(bindings[0].text("HostPort"))

    async def stats(self) -> Sample:
        """What it uses now."""
        return Sample.parse(await self._client.containers.sample(self.id))

    def watch_stats(self) -> Stream[Sample]:
        """What it uses, once a second."""
        return Stream(self._samples())

    async def _samples(self) -> AsyncGenerator[Sample]:
        response = await self._client.call("GET", f"/containers/{self.id}/stats", query={"stream": "1"})
        try:
            async for line in response.lines():
                yield Sample.parse(parse_document(line, "a sample"))
        finally:
            response.close()

    async def processes(self, arguments: str = "") -> list[dict[str, str]]:
        """Its processes, each by the titles of ps (`PID`, `CMD`, …); `arguments` are those of ps."""
        answer = await self._client.containers.top(self.id, arguments)
        rows = answer.value("Processes")
        titles = answer.texts("Titles")
        return [
            dict(zip(titles, map(str, row), strict=False))
            for row in (rows if isinstance(rows, list) else [])
            if isinstance(row, list)
        ]

    async def changes(self) -> Sequence[Change]:
        """What differs from its image."""
        found = await self._client.containers.changes(self.id)
        return [Change(change.text("Path"), _KINDS[change.number("Kind")]) for change in found]

    async def commit(self, reference: str, *, author: str = "", message: str = "", changes: Sequence[str] = ()) -> str:
        """The id of a new image, made of what it changed; `changes` are lines of a Dockerfile."""
        repo, tag = split_reference(reference)
        return await self._client.archives.commit(
            self.id, repo=repo, tag=tag, author=author, comment=message, changes=changes
        )

    # ── its streams ─────────────────────────────────────────────────────────────────────────────────────────────────

    def logs(
        self,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: datetime | float | None = None,
        until: datetime | float | None = None,
        timestamps: bool = False,
    ) -> Stream[LogLine]:
        """Its log, line by line; with `follow` until it ends, else until now.

        >>> async with await engine.containers.start("busybox", "echo hi") as container:
        ...     [line.text async for line in container.logs(follow=True)]
        ['hi']
        """
        return Stream(self._log_lines(follow, tail, moment_text(since), moment_text(until), timestamps))

    async def _log_lines(
        self, follow: bool, tail: int | None, since: str, until: str, timestamps: bool
    ) -> AsyncGenerator[LogLine]:
        splitter = LineSplitter(timestamps=timestamps)
        tty = await self._has_terminal()
        response = await self._client.containers.logs(
            self.id,
            follow=follow,
            timestamps=timestamps,
            tail="all" if tail is None else str(tail),
            since=since,
            until=until,
        )
        decoder = Decoder(multiplexed=not tty)
        try:
            async for data in response.chunks():
                for chunk in decoder.feed(data):
                    for line in splitter.feed(chunk):
                        yield line
            for line in splitter.end():
                yield line
        finally:
            response.close()

    async def output(self) -> Output:
        """What it has written so far, as its log has it, and its exit code (0 while it runs)."""
        collector = Collector()
        details = await self.inspect()
        response = await self._client.containers.logs(self.id)
        decoder = Decoder(multiplexed=not details.flag("Config", "Tty"))
        async for data in response.chunks():
            for chunk in decoder.feed(data):
                collector.take(chunk)
        return Output(details.number("State", "ExitCode"), collector.stdout, collector.stderr)

    async def attach(self, *, stdin: bool = True, logs: bool = False) -> Attachment:
        """Its own streams, from now on, or with `logs` from the beginning.

        >>> async with await engine.containers.create("busybox", "cat", stdin=True) as container:
        ...     async with await container.attach() as streams:
        ...         await container.start()
        ...         await streams.write("ping")
        ...         await streams.end_input()
        ...         [chunk.data async for chunk in streams]
        [b'ping']
        """
        tty = await self._has_terminal()
        stream = await self._client.containers.attach(self.id, stdin=stdin, stdout=True, stderr=True, logs=logs)
        return Attachment(stream, tty=tty)

    async def resize(self, *, rows: int, cols: int) -> None:
        """Sets the size of its terminal."""
        await self._client.containers.resize(self.id, rows=rows, cols=cols)

    async def _has_terminal(self) -> bool:
        return (await self.inspect()).flag("Config", "Tty")

    # ── further commands ────────────────────────────────────────────────────────────────────────────────────────────

    async def exec(
        self,
        command: Command,
        *,
        input: bytes | str | None = None,
        check: bool = True,
        timeout_s: float | None = None,
        **options: Unpack[ExecOptions],
    ) -> Output:
        """What a further command in it wrote. `command` and `input` are as with `Engine.run`.

        >>> async with await engine.containers.start("busybox", "sleep 60") as container:
        ...     (await container.exec("id -un", user="app")).text
        'app\\n'

        A time limit or a cancellation ends the waiting, not the command: no engine can end a single one.
        Raises: ExecFailed for an exit code that is not 0 (unless `check` is off); CommandTimedOut; Conflict when it
        does not run.
        """
        request = exec_request(command, options, stdin=input is not None)
        data = input.encode() if isinstance(input, str) else input
        return await run_exec(self._client, self.id, request, data, check=check, timeout_s=timeout_s)

    async def open_exec(self, command: Command, **options: Unpack[ExecOptions]) -> Exec:
        """A further command with its streams attached, to talk to.

        >>> async with await engine.containers.start("busybox", "sleep 60") as container:
        ...     async with await container.open_exec("sed s/a/b/") as process:
        ...         await process.write("abba\\n")
        ...         await process.end_input()
        ...         [chunk.data async for chunk in process], await process.wait()
        ([b'bbba\\n'], 0)
        """
        exec_id = await self._client.execs.create(self.id, exec_request(command, options, stdin=True))
        tty = options.get("tty", False)
        return Exec(self._client, exec_id, await self._client.execs.start(exec_id, tty=tty), tty=tty)


def _from_details(client: Client, details: Document) -> Container:
    labels = {name: str(value) for name, value in details.mapping("Config", "Labels").items()}
    name = details.text("Name").removeprefix("/")
    return Container(client, details.text("Id"), name=name, image=details.text("Config", "Image"), labels=labels)


def _from_summary(client: Client, summary: Document) -> Container:
    labels = {name: str(value) for name, value in summary.mapping("Labels").items()}
    name = next(iter(summary.texts("Names")), "").removeprefix("/")
    return Container(client, summary.text("Id"), name=name, image=summary.text("Image"), labels=labels)
