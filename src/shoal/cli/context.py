"""What a verb may use: the client, the user's streams, and the environment. Handed in, never global."""

from __future__ import annotations

import io
import sys

from shoal.cli.globals import GlobalFlags
from shoal.cli.style import Style, style_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO, TextIO

    from shoal.client.client import Client
    from shoal.errors import ShoalError


class Context:
    """One invocation of `shoal`."""

    __slots__ = ("_client", "_open_client", "environment", "globals", "may_start_engine", "stderr", "stdin", "stdout")

    def __init__(
        self,
        open_client: Callable[[Context], Client],
        stdin: TextIO,
        stdout: TextIO,
        stderr: TextIO,
        environment: Mapping[str, str],
    ) -> None:
        self._open_client = open_client
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.environment = environment
        self.globals = GlobalFlags()
        self.may_start_engine = True
        self._client: Client | None = None

    @property
    def client(self) -> Client:
        """The client, made at the first use. Raises: InvalidArgument for a malformed host."""
        if self._client is None:
            self._client = self._open_client(self)
        return self._client

    @property
    def config_directory(self) -> str:
        """Where the user's contexts and certificates are."""
        return self.globals.config_directory(self.environment)

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
        """Prints what, why and how to fix to standard error; with --debug also where it came from."""
        style = style_for(self.stderr, self.environment)
        self.warn(f"{style('shoal:', 'bold', 'red')} {error}")
        if error.fix:
            self.warn(f"{style('hint:', 'bold')} {_in_own_words(error.fix)}")
        if self.globals.debug:
            import traceback  # costs 10 ms, which only those who ask pay

            self.warn("".join(traceback.format_exception(error)).rstrip())


def _in_own_words(fix: str) -> str:
    """The engine's advice, which names commands of `docker`, with this command in its place."""
    first, *others = fix.split("docker ")
    if not others:
        return fix
    from shoal.cli.verbs.table import VERBS

    verbs = {entry.name.partition(" ")[0] for entry in VERBS}
    told = first
    for text in others:
        verb = text.split(maxsplit=1)[0].rstrip("`,.;") if text.strip() else ""
        told += ("shoal " if verb in verbs else "docker ") + text
    return told


def standard_context(environment: Mapping[str, str]) -> Context:
    """The context of this process's own streams.

    What the user's character set lacks (“…” in Latin-1) is replaced: no output may fail over it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    return Context(_open_client, sys.stdin, sys.stdout, sys.stderr, environment)


def _open_client(context: Context) -> Client:
    from shoal.cli.endpoint import open_client  # verbs that need no engine do without

    return open_client(context)
