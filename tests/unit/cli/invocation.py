"""Runs `shoal` in this process against a scripted engine."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

from shoal.cli.context import Context
from shoal.cli.main import run_words
from shoal.client.client import Client
from tests.unit.client.scripted import Received, ScriptedTransport


@dataclass(frozen=True)
class Outcome:
    """What a user would see."""

    code: int
    stdout: str
    stderr: str
    requests: list[str]
    received: list[Received]


def shoal(
    *words: str,
    scripts: list[list[bytes]] | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> Outcome:
    """The outcome of `shoal WORDS` with an engine that speaks version 1.50 and plays the scripts, one a connection."""
    transport = ScriptedTransport(scripts or [])
    given, out, err = io.BytesIO(stdin), io.BytesIO(), io.BytesIO()
    streams = [io.TextIOWrapper(buffer, encoding="utf-8") for buffer in (given, out, err)]
    client = Client(transport, version="1.50")
    context = Context(
        lambda _: client, streams[0], streams[1], streams[2], {"HOME": "/nonexistent", **(environment or {})}
    )
    code = run_words(words, context)
    for stream in streams[1:]:
        stream.flush()
    shown = [buffer.getvalue().decode() for buffer in (out, err)]
    return Outcome(code, shown[0], shown[1], transport.requests(), transport.received())
