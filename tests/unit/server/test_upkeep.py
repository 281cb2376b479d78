"""top, stats, changes, update and prune: what they ask of the engine, and how they answer."""

from __future__ import annotations

import asyncio
import json

import pytest

from shoal.api.filters import Filters
from tests.unit.server.fake_engine import CONTAINER_ID, FakeEngine
from tests.unit.server.serving import Serving, run

JSON = "application/json"


def test_top_passes_the_arguments_of_ps_on() -> None:
    """ps_args reach the engine as they are, and the table comes back under Docker's names."""

    async def scenario(server: Serving) -> None:
        answer = await server.connect().ask("GET", "/containers/c1/top?ps_args=-o%20pid,cmd")
        assert answer.json == {"Processes": [["1", "sh"], ["2", "sleep 1"]], "Titles": ["PID", "CMD"]}

    assert run(scenario).upkeep.notes == [("top", "-o pid,cmd")]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/containers/c1/stats?stream=0", ("stats", False, False)),
        ("/containers/c1/stats?stream=false&one-shot=1", ("stats", False, True)),
        ("/v1.40/containers/c1/stats?stream=0&one-shot=1", ("stats", False, False)),
    ],
)
def test_stats_single_sample_has_dockers_names(path: str, expected: tuple[object, ...]) -> None:
    """One sample and the end; the names are in snake case, and one-shot is of API 1.41."""

    async def scenario(server: Serving) -> None:
        answer = await server.connect().ask("GET", path)
        assert answer.status == 200
        assert (answer.json["name"], answer.json["id"]) == ("/c1", CONTAINER_ID)
        assert answer.json["pids_stats"] == {"current": 2}
        assert answer.json["cpu_stats"]["cpu_usage"]["usage_in_usermode"] == 0

    assert run(scenario).upkeep.notes == [expected]


def test_stats_stream_goes_on_until_the_client_leaves() -> None:
    """Without parameters samples come without end; the iterator is closed when the client has gone."""
    engine = FakeEngine()

    async def scenario(server: Serving) -> None:
        client = server.connect()
        await client.begin("GET", "/containers/c1/stats")
        assert (await client.head()).status == 200
        pieces = b""
        while pieces.count(b"\n") < 3:
            pieces += await client.piece()
        assert all(json.loads(line)["id"] == CONTAINER_ID for line in pieces.splitlines()[:3])
        client.close()
        await asyncio.wait_for(engine.upkeep.was_closed.wait(), 5)

    run(scenario, engine=engine)


def test_stats_stream_and_one_shot_exclude_each_other() -> None:
    """Docker's sentence."""

    async def scenario(server: Serving) -> None:
        answer = await server.connect().ask("GET", "/containers/c1/stats?one-shot=1")
        assert (answer.status, answer.message) == (400, "cannot have stream=true and one-shot=true")

    run(scenario)


def test_changes_are_paths_and_kinds() -> None:
    """The list as Docker has it."""

    async def scenario(server: Serving) -> None:
        answer = await server.connect().ask("GET", "/containers/c1/changes")
        assert answer.json == [{"Path": "/note", "Kind": 1}]

    run(scenario)


def test_update_body_reaches_the_engine() -> None:
    """Limits and the restart policy are typed; warnings come back."""

    async def scenario(server: Serving) -> None:
        body = b'{"Memory":10,"PidsLimit":null,"RestartPolicy":{"Name":"always"}}'
        answer = await server.connect().ask("POST", "/containers/c1/update", body, Content_Type=JSON)
        assert answer.json == {"Warnings": ["no swap"]}

    ((_, request),) = run(scenario).upkeep.notes
    assert (request.memory, request.pids_limit, request.restart_policy.name) == (10, None, "always")  # type: ignore[attr-defined]


def test_prune_takes_filters_and_tells_what_is_gone() -> None:
    """The filters reach the engine, an unknown one is a bad request."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        answer = await client.ask("POST", "/containers/prune?filters=%7B%22label%22%3A%5B%22a%22%5D%7D")
        assert answer.json == {"ContainersDeleted": [CONTAINER_ID], "SpaceReclaimed": 5}
        assert (await client.ask("POST", "/containers/prune?filters=%7B%22x%22%3A%5B%22a%22%5D%7D")).status == 400

    assert run(scenario).upkeep.notes == [("prune", Filters({"label": ["a"]}))]


@pytest.mark.parametrize("verb", ["top", "stats", "changes"])
def test_unknown_container_is_not_found(verb: str) -> None:
    """The status goes out before any stream."""

    async def scenario(server: Serving) -> None:
        answer = await server.connect().ask("GET", f"/containers/nope/{verb}")
        assert (answer.status, answer.message) == (404, "No such container: nope")

    run(scenario)
