"""How the argument of an instruction is cut into words: by spaces, by quotes, into flags, or as a JSON array.

Pure. The words keep their quotes and escapes; what they mean is for `expansion`. Docker reads every instruction by one
of these rules, which differ in what a quote does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

# Docker's idea of a space between words: a newline can't come, and a no-break space is none.
_SPACES = re.compile(r"[\t\v\f\r ]+")


class NotStrings(Exception):
    """A JSON array that holds something else than strings: an error, and no shell form."""


def split_first(text: str) -> tuple[str, str]:
    """The first word and the rest, each without spaces around it."""
    first, *rest = _SPACES.split(text.strip(), maxsplit=1)
    return first, rest[0].strip() if rest else ""


def split_spaces(text: str) -> list[str]:
    """The words between spaces, whatever quotes there are."""
    return _SPACES.split(text.strip()) if text.strip() else []


def split_quoted(text: str, escape: str) -> list[str]:
    """The words between spaces that are neither quoted nor escaped; quotes and escapes stay."""
    words: list[str] = []
    word = ""
    quote = ""
    characters = iter(text)
    for character in characters:
        if not quote and character.isspace():
            if word:
                words.append(word)
            word = ""
            continue
        word += character
        if character == escape and quote != "'":
            word += next(characters, "")
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
    return [*words, word] if word else words


def split_flags(text: str) -> tuple[list[str], str]:
    """The flags at the beginning, without quotes and escapes, and the rest. `--` alone ends the flags."""
    flags: list[str] = []
    position = 0
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if not text.startswith("--", position):
            return flags, text[position:].strip()
        flag, position = _unquoted(text, position)
        if flag == "--":
            return flags, text[position:].strip()
        flags.append(flag)


def _unquoted(text: str, position: int) -> tuple[str, int]:
    """The word at `position` without its quotes and escapes, and where it ends."""
    word = ""
    quote = ""
    while position < len(text):
        character = text[position]
        if not quote and character.isspace():
            break
        position += 1
        if character == "\\" and position < len(text):
            word += text[position]
            position += 1
        elif character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        elif character != "\\":
            word += character
    return word, position


def json_strings(text: str) -> list[str] | None:
    """The strings of a JSON array; None where `text` is no JSON array, which makes it a shell form.

    Raises: NotStrings, for an array of other things.
    """
    if not text.lstrip().startswith("["):
        return None
    try:
        elements: list[object] = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    if not all(isinstance(element, str) for element in elements):
        raise NotStrings
    return [_without_lone_surrogates(element) for element in elements if isinstance(element, str)]


def name_and_values(words: list[str]) -> Iterator[tuple[str, str, bool]]:
    """Of each word what is before and after its first equals sign, and whether there is one."""
    for word in words:
        name, equals, value = word.partition("=")
        yield name, value, bool(equals)


def _refuse_constant(name: str) -> object:
    raise ValueError(name)  # NaN and Infinity are Python's additions to JSON


def _without_lone_surrogates(text: str) -> str:
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
