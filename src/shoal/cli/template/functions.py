"""The functions of `--format` templates: Go's own, and those that Docker's client adds. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable

from shoal.cli.verbs.listing import Lookup, row_json
from shoal.client.document import Json
from shoal.errors import InvalidArgument


def fail(why: str) -> InvalidArgument:
    """The error of a template that does not fit its data."""
    return InvalidArgument("template parsing error", why=why, fix="look at all fields with {{json .}}")


def shown(value: Json) -> str:
    """`value` as Go prints it: `[a b]`, `map[k:v]`, `<no value>`, true."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "[" + " ".join(shown(item) for item in value) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{shown(value[key])}" for key in sorted(value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def truth(value: Json) -> bool:
    """Whether `{{if}}` takes `value` as true: not empty, not zero."""
    return bool(value)


def _json(value: Json) -> Json:
    if isinstance(value, dict) and any(isinstance(item, Lookup) for item in value.values()):
        return row_json(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _index(value: Json, *keys: Json) -> Json:
    for key in keys:
        if isinstance(value, dict) and isinstance(key, str):
            # Go knows that these are maps to strings, whose zero is "".
            only_texts = all(isinstance(item, str) for item in value.values())
            value = value.get(key, "" if only_texts else None)
        elif isinstance(value, (list, str)) and isinstance(key, int):
            if not 0 <= key < len(value):
                raise fail(f"error calling index: index out of range: {key}")
            value = value[key] if isinstance(value, list) else ord(value[key])
        else:
            raise fail(f"error calling index: can't index {shown(value)} with {shown(key)}")
    return value


def _len(value: Json) -> Json:
    if isinstance(value, (str, list, dict)):
        return len(value.encode()) if isinstance(value, str) else len(value)
    raise fail(f"error calling len: len of {shown(value)}")


def _text(value: Json, function: str) -> str:
    if not isinstance(value, str):
        raise fail(f"wrong type for value of {function}: expected string, got {shown(value)}")
    return value


def _split(text: Json, separator: Json) -> Json:
    return list(_text(text, "split").split(_text(separator, "split")))


def _join(items: Json, separator: Json) -> Json:
    if not isinstance(items, list):
        raise fail(f"wrong type for value of join: expected a list, got {shown(items)}")
    return _text(separator, "join").join(shown(item) for item in items)


def _truncate(text: Json, width: Json) -> Json:
    return _text(text, "truncate")[: width if isinstance(width, int) else None]


def _pad(text: Json, before: Json, after: Json) -> Json:
    if not isinstance(before, int) or not isinstance(after, int):
        raise fail("pad needs two numbers")
    return " " * before + _text(text, "pad") + " " * after


def _println(*values: Json) -> Json:
    return " ".join(shown(value) for value in values) + "\n"


def _printf(form: Json, *values: Json) -> Json:
    verbs = _text(form, "printf").replace("%v", "%s").replace("%q", '"%s"').replace("%t", "%s")
    numbers = "%d" in verbs or "%f" in verbs
    items = [value if numbers and isinstance(value, (int, float)) else shown(value) for value in values]
    try:
        return verbs % tuple(items)
    except (TypeError, ValueError) as error:
        raise fail(f"error calling printf: {error}") from None


def _ordered(first: Json, second: Json, test: Callable[[int], bool]) -> bool:
    if isinstance(first, str) and isinstance(second, str):
        return test((first > second) - (first < second))
    if isinstance(first, (int, float)) and isinstance(second, (int, float)):
        return test((first > second) - (first < second))
    raise fail("error calling a comparison: incompatible types for comparison")


def _and(*values: Json) -> Json:
    return next((value for value in values if not truth(value)), values[-1])


def _or(*values: Json) -> Json:
    return next((value for value in values if truth(value)), values[-1])


FUNCTIONS: dict[str, Callable[..., Json]] = {
    "json": _json,
    "index": _index,
    "len": _len,
    "split": _split,
    "join": _join,
    "upper": lambda text: _text(text, "upper").upper(),
    "lower": lambda text: _text(text, "lower").lower(),
    "title": lambda text: _text(text, "title").title(),
    "truncate": _truncate,
    "pad": _pad,
    "print": lambda *values: "".join(shown(value) for value in values),
    "println": _println,
    "printf": _printf,
    "eq": lambda first, *others: any(first == other for other in others),
    "ne": lambda first, second: first != second,
    "lt": lambda first, second: _ordered(first, second, lambda order: order < 0),
    "le": lambda first, second: _ordered(first, second, lambda order: order <= 0),
    "gt": lambda first, second: _ordered(first, second, lambda order: order > 0),
    "ge": lambda first, second: _ordered(first, second, lambda order: order >= 0),
    "and": _and,
    "or": _or,
    "not": lambda value: not truth(value),
}
