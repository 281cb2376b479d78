"""Holds an answer's JSON against the published description of the Docker API (Swagger 2.0): names, types, nulls, enums.

The description is not part of this repository: SHOAL_REFERENCE names the directory that has it, else it is looked for
beside the checkout.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
}


def description_path() -> Path:
    """Where the description of the API is, or would be."""
    default = Path(__file__).parents[3] / "shared" / "reference"
    return Path(os.environ.get("SHOAL_REFERENCE", default)) / "docker-api-v1.50.yaml"


class Description:
    """The Docker API as published."""

    def __init__(self, path: Path) -> None:
        self._api: dict[str, Any] = yaml.load(path.read_text(), yaml.CSafeLoader)

    def problems(self, method: str, path: str, status: int, answer: object) -> list[str]:
        """What is wrong with an answer to `method` on the path template `path`, one line each; none is right."""
        responses = {str(code): response for code, response in self._operation(method, path)["responses"].items()}
        if str(status) not in responses:
            return [f"{method} {path}: status {status} is not published"]
        schema = responses[str(status)].get("schema", {})
        return [f"{method} {path}: {problem}" for problem in self._check(answer, schema, "$")]

    def of_definition(self, name: str, value: object) -> list[str]:
        """What is wrong with a value of a published definition, one line each."""
        return [f"{name}: {problem}" for problem in self._check(value, self._api["definitions"][name], "$")]

    def _operation(self, method: str, path: str) -> dict[str, Any]:
        operation: dict[str, Any] = self._api["paths"][path][method.lower()]
        return operation

    def _resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        """The schema with its reference followed and its parts put together."""
        if "$ref" in schema:
            target = self._api["definitions"][schema["$ref"].rpartition("/")[2]]
            return self._resolve({**target, **{key: item for key, item in schema.items() if key != "$ref"}})
        if "allOf" not in schema:
            return schema
        merged: dict[str, Any] = {"properties": {}, "required": []}
        for part in [*schema["allOf"], {key: item for key, item in schema.items() if key != "allOf"}]:
            part = self._resolve(part)
            merged["properties"] |= part.get("properties", {})
            merged["required"] += part.get("required", [])
            merged |= {key: item for key, item in part.items() if key not in ("properties", "required")}
        return merged

    def _check(self, value: object, schema: dict[str, Any], where: str) -> Iterator[str]:
        schema = self._resolve(schema)
        if value is None:
            if not schema.get("x-nullable"):
                yield f"{where} is null"
            return
        kind = schema.get("type")
        is_flag = isinstance(value, bool)  # which Python takes for an integer
        if kind is not None and (not isinstance(value, _TYPES[kind]) or (is_flag and kind != "boolean")):
            yield f"{where} is {type(value).__name__} and not {kind}: {value!r}"
            return
        if "enum" in schema and value not in schema["enum"]:
            yield f"{where} is none of {schema['enum']}: {value!r}"
        if schema.get("format") == "dateTime" and isinstance(value, str) and not _DATE_TIME.fullmatch(value):
            yield f"{where} is no time: {value!r}"
        if isinstance(value, dict):
            yield from self._check_object(value, schema, where)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from self._check(item, schema.get("items", {}), f"{where}[{number}]")

    def _check_object(self, value: dict[str, object], schema: dict[str, Any], where: str) -> Iterator[str]:
        properties: dict[str, Any] = schema.get("properties", {})
        others = schema.get("additionalProperties", {} if not properties else None)
        yield from (f"{where}.{name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, item in value.items():
            if name in properties:
                yield from self._check(item, properties[name], f"{where}.{name}")
            elif others is None:
                yield f"{where}.{name} is not published"
            elif isinstance(others, dict):
                yield from self._check(item, others, f"{where}.{name}")
