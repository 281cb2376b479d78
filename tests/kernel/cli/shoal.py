"""The `shoal` command as a user runs it, against an engine under test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect

from tests.engines.engine import Engine

SOURCE = Path(__file__).resolve().parents[3] / "src"
COMMAND = (sys.executable, "-m", "shoal.cli.main")


def environment(engine: Engine | None = None) -> dict[str, str]:
    """With this checkout's sources first, plain output, and the engine's address."""
    path = os.pathsep.join([str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    address = (
        {"DOCKER_HOST": f"unix://{engine.socket}", "DOCKER_CONFIG": f"{engine.directory}/config"} if engine else {}
    )
    return {**kept, "PYTHONPATH": path, "NO_COLOR": "1", **address}


def shoal(engine: Engine, *words: str, input: bytes = b"", timeout_s: float = 60) -> subprocess.CompletedProcess[bytes]:
    """The outcome of one command; its input is a pipe that ends after `input`."""
    return subprocess.run(
        [*COMMAND, *words], input=input, capture_output=True, env=environment(engine), timeout=timeout_s
    )


@contextmanager
def started(engine: Engine, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command that goes on, its three streams as pipes; killed at the end."""
    process = subprocess.Popen(
        [*COMMAND, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(engine),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def on_terminal(engine: Engine, *words: str, rows: int = 24, columns: int = 80) -> Iterator[pexpect.spawn]:
    """A command on a terminal of its own; closed at the end."""
    child = pexpect.spawn(
        COMMAND[0],
        [*COMMAND[1:], *words],
        env=environment(engine),
        dimensions=(rows, columns),
        timeout=20,
        encoding="utf-8",
    )
    child.delaybeforesend = None
    try:
        yield child
    finally:
        child.close(force=True)


def exit_code(child: pexpect.spawn) -> int:
    """The exit code of a command on a terminal, after it ended by itself."""
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus is not None, f"ended by signal {child.signalstatus}"
    return int(child.exitstatus)
