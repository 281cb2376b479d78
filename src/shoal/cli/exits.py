"""Exit codes of `shoal`, Docker's. Pure.

0..255   the container's own code, where a verb waits for one
125      the engine, or the command line, is at fault
126      the command can't be executed
127      the command is not found
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shoal.errors import ShoalError


USAGE = 125
ENGINE_ERROR = 125
NOT_EXECUTABLE = 126
NOT_FOUND = 127


class ExitCode(Exception):  # an outcome, not always an error
    """Ends the verb with `code`, after `error` was reported where there is one."""

    def __init__(self, code: int, error: ShoalError | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.error = error


def start_failure_code(message: str) -> int:
    """The code of `run` for an engine's sentence about a start that failed (Docker's client matches the same words)."""
    text = message.lower()
    not_found = ("executable file not found", "no such file or directory", "system cannot find the file specified")
    if any(words in text for words in not_found):
        return NOT_FOUND
    if "permission denied" in text or "is a directory" in text:
        return NOT_EXECUTABLE
    return ENGINE_ERROR
