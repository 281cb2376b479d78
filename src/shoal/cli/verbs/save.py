"""`shoal save`: images into an archive."""

from __future__ import annotations

import argparse
import os

from shoal.cli.arguments import Parser
from shoal.cli.context import Context
from shoal.client.http import Response
from shoal.errors import InvalidArgument


class Options(argparse.Namespace):
    """The parsed flags."""

    output: str
    images: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker save`."""
    parser.text("-o", "--output", dest="output", metavar="FILE", help="Write to this file instead of stdout")
    parser.add_argument("images", metavar="IMAGE", nargs="+")


def run(options: Options, context: Context) -> int:
    """Writes the archive."""
    if not options.output and context.stdout.isatty():
        raise InvalidArgument("cowardly refusing to save to a terminal", fix="shoal save -o FILE IMAGE, or redirect")
    response = context.client.images.save(options.images)
    if options.output:
        _write_file(options.output, response)
        return 0
    for chunk in response.chunks():
        context.output.write(chunk)
    context.output.flush()
    return 0


def _write_file(path: str, response: Response) -> None:
    """Writes beside the target and renames at the end: a save that breaks off leaves no half archive."""
    partial = f"{path}.{os.getpid()}.partial"
    try:
        with open(partial, "xb") as file:
            for chunk in response.chunks():
                file.write(chunk)
        os.replace(partial, path)
    except OSError as error:
        raise InvalidArgument(f"can't write {path}", why=error.strerror or str(error)) from None
    finally:
        if os.path.exists(partial):
            os.unlink(partial)
