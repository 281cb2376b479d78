"""Filters of lists, prunes and events, in both JSON forms that clients send. Pure.

{"label": ["a=b"]}              API 1.22 and later
{"label": {"a=b": true}}        what the docker command sends to this day
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

import msgspec

from shoal.api.patterns import Pattern
from shoal.errors import InvalidArgument

_Raw: TypeAlias = dict[str, list[str] | dict[str, bool] | None] | None


class Filters:
    """The values asked for, by name of the filter. Values of one name are alternatives, names add up.

    Source: moby `api/types/filters`.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Collection[str]] | None = None) -> None:
        self._values = {name: tuple(items) for name, items in (values or {}).items() if items}

    @classmethod
    def parse(cls, text: str | None) -> Filters:
        """The filters in a `filters=` parameter; an empty one filters nothing.

        Raises: InvalidArgument `invalid filter: …` where it is no JSON of either form.
        """
        if not text:
            return cls()
        try:
            raw = msgspec.json.decode(text, type=_Raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidArgument("invalid filter", why=str(error)) from error
        # Of the second form the reference reads the keys alone, whether they are true or false.
        return cls({name: list(items) for name, items in (raw or {}).items() if items})

    def __bool__(self) -> bool:
        return bool(self._values)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filters) and self._values == other._values

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Filters({self._values!r})"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the filters that were given."""
        return tuple(self._values)

    def get(self, name: str) -> tuple[str, ...]:
        """The values of one filter, empty where it was not given."""
        return self._values.get(name, ())

    def adding(self, name: str, value: str) -> Filters:
        """The same filters with one more value."""
        return Filters({**self._values, name: (*self.get(name), value)})

    def validate(self, accepted: Collection[str]) -> None:
        """Nothing, where only accepted filters were given.

        Raises: InvalidArgument ``invalid filter 'name'``.
        """
        for name in self._values:
            if name not in accepted:
                raise InvalidArgument(f"invalid filter '{name}'")

    def boolean(self, name: str, *, default: bool) -> bool:
        """A filter that is true or false, as `dangling`.

        Raises: InvalidArgument ``invalid filter 'name=[…]'``.
        """
        values = self.get(name)
        if not values:
            return default
        chosen = {value.lower() for value in values}
        if chosen <= {"1", "true"}:
            return True
        if chosen <= {"0", "false"}:
            return False
        raise InvalidArgument(f"invalid filter '{name}=[{' '.join(values)}]'")

    def matches_exactly(self, name: str, value: str) -> bool:
        """Whether the filter is absent or `value` is one of its values."""
        values = self._values.get(name)
        return values is None or value in values

    def matches_prefix(self, name: str, value: str) -> bool:
        """Whether the filter is absent or `value` begins with one of its values (ids)."""
        values = self._values.get(name)
        return values is None or any(wanted and value.startswith(wanted) for wanted in values)

    def matches_pattern(self, name: str, value: str) -> bool:
        """Whether the filter is absent, or one of its values is found in `value` as a pattern or is `value`."""
        values = self._values.get(name)
        return values is None or any(wanted == value or _found(wanted, value) for wanted in values)

    def matches_labels(self, labels: Mapping[str, str], name: str = "label") -> bool:
        """Whether `labels` has every `key` and every `key=value` that the filter asks for."""
        for wanted in self.get(name):
            key, has_value, value = wanted.partition("=")
            if key not in labels or (has_value and labels[key] != value):
                return False
        return True


def _found(pattern: str, value: str) -> bool:
    try:
        return Pattern(pattern).is_in(value)
    except InvalidArgument:
        return False  # no expression: compared as text only, as the reference does
