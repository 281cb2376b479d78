"""The table in docs/api.md: which operation is served how far, made from what the tests prove.

Run as `./dev api` to write it anew. An operation is full where a test proves each of its published parameters, filters
and statuses; what none proves is named. 500 is nothing to prove.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from shoal.server.operations import OPERATIONS, Answer, Operation
from tests.arch.source import ROOT
from tests.conformance.operations.proofs import Proof
from tests.engines.swagger import description_path

DOCUMENT = ROOT / "docs" / "api.md"
# The description tells them in prose only.
FILTERS = {
    "ContainerList": "ancestor before expose exited health id isolation is-task label name network publish since status"
    " volume",
    "ContainerPrune": "until label label!",
    "ImageList": "before dangling label reference since until",
    "ImagePrune": "dangling until label label!",
    "ImageSearch": "is-official stars",
    "NetworkList": "dangling driver id label name scope type",
    "NetworkPrune": "until label label!",
    "SystemEvents": "config container daemon event image label network node plugin scope secret service type volume",
    "VolumeList": "dangling driver label name",
    "VolumePrune": "label label! all",
    "BuildPrune": "until id parent type description inuse shared private",
}
# Bodies that are not JSON objects.
STREAMS = ("PutContainerArchive", "ImageLoad", "ImageBuild", "ImageCreate")
# What dockerd itself never answers: to a push of no image it tells the error in the stream of its progress.
# A name that another image has is taken from it, without a 409.
NEVER = {"SystemAuth": {204}, "ImagePush": {404}, "ImageTag": {409}}
HEAD = """# The Docker API, operation by operation

Written by `./dev api` from the tests in `tests/conformance/operations`: each of them says which parameters, filters and
statuses of an operation it proves, and fails where it did not ask for them. Every answer is held against the published
description of API v1.50. *Full*: all that is published is proven. *Partial*: what follows is not. 501, 503 and 404 are
the answers to what shoal does not have, each with a sentence; `docker inspect` falls through them.

shoald serves the versions 1.24 to 1.50: a client that pins one neither sees nor changes what came after it
(`src/shoal/api/gates.py`). A parameter that the published description does not have is passed over.

"""


def proofs() -> Iterator[Proof]:
    """What the tests say that they prove."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.conformance.operations.{path.stem}")
        for test in vars(module).values():
            yield from getattr(test, "proofs", ())


def expected(operation: Operation, published: dict[str, Any]) -> tuple[set[str], set[int]]:
    """The parameters and statuses that an operation has by the description."""
    described = published["paths"][operation.path][operation.method.lower()]
    names: set[str] = set()
    for parameter in described.get("parameters", ()):
        if parameter["in"] == "body":
            fields = _fields(parameter["schema"], published)
            names |= {f"body.{field}" for field in fields} if operation.id not in STREAMS else {"body"}
        elif parameter["in"] == "query" and parameter["name"] != "filters":
            names.add(parameter["name"])
    names |= {f"filters.{name}" for name in FILTERS.get(operation.id, "").split()}
    statuses = {int(status) for status in described["responses"]} - {500} - NEVER.get(operation.id, set())
    # 101 and 200 are two forms of one success, 101 for clients that ask for the upgrade.
    return names, statuses - {101, 200} if 101 in statuses else statuses


def _fields(schema: dict[str, Any], published: dict[str, Any], *, inside: bool = True) -> set[str]:
    """The fields of a body; those of a HostConfig too, by their own names."""
    if "$ref" in schema:
        return _fields(published["definitions"][schema["$ref"].rpartition("/")[2]], published, inside=inside)
    names: set[str] = set()
    for part in schema.get("allOf", ()):
        names |= _fields(part, published, inside=inside)
    for name, value in schema.get("properties", {}).items():
        if name == "HostConfig" and inside:
            names |= {f"HostConfig.{field}" for field in _fields(value, published, inside=False)}
        else:
            names.add(name)
    return names


def _state(operation: Operation, published: dict[str, Any], known: list[Proof]) -> str:
    if operation.answer is Answer.LATER:
        return f"501: {operation.words}"
    if operation.answer is Answer.SWARM:
        return "503: shoal is in no swarm"
    if operation.answer is Answer.PLUGIN:
        return "404: shoal has no plugins"
    names, statuses = expected(operation, published)
    for proof in known:
        if proof.operation == operation.id:
            names -= proof.parameters
            statuses -= proof.statuses
    missing = [*(f"`{name}`" for name in sorted(names)), *map(str, sorted(statuses))]
    return f"partial: {', '.join(missing)}" if missing else "full"


def text() -> str:
    """The whole document."""
    published = yaml.load(description_path().read_text(), yaml.CSafeLoader)
    known = list(proofs())
    states = {operation.id: _state(operation, published, known) for operation in OPERATIONS}
    counts = [sum(state.startswith(word) for state in states.values()) for word in ("full", "partial", "5", "404")]
    summary = "{} operations: {} full, {} partial, {} not served (501, 503), {} of plugins (404).\n\n"
    rows = ["| operation | | state |", "|---|---|---|"]
    rows += [f"| `{row.method} {row.path}` | {row.id} | {states[row.id]} |" for row in OPERATIONS]
    return HEAD + summary.format(len(OPERATIONS), *counts) + "\n".join(rows) + "\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        DOCUMENT.parent.mkdir(exist_ok=True)
        DOCUMENT.write_text(text(), encoding="utf-8")
    else:
        print(text())
