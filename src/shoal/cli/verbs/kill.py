"""`shoal kill`: sends a signal to the PID 1 of containers."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.verbs.each import for_each


class Options(Flags):
    """The parsed flags."""

    signal: str
    containers: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker kill`."""
    parser.text("-s", "--signal", dest="signal", help="Signal to send (KILL)")
    parser.add_argument("containers", metavar="CONTAINER", nargs="+")


def run(options: Options, context: Context) -> int:
    """Signals each."""

    def kill(ref: str) -> None:
        context.client.containers.kill(ref, signal=options.signal)

    return for_each(options.containers, kill, context)
