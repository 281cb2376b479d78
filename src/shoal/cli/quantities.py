"""Sizes and times, from and to the words that Docker's client uses. Pure."""

from __future__ import annotations

import time

from shoal.errors import InvalidArgument

# `re` takes 3 ms: it is imported by what reads such words, not by what writes them.
_SIZE = r"(\d+(?:\.\d+)?)\s?([kKmMgGtTpP]?)(?:i?[bB])?"
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def size_bytes(text: str) -> int:
    """The bytes that `512m` or `1.5g` means, in powers of 1024.

    Raises: InvalidArgument.
    """
    import re

    match = re.fullmatch(_SIZE, text.strip())
    if match is None:
        raise InvalidArgument(f"invalid size: '{text}'", fix="write a number with b, k, m or g, like 512m")
    return int(float(match[1]) * 1024 ** _POWERS[match[2].lower()])


def decimal_size(size: float, digits: int = 3) -> str:
    """`size` bytes in powers of 1000 with three significant digits: 7.81MB, as Docker shows images.

    Sums of several objects, as of a prune, have four.
    """
    return _scaled(size, 1000, ("B", "kB", "MB", "GB", "TB", "PB"), digits)


def binary_size(size: float) -> str:
    """`size` bytes in powers of 1024 with four significant digits: 1.953MiB, as Docker shows memory."""
    return _scaled(size, 1024, ("B", "KiB", "MiB", "GiB", "TiB", "PiB"), digits=4)


def _scaled(size: float, base: int, units: tuple[str, ...], digits: int = 3) -> str:
    index = 0
    while size >= base and index < len(units) - 1:
        size /= base
        index += 1
    return f"{size:.{digits}g}{units[index]}"


def duration_words(seconds: float) -> str:
    """How long that is in words: `About a minute`, `5 hours`, `3 weeks`, as `docker ps` writes it."""
    minutes, hours = int(seconds // 60), round(seconds / 3600)
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if int(seconds) == 1 else f"{int(seconds)} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    days = hours // 24
    if days < 14:
        return f"{days} days"
    if days < 60:
        return f"{days // 7} weeks"
    if days < 730:
        return f"{days // 30} months"
    return f"{days // 365} years"


def local_time(unix_seconds: float) -> str:
    """`2026-08-01 12:00:00 +0000 UTC`, as Go prints a time in the local zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(unix_seconds))


def rfc3339(unix_seconds: float) -> str:
    """`2026-08-01T12:00:00Z`, or with the local zone's offset, as Go's RFC3339."""
    local = time.localtime(unix_seconds)
    zone = time.strftime("%z", local)
    return time.strftime("%Y-%m-%dT%H:%M:%S", local) + ("Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}")


def go_time(text: str) -> str:
    """A time of the API (`2026-08-01T12:00:00.5Z`) as Go prints one: `2026-08-01 12:00:00.5 +0000 UTC`."""
    if not text.endswith("Z") or "T" not in text:
        return text
    return text[:-1].replace("T", " ") + " +0000 UTC"


_DURATION = r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)"
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_seconds(text: str) -> float | None:
    """The seconds of a Go duration such as `1h30m`, None if it is none."""
    import re

    parts = re.findall(_DURATION, text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def moment(text: str, now: float) -> str:
    """A `--since` or `--until` value as the API wants it: Unix seconds, with a fraction where there is one.

    Takes Unix seconds, a Go duration before `now`, or a date (`2026-08-01`, `2026-08-01T12:00:00[.5][Z|+02:00]`).
    Raises: InvalidArgument.
    """
    import re

    if re.fullmatch(r"\d+(\.\d+)?", text):
        return text
    back_s = duration_seconds(text)
    if back_s is not None:
        return f"{now - back_s:.9f}"
    import datetime  # costs a millisecond, and only a date needs it

    try:
        # The API's dates may have nanoseconds, of which fromisoformat takes six digits.
        parsed = datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        raise InvalidArgument(
            f"invalid time `{text}`", fix="write 10m, 2026-08-01T12:00:00Z, or Unix seconds"
        ) from None
    return f"{parsed.timestamp():.9f}"
