"""Times as Docker writes them into logs and records."""

from __future__ import annotations

import time


def rfc3339_nano(time_ns: int) -> str:
    """The time in UTC with up to nine digits of the second, trailing zeros cut, as Go's RFC3339Nano."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    parts = time.gmtime(seconds)
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return (
        f"{parts.tm_year:04d}-{parts.tm_mon:02d}-{parts.tm_mday:02d}T"
        f"{parts.tm_hour:02d}:{parts.tm_min:02d}:{parts.tm_sec:02d}{fraction}Z"
    )
