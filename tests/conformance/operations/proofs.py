"""What a test proves of the published API: said beside the test, held against what it asked, shown in docs/api.md.

    @proves("ContainerList", "all limit filters.name", statuses="200 400")
    def test_list_…(api: Api) -> None:

A parameter is named as in the description; a value of `filters` is `filters.NAME`, a field of the body `body.NAME`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode

from shoal.server.operations import OPERATIONS
from tests.engines.engine import Engine
from tests.engines.http import Response
from tests.engines.swagger import Description

# Answers of several JSON texts, whose parts are checked where they are read.
STREAMED = ("/events", "/images/load", "/images/create", "/containers/{id}/stats")
_DASHED = {"one_shot": "one-shot", "shared_size": "shared-size", "builder_version": "version"}
T = TypeVar("T", bound=Callable[..., object])
_IDS = {(row.method, row.path): row.id for row in OPERATIONS}


@dataclass(frozen=True)
class Proof:
    """Parameters and statuses of one operation."""

    operation: str
    parameters: frozenset[str]
    statuses: frozenset[int]


def proves(operation: str, parameters: str = "", *, statuses: str = "") -> Callable[[T], T]:
    """Says of a test what it proves; several may be said of one."""
    proof = Proof(operation, frozenset(parameters.split()), frozenset(map(int, statuses.split())))

    def mark(test: T) -> T:
        vars(test).setdefault("proofs", []).append(proof)
        return test

    return mark


@dataclass
class Api:
    """Asks an engine, holds each answer against the description, and remembers what was asked."""

    engine: Engine
    description: Description
    unknown: Callable[[list[str]], list[str]]
    asked: dict[str, tuple[set[str], set[int]]] = field(default_factory=dict)

    def ask(
        self,
        method: str,
        template: str,
        name: str = "",
        /,
        *,
        body: Any = None,
        version: str = "",
        headers: dict[str, str] | None = None,
        **query: Any,
    ) -> Response:
        """The answer to one request. `one_shot` stands for `one-shot` and the like; `filters` are lists by name."""
        path = template.partition("{")[0] + name + template.partition("}")[2] if "{" in template else template
        parameters = {_DASHED.get(key, key): _text(value) for key, value in query.items()}
        target = version + path + ("?" + urlencode(parameters, doseq=True) if parameters else "")
        answer = self.engine.request(method, target, body, headers)
        self._remember(method, template, parameters, query.get("filters"), body, answer.status)
        if answer.body and answer.headers.get("content-type") == "application/json" and not version:
            assert self.unknown(self._problems(method, template, answer)) == []
        return answer

    def _problems(self, method: str, template: str, answer: Response) -> list[str]:
        """What is wrong with an answer. A refusal may have a status that is not published, and shoal's hints."""
        if answer.status >= 400:
            told = {key: value for key, value in answer.json.items() if key not in ("why", "fix")}
            return self.description.of_definition("ErrorResponse", told)
        if answer.body.count(b"\n") > 1 or template in STREAMED:
            return []
        return self.description.problems(method, template, answer.status, answer.json)

    def ok(self, method: str, template: str, name: str = "", /, **more: Any) -> Any:
        """The JSON of a success, None where it has none."""
        answer = self.ask(method, template, name, **more)
        assert answer.status < 300, answer.body
        return answer.json if answer.headers.get("content-type") == "application/json" else None

    def refused(self, method: str, template: str, name: str = "", /, **more: Any) -> tuple[int, str]:
        """The status and sentence of a refusal."""
        answer = self.ask(method, template, name, **more)
        assert answer.status >= 300, answer.body
        return answer.status, answer.message if answer.body else ""

    def _remember(
        self, method: str, template: str, parameters: dict[str, Any], filters: Any, body: Any, status: int
    ) -> None:
        names, statuses = self.asked.setdefault(_IDS[method, template], (set(), set()))
        names |= set(parameters) - {"filters"}
        names |= {f"filters.{name}" for name in filters or ()}
        names |= {f"body.{name}" for name in _fields(body)} if isinstance(body, dict) else set()
        names |= {"body"} if isinstance(body, bytes) else set()
        statuses.add(status)

    def check(self, proofs: list[Proof]) -> None:
        """Raises: AssertionError for a proof of what was never asked."""
        for proof in proofs:
            names, statuses = self.asked.get(proof.operation, (set(), set()))
            missing = sorted(proof.parameters - names), sorted(proof.statuses - statuses)
            assert missing == ([], []), f"{proof.operation}: said to be proven, and never asked: {missing}"


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "1" if value else "0"
    return json.dumps(value) if isinstance(value, dict) else value


def _fields(body: dict[str, Any]) -> set[str]:
    """The fields of a body; those of its HostConfig too, by their own names."""
    return {*body, *(f"HostConfig.{name}" for name in body.get("HostConfig", ()))}
