"""Shell patterns inside of `${name#glob}` and its like: `*`, `?`, and `\\` before what is to be taken as it is.

Pure. No pattern takes long on any value: the expressions are RE2's.
"""

from __future__ import annotations

import re

from shoal.api.patterns import Pattern
from shoal.errors import InvalidArgument

_MOST_CHARACTERS = 1 << 20


def without_prefix(value: str, glob: str, *, greedy: bool) -> str:
    """`value` without the shortest (or the longest) beginning that `glob` matches.

    Raises: InvalidArgument, for an escape that means nothing.
    """
    found = Pattern("^" + _expression(_tokens(glob), greedy=greedy)).find(value)
    return value[found[1] :] if found else value


def without_suffix(value: str, glob: str, *, greedy: bool) -> str:
    """`value` without the shortest (or the longest) end that `glob` matches.

    Raises: InvalidArgument.
    """
    backwards = "^" + _expression(_tokens(glob)[::-1], greedy=greedy)
    found = Pattern(backwards).find(value[::-1])
    return value[: len(value) - found[1]] if found else value


def replace_glob(value: str, glob: str, replacement: str, *, every: bool) -> str:
    """`value` with the first match (or each) of `glob` replaced; an empty pattern matches nothing.

    Raises: InvalidArgument.
    """
    if not glob:
        return value
    done: list[str] = []
    end = size = 0
    for start, stop in Pattern(_expression(_tokens(glob), greedy=True)).each(value):
        if start == stop:
            continue
        done += (value[end:start], replacement)
        end = stop
        size += len(replacement)
        if size > _MOST_CHARACTERS:
            raise InvalidArgument("a replacement in a variable is too long")
        if not every:
            break
    return "".join(done) + value[end:]


def _tokens(glob: str) -> list[str]:
    """Its characters, those that are escaped with their backslash."""
    tokens = []
    characters = iter(glob)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if escaped in ("}", "/", '"', "'", "$"):  # escaped for the sake of the word that they stand in
                character = escaped
            elif escaped in ("*", "?", "\\"):
                character += escaped
            else:
                raise InvalidArgument(f"invalid escape '\\{escaped}'")
        tokens.append(character)
    return tokens


def _expression(tokens: list[str], *, greedy: bool) -> str:
    wildcards = {"*": "(?s:.*)" if greedy else "(?s:.*?)", "?": "(?s:.)"}
    return "".join(wildcards.get(token) or re.escape(token[-1]) for token in tokens)
