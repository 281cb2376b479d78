"""`shoal stop`: stops running containers."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.verbs.each import for_each


class Options(Flags):
    """The parsed flags, of `restart` too."""

    signal: str
    time: int | None
    containers: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker stop`."""
    parser.text("-s", "--signal", dest="signal", help="Signal to send first")
    parser.integer("-t", "--timeout", "--time", dest="time", help="Seconds to wait before it is killed")
    parser.add_argument("containers", metavar="CONTAINER", nargs="+")


def run(options: Options, context: Context) -> int:
    """Stops each."""

    def stop(ref: str) -> None:
        context.client.containers.stop(ref, signal=options.signal, timeout_s=options.time)

    return for_each(options.containers, stop, context)
