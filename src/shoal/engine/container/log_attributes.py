"""What of a container's labels and environment goes with each line of its log. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from shoal.errors import InvalidArgument

_NOT_IN_A_FIELD = re.compile(r"[^A-Z0-9_]")


def extra_attributes(
    options: Mapping[str, str],
    labels: Mapping[str, str],
    environment: Sequence[str],
    rename: Callable[[str], str] = str,
) -> dict[str, str]:
    """What the options labels, labels-regex, env and env-regex choose, by names that `rename` makes.

    Raises: InvalidArgument for a bad regular expression.
    """
    variables = dict(pair.split("=", 1) for pair in environment if "=" in pair)
    found: dict[str, str] = {}
    for option, source in (("labels", labels), ("env", variables)):
        for key in options.get(option, "").split(","):
            if key in source:
                found[rename(key)] = source[key]
        pattern = options.get(f"{option}-regex", "")
        if pattern:
            search = _compiled(pattern).search
            found |= {rename(key): value for key, value in source.items() if search(key)}
    return found


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as cause:
        reason, shown = str(cause), pattern
        if isinstance(cause, re.error) and cause.pos is not None:
            reason = cause.msg
            if "unterminated subpattern" in reason:
                reason = "missing closing )"
            elif "unterminated character set" in reason:
                reason, shown = "missing closing ]", pattern[cause.pos :]
        raise InvalidArgument(f"error parsing regexp: {reason}: `{shown}`") from cause


def journal_field(key: str) -> str:
    """A name as systemd's journal takes it: capitals, digits and underscores, none of these in front."""
    return _NOT_IN_A_FIELD.sub("_", key.upper()).lstrip("_")
