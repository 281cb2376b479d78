"""JSON documents of the image formats: decoded with the path of what is wrong, encoded the same way every time."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from shoal.errors import InvalidArgument

_Document = TypeVar("_Document")
_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def decode_document(raw: bytes, kind: type[_Document], name: str) -> _Document:
    """The document of type `kind` in `raw`; `name` is what the error calls it.

    Raises: InvalidArgument, with the path of the offending field.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"invalid {name}", why=str(error)) from None
    except RecursionError:
        raise InvalidArgument(f"invalid {name}", why="it is nested too deep") from None


def encode_document(document: object) -> bytes:
    """The JSON of `document` (a struct, dataclass, dict or list), keys sorted: equal documents give equal bytes."""
    return msgspec.json.encode(document, order="sorted")


def changed(struct: _Struct, **fields: object) -> _Struct:
    """A copy of `struct` with other values in `fields`."""
    return msgspec.structs.replace(struct, **fields)
