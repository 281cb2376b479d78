"""`shoal volume create`: makes a volume, and prints its name."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser, UsageError
from shoal.cli.container.values import labels
from shoal.cli.context import Context


class Options(Flags):
    """The parsed flags."""

    driver: str
    label: list[str]
    opt: list[str]
    name: str
    volume: str | None


def configure(parser: Parser) -> None:
    """Adds the flags of `docker volume create`."""
    parser.text("-d", "--driver", dest="driver", help="The volume's driver: local", default="local")
    parser.texts("--label", dest="label", help="Set metadata (NAME=VALUE)")
    parser.texts("-o", "--opt", dest="opt", help="An option of the driver (type, o, device)")
    parser.text("--name", dest="name", help="The volume's name, as an option")
    parser.add_argument("volume", metavar="VOLUME", nargs="?")


def run(options: Options, context: Context) -> int:
    """Makes it; without a name it is an anonymous one."""
    if options.name and options.volume:
        raise UsageError(
            "conflicting options: cannot specify a volume name through both --name and as a positional arg",
            fix="give the name once",
        )
    made = context.client.volumes.create(
        options.name or options.volume or "",
        driver=options.driver,
        options={name: str(value) for name, value in labels(options.opt).items()},
        labels={name: str(value) for name, value in labels(options.label).items()},
    )
    context.print(made.text("Name"))
    return 0
