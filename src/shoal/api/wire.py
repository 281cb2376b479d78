"""The base of all wire types, and the one way from a JSON body to a type and back.

Docker's own decoder is forgiving in ways that real clients rely on, and `decode` is too: field names match
without regard to case, unknown fields are skipped, and `null` stands for "not given" wherever a value may be
(as a map's value or a list's element, for the empty value). So the types need no `| None` where `None` would
mean nothing; a field that is `| None` has a meaning for it.

Pure; runs in shoald, the client and tests.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import cache
from typing import Annotated, Any, TypeVar, cast

import msgspec

from shoal.errors import InvalidArgument


class Wire(msgspec.Struct, kw_only=True, rename="pascal"):
    """A JSON object of the Docker API: Python names inside, `PascalCase` on the wire."""


# Go's int64: anything beyond is refused with a 400, as the reference does.
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
UInt32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
UInt16 = Annotated[int, msgspec.Meta(ge=0, le=2**16 - 1)]

# A list of strings for which older clients send a single string (Docker's StrSlice).
StringOrList = Annotated[list[str], msgspec.Meta(extra={"string": True})]

W = TypeVar("W")
_Shape = Callable[[Any], Any]

_encoder = msgspec.json.Encoder()


def encode(value: object) -> bytes:
    """The JSON text of a wire type, compact, in UTF-8; a byte of a name that is none is a question mark in it."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        import json  # which hardly anybody needs

        text = json.dumps(msgspec.to_builtins(value), ensure_ascii=False, separators=(",", ":"))
        return text.encode(errors="replace")


def decode(body: bytes | bytearray | memoryview, kind: type[W]) -> W:
    """A value of `kind` from a JSON text sent by any Docker client.

    Raises: InvalidArgument with Docker's opening words `invalid JSON`, and where in the text the fault is.
    Source: moby `httputils.ReadJSON`.
    """
    try:
        return msgspec.convert(_shape_of(cast(Hashable, kind))(msgspec.json.decode(body)), kind)
    except msgspec.ValidationError as error:
        raise InvalidArgument("invalid JSON", why=_in_words(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument("invalid JSON", why=str(error)) from error
    except RecursionError as error:
        raise InvalidArgument("invalid JSON", why="nested too deeply") from error


def _in_words(text: str) -> str:
    """msgspec's sentence with the place first: ``Hostname: expected `str`, got `int` ``."""
    problem, separator, place = text.rpartition(" - at `")
    if not separator:
        return text[:1].lower() + text[1:]
    return f"{place.rstrip('`').removeprefix('$.')}: {problem[:1].lower()}{problem[1:]}"


@cache
def _shape_of(kind: Any) -> _Shape:
    """A function that brings decoded JSON into the shape that `kind` expects; compiled once for each type."""
    return _compile(msgspec.inspect.type_info(kind)) or (lambda value: value)


def _compile(info: msgspec.inspect.Type) -> _Shape | None:
    """The shaping function for a type, or None where the value passes as it is."""
    if isinstance(info, msgspec.inspect.Metadata):
        shape = _compile(info.type)
        return _list_of_strings(shape) if (info.extra or {}).get("string") else shape
    if isinstance(info, msgspec.inspect.UnionType):
        return _compile(_without_none(info))
    if isinstance(info, msgspec.inspect.StructType):
        return _struct_shape(info)
    if isinstance(info, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
        return _list_shape(info.item_type)
    if isinstance(info, msgspec.inspect.DictType):
        return _map_shape(info.value_type)
    return None


def _without_none(info: msgspec.inspect.UnionType) -> msgspec.inspect.Type:
    return next(member for member in info.types if not isinstance(member, msgspec.inspect.NoneType))


def _list_of_strings(shape: _Shape | None) -> _Shape:
    def apply(value: Any) -> Any:
        if isinstance(value, str):
            return [value]
        return shape(value) if shape else value

    return apply


def _struct_shape(info: msgspec.inspect.StructType) -> _Shape:
    fields = {field.encode_name: (field.encode_name, _compile(field.type)) for field in info.fields}
    folded = {name.lower(): entry for name, entry in fields.items()}

    def apply(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        shaped = {}
        for key, item in value.items():
            entry = fields.get(key) or folded.get(key.lower())
            if entry is None or item is None:
                continue
            name, shape = entry
            shaped[name] = shape(item) if shape else item
        return shaped

    return apply


def _list_shape(item_type: msgspec.inspect.Type) -> _Shape:
    shape, empty = _compile(item_type), _empty_of(item_type)

    def apply(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [empty() if item is None else shape(item) if shape else item for item in value]

    return apply


def _map_shape(value_type: msgspec.inspect.Type) -> _Shape:
    shape, empty = _compile(value_type), _empty_of(value_type)

    def apply(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: empty() if item is None else shape(item) if shape else item for key, item in value.items()}

    return apply


def _empty_of(info: msgspec.inspect.Type) -> Callable[[], Any]:
    """What `null` means as an element of a list or the value of a map: Go's zero value of the type."""
    if isinstance(info, msgspec.inspect.Metadata):
        return _empty_of(info.type)
    if isinstance(info, msgspec.inspect.ListType):
        return list
    if isinstance(info, msgspec.inspect.DictType | msgspec.inspect.StructType):
        return dict
    if isinstance(info, msgspec.inspect.StrType):
        return str
    if isinstance(info, msgspec.inspect.IntType):
        return int
    if isinstance(info, msgspec.inspect.BoolType):
        return bool
    return lambda: None
