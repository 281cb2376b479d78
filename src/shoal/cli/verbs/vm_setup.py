"""`shoal vm setup`: gets a kernel for containers in virtual machines."""

from __future__ import annotations

import os

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.verbs.vm_status import show


class Options(Flags):
    """The parsed flags."""

    kernel: str


def configure(parser: Parser) -> None:
    """Adds the flags of `shoal vm setup`."""
    parser.text(
        "--kernel",
        dest="kernel",
        help="a kernel's package (.deb), the directory it was unpacked into, or an image with modules in /lib/modules, "
        "instead of Debian's linux-image-cloud",
    )


def run(options: Options, context: Context) -> int:
    """Has the engine get it, which takes a while, and prints what is there now."""
    told = context.client.system.vm_setup(os.path.abspath(options.kernel) if options.kernel else "")
    show(told, context)
    return 0 if told.flag("Ready") else 1
