"""From the text of a template to its tree (Go text/template, the parts in `nodes`)."""

from __future__ import annotations

import json
import re

from shoal.cli.template.functions import FUNCTIONS
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
from shoal.errors import InvalidArgument

_ACTION = re.compile(r"\{\{(-\s)?\s*(.*?)\s*(\s-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)
      | (?P<number>-?\d+(?:\.\d+)?)
      | (?P<field>(?:\.[A-Za-z_]\w*)+)
      | (?P<dot>\.)
      | (?P<variable>\$\w*)
      | (?P<word>[A-Za-z_]\w*)
      | (?P<mark>:=|[|(),=])
    )""",
    re.VERBOSE,
)
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "nil": None}

Token = tuple[str, str]


def parse_template(text: str) -> tuple[Node, ...]:
    """The tree of `text`. Raises: InvalidArgument."""
    pieces = _split(text)
    nodes, end = _nodes(pieces, 0, nested=False)
    assert end == len(pieces)
    return nodes


def _fail(why: str) -> InvalidArgument:
    return InvalidArgument("template parsing error", why=why, fix="write fields like {{.Names}}, or {{json .}} for all")


def _split(text: str) -> list[Text | list[Token]]:
    """Texts and the tokens of actions in turn, with the white space of trim markers removed."""
    pieces: list[Text | list[Token]] = []
    position, trim = 0, False
    for match in _ACTION.finditer(text):
        before = text[position : match.start()]
        before = before.lstrip() if trim else before
        before = before.rstrip() if match[1] else before
        pieces.append(Text(before))
        if not match[2].startswith("/*"):
            pieces.append(_tokens(match[2]))
        position, trim = match.end(), bool(match[3])
    rest = text[position:]
    if "{{" in rest:
        raise _fail("unclosed action")
    pieces.append(Text(rest.lstrip() if trim else rest))
    return pieces


def _tokens(action: str) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    while action[position:].strip():
        match = _TOKEN.match(action, position)
        if match is None:
            raise _fail(f"unexpected {action[position:].strip()[0]!r} in {action!r}")
        kind = match.lastgroup or ""
        # `(x).Field` and `$x.Field` differ from `x .Field` only by the space before the dot.
        if kind == "field" and match.start("field") == position and tokens and tokens[-1] != ("mark", "("):
            kind = "tail"
        tokens.append((kind, match[kind if kind != "tail" else "field"]))
        position = match.end()
    if not tokens:
        raise _fail("missing value for command")
    return tokens


def _nodes(pieces: list[Text | list[Token]], start: int, *, nested: bool) -> tuple[tuple[Node, ...], int]:
    """The nodes from `start` to the matching `else` or `end` (its index is returned), or to the end of the text."""
    nodes: list[Node] = []
    index = start
    while index < len(pieces):
        piece = pieces[index]
        if isinstance(piece, Text):
            nodes.append(piece)
        elif piece[0] in (("word", "end"), ("word", "else")):
            if not nested:
                raise _fail(f"unexpected {{{{{piece[0][1]}}}}}")
            return tuple(nodes), index
        elif piece[0][0] == "word" and piece[0][1] in ("if", "with", "range"):
            branch, index = _branch(pieces, index, piece)
            nodes.append(branch)
        else:
            nodes.append(_simple(piece))
        index += 1
    if nested:
        raise _fail("unexpected EOF, an {{end}} is missing")
    return tuple(nodes), index


def _branch(pieces: list[Text | list[Token]], index: int, tokens: list[Token]) -> tuple[Branch, int]:
    kind, rest = tokens[0][1], tokens[1:]
    names: tuple[str, ...] = ()
    if ("mark", ":=") in rest:
        cut = rest.index(("mark", ":="))
        names = tuple(text[1:] for what, text in rest[:cut] if what == "variable")
        rest = rest[cut + 1 :]
    pipeline = _pipeline(rest)
    body, index = _nodes(pieces, index + 1, nested=True)
    closing = pieces[index]
    assert isinstance(closing, list)
    otherwise: tuple[Node, ...] = ()
    if closing[0][1] == "else" and len(closing) > 1:
        nested, index = _branch(pieces, index, closing[1:])
        otherwise = (nested,)
    elif closing[0][1] == "else":
        otherwise, index = _nodes(pieces, index + 1, nested=True)
    return Branch(kind, names, pipeline, body, otherwise), index


def _simple(tokens: list[Token]) -> Node:
    if len(tokens) > 2 and tokens[0][0] == "variable" and tokens[1] in (("mark", ":="), ("mark", "=")):
        return Assign(tokens[0][1][1:], _pipeline(tokens[2:]))
    return Print(_pipeline(tokens))


def _pipeline(tokens: list[Token]) -> Pipeline:
    commands: list[Command] = []
    here: list[Token] = []
    depth = 0
    for token in [*tokens, ("mark", "|")]:
        depth += {"(": 1, ")": -1}.get(token[1], 0) if token[0] == "mark" else 0
        if token == ("mark", "|") and depth == 0:
            commands.append(_command(here))
            here = []
        else:
            here.append(token)
    if depth:
        raise _fail("unclosed left paren")
    return Pipeline(tuple(commands))


def _command(tokens: list[Token]) -> Command:
    if not tokens:
        raise _fail("missing value for command")
    kind, text = tokens[0]
    if kind == "word" and text not in _CONSTANTS:
        if text not in FUNCTIONS:
            raise _fail(f'function "{text}" not defined')
        return Command(text, _operands(tokens[1:]))
    operands = _operands(tokens)
    if len(operands) > 1 and not isinstance(operands[0], Field):
        raise _fail("can't give argument to non-function")
    return Command("", operands)


def _operands(tokens: list[Token]) -> tuple[Operand, ...]:
    operands: list[Operand] = []
    index = 0
    while index < len(tokens):
        kind, text = tokens[index]
        if kind == "tail":
            operands[-1] = _with_tail(operands[-1], text)
        elif (kind, text) == ("mark", "("):
            end = _closing(tokens, index)
            operands.append(_pipeline(tokens[index + 1 : end]))
            index = end
        else:
            operands.append(_operand(kind, text))
        index += 1
    return tuple(operands)


def _with_tail(base: Operand, tail: str) -> Field:
    path = tuple(tail[1:].split("."))
    if isinstance(base, (Variable, Pipeline)):
        return Field(base, path)
    raise _fail(f"unexpected {tail!r}")


def _closing(tokens: list[Token], start: int) -> int:
    depth = 0
    for index in range(start, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[index][1], 0) if tokens[index][0] == "mark" else 0
        if depth == 0:
            return index
    raise _fail("unclosed left paren")


def _operand(kind: str, text: str) -> Operand:
    if kind == "field":
        return Field(None, tuple(text[1:].split(".")))
    if kind == "dot":
        return Field(None, ())
    if kind == "variable":
        return Variable(text[1:])
    if kind == "number":
        return Literal(float(text) if "." in text else int(text))
    if kind == "string":
        return Literal(text[1:-1] if text.startswith("`") else _unquoted(text))
    if kind == "word" and text in _CONSTANTS:
        return Literal(_CONSTANTS[text])
    if kind == "word" and text in FUNCTIONS:
        return Pipeline((Command(text, ()),))
    raise _fail(f"unexpected {text!r} in operand")


def _unquoted(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise _fail(f"bad string {text}: {error}") from None
    assert isinstance(value, str)
    return value
