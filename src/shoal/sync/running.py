# Derived from src/shoal/aio/running.py by ./dev twins: change it there.
"""One command in a container of its own, which is gone afterwards, however it ends."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from shoal.client.chunks import Collector
from shoal.client.client import Client
from shoal.client.document import Json
from shoal.client.endings import time_limit, undisturbed
from shoal.client.options import Command, ContainerOptions, command_words, create_request
from shoal.client.results import CommandTimedOut, ContainerFailed, Output
from shoal.errors import Conflict, NotFound, TimedOut
from shoal.sync.streams import Attachment


def run_container(
    client: Client,
    image: str,
    command: Command,
    options: ContainerOptions,
    *,
    data: bytes | str | None,
    check: bool,
    timeout_s: float | None,
) -> Output:
    """The output of the command. Raises: ContainerFailed, CommandTimedOut, and as `Client.call`."""
    request = create_request(image, command, options)
    if data is not None:
        request.update({"OpenStdin": True, "StdinOnce": True, "AttachStdin": True})
    host = request["HostConfig"]
    assert isinstance(host, dict), "create_request makes one"
    host["AutoRemove"] = True  # if this process is killed, the engine still removes it at its end
    shown = f"`{shlex.join(command_words(command))}` in {image}" if command else image
    collector = Collector()
    created: list[str] = []
    name, platform = options.get("name", ""), options.get("platform", "")
    try:
        with time_limit(timeout_s):
            # To its end, even if this is interrupted: else nobody would know the id of what is to be removed.
            undisturbed(lambda: _create(client, request, name, platform, created))
            sent = data.encode() if isinstance(data, str) else data
            exit_code = _follow(client, created[0], sent, collector, tty=options.get("tty", False))
            created.clear()
    except TimedOut:
        what = f"{shown} did not end within {timeout_s} s"
        raise CommandTimedOut(what, stdout=collector.stdout, stderr=collector.stderr) from None
    finally:
        if created:
            undisturbed(lambda: discard(client, created[0]))
    output = Output(exit_code, collector.stdout, collector.stderr)
    if check and exit_code:
        raise ContainerFailed(f"{shown} ended with exit code {exit_code}", output)
    return output


def _create(client: Client, request: Mapping[str, Json], name: str, platform: str, created: list[str]) -> None:
    answer = client.containers.create(request, name=name, platform=platform)
    created.append(answer.text("Id"))


def _follow(client: Client, ref: str, data: bytes | None, collector: Collector, *, tty: bool) -> int:
    """The exit code, once the container is gone. Attached before the start, so that no byte is missed."""
    stream = client.containers.attach(ref, stdin=data is not None, stdout=True, stderr=True)
    with Attachment(stream, tty=tty) as attachment:
        waiting = client.containers.wait(ref, condition="removed")
        try:
            client.containers.start(ref)
            attachment.converse(data, collector.take)
            return (waiting.result()).number("StatusCode")
        finally:
            waiting.close()


def discard(client: Client, ref: str) -> None:
    """Nothing, once the container and its anonymous volumes are gone, whoever removed it."""
    try:
        client.containers.remove(ref, force=True, volumes=True)
    except NotFound:
        pass
    except Conflict:
        try:
            (client.containers.wait(ref, condition="removed")).result()  # its removal is under way
        except NotFound:
            pass
