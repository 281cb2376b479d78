"""`shoal`: finds the verb, loads its module, runs it, and turns errors into words and exit codes.

Only the module of the asked verb is imported; the whole table of verbs costs one tuple.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from shoal import __version__
from shoal.cli.arguments import HelpShown, Parser, UsageError, parse
from shoal.cli.autostart import StartingTransport, find_shoald
from shoal.cli.context import Context, standard_context
from shoal.cli.exits import USAGE, ExitCode
from shoal.cli.verbs.table import GROUPS, VERBS, VerbEntry, load_verb
from shoal.client.client import Client
from shoal.client.transport import DEFAULT_HOST, Transport, UnixTransport, parse_host
from shoal.errors import ShoalError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `shoal ARGUMENTS` in this process; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    environment = os.environ
    host, words = _take_host(words)
    context: Context | None = None

    def open_client() -> Client:
        assert context is not None
        return _open_client(host, environment, context)

    context = standard_context(open_client, environment)
    try:
        code = run_words(words, context)
        context.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader of our output is gone (`shoal logs x | head`): end as a program that SIGPIPE ended would.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        return 130


def run_words(words: Sequence[str], context: Context) -> int:
    """The exit code of one command line without global flags; errors are reported to the context's stderr."""
    try:
        entry, rest = _find_verb(words)
        verb = load_verb(entry)
        parser = Parser(entry.name, entry.usage, entry.summary)
        verb.configure(parser)
        options = parse(parser, rest, verb.Options(), interspersed=not entry.takes_command)
        return verb.run(options, context)
    except HelpShown as help_shown:
        context.stdout.write(help_shown.text)
        return 0
    except ExitCode as exit_code:
        if exit_code.error is not None:
            context.report(exit_code.error)
        return exit_code.code
    except UsageError as error:
        context.report(error)
        return USAGE
    except ShoalError as error:
        context.report(error)
        return 1


def _take_host(words: list[str]) -> tuple[str, list[str]]:
    """The value of -H or --host before the verb ("" where there is none), and the words without it."""
    host = ""
    while words:
        first = words[0]
        if first in ("-H", "--host") and len(words) > 1:
            host, words = words[1], words[2:]
        elif first.startswith("--host="):
            host, words = first.removeprefix("--host="), words[1:]
        elif first.startswith("-H") and len(first) > 2:
            host, words = first[2:].removeprefix("="), words[1:]
        else:
            break
    return host, words


def _open_client(host: str, environment: Mapping[str, str], context: Context) -> Client:
    address = host or environment.get("DOCKER_HOST", "") or DEFAULT_HOST
    transport: Transport = parse_host(address)
    if isinstance(transport, UnixTransport) and transport.address == DEFAULT_HOST:
        transport = StartingTransport(transport, lambda text: context.warn(f"shoal: {text}"), program=find_shoald())
    return Client(transport, version=environment.get("DOCKER_API_VERSION", ""))


def _find_verb(words: Sequence[str]) -> tuple[VerbEntry, Sequence[str]]:
    """The entry of the verb in `words`, and the words after it; `container ls` and the like mean `ps`."""
    if not words or words[0] in ("--help", "-h", "help"):
        raise HelpShown(_overview())
    if words[0] in ("--version", "-v"):
        raise HelpShown(f"shoal version {__version__}\n")
    name, rest = words[0], words[1:]
    if name in GROUPS:
        if not rest or rest[0] == "--help":
            names = sorted(GROUPS[name])
            raise HelpShown(f"Usage: shoal {name} COMMAND\n\n" + "".join(f"  {word}\n" for word in names))
        inner, rest = rest[0], rest[1:]
        if inner not in GROUPS[name]:
            raise UsageError(f"'{name} {inner}' is not a shoal command", fix=f"shoal {name} --help")
        name = GROUPS[name][inner]
    for entry in VERBS:
        if entry.name == name or name in entry.aliases:
            return entry, rest
    if name.startswith("-"):
        raise UsageError(f"unknown flag: {name}", fix="shoal --help")
    raise UsageError(f"'{name}' is not a shoal command", fix="shoal --help")


def _overview() -> str:
    width = max(len(entry.name) for entry in VERBS)
    lines = [f"  {entry.name.ljust(width)}  {entry.summary}" for entry in VERBS]
    return (
        "Usage: shoal [-H HOST] COMMAND\n\nA container engine that any Docker client drives.\n\nCommands:\n"
        + "\n".join(lines)
        + f"\n\nThe engine is at -H, else DOCKER_HOST, else {DEFAULT_HOST}.\n`shoal COMMAND --help` tells more.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
