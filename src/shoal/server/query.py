"""The parameters behind the `?` of a request, read as Docker reads them."""

from __future__ import annotations

from urllib.parse import parse_qs

from shoal.api.filters import Filters
from shoal.errors import InvalidArgument

_FALSE = {"", "0", "no", "false", "none"}
_MOST_FIELDS = 1000


class Query:
    """Parameters by name; nothing is parsed before the first one is asked for."""

    __slots__ = ("_text", "_values")

    def __init__(self, text: str = "") -> None:
        self._text = text
        self._values: dict[str, list[str]] | None = None

    def all(self, name: str) -> list[str]:
        """Every value of a parameter that may be repeated."""
        if self._values is None:
            self._values = self._parse()
        return self._values.get(name, [])

    def _parse(self) -> dict[str, list[str]]:
        if not self._text:
            return {}
        try:
            return parse_qs(self._text, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError as error:
            raise InvalidArgument("invalid query", why=str(error)) from error

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    def text(self, name: str, default: str = "") -> str:
        """The parameter's value, or the default."""
        values = self.all(name)
        return values[0] if values else default

    def optional(self, name: str) -> str | None:
        """The parameter's value, `None` where it is absent or empty."""
        return self.text(name) or None

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A truth value: everything but 0, no, false, none and nothing is true. Source: moby `httputils.BoolValue`."""
        values = self.all(name)
        return values[0].strip().lower() not in _FALSE if values else default

    def integer(self, name: str) -> int | None:
        """A whole number, `None` where it is absent or empty.

        Raises: InvalidArgument in Docker's words.
        """
        text = self.text(name)
        if not text:
            return None
        digits = text.removeprefix("-").removeprefix("+")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            raise InvalidArgument(f'invalid value for "{name}"', why=f'parsing "{text}": invalid syntax')
        return int(text)

    def filters(self) -> Filters:
        """The `filters` parameter. Raises: InvalidArgument."""
        return Filters.parse(self.text("filters"))
