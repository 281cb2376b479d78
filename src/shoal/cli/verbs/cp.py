"""`shoal cp`: copies files between a container and the user's directories or pipes."""

from __future__ import annotations

import os
from collections.abc import Iterator

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.quantities import decimal_size
from shoal.client.copies.packing import pack
from shoal.client.copies.places import Location, arrival, asserts_directory, names_content, parse_location, split_entry
from shoal.client.copies.unpacking import unpack
from shoal.errors import InvalidArgument, NotFound

_PIECE_BYTES = 256 * 1024


class Options(Flags):
    """The parsed flags."""

    archive: bool
    follow: bool
    quiet: bool
    source: str
    target: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker cp`."""
    parser.toggle("-a", "--archive", dest="archive", help="Make the container's user the owner of what is copied")
    parser.toggle("-L", "--follow-link", dest="follow", help="Copy what a link at SRC leads to")
    parser.toggle("-q", "--quiet", dest="quiet", help="Do not tell how much was copied")
    parser.add_argument("source", metavar="SRC")
    parser.add_argument("target", metavar="DEST")


def run(options: Options, context: Context) -> int:
    """Copies in the one direction or the other."""
    source, target = parse_location(options.source), parse_location(options.target)
    if source.container and target.container:
        raise InvalidArgument("copying between containers is not supported", fix="shoal cp A:/x - | shoal cp - B:/")
    if source.container:
        size = _copy_out(source, target.path, options, context)
    elif target.container:
        size = _copy_in(source.path, target, options, context)
    else:
        raise InvalidArgument("must specify at least one container source", fix="name it, as in web:/etc/hosts")
    if not options.quiet and "-" not in (options.source, options.target) and context.stderr.isatty():
        context.warn(f"Successfully copied {decimal_size(size)} to {options.target}")
    return 0


def _copy_out(source: Location, target: str, options: Options, context: Context) -> int:
    """Copy to the user's files; returns the archive's size."""
    archives = context.client.archives
    path, rename = source.path, ""
    if options.follow:
        found = archives.stat(source.container, path)
        if found.is_link:
            path, rename = found.link_target, os.path.basename(path)
    if target == "-":
        for chunk in archives.read(source.container, path)[1].chunks():
            context.output.write(chunk)
        context.output.flush()
        return 0
    local = _resolved(target)
    directory = os.path.dirname(local.rstrip("/")) or "/"
    if not os.path.isdir(directory):
        raise InvalidArgument(f'invalid output path: directory "{directory}" does not exist', fix="create it first")
    found, response = archives.read(source.container, path)
    exists = os.path.isdir(local) if os.path.lexists(local.rstrip("/")) else None
    try:
        arriving = arrival(path, local, is_directory=found.is_directory, rename=rename, target_is_directory=exists)
        return unpack(response.chunks(), arriving)
    except BaseException:
        response.close()
        raise


def _resolved(path: str) -> str:
    """The user's path with its links followed, and the slash or `/.` that stood behind it."""
    real = os.path.realpath(path)
    if names_content(path):
        return os.path.join(real, ".")
    return real.rstrip("/") + "/" if path.endswith("/") else real


def _copy_in(source: str, target: Location, options: Options, context: Context) -> int:
    """Copy to the container's files; returns the archive's size."""
    archives = context.client.archives
    path = "/" + target.path.lstrip("/")
    is_directory: bool | None = None
    try:
        found = archives.stat(target.container, path)
        if found.is_link:
            path = found.link_target
            found = archives.stat(target.container, path)
        is_directory = found.is_directory
    except NotFound:
        # Its directory may exist. When the container itself is missing the copy says so.
        pass
    sent = _Counter()
    if source == "-":
        if not is_directory:
            raise InvalidArgument(f'destination "{target.container}:{target.path}" must be a directory')
        chunks = sent.counted(iter(lambda: context.stdin.buffer.read(_PIECE_BYTES), b""))
        archives.write(target.container, path, chunks, copy_owner=options.archive)
        return sent.size
    local, rename = _local_source(source, follow=options.follow)
    is_tree = os.path.isdir(local) and (asserts_directory(local) or not os.path.islink(local))
    arriving = arrival(local, path, is_directory=is_tree, rename=rename, target_is_directory=is_directory)
    chunks = sent.counted(pack(local, arriving))
    archives.write(target.container, arriving.directory, chunks, copy_owner=options.archive)
    return sent.size


def _local_source(source: str, *, follow: bool) -> tuple[str, str]:
    """The absolute path to copy from, and the name to give it where a link was followed. Raises: InvalidArgument."""
    try:
        os.stat(source) if asserts_directory(source) else os.lstat(source)
    except OSError as error:
        raise InvalidArgument(f"lstat {source}: {(error.strerror or str(error)).lower()}") from None
    if follow and os.path.islink(source):
        return os.path.realpath(source), os.path.basename(source)
    directory, base = split_entry(os.path.abspath(source) + ("/." if names_content(source) else ""))
    if asserts_directory(source) and os.path.islink(source.rstrip("/")):
        return os.path.realpath(source) + ("/." if names_content(source) else ""), base if base != "." else ""
    return os.path.join(directory, base), ""


class _Counter:
    """Counts what passes."""

    def __init__(self) -> None:
        self.size = 0

    def counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The same chunks."""
        for chunk in chunks:
            self.size += len(chunk)
            yield chunk
