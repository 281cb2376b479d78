"""Copying, exporting and committing: what the handlers ask of the engine, and how they answer."""

from __future__ import annotations

import base64
import json

import pytest

from shoal.api.archive import CommitRequest, ExtractOptions
from shoal.api.timestamps import NEVER
from tests.unit.server.fake_archives import COMMITTED_ID
from tests.unit.server.serving import Serving, run

STAT = {"name": "motd", "size": 3, "mode": 0o644, "mtime": NEVER, "linkTarget": ""}


def test_archive_head_and_get_carry_the_stat() -> None:
    """HEAD has the description alone, GET the archive too."""

    async def scenario(server: Serving) -> None:
        client = server.connect()
        for method, body in (("HEAD", b""), ("GET", b"tarball")):
            answer = await client.ask(method, "/containers/c1/archive?path=%2Fetc%2Fmotd")
            assert (answer.status, answer.body) == (200, body)
            assert json.loads(base64.b64decode(answer.headers["x-docker-container-path-stat"])) == STAT

    run(scenario)


@pytest.mark.parametrize(
    ("method", "target", "status", "message"),
    [
        ("GET", "/containers/c1/archive", 400, "bad parameter: path cannot be empty"),
        ("GET", "/containers/c1/archive?path=/x", 404, "Could not find the file /x in container c1"),
        ("GET", "/containers/c2/archive?path=/x", 404, "No such container: c2"),
        ("GET", "/containers/c2/export", 404, "No such container: c2"),
        ("POST", "/commit?container=c2", 404, "No such container: c2"),
    ],
)
def test_archive_of_what_is_missing_is_refused(method: str, target: str, status: int, message: str) -> None:
    """A missing parameter, file or container is named before any archive begins."""

    async def scenario(server: Serving) -> None:
        answer = await server.connect().ask(method, target)
        assert (answer.status, answer.message) == (status, message)

    run(scenario)


def test_archive_put_passes_body_and_options() -> None:
    """The archive reaches the engine as it is, with the two switches."""

    async def scenario(server: Serving) -> None:
        target = "/containers/c1/archive?path=%2Fetc%2Fmotd&noOverwriteDirNonDir=true&copyUIDGID=1"
        answer = await server.connect().ask("PUT", target, b"a tar")
        assert (answer.status, answer.body) == (200, b"")

    options = ExtractOptions(no_overwrite_dir_non_dir=True, copy_owner=True)
    assert run(scenario).archives.notes == [("/etc/motd", options, b"a tar")]


def test_export_streams_octets() -> None:
    """An export is a stream of bytes, not a tar by its type, as with Docker."""

    async def scenario(server: Serving) -> None:
        answer = await server.connect().ask("GET", "/containers/c1/export")
        assert (answer.status, answer.body) == (200, b"tarball")
        assert answer.headers["content-type"] == "application/octet-stream"

    run(scenario)


@pytest.mark.parametrize("body", [b"", b"null\n"])
def test_commit_parameters_reach_the_engine(body: bytes) -> None:
    """Everything in the query, pausing unless told otherwise, and the id with 201; `null` is no configuration."""

    async def scenario(server: Serving) -> None:
        target = "/commit?container=c1&repo=a%2Fb&tag=c&author=me&comment=why&changes=ENV%20A%3D1&changes=USER%20b"
        answer = await server.connect().ask("POST", target, body)
        assert (answer.status, answer.json) == (201, {"Id": COMMITTED_ID})
        await server.connect().ask("POST", "/commit?container=c1&pause=0")

    first, second = run(scenario).archives.notes
    assert first == CommitRequest(
        container="c1", repository="a/b", tag="c", author="me", comment="why", changes=("ENV A=1", "USER b")
    )
    assert second == CommitRequest(container="c1", pause=False)
