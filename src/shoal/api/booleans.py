"""True and false as clients write them, which is as Go's `strconv.ParseBool` reads them. Pure."""

from __future__ import annotations

_VALUES = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


def read_boolean(text: str) -> bool | None:
    """What `text` says; None where it says neither."""
    return _VALUES.get(text)
