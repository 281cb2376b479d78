"""Which entries of a log a reader wants (Docker API v1.50 ContainerLogs). Pure."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.api.log import LogEntry
from shoal.api.stdcopy import STDOUT


@dataclass(frozen=True, slots=True)
class LogQuery:
    """`tail` is a number of lines, None for all; times are in ns from the epoch, None for no bound."""

    stdout: bool = True
    stderr: bool = True
    since_ns: int | None = None
    until_ns: int | None = None
    tail: int | None = None

    @property
    def wants_all(self) -> bool:
        """Whether every entry is wanted, whatever it is."""
        return self.stdout and self.stderr and self.since_ns is None and self.until_ns is None

    def wants(self, entry: LogEntry) -> bool:
        """Whether the entry is of a wanted stream and not before `since_ns`."""
        if not (self.stdout if entry.stream == STDOUT else self.stderr):
            return False
        return self.since_ns is None or entry.time_ns >= self.since_ns

    def is_past(self, entry: LogEntry) -> bool:
        """Whether the entry, and so all after it, lies behind `until_ns`."""
        return self.until_ns is not None and entry.time_ns > self.until_ns
