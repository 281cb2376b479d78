"""`shoal info`: the engine's state and what it can do here."""

from __future__ import annotations

from shoal.cli.arguments import Flags, Parser
from shoal.cli.context import Context
from shoal.cli.quantities import binary_size
from shoal.cli.verbs.listing import field_rows
from shoal.client.document import Document

# (heading, field); an empty value is left out.
_LINES = (
    ("Server Version", "ServerVersion"),
    ("Storage Driver", "Driver"),
    ("Logging Driver", "LoggingDriver"),
    ("Cgroup Driver", "CgroupDriver"),
    ("Cgroup Version", "CgroupVersion"),
    ("Default Runtime", "DefaultRuntime"),
    ("Kernel Version", "KernelVersion"),
    ("Operating System", "OperatingSystem"),
    ("OSType", "OSType"),
    ("Architecture", "Architecture"),
    ("CPUs", "NCPU"),
    ("Total Memory", "MemTotal"),
    ("Name", "Name"),
    ("ID", "ID"),
    ("Docker Root Dir", "DockerRootDir"),
    ("Live Restore Enabled", "LiveRestoreEnabled"),
)


class Options(Flags):
    """The parsed flags."""

    format: str


def configure(parser: Parser) -> None:
    """Adds the flags of `docker info`."""
    parser.text("-f", "--format", dest="format", help="json, or a Go template")


def run(options: Options, context: Context) -> int:
    """Prints it."""
    info = context.client.system.info()
    if options.format:
        field_rows([info.raw], options.format, context)
        return 0
    context.print(f"Containers: {info.number('Containers')}")
    for state in ("Running", "Paused", "Stopped"):
        context.print(f" {state}: {info.number(f'Containers{state}')}")
    context.print(f"Images: {info.number('Images')}")
    for heading, field in _LINES:
        value = binary_size(info.number(field)) if field == "MemTotal" else info.value(field)
        if value not in (None, ""):
            context.print(f"{heading}: {_word(value)}")
    _print_lists(info, context)
    return 0


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _print_lists(info: Document, context: Context) -> None:
    if info.texts("SecurityOptions"):
        context.print("Security Options:")
        for option in info.texts("SecurityOptions"):
            context.print(f" {option.removeprefix('name=')}")
    for warning in info.texts("Warnings"):
        context.warn(warning)
