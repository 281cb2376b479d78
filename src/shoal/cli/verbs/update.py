"""`shoal update`: other limits and another restart policy for containers, running or not."""

from __future__ import annotations

from shoal.cli.arguments import Parser
from shoal.cli.container.flags import FLAGS, FlagOptions, add_flags
from shoal.cli.container.request import update_request
from shoal.cli.context import Context
from shoal.cli.verbs.each import for_each
from shoal.errors import InvalidArgument

_NAMES = frozenset(
    (
        *("--memory", "--memory-swap", "--memory-reservation", "--cpus", "--cpu-shares", "--cpu-period", "--cpu-quota"),
        *(
            "--cpu-rt-period",
            "--cpu-rt-runtime",
            "--cpuset-cpus",
            "--cpuset-mems",
            "--pids-limit",
            "--blkio-weight",
            "--restart",
        ),
    )
)
_FLAGS = tuple(flag for flag in FLAGS if flag.names[-1] in _NAMES)


class Options(FlagOptions):
    """The parsed flags."""

    containers: list[str]


def configure(parser: Parser) -> None:
    """Adds the flags of `docker update`, the same as those of `run`."""
    add_flags(parser, _FLAGS)
    parser.add_argument("containers", metavar="CONTAINER", nargs="+")


def run(options: Options, context: Context) -> int:
    """Changes each."""
    limits = update_request(options, _FLAGS)
    if not limits:
        raise InvalidArgument("you must provide one or more flags when using this command", fix="shoal update --help")

    def update(ref: str) -> None:
        for warning in context.client.containers.update(ref, limits).texts("Warnings"):
            context.warn(f"WARNING: {warning}")

    return for_each(options.containers, update, context)
