"""`shoal` and `docker` as commands: both drive the same shoald, so that what differs is their own time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.engines.busybox import IMAGE
from tests.engines.engine import DOCKER
from tests.perf.measures import Row, alternating
from tests.perf.subjects import IDLE, Subject, timed

SHOAL = Path(sys.executable).with_name("shoal")


class Command:
    """One command that drives a subject's engine."""

    def __init__(self, name: str, program: str, engine: Subject) -> None:
        self.name = name
        self.program = program
        self.engine = engine

    def version(self) -> str:
        """The command's name and version."""
        shown = subprocess.run([self.program, "--version"], capture_output=True, text=True).stdout
        return f"`{self.name}` {shown.split('ersion ')[-1].partition(',')[0].strip()}"

    def command(self, *args: str) -> list[str]:
        """The command line for `args` of `docker`."""
        return [self.program, *args]

    def environment(self) -> dict[str, str]:
        """With the engine's address."""
        return self.engine.environment()

    def processes(self) -> dict[str, list[int]]:
        """None: a command is over when it has answered."""
        return {}

    def close(self) -> None:
        """Nothing to stop: the engine is another's."""


def commands(engine: Subject) -> list[Command]:
    """`shoal`, and `docker` where it is installed."""
    found = [Command("shoal", str(SHOAL), engine)]
    return [*found, Command("docker", DOCKER, engine)] if DOCKER else found


def command_rows(clients: list[Command], rounds: int) -> list[Row]:
    """What people type most often, and the Tab key, which only shoal answers."""
    timed(clients[0], "run", "-d", "--name", "bench-idle", IMAGE, *IDLE)
    try:
        return [
            alternating("`--version`", [*clients], rounds, lambda _: ["--version"]),
            alternating("`ps`", [*clients], rounds, lambda _: ["ps"]),
            alternating("`inspect IDLE`", [*clients], rounds, lambda _: ["inspect", "bench-idle"]),
            alternating("`exec IDLE true`", [*clients], rounds, lambda _: ["exec", "bench-idle", "true"]),
            alternating("`run --rm IMG true`", [*clients], rounds, lambda _: ["run", "--rm", IMAGE, "true"]),
            alternating("Tab behind `rm `", [*clients[:1]], rounds, lambda _: ["__complete", "--line", "shoal rm "]),
        ]
    finally:
        timed(clients[0], "rm", "-f", "bench-idle")
