"""What a health check is: a request and an image made into a command and its times. Pure.

Source: Docker API v1.50 HealthConfig; the defaults are Docker's.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from msgspec import UNSET, UnsetType

from shoal.api.container import ContainerConfig, HealthConfig
from shoal.api.image import ImageHealthConfig
from shoal.errors import InvalidArgument

_MS = 1_000_000
_S = 1_000 * _MS
_DEFAULT_INTERVAL_NS = 30 * _S
_DEFAULT_TIMEOUT_NS = 30 * _S
_DEFAULT_START_INTERVAL_NS = 5 * _S
_DEFAULT_RETRIES = 3
_DEFAULT_SHELL = ("/bin/sh", "-c")
_LEAST_NS = _MS
_TIMES = (
    ("Interval", "interval"),
    ("Timeout", "timeout"),
    ("StartPeriod", "start_period"),
    ("StartInterval", "start_interval"),
)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A check that is to be run: its command, and every time in nanoseconds, none of them left open."""

    command: tuple[str, ...]
    interval_ns: int
    timeout_ns: int
    start_period_ns: int
    start_interval_ns: int
    retries: int

    def pause_ns(self, *, starting: bool, up_ns: int) -> int:
        """How long to wait for the next probe of a container that has been up for `up_ns`."""
        in_start_period = max(up_ns, 0) < self.start_period_ns  # the clock may have been set back
        return self.start_interval_ns if starting and in_start_period else self.interval_ns


def check_health_config(config: HealthConfig | UnsetType | None) -> None:
    """Raises: InvalidArgument, in Docker's words, for times and counts that make no sense."""
    if not config:
        return
    for title, field in _TIMES:
        value = getattr(config, field)
        if value != 0 and value < _LEAST_NS:
            raise InvalidArgument(f"{title} in Healthcheck cannot be less than 1ms")
    if config.retries < 0:
        raise InvalidArgument("Retries in Healthcheck cannot be negative")


def merge_health_config(
    own: HealthConfig | UnsetType | None, image: ImageHealthConfig | None
) -> HealthConfig | UnsetType:
    """The request's check, and the image's in every field of which the request says nothing."""
    if image is None:
        return own or UNSET
    fields = msgspec.structs.asdict(image)
    if own:
        fields |= {name: value for name, value in msgspec.structs.asdict(own).items() if value}
    return HealthConfig(**fields)


def health_check(config: ContainerConfig) -> HealthCheck | None:
    """The check that a container with this configuration gets; None without one, or with one of an unknown kind."""
    asked = config.healthcheck
    if not asked or not asked.test:
        return None
    kind, *words = asked.test
    if kind == "CMD-SHELL":
        words = [*(config.shell or _DEFAULT_SHELL), *words]
    elif kind != "CMD":
        return None
    return HealthCheck(
        command=tuple(words),
        interval_ns=_time(asked.interval, _DEFAULT_INTERVAL_NS),
        timeout_ns=_time(asked.timeout, _DEFAULT_TIMEOUT_NS),
        start_period_ns=max(asked.start_period, 0),
        start_interval_ns=_time(asked.start_interval, _DEFAULT_START_INTERVAL_NS),
        retries=asked.retries if asked.retries > 0 else _DEFAULT_RETRIES,
    )


def _time(asked_ns: int, default_ns: int) -> int:
    """A time of the configuration. That of an image is nobody's to refuse: where it makes no sense, it is bounded."""
    return default_ns if asked_ns <= 0 else max(asked_ns, _LEAST_NS)


def health_warnings(config: ContainerConfig) -> list[str]:
    """What a client is told of a check that is not run, though there is one."""
    test = config.healthcheck.test if config.healthcheck else ()
    if not test or test[0] in ("NONE", "CMD", "CMD-SHELL"):
        return []
    return [f"Unknown healthcheck type '{test[0]}' (expected 'CMD'): this container has no health check."]
