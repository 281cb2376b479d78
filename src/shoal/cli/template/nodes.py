"""The tree of a parsed template. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from shoal.client.document import Json


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant in an action."""

    value: Json


@dataclass(frozen=True, slots=True)
class Field:
    """`.A.B`, `$.A`, `$x.A`, or `(pipeline).A`: `path` looked up in `base` (None: the dot)."""

    base: Variable | Pipeline | None
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """`$` (name "") or `$name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Command:
    """A function with arguments; or (function "") one operand, or a field that is a method, with its arguments."""

    function: str
    arguments: tuple[Literal | Field | Variable | Pipeline, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each result the last argument of the next."""

    commands: tuple[Command, ...]


Operand = Literal | Field | Variable | Pipeline


@dataclass(frozen=True, slots=True)
class Text:
    """What stands outside of actions."""

    text: str


@dataclass(frozen=True, slots=True)
class Print:
    """`{{pipeline}}`."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Assign:
    """`{{$name := pipeline}}`."""

    name: str
    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Branch:
    """`{{if}}`, `{{with}}` or `{{range}}` with their `{{else}}`; `names` are range's variables."""

    kind: str
    names: tuple[str, ...]
    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


Node = Text | Print | Assign | Branch
