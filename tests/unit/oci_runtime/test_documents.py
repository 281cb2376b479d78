"""What `shoal-runtime` writes, against the specification's schemas; the specifications that it writes are its own food.

The schemas are not part of this repository: SHOAL_REFERENCE names the directory that has them, else they are looked for
beside the checkout.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from shoal.oci_runtime.bundle import check, parse_spec
from shoal.oci_runtime.records import CREATED, STOPPED, Record
from shoal.oci_runtime.verbs.describing import default_spec, runtime_features

_BESIDE = Path(__file__).parents[4] / "shared" / "reference"
SCHEMAS = Path(os.environ.get("SHOAL_REFERENCE", _BESIDE)) / "oci-runtime-schema"


def problems(schema: str, document: object) -> list[str]:
    """What the schema has against a document."""
    if not SCHEMAS.is_dir():
        pytest.skip(f"the specification's schemas are not in {SCHEMAS}")

    def find(uri: str) -> Resource[Any]:
        return Resource(json.loads((SCHEMAS / uri.rpartition("/")[2]).read_text()), DRAFT4)

    registry: Registry[Any] = Registry(retrieve=find)  # type: ignore[call-arg]
    validator = Draft4Validator({"$ref": schema}, registry=registry)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


@pytest.mark.parametrize("rootless", [False, True])
def test_default_spec_is_one(rootless: bool) -> None:
    """What `spec` writes keeps to the schema, and `create` takes it."""
    document = default_spec(rootless=rootless)
    assert problems("config-schema.json", document) == []
    check(parse_spec(json.dumps(document).encode()))


def test_features_keep_to_the_schema() -> None:
    """`features` is what the specification describes."""
    assert problems("features-schema.json", runtime_features()) == []


@pytest.mark.parametrize("status", [CREATED, STOPPED])
def test_state_keeps_to_the_schema(status: str) -> None:
    """`state` and what hooks get is what the specification describes."""
    record = Record("one", "/bundle", "/bundle/rootfs", "2026-01-01T00:00:00Z", {"a": "b"})
    record.pid = 42
    state = record.state(status)
    assert problems("state-schema.json", state) == []
    assert state["pid"] == (0 if status == STOPPED else 42)
