"""The key sequence that detaches a client from a terminal. Pure."""

from __future__ import annotations

from shoal.errors import InvalidArgument

DEFAULT = b"\x10\x11"  # ctrl-p, ctrl-q

_CONTROL = {f"ctrl-{letter}": ord(letter) - ord("a") + 1 for letter in "abcdefghijklmnopqrstuvwxyz"} | {
    "ctrl-@": 0,
    "ctrl-[": 27,
    "ctrl-\\": 28,
    "ctrl-]": 29,
    "ctrl-^": 30,
    "ctrl-_": 31,
}


def parse_detach_keys(text: str) -> bytes:
    """The bytes of a sequence such as `ctrl-p,ctrl-q` or `a,b`; an empty text is the default sequence.

    Raises: InvalidArgument with Docker's words.
    Source: moby `term.ToBytes`.
    """
    if not text:
        return DEFAULT
    keys = bytearray()
    for key in text.split(","):
        if len(key) == 1 and key.isascii():
            keys.append(ord(key))
        elif key.lower() in _CONTROL:
            keys.append(_CONTROL[key.lower()])
        else:
            raise InvalidArgument(f"Invalid detach keys ({text}) provided", why=f"Unknown character: '{key}'")
    return bytes(keys)
