"""What a verb may use: the client, the user's streams, and the environment. Handed in, never global."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, TextIO

from shoal.cli.style import Style, style_for
from shoal.client.client import Client
from shoal.errors import ShoalError


@dataclass(slots=True)
class Context:
    """One invocation of `shoal`."""

    open_client: Callable[[], Client]
    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    environment: Mapping[str, str]
    _client: Client | None = None

    @property
    def client(self) -> Client:
        """The client, made at the first use. Raises: InvalidArgument for a malformed host."""
        if self._client is None:
            self._client = self.open_client()
        return self._client

    @property
    def style(self) -> Style:
        """The style of standard output."""
        return style_for(self.stdout, self.environment)

    @property
    def output(self) -> BinaryIO:
        """Standard output for raw bytes; what was printed before comes first."""
        self.stdout.flush()
        return self.stdout.buffer

    @property
    def error_output(self) -> BinaryIO:
        """Standard error for raw bytes."""
        self.stderr.flush()
        return self.stderr.buffer

    def print(self, text: str) -> None:
        """Prints one line to standard output."""
        self.stdout.write(text + "\n")

    def warn(self, text: str) -> None:
        """Prints one line to standard error."""
        self.stdout.flush()
        self.stderr.write(text + "\n")
        self.stderr.flush()

    def report(self, error: ShoalError) -> None:
        """Prints what, why and how to fix to standard error."""
        style = style_for(self.stderr, self.environment)
        self.warn(f"{style('shoal:', 'bold', 'red')} {error}")
        if error.fix:
            self.warn(f"{style('hint:', 'bold')} {error.fix}")


def standard_context(open_client: Callable[[], Client], environment: Mapping[str, str]) -> Context:
    """The context of this process's own streams.

    What the user's character set lacks (“…” in Latin-1) is replaced: no output may fail over it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    return Context(open_client, sys.stdin, sys.stdout, sys.stderr, environment)
