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
    outputs = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(3)]
    outputs[0].buffer.write(stdin)
    outputs[0].buffer.seek(0)
    context = Context(lambda: Client(transport, version="1.50"), *outputs, environment=environment or {})
    code = run_words(words, context)
    shown = []
    for output in outputs[1:]:
        output.flush()
        shown.append(output.buffer.getvalue().decode())  # type: ignore[attr-defined]  # a BytesIO, made above
    return Outcome(code, shown[0], shown[1], transport.requests(), transport.received())
