"""Where the runtime tells what went wrong: to the log file that its caller named, and to standard error.

The lines are what callers of runc read: containerd and conmon take the last error out of the log file's JSON, people
read standard error.
"""

from __future__ import annotations

import os
import sys
import time

from shoal.supervisor.timestamps import rfc3339_nano

_FORMATS = ("text", "json")


class Report:
    """The log of one call."""

    __slots__ = ("_debug", "_json", "_path")

    def __init__(self, path: str, format: str, *, debug: bool) -> None:
        self._path = path
        self._json = format == "json"
        self._debug = debug

    def error(self, text: str) -> None:
        """Why the call fails; to standard error in any case."""
        self._write("error", text)
        if self._path:
            self._to_stderr(text)

    def warning(self, text: str) -> None:
        """What was not done as asked, and did not stop the call."""
        self._write("warning", text)

    def debug(self, text: str) -> None:
        """A step that was taken, with `--debug`."""
        if self._debug:
            self._write("debug", text)

    def _write(self, level: str, text: str) -> None:
        line = self._line(level, text)
        if not self._path:
            self._to_stderr(line)
            return
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            fd = os.open(self._path, flags, 0o644)
        except OSError as error:
            self._to_stderr(f"cannot write the log {self._path}: {error.strerror}")
            return
        try:
            os.write(fd, f"{line}\n".encode("utf-8", "replace"))
        finally:
            os.close(fd)

    def _line(self, level: str, text: str) -> str:
        now = rfc3339_nano(time.time_ns())
        if self._json:
            import json

            return json.dumps({"level": level, "msg": text, "time": now})
        quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'time="{now}" level={level} msg="{quoted}"'

    def _to_stderr(self, text: str) -> None:
        try:
            sys.stderr.write(f"{text}\n")
        except (OSError, ValueError):
            pass  # closed, and there is no other place


def is_format(name: str) -> bool:
    """Whether there is such a log format."""
    return name in _FORMATS
