"""What supervisors log, in shoald's log."""

from __future__ import annotations

import logging

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_log = logging.getLogger("shoal.supervisor")


def log_of_supervisor(level: str, text: str) -> None:
    """Take a record of a supervisor's."""
    _log.log(_LEVELS.get(level, logging.INFO), "%s", text)
