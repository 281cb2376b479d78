"""From a template's tree and a value to text."""

from __future__ import annotations

from shoal.cli.template.functions import FUNCTIONS, fail, shown, truth
from shoal.cli.template.nodes import (
    Assign,
    Branch,
    Command,
    Field,
    Literal,
    Node,
    Operand,
    Pipeline,
    Print,
    Text,
    Variable,
)
from shoal.cli.template.parser import parse_template
from shoal.cli.verbs.listing import Lookup
from shoal.client.document import Json


class Template:
    """A parsed `--format` text. Raises: InvalidArgument when the text is no template."""

    def __init__(self, text: str) -> None:
        self._nodes = parse_template(text)

    def render(self, value: Json) -> str:
        """The text for `value`. Raises: InvalidArgument when a field is missing or of the wrong kind."""
        return _render(self._nodes, value, {"": value})

    def fields(self) -> list[str]:
        """The names of the fields that are printed, in order: the headings of a table."""
        return [".".join(operand.path) for node in self._nodes if isinstance(node, Print) for operand in _leaves(node)]


def _leaves(node: Print) -> list[Field]:
    first = node.pipeline.commands[0]
    return [operand for operand in first.arguments if isinstance(operand, Field) and operand.path][:1]


def _render(nodes: tuple[Node, ...], dot: Json, variables: dict[str, Json]) -> str:
    parts: list[str] = []
    for node in nodes:
        if isinstance(node, Text):
            parts.append(node.text)
        elif isinstance(node, Print):
            parts.append(shown(_pipeline(node.pipeline, dot, variables)))
        elif isinstance(node, Assign):
            variables[node.name] = _pipeline(node.pipeline, dot, variables)
        else:
            parts.append(_branch(node, dot, variables))
    return "".join(parts)


def _branch(node: Branch, dot: Json, variables: dict[str, Json]) -> str:
    value = _pipeline(node.pipeline, dot, variables)
    if not truth(value):
        return _render(node.otherwise, dot, dict(variables))
    if node.kind == "if":
        return _render(node.body, dot, {**variables, **dict.fromkeys(node.names, value)})
    if node.kind == "with":
        return _render(node.body, value, {**variables, **dict.fromkeys(node.names, value)})
    if isinstance(value, dict):
        pairs: list[tuple[Json, Json]] = [(key, value[key]) for key in sorted(value)]
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    else:
        raise fail(f"range can't iterate over {shown(value)}")
    parts = []
    for key, item in pairs:
        named = dict(zip(node.names, (key, item) if len(node.names) > 1 else (item,), strict=False))
        parts.append(_render(node.body, item, {**variables, **named}))
    return "".join(parts)


def _pipeline(pipeline: Pipeline, dot: Json, variables: dict[str, Json]) -> Json:
    value: Json = None
    for position, command in enumerate(pipeline.commands):
        value = _command(command, dot, variables, (value,) if position else ())
    return value


def _command(command: Command, dot: Json, variables: dict[str, Json], piped: tuple[Json, ...]) -> Json:
    arguments = [_operand(operand, dot, variables) for operand in command.arguments]
    if not command.function:
        if len(arguments) > 1 or piped:
            return _method(arguments[0], [*arguments[1:], *piped])
        return arguments[0]
    try:
        return FUNCTIONS[command.function](*arguments, *piped)
    except TypeError:
        raise fail(f"wrong number of args for {command.function}") from None


def _method(method: Json, arguments: list[Json]) -> Json:
    """What `.Label "name"` gives: the only method there is looks a name up, and finds "" for one there is not."""
    if not isinstance(method, Lookup) or len(arguments) != 1:
        raise fail("can't give argument to non-function")
    found: Json = method.get(shown(arguments[0]), "")
    return found


def _operand(operand: Operand, dot: Json, variables: dict[str, Json]) -> Json:
    if isinstance(operand, Literal):
        return operand.value
    if isinstance(operand, Variable):
        return _variable(operand, variables)
    if isinstance(operand, Pipeline):
        return _pipeline(operand, dot, variables)
    base = dot if operand.base is None else _operand(operand.base, dot, variables)
    return _lookup(base, operand.path)


def _variable(variable: Variable, variables: dict[str, Json]) -> Json:
    if variable.name not in variables:
        raise fail(f'undefined variable "${variable.name}"')
    return variables[variable.name]


def _lookup(value: Json, path: tuple[str, ...]) -> Json:
    for key in path:
        if value is None:
            raise fail(f"nil pointer evaluating .{key}")
        if not isinstance(value, dict):
            raise fail(f"can't evaluate field {key} in {shown(value)}")
        if key not in value:
            raise fail(f'map has no entry for key "{key}"')
        value = value[key]
    return value
