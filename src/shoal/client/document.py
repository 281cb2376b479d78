"""Parsed JSON with typed access, for answers that are shown rather than reasoned about.

The command line must start quickly: msgspec and the structs of `api/` cost more to import than a whole `shoal ps`
takes, so the client reads answers as plain JSON and asks for each field with the type it expects. A field that is
missing, null, or of another type reads as the empty value of the asked type, because Docker omits empty fields.
"""

from __future__ import annotations

from _collections_abc import Mapping  # `collections` costs a millisecond, and `os` has this one loaded
from _json import encode_basestring, encode_basestring_ascii, make_scanner

from shoal.errors import Internal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
else:
    Json = object


class Document:
    """One JSON object; every accessor takes the path of a field: `document.text("State", "Status")`."""

    __slots__ = ("raw",)

    def __init__(self, raw: dict[str, Json]) -> None:
        self.raw = raw

    def value(self, *path: str) -> Json:
        """The value at `path` as parsed, None where a part of the path is missing."""
        here: Json = self.raw
        for key in path:
            if not isinstance(here, dict):
                return None
            here = here.get(key)
        return here

    def text(self, *path: str) -> str:
        """The string at `path`, "" where there is none."""
        value = self.value(*path)
        return value if isinstance(value, str) else ""

    def number(self, *path: str) -> int:
        """The integer at `path`, 0 where there is none."""
        value = self.value(*path)
        return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0

    def flag(self, *path: str) -> bool:
        """Whether the value at `path` is true."""
        return self.value(*path) is True

    def texts(self, *path: str) -> list[str]:
        """The strings of the list at `path`, [] where there is none."""
        value = self.value(*path)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

    def mapping(self, *path: str) -> dict[str, Json]:
        """The object at `path`, {} where there is none."""
        value = self.value(*path)
        return value if isinstance(value, dict) else {}

    def child(self, *path: str) -> Document:
        """The object at `path` as a Document, an empty one where there is none."""
        return Document(self.mapping(*path))

    def children(self, *path: str) -> list[Document]:
        """The objects of the list at `path`, [] where there is none."""
        value = self.value(*path)
        return [Document(item) for item in value if isinstance(item, dict)] if isinstance(value, list) else []


class _Rules:
    """What the scanner of the standard library's `json` asks for; `json` itself would import `re`, for 3 ms."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float


_scan = make_scanner(_Rules)  # type: ignore[arg-type]  # the stubs do not know what it takes
_SPACE = " \t\n\r"


def parse_json(data: bytes | str, what: str) -> Json:
    """The parsed value of `data`; `what` names it in the error.

    Raises: Internal if it is not JSON.
    """
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    begin = len(text) - len(text.lstrip(_SPACE))
    try:
        value: Json
        value, end = _scan(text, begin)
        if text[end:].strip(_SPACE):
            raise ValueError(f"more than one value, at character {end}")
    except StopIteration as stop:
        raise _no_json(what, f"no value at character {stop.value}") from None
    except (ValueError, RecursionError) as error:
        raise _no_json(what, str(error)) from None
    return value


def _no_json(what: str, why: str) -> Internal:
    return Internal(f"{what} is not JSON", why=why, fix="check that the host is a Docker API")


def json_text(value: Json | Mapping[str, Json]) -> str:
    """`value` as JSON, without a space too many. What `json` would write; that one takes 4 ms with what it imports."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{encode_basestring_ascii(key)}:{json_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return repr(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def indented_json(value: Json, margin: str = "\n") -> str:
    """`value` as JSON for people: four spaces a level, letters of all alphabets as they are."""
    inner = margin + "    "
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, dict) and value:
        items = (f"{encode_basestring(key)}: {indented_json(item, inner)}" for key, item in value.items())
        return "{" + inner + f",{inner}".join(items) + margin + "}"
    if isinstance(value, list) and value:
        return "[" + inner + f",{inner}".join(indented_json(item, inner) for item in value) + margin + "]"
    return json_text(value)


def parse_document(data: bytes | str, what: str) -> Document:
    """The JSON object in `data`.

    Raises: Internal if it is not JSON, or not an object.
    """
    value = parse_json(data, what)
    if not isinstance(value, dict):
        raise Internal(f"{what} is not a JSON object", fix="check that the host is a Docker API")
    return Document(value)


def parse_documents(data: bytes | str, what: str) -> list[Document]:
    """The JSON objects of the list in `data` (null reads as an empty list, as Go's encoder means it).

    Raises: Internal if it is not JSON, or not a list.
    """
    value = parse_json(data, what)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Internal(f"{what} is not a JSON list", fix="check that the host is a Docker API")
    return [Document(item) for item in value if isinstance(item, dict)]
