"""Names of signals as Docker clients write them. Pure."""

from __future__ import annotations

import signal

from shoal.errors import InvalidArgument

_RTMIN, _RTMAX = 34, 64
_BY_NAME = {name.removeprefix("SIG"): number.value for name, number in signal.Signals.__members__.items()}


def parse_signal(text: str) -> int:
    """The number for `SIGTERM`, `term`, `15`, `SIGRTMIN+3`.

    Raises: InvalidArgument with Docker's sentence for anything else.
    """
    name = text.strip().upper().removeprefix("SIG")
    if name.isdecimal() and 0 < int(name) <= _RTMAX:
        return int(name)
    if name in _BY_NAME:
        return _BY_NAME[name]
    base, sign, offset = name[:5], name[5:6], name[6:]
    if base in ("RTMIN", "RTMAX") and sign in ("+", "-") and offset.isdecimal():
        number = _RTMIN + int(offset) if sign == "+" else _RTMAX - int(offset)
        if (base == "RTMIN") == (sign == "+") and _RTMIN <= number <= _RTMAX:
            return number
    raise InvalidArgument(f"Invalid signal: {text}", fix="see `kill -l` for the names")
