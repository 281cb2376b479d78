"""Data of the engine's own that is many small things: msgpack, which is read and written as a whole in milliseconds."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from shoal.errors import Internal

_Data = TypeVar("_Data")


def pack(data: object) -> bytes:
    """`data` as msgpack. Raises: RecursionError for what is nested too deep."""
    return msgspec.msgpack.encode(data)


def unpack(raw: bytes, kind: type[_Data], name: str) -> _Data:
    """The data of type `kind` in `raw`; `name` is what the error calls it. Raises: Internal."""
    try:
        return msgspec.msgpack.decode(raw, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Internal(f"damaged {name}", why=str(error)) from None
