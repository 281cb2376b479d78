"""Docker's markers in the tag of a container's log: `{{.Name}}/{{.ID}}`, `{{index .ContainerLabels "app"}}`. Pure.

A part of Go's text/template: fields, `index`, a few functions, pipelines, parentheses and string literals. There are no
conditions and no loops.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from shoal.errors import InvalidArgument

Value: TypeAlias = str | list[str] | Mapping[str, str]

_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*"|`[^`]*`)|((?:\.[A-Za-z_]\w*)+|\.)|([A-Za-z_]\w*)|(\d+)|([()|]))')
_NO_VALUE = "<no value>"


def expand_tag(template: str, fields: Mapping[str, Value], attributes: Callable[[], Mapping[str, str]]) -> str:
    """The template with its markers replaced; `attributes` gives what `.ExtraAttributes` stands for.

    Raises: InvalidArgument in the words of Go's text/template.
    """
    out = []
    position = 0
    while (start := template.find("{{", position)) >= 0:
        end = template.find("}}", start)
        if end < 0:
            raise InvalidArgument("template: log-tag:1: unclosed action")
        out.append(template[position:start])
        action = template[start + 2 : end].removeprefix("- ").removesuffix(" -")
        out.append(_text(_Action(action, start + 2, fields, attributes).value()))
        position = end + 2
    return "".join([*out, template[position:]])


def _text(value: Value) -> str:
    """A value as Go prints it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"[{' '.join(value)}]"
    return f"map[{' '.join(f'{key}:{text}' for key, text in sorted(value.items()))}]"


class _Action:
    """What is between two braces: commands, each getting the value of the one before it as its last argument."""

    def __init__(
        self, text: str, offset: int, fields: Mapping[str, Value], attributes: Callable[[], Mapping[str, str]]
    ) -> None:
        self._text = text
        self._offset = offset
        self._fields = fields
        self._attributes = attributes
        self._tokens = self._split()
        self._position = 0

    def value(self) -> Value:
        """What the action stands for. Raises: InvalidArgument."""
        value = self._pipeline()
        if self._position < len(self._tokens):
            raise self._unexpected()
        return value

    def _split(self) -> list[tuple[str, int]]:
        tokens: list[tuple[str, int]] = []
        position = 0
        text = self._text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise InvalidArgument(f"template: log-tag:1: unexpected {text[position:].strip()[:1]!r} in command")
            tokens.append((match[match.lastindex or 0], match.start(match.lastindex or 0)))
            position = match.end()
        return tokens

    def _pipeline(self) -> Value:
        value = self._command(None)
        while self._next_is("|"):
            self._position += 1
            value = self._command(value)
        return value

    def _command(self, piped: Value | None) -> Value:
        if self._position >= len(self._tokens):
            raise InvalidArgument("template: log-tag:1: missing value for command")
        token, _ = self._tokens[self._position]
        if token[0].isalpha() or token[0] == "_":
            self._position += 1
            arguments = [*self._operands(), *([piped] if piped is not None else [])]
            return _call(token, arguments)
        value = self._operand()
        if piped is not None or (self._position < len(self._tokens) and self._tokens[self._position][0] not in "|)"):
            raise self._unexpected()
        return value

    def _operands(self) -> list[Value]:
        values = []
        while self._position < len(self._tokens) and self._tokens[self._position][0] not in "|)":
            values.append(self._operand())
        return values

    def _operand(self) -> Value:
        token, offset = self._tokens[self._position]
        self._position += 1
        if token == "(":
            return self._parenthesised()
        if token[0] in '"`':
            return str(json.loads(token)) if token[0] == '"' else token[1:-1]
        if token[0] == ".":
            return self._field(token, offset)
        if token.isdecimal():
            return token
        self._position -= 1
        raise self._unexpected()

    def _parenthesised(self) -> Value:
        """`(pipeline)`, and `(.ExtraAttributes nil).KEY`, which is the one method with an argument."""
        value: Value
        if [token for token, _ in self._tokens[self._position : self._position + 2]] == [".ExtraAttributes", "nil"]:
            self._position += 2
            value = self._attributes()
        else:
            value = self._pipeline()
        if not self._next_is(")"):
            raise InvalidArgument("template: log-tag:1: unclosed left paren")
        self._position += 1
        if self._position < len(self._tokens) and self._tokens[self._position][0].startswith("."):
            key = self._tokens[self._position][0].removeprefix(".")
            self._position += 1
            return value.get(key, _NO_VALUE) if isinstance(value, Mapping) else _NO_VALUE
        return value

    def _field(self, token: str, offset: int) -> Value:
        name, _, key = token.removeprefix(".").partition(".")
        value = self._fields.get(name)
        if value is None:
            where = f"template: log-tag:1:{self._offset + offset}"
            raise InvalidArgument(
                f'{where}: executing "log-tag" at <{token}>: can\'t evaluate field {name} in type *logger.Info'
            )
        if key:
            return value.get(key, _NO_VALUE) if isinstance(value, Mapping) else _NO_VALUE
        return value

    def _next_is(self, token: str) -> bool:
        return self._position < len(self._tokens) and self._tokens[self._position][0] == token

    def _unexpected(self) -> InvalidArgument:
        token = self._tokens[self._position][0] if self._position < len(self._tokens) else "}}"
        return InvalidArgument(f"template: log-tag:1: unexpected <{token}> in operand")


def _call(name: str, arguments: list[Value]) -> Value:
    function = _FUNCTIONS.get(name)
    if function is None:
        raise InvalidArgument(f'template: log-tag:1: function "{name}" not defined')
    try:
        return function(*arguments)
    except (TypeError, ValueError, IndexError, AttributeError) as cause:
        raise InvalidArgument(f"template: log-tag:1: error calling {name}: wrong arguments") from cause


def _index(value: Value, key: str) -> str:
    if isinstance(value, list):
        return value[int(key)]
    if isinstance(value, str):
        return str(value.encode()[int(key)])
    return value.get(key, "")


def _truncate(value: str, length: str) -> str:
    return value[: int(length)]


_FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "index": _index,
    "json": lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=False),
    "join": lambda values, separator: separator.join(values),
    "split": lambda value, separator: value.split(separator),
    "lower": lambda value: value.lower(),
    "upper": lambda value: value.upper(),
    "title": lambda value: value.title(),
    "truncate": _truncate,
    "print": lambda *values: "".join(map(_text, values)),
}
