"""From a method and a path to a handler. The table is compiled once; a look-up costs a few microseconds.

Paths begin with `/v1.NN` or not. `{id}` and `{name}` stand for anything, slashes included (image names have them):
the longest piece that lets the rest of the pattern match. A path without a variable wins over one with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from shoal.api.version import MAXIMUM, MINIMUM, ApiVersion, parse_version
from shoal.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from shoal.server.messages import Handler

_VERSIONED = re.compile(r"/v([0-9.]+)(/.*)", re.DOTALL)
_VARIABLE = re.compile(r"\\{\w+\\}")


@dataclass(frozen=True, slots=True)
class Route:
    """A row of the table; `path` as in the API's description, `since` the first version that has it."""

    method: str
    path: str
    handler: Handler
    since: ApiVersion = MINIMUM


@dataclass(frozen=True, slots=True)
class Match:
    """The row that a request met, the version it asks for, and what stands in the variable's place."""

    route: Route
    version: ApiVersion
    name: str


class Router:
    """Finds the route of a request."""

    __slots__ = ("_exact", "_patterns")

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[tuple[str, str], Route] = {}
        self._patterns: dict[tuple[str, str], list[tuple[re.Pattern[str], Route]]] = {}
        for route in routes:
            if "{" not in route.path:
                self._exact[route.method, route.path] = route
            else:
                key = route.method, _first_segment(route.path)
                self._patterns.setdefault(key, []).append((_compile(route.path), route))
        for candidates in self._patterns.values():
            # /images/{name}/json before /images/{name}: the longer the fixed rest, the earlier.
            candidates.sort(key=lambda candidate: -len(candidate[1].path))

    def match(self, method: str, target: str) -> Match:
        """The route for a request's target (no query).

        Raises: NotFound `page not found`; InvalidArgument for a version that is not served.
        """
        path = _decode(target) if "%" in target else target
        version = MAXIMUM
        versioned = _VERSIONED.fullmatch(path)
        if versioned is not None:
            version = parse_version(versioned[1])
            path = versioned[2]
        route = self._exact.get((method, path))
        name = ""
        if route is None:
            route, name = self._search(method, path)
        if version < route.since:
            raise InvalidArgument(
                f'"{method} {route.path}" requires API version {route.since}, but {version} was asked for'
            )
        return Match(route, version, name)

    def _search(self, method: str, path: str) -> tuple[Route, str]:
        for pattern, route in self._patterns.get((method, _first_segment(path)), ()):
            found = pattern.fullmatch(path)
            if found is not None:
                return route, found[1]
        raise NotFound("page not found")


def _first_segment(path: str) -> str:
    return path[1:].partition("/")[0]


def _compile(path: str) -> re.Pattern[str]:
    return re.compile(_VARIABLE.sub("(.+)", re.escape(path)), re.DOTALL)


def _decode(target: str) -> str:
    try:
        return unquote(target, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidArgument("invalid URL path", why="it is no UTF-8") from error
