"""The words of a Dockerfile instruction: splitting, quotes, and `$VARIABLE` expansion. Pure.

Source: Dockerfile reference §Environment replacement, §ENV, §LABEL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from shoal.errors import InvalidArgument

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BRACED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+?])(.*))?\Z", re.S)


def expand(word: str, variables: Mapping[str, str]) -> str:
    """`word` without its quotes, and with `$NAME`, `${NAME}`, `${NAME:-x}`, `${NAME:+x}` replaced.

    Nothing is replaced inside single quotes, or behind a backslash. Raises: InvalidArgument.
    """
    out: list[str] = []
    position = 0
    quote = ""
    while position < len(word):
        char = word[position]
        position += 1
        if quote == "'":
            if char == "'":
                quote = ""
            else:
                out.append(char)
        elif char in "'\"" and (not quote or quote == char):
            quote = "" if quote else char
        elif char == "\\":
            # Inside double quotes a backslash protects only what is special there.
            following = word[position : position + 1]
            out.append(following if not quote or following in '"$\\' else char + following)
            position += 1
        elif char == "$":
            value, position = _variable(word, position, variables)
            out.append(value)
        else:
            out.append(char)
    if quote:
        raise InvalidArgument("unexpected end of statement while looking for matching " + _QUOTES[quote])
    return "".join(out)


def split_pairs(rest: str) -> list[str]:
    """The words of `a=b "c d"=e`: split at blanks outside quotes; quotes and backslashes stay in them."""
    words: list[str] = []
    word: list[str] = []
    quote = ""
    position = 0
    while position < len(rest):
        char = rest[position]
        if not quote and char.isspace():
            if word:
                words.append("".join(word))
                word = []
        elif char == "\\" and quote != "'" and position + 1 < len(rest):
            word.append(rest[position : position + 2])
            position += 1
        else:
            if char in "'\"":
                quote = "" if quote == char else (quote or char)
            word.append(char)
        position += 1
    if word:
        words.append("".join(word))
    return words


def parse_pairs(instruction: str, rest: str) -> list[tuple[str, str]]:
    """The unexpanded (name, value) pairs of an ENV or a LABEL, in either of its two forms.

    Raises: InvalidArgument with the Dockerfile parser's sentences.
    """
    words = split_pairs(rest)
    if not words:
        raise InvalidArgument(f"{instruction} requires at least one argument")
    if "=" not in words[0]:
        parts = rest.split(None, 1)
        if len(parts) < 2:
            raise InvalidArgument(f"{instruction} must have two arguments")
        return [(parts[0], parts[1])]
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise InvalidArgument(f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value')
        pairs.append((name, value))
    return pairs


def parse_json_words(rest: str) -> list[str] | None:
    """The strings of the JSON form `["a", "b"]`, or None if `rest` isn't JSON. Raises: InvalidArgument."""
    if not rest.startswith("["):
        return None
    try:
        values = json.loads(rest)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(value, str) for value in values):
        raise InvalidArgument("when using JSON array syntax, arrays must be comprised of strings only")
    return [str(value) for value in values]


def _variable(word: str, position: int, variables: Mapping[str, str]) -> tuple[str, int]:
    """What `$…` at `position` (behind the dollar sign) stands for, and where the word goes on."""
    if word[position : position + 1] == "{":
        end = _closing_brace(word, position)
        match = _BRACED.match(word[position + 1 : end])
        if match is None:
            raise InvalidArgument(f"unsupported modifier in `{word}`")
        return _modified(*match.groups(), variables=variables), end + 1
    match = _NAME.match(word, position)
    if match is None:
        return "$", position
    return variables.get(match[0], ""), match.end()


def _modified(name: str, operator: str | None, operand: str | None, *, variables: Mapping[str, str]) -> str:
    value = variables.get(name)
    # With the colon, empty counts as unset.
    is_set = bool(value) if operator and operator.startswith(":") else value is not None
    match operator[-1] if operator else "":
        case "-":
            return value or "" if is_set else expand(operand or "", variables)
        case "+":
            return expand(operand or "", variables) if is_set else ""
        case "?" if not is_set:
            raise InvalidArgument(f"{name}: {operand or 'is not allowed to be unset'}")
    return value or ""


def _closing_brace(word: str, position: int) -> int:
    depth = 0
    for index in range(position, len(word)):
        depth += {"{": 1, "}": -1}.get(word[index], 0)
        if not depth:
            return index
    raise InvalidArgument("syntax error: missing '}'")


_QUOTES = {"'": "single-quote", '"': "double-quote"}
