"""`shoal context import`: a context out of the tar that `export` wrote, here or on another machine."""

from __future__ import annotations

import io
import tarfile

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.contexts import TLS_FILES, ContextStore, StoredContext
from shoal.client.document import parse_document
from shoal.errors import InvalidArgument, NotFound

_MOST_BYTES = 10 << 20
_TLS_PREFIX = "tls/docker/"
_MEMBERS = frozenset(("meta.json", *(_TLS_PREFIX + name for name in TLS_FILES)))


class Options(Flags):
    """The parsed words."""

    name: str
    file: str


def configure(parser: Parser) -> None:
    """Adds the words of `docker context import`."""
    parser.add_argument("name", metavar="CONTEXT")
    parser.add_argument("file", metavar="FILE|-")


def run(options: Options, context: Context) -> int:
    """Keeps it under the given name, and prints that."""
    stored = _read(_content(options.file, context))
    stored.name = options.name
    ContextStore(context.config_directory).add(stored)
    context.print(options.name)
    context.warn(f'Successfully imported context "{options.name}"')
    return 0


def _content(path: str, context: Context) -> bytes:
    try:
        if path == "-":
            content = context.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with open(path, "rb") as file:
                content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise NotFound(f"could not read {path}", why=error.strerror or "") from None
    if len(content) > _MOST_BYTES:
        raise InvalidArgument(f"{path} is no exported context", why=f"it has more than {_MOST_BYTES >> 20} MiB")
    return content


def _read(content: bytes) -> StoredContext:
    """The context in an archive, of which only the members that a context has are looked at. Nothing is unpacked."""
    members: dict[str, bytes] = {}
    # What Docker's client exports ends with the last byte of the last file: the rest of its block is missing.
    content += bytes(-len(content) % tarfile.BLOCKSIZE)
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                # The others may be many, and unpack to any size.
                is_wanted = name in _MEMBERS and member.isfile() and member.size <= _MOST_BYTES
                file = tar.extractfile(member) if is_wanted else None
                if file is not None:
                    members[name] = file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InvalidArgument("this is no exported context", why=str(error)) from None
    if "meta.json" not in members:
        raise InvalidArgument("invalid context: no metadata found", fix="give a file that `context export` wrote")
    meta = parse_document(members["meta.json"], "meta.json of the archive")
    return StoredContext(
        name="",
        description=meta.text("Metadata", "Description"),
        host=meta.text("Endpoints", "docker", "Host"),
        skip_verify=meta.flag("Endpoints", "docker", "SkipTLSVerify"),
        tls={name: members[_TLS_PREFIX + name] for name in TLS_FILES if _TLS_PREFIX + name in members},
    )
