"""What of a container's labels and environment goes with each line of its log. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from shoal.api.patterns import Pattern

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
            wanted = Pattern(pattern)
            found |= {rename(key): value for key, value in source.items() if wanted.is_in(key)}
    return found


def journal_field(key: str) -> str:
    """A name as systemd's journal takes it: capitals, digits and underscores, none of these in front."""
    return _NOT_IN_A_FIELD.sub("_", key.upper()).lstrip("_")
