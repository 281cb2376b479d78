"""The flags of a health check made into the API's HealthConfig. Pure."""

from __future__ import annotations

from shoal.cli.container.flags import ContainerOptions
from shoal.cli.quantities import duration_seconds
from shoal.client.document import Json
from shoal.errors import InvalidArgument

ON_UNHEALTHY_LABEL = "shoal.on-unhealthy"
_NS = 1_000_000_000


def health_config(options: ContainerOptions) -> dict[str, Json]:
    """The API's HealthConfig, {} where nothing was asked for.

    Raises: InvalidArgument in Docker's words.
    """
    times = {
        "Interval": _duration("--health-interval", options.health_interval),
        "Timeout": _duration("--health-timeout", options.health_timeout),
        "StartPeriod": _duration("--health-start-period", options.health_start_period),
        "StartInterval": _duration("--health-start-interval", options.health_start_interval),
    }
    if options.health_retries < 0:
        raise InvalidArgument("--health-retries cannot be negative")
    config: dict[str, Json] = {name: value for name, value in times.items() if value}
    if options.health_retries:
        config["Retries"] = options.health_retries
    if options.health_cmd:
        config["Test"] = ["CMD-SHELL", options.health_cmd]
    if options.no_healthcheck:
        if config:
            raise InvalidArgument("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    return config


def _duration(flag: str, text: str) -> int:
    """Nanoseconds, 0 where the flag was not given."""
    if text in ("", "0"):
        return 0
    if text.startswith("-") and duration_seconds(text[1:]) is not None:
        raise InvalidArgument(f"{flag} cannot be negative")
    seconds = duration_seconds(text)
    if seconds is None:
        raise InvalidArgument(
            f'invalid argument "{text}" for "{flag}" flag: time: invalid duration "{text}"', fix="write it like 1m30s"
        )
    return round(seconds * _NS)
