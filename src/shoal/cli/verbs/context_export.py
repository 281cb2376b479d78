"""`shoal context export`: a context as a tar, keys included, for another machine."""

from __future__ import annotations

import io
import json
import os
import tarfile

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.contexts import ContextStore, StoredContext, check_name
from shoal.errors import Conflict, InvalidArgument


class Options(Flags):
    """The parsed words."""

    name: str
    file: str | None


def configure(parser: Parser) -> None:
    """Adds the words of `docker context export`."""
    parser.add_argument("name", metavar="CONTEXT")
    parser.add_argument("file", metavar="FILE|-", nargs="?")


def run(options: Options, context: Context) -> int:
    """Writes the file (NAME.dockercontext where none is named), which must be new; or standard output, for `-`."""
    check_name(options.name)
    content = _archive(ContextStore(context.config_directory).get(options.name))
    path = options.file or f"{options.name}.dockercontext"
    if path == "-":
        if context.stdout.isatty():
            raise InvalidArgument("cowardly refusing to export to a terminal, specify a file path")
        context.output.write(content)
        return 0
    try:
        # For its owner only: there may be a key in it.
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Conflict(f"could not write {path}", why=error.strerror or "", fix="name another file") from None
    with os.fdopen(fd, "wb") as file:
        file.write(content)
    context.warn(f'Written file "{path}"')
    return 0


def _archive(stored: StoredContext) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        members = {"meta.json": json.dumps(stored.metadata(), separators=(",", ":")).encode()}
        members.update({f"tls/docker/{name}": content for name, content in stored.tls.items()})
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o600
            tar.addfile(member, io.BytesIO(content))
    return output.getvalue()
