"""The log driver of a container and its options, in Docker's words. Pure.

Unlike Docker's, shoal's json-file is bounded when nobody says otherwise: five files of 20 MiB.
"""

from __future__ import annotations

import re
from pathlib import Path

from shoal.api.host_config import LogConfig
from shoal.errors import InvalidArgument, Unsupported
from shoal.runtime.driver import LogSink

_DRIVERS = ("json-file", "none")
_LATER = ("local", "journald", "syslog")
_OPTIONS = ("max-size", "max-file", "labels", "tag", "mode", "max-buffer-size", "compress", "env")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kmgt]?)i?b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
DEFAULT_MAX_SIZE_BYTES = 20 << 20
DEFAULT_MAX_FILES = 5


def check_log_config(config: LogConfig) -> None:
    """Raises: InvalidArgument for an unknown driver or a bad option, Unsupported for a driver that is to come."""
    if config.type in _LATER:
        raise Unsupported(f"the log driver {config.type!r} is not served yet", fix="use --log-driver json-file")
    if config.type and config.type not in _DRIVERS:
        raise InvalidArgument(f"logger: no log driver named '{config.type}' is registered")
    for option in config.config:
        if option not in _OPTIONS:
            raise InvalidArgument(f"unknown log opt '{option}' for {config.type or 'json-file'} log driver")
    log_sink(config, Path())


def log_sink(config: LogConfig, path: Path) -> LogSink:
    """Where the supervisor writes. Raises: InvalidArgument for a bad size or number."""
    if config.type == "none":
        return LogSink("none")
    options = config.config
    size = options.get("max-size", "")
    unlimited = size == "-1"
    files = options.get("max-file", "")
    if files and (not files.isdecimal() or int(files) < 1):
        raise InvalidArgument("max-file cannot be less than 1" if files.isdecimal() else f"invalid max-file {files!r}")
    return LogSink(
        "json-file",
        str(path),
        max_size_bytes=None if unlimited else parse_size(size) if size else DEFAULT_MAX_SIZE_BYTES,
        # With a size alone, Docker keeps one file.
        max_files=int(files) if files else 1 if size else DEFAULT_MAX_FILES,
    )


def parse_size(text: str) -> int:
    """Bytes of `10m`, `1.5g`, `512k`, in powers of 1024. Raises: InvalidArgument."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidArgument(f"invalid size: '{text}'")
    return int(float(match[1]) * _UNITS[match[2].lower()])
