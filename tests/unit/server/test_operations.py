"""The table of operations against the published description, and what unserved ones answer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from shoal.server.api_server import api_router
from shoal.server.handlers import HANDLERS
from shoal.server.operations import OPERATIONS, UNPUBLISHED, Answer, Operation
from tests.unit.server.serving import Serving, run

INSPECT_CHAIN = (
    "containers",
    "images",
    "networks",
    "volumes",
    "services",
    "tasks",
    "nodes",
    "plugins",
    "secrets",
    "configs",
)
NO_SWARM = "This node is not a swarm manager."


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    """The Docker API's description, where this machine has it."""
    default = Path(__file__).parents[4] / "shared" / "reference"
    path = Path(os.environ.get("SHOAL_REFERENCE", default)) / "docker-api-v1.50.yaml"
    if not path.exists():
        pytest.skip(f"no description of the Docker API at {path}; set SHOAL_REFERENCE to the directory that has it")
    loaded = yaml.load(path.read_text(), yaml.CSafeLoader)
    assert isinstance(loaded, dict)
    return loaded


def test_operations_are_those_of_the_description(description: dict[str, Any]) -> None:
    """Every published operation has its row, under its name, and no row is made up."""
    published = {
        (method.upper(), path, operation["operationId"])
        for path, operations in description["paths"].items()
        for method, operation in operations.items()
    }
    assert {(row.method, row.path, row.id) for row in OPERATIONS} == published
    assert len(OPERATIONS) == 107


def test_operations_served_ones_have_a_handler_and_others_none() -> None:
    """The table says what is served, and it is."""
    rows = (*OPERATIONS, *UNPUBLISHED)
    assert {row.id for row in rows if row.answer is Answer.SERVED} == set(HANDLERS)
    assert all(row.words for row in OPERATIONS if row.answer is Answer.LATER)


@pytest.mark.parametrize("version", ["", "/v1.50"])
def test_router_finds_every_operation(version: str) -> None:
    """Each row is reached by its own path, with names that hold slashes too."""
    router = api_router()
    for row in OPERATIONS:
        for name in ("x", "docker.io/library/x:1", "json"):
            path = version + row.path.replace("{id}", name).replace("{name}", name)
            assert router.match(row.method, path).route.path == row.path


@pytest.mark.parametrize("row", [row for row in OPERATIONS if row.answer is not Answer.SERVED], ids=lambda row: row.id)
def test_unserved_operation_says_so(row: Operation) -> None:
    """What is not served is a 501, 503 or 404 with a sentence, never a success."""
    status = {Answer.LATER: 501, Answer.SWARM: 503, Answer.PLUGIN: 404}[row.answer]

    async def scenario(server: Serving) -> None:
        client = server.connect()
        answer = await client.ask(row.method, row.path.replace("{id}", "x").replace("{name}", "x"))
        assert answer.status == status
        if row.method == "HEAD":
            return
        if row.answer is Answer.LATER:
            assert answer.message == f"shoal 0.1.0 does not serve {row.words} yet"
        elif row.answer is Answer.SWARM:
            assert answer.message.startswith(row.words or NO_SWARM)
        else:
            assert answer.message == 'plugin "x" not found'

    run(scenario)


def test_inspect_of_an_unknown_name_is_refused_by_every_kind() -> None:
    """`docker inspect X` asks one kind after the other; each says no, and none hangs."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        for kind in INSPECT_CHAIN:
            suffix = "/json" if kind in ("containers", "images", "plugins") else ""
            answer = await client.ask("GET", f"/v1.50/{kind}/X{suffix}")
            assert answer.status in (404, 503), kind
            assert answer.message, kind
        assert (await client.ask("GET", "/volumes/X")).message == "get X: no such volume"

    run(scenario)


@pytest.mark.parametrize("path", ["/", "/containers", "/containers/", "/v1.50", "/v1.50/", "/containers/c1/tea", "*"])
def test_router_unknown_path_is_not_found(path: str) -> None:
    """What is no path of the API is a 404 in Docker's words."""

    async def scenario(server: Serving) -> None:
        answer = await server.connect().ask("GET", path)
        assert (answer.status, answer.message) == (404, "page not found")

    run(scenario)
