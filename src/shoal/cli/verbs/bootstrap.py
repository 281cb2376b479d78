"""`shoal bootstrap`: a base image from this machine's own programs, where no registry can be reached."""

from __future__ import annotations

import os
import re
import shutil
import tempfile

from shoal.cli.arguments import Flags, Parser
from shoal.cli.bootstrap.architecture import architecture
from shoal.cli.bootstrap.busybox import busybox_tar
from shoal.cli.bootstrap.debian import build_debian
from shoal.cli.context import Context
from shoal.errors import InvalidArgument, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SUITE = re.compile(r"[a-z][a-z0-9.-]*\Z")
_READ_BYTES = 1 << 20


class Options(Flags):
    """The parsed flags."""

    tag: str
    include: list[str]
    variant: str
    mirror: str
    work_dir: str
    system: str


def configure(parser: Parser) -> None:
    """Adds the flags of the verb, which Docker does not have."""
    parser.text("-t", "--tag", dest="tag", metavar="NAME[:TAG]", help="Another name (busybox:latest, debian:SUITE)")
    parser.texts("--include", dest="include", metavar="PACKAGE", help="Debian: install this package too (repeatable)")
    parser.text("--variant", dest="variant", default="minbase", help="Debian: mmdebstrap's set of packages (minbase)")
    parser.text("--mirror", dest="mirror", metavar="URL", help="Debian: take the packages from here")
    parser.text("--work-dir", dest="work_dir", metavar="DIR", default="/var/tmp", help="Debian: build here (/var/tmp)")
    parser.add_argument("system", metavar="debian:SUITE|busybox")


def run(options: Options, context: Context) -> int:
    """Makes the image and prints its id; tells on standard error what happens."""
    kind, _, suite = options.system.partition(":")
    if options.system == "busybox":
        _import([busybox_tar(shutil.which("busybox") or "busybox")], "sh", "busybox:latest", options, context)
    elif kind == "debian" and _SUITE.match(suite):
        _debian(suite, options, context)
    else:
        raise InvalidArgument(
            f"shoal cannot make {options.system!r} from this machine's programs",
            fix="shoal bootstrap debian:bookworm, or shoal bootstrap busybox",
        )
    return 0


def _debian(suite: str, options: Options, context: Context) -> None:
    try:
        directory = tempfile.mkdtemp(prefix="shoal-bootstrap-", dir=options.work_dir)
    except OSError as error:
        raise Unavailable(f"can't use {options.work_dir}", why=error.strerror or "", fix="--work-dir DIR") from None
    try:
        target = os.path.join(directory, "root.tar")
        build_debian(
            suite,
            target,
            directory,
            context.warn,
            variant=options.variant,
            include=options.include,
            mirror=options.mirror,
        )
        _import(_pieces(target), "bash", f"debian:{suite}", options, context)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _import(tar: Iterable[bytes], command: str, name: str, options: Options, context: Context) -> None:
    for message in context.client.images.import_archive(
        "-",
        tar,
        repo=options.tag or name,
        changes=[f'CMD ["{command}"]'],
        message=f"shoal bootstrap {options.system}",
        platform=f"linux/{architecture()}",
    ):
        if message.text("status") and not message.mapping("progressDetail"):
            context.print(message.text("status"))


def _pieces(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(_READ_BYTES):
            yield piece
