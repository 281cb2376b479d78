"""COPY and ADD, from the statement to the instruction. Docker's Dockerfile reference §COPY, §ADD. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shoal.build.dockerfile.flags import Flags, Kind
from shoal.build.dockerfile.heredocs import heredoc_of
from shoal.build.dockerfile.instructions import Add, Copy, Heredoc
from shoal.build.dockerfile.lines import Statement
from shoal.build.dockerfile.words import split_spaces

_BOTH: Mapping[str, Kind] = {"chown": "text", "chmod": "text", "link": "boolean", "exclude": "list"}
_COPY: Mapping[str, Kind] = {**_BOTH, "from": "text", "parents": "boolean"}
_ADD: Mapping[str, Kind] = {**_BOTH, "keep-git-dir": "boolean", "checksum": "text", "unpack": "boolean"}


def read_copy(statement: Statement) -> Copy:
    """The COPY of a statement.

    Raises: DockerfileError.
    """
    flags = Flags(statement, _COPY)
    if re.search(r"\$.", flags.text("from")):
        sentence = f"'{flags.text('from')}' doesn't support variable expansion, define alias stage instead"
        raise statement.refuse(sentence, at="--from", fix="begin a stage with `FROM $variable AS name`")
    sources, heredocs, destination = _paths(statement)
    return Copy(
        span=statement.span,
        original=statement.original,
        sources=sources,
        destination=destination,
        heredocs=heredocs,
        from_name=flags.text("from"),
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=flags.boolean("link"),
        parents=flags.boolean("parents"),
        excludes=flags.all("exclude"),
    )


def read_add(statement: Statement) -> Add:
    """The ADD of a statement.

    Raises: DockerfileError.
    """
    flags = Flags(statement, _ADD)
    sources, heredocs, destination = _paths(statement)
    return Add(
        span=statement.span,
        original=statement.original,
        sources=sources,
        destination=destination,
        heredocs=heredocs,
        chown=flags.text("chown"),
        chmod=flags.text("chmod"),
        link=flags.boolean("link"),
        excludes=flags.all("exclude"),
        keep_git_dir=flags.boolean("keep-git-dir"),
        checksum=flags.text("checksum"),
        unpack=flags.boolean_or_none("unpack"),
    )


def _paths(statement: Statement) -> tuple[tuple[str, ...], tuple[Heredoc, ...], str]:
    """The paths that are copied, the documents that are, and where they go."""
    words = statement.json(statement.argument)
    if words is None:
        words = split_spaces(statement.argument)
    name = statement.name
    if not words:
        raise statement.refuse(f"{name} requires at least two arguments", fix=f"write `{name} source destination`")
    if len(words) == 1:
        only = f"{name} requires at least two arguments, but only one was provided. Destination could not be determined"
        raise statement.refuse(only, at=words[0])
    *sources, destination = words
    if heredoc_of(destination) is not None and statement.heredocs:
        raise statement.refuse(f"{name} cannot accept a heredoc as a destination", at=destination)
    contents = {heredoc.name: heredoc for heredoc in statement.heredocs}
    paths: list[str] = []
    documents: list[Heredoc] = []
    for source in sources:
        announced = heredoc_of(source)
        if announced is not None and announced.name in contents:
            documents.append(contents[announced.name])
        else:
            paths.append(source)
    return tuple(paths), tuple(documents), destination
