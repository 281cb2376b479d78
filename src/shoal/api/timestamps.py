"""Points in time as the Docker API writes and reads them. Integers of nanoseconds since 1970 inside. Pure.

Floats are never used: they lose the nanoseconds that log readers compare by.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from shoal.errors import InvalidArgument

NEVER = "0001-01-01T00:00:00Z"  # Go's zero time, which clients take for "not yet"
SECOND_NS = 1_000_000_000

_UNIX = re.compile(r"(-?\d{1,12})(?:\.(\d{1,9}))?", re.ASCII)
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9})\d*)?)?)?)?"
    r"(Z|z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+", re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_UNIT_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
}


def format_fixed(time_ns: int) -> str:
    """`2026-01-02T03:04:05.000000006Z`, always nine digits: the form of log lines."""
    seconds, nanoseconds = divmod(time_ns, SECOND_NS)
    return f"{_to_second(seconds)}.{nanoseconds:09d}Z"


def format_rfc3339(time_ns: int) -> str:
    """`2026-01-02T03:04:05.5Z`, the shortest exact form (Go's RFC3339Nano): the form of inspections."""
    seconds, nanoseconds = divmod(time_ns, SECOND_NS)
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return f"{_to_second(seconds)}{fraction}Z"


def _to_second(seconds: int) -> str:
    return (datetime(1970, 1, 1) + timedelta(seconds=seconds)).isoformat()


def parse_unix(text: str) -> int:
    """Nanoseconds from `1700000000` or `1700000000.000000001`, which is what clients send to the daemon.

    Raises: InvalidArgument.
    """
    match = _UNIX.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"invalid timestamp {text!r}")
    return _unix_ns(match)


def parse_rfc3339(text: str, *, local: timezone = UTC) -> int:
    """Nanoseconds from an RFC 3339 date and time; a date, hour or minute may end it early, the zone is optional.

    Raises: InvalidArgument.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"invalid timestamp {text!r}")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=_zone(match[8], local))
    except (ValueError, OverflowError) as error:
        raise InvalidArgument(f"invalid timestamp {text!r}", why=str(error)) from error
    whole = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (whole.days * 86400 + whole.seconds) * SECOND_NS + int((match[7] or "").ljust(9, "0"))


def _zone(text: str | None, local: timezone) -> timezone:
    if text is None:
        return local
    if text in "Zz":
        return UTC
    sign = -1 if text[0] == "-" else 1
    digits = text[1:].replace(":", "")
    return timezone(sign * timedelta(hours=int(digits[:2]), minutes=int(digits[2:])))


def parse_moment(text: str, *, now_ns: int, local: timezone = UTC) -> int:
    """Nanoseconds from what a person types after `--since`: a Unix time, an RFC 3339 date, or `10m` (ago).

    Raises: InvalidArgument.
    """
    match = _UNIX.fullmatch(text)
    if match is not None:
        return _unix_ns(match)
    if _DURATION.fullmatch(text):
        return now_ns - parse_duration(text)
    return parse_rfc3339(text, local=local)


def parse_duration(text: str) -> int:
    """Nanoseconds from a Go duration such as `1m30s` or `1.5h`.

    Raises: InvalidArgument.
    """
    if not _DURATION.fullmatch(text):
        raise InvalidArgument(f"invalid duration {text!r}")
    return sum(_part_ns(number, unit) for number, unit in _DURATION_PART.findall(text))


def format_duration(time_ns: int) -> str:
    """A duration as Go prints it: `1m30s`, `1.5s`, `250ms`, `0s`."""
    if time_ns == 0:
        return "0s"
    if time_ns < SECOND_NS:
        unit = next(unit for unit in ("ms", "µs", "ns") if time_ns >= _UNIT_NS[unit])
        return f"{_decimal(time_ns, _UNIT_NS[unit])}{unit}"
    minutes, rest_ns = divmod(time_ns, _UNIT_NS["m"])
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest_ns, SECOND_NS)}s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return f"{hours}h{text}" if hours else text


def _decimal(value: int, scale: int) -> str:
    """`value / scale` without trailing zeroes; `scale` is a power of ten."""
    whole, fraction = divmod(value, scale)
    digits = str(fraction).rjust(len(str(scale)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def _part_ns(number: str, unit: str) -> int:
    whole, _, fraction = number.partition(".")
    scale: int = 10 ** len(fraction)
    return int(whole) * _UNIT_NS[unit] + int(fraction or 0) * _UNIT_NS[unit] // scale


def _unix_ns(match: re.Match[str]) -> int:
    fraction = int((match[2] or "").ljust(9, "0"))
    return int(match[1]) * SECOND_NS + (-fraction if match[1].startswith("-") else fraction)
