"""The log drivers that there are, and the options that each takes, in Docker's words. Pure.

Names of options are looked at when a container is created, their values when it starts (log_sinks.py), as with Docker.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from shoal.api.booleans import read_boolean
from shoal.api.host_config import LogConfig
from shoal.engine.container.log_syslog import check_syslog_options
from shoal.errors import InvalidArgument

DEFAULT_DRIVER = "json-file"
REMOTE_DRIVERS = ("journald", "syslog")

_LABELS = ("labels", "labels-regex", "env", "env-regex")
_SYSLOG = ("syslog-address", "syslog-facility", "syslog-format", "syslog-tls-ca-cert", "syslog-tls-cert",
           "syslog-tls-key", "syslog-tls-skip-verify")  # fmt: skip
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "json-file": ("max-size", "max-file", "compress", "tag", *_LABELS),
    "local": ("max-size", "max-file", "compress"),
    "journald": ("tag", *_LABELS),
    "syslog": ("tag", *_LABELS, *_SYSLOG),
}
DRIVERS = (*sorted(_OPTIONS), "none")
# Of every driver; and of the cache that stands in for a driver whose messages cannot be read back.
_MODES = ("mode", "max-buffer-size")
_CACHE = ("cache-disabled", "cache-max-size", "cache-max-file", "cache-compress")

_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,9})?) ?([kmgtp]?)i?b?", re.IGNORECASE | re.ASCII)
_POWERS = ("", "k", "m", "g", "t", "p")


def check_log_config(config: LogConfig) -> None:
    """Raises: InvalidArgument for a driver or an option that there is not, and for values that tell at once."""
    driver, options = config.type or DEFAULT_DRIVER, config.config
    if driver == "none":
        return
    if driver not in _OPTIONS:
        raise InvalidArgument(
            f'error looking up logging plugin {driver}: plugin "{driver}" not found',
            fix=f"use one of the log drivers {', '.join(DRIVERS)}",
        )
    _check_mode(options)
    for option in options:
        if option not in (*_OPTIONS[driver], *_MODES, *_CACHE):
            where = "log driver local" if driver == "local" else f"{driver} log driver"
            raise InvalidArgument(f"unknown log opt '{option}' for {where}")
    if driver == "syslog":
        check_syslog_options(options)


def with_daemon_defaults(config: LogConfig, default: LogConfig) -> LogConfig:
    """What a container gets that leaves something to the daemon: its driver, and for the same driver its options."""
    driver = config.type or default.type
    if driver != default.type:
        return LogConfig(type=driver, config=dict(config.config))
    return LogConfig(type=driver, config={**default.config, **config.config})


def _check_mode(options: Mapping[str, str]) -> None:
    mode = options.get("mode", "")
    if mode not in ("", "blocking", "non-blocking"):
        raise InvalidArgument(f"logger: logging mode not supported: {mode}")
    if "max-buffer-size" in options:
        if mode != "non-blocking":
            raise InvalidArgument("logger: max-buffer-size option is only supported with 'mode=non-blocking'")
        try:
            binary_size(options["max-buffer-size"])
        except InvalidArgument as problem:
            raise InvalidArgument(f"error parsing option max-buffer-size: {problem.what}") from problem


def decimal_size(text: str) -> int:
    """Bytes of `10m`, `1.5g`, `512k`, in powers of 1000. Raises: InvalidArgument."""
    return _size(text, 1000)


def binary_size(text: str) -> int:
    """Bytes of the same in powers of 1024. Raises: InvalidArgument."""
    return _size(text, 1024)


def _size(text: str, base: int) -> int:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"invalid size: '{text}'")
    return int(float(match[1]) * base ** _POWERS.index(match[2].lower()))


def boolean(text: str) -> bool:
    """What Go takes for a boolean. Raises: InvalidArgument."""
    value = read_boolean(text)
    if value is None:
        raise InvalidArgument(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    return value


def integer(text: str) -> int:
    """What Go takes for a number. Raises: InvalidArgument."""
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise InvalidArgument(f'strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)
