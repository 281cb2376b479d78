"""`shoal`: finds the verb, loads its module, runs it, and turns errors into words and exit codes.

Only the module of the asked verb is imported, and nothing that a plain `shoal ps` does without: the start of this
program is what its users wait for most often.
"""

from __future__ import annotations

import os
import sys

from shoal import __version__
from shoal.cli.arguments import HelpShown, Parser, UsageError, WrongWords, parse
from shoal.cli.context import Context, standard_context
from shoal.cli.exits import ExitCode
from shoal.cli.globals import add_global_flags, take_global_flags
from shoal.cli.verbs.table import GROUPS, VERBS, VerbEntry, load_verb, spellings
from shoal.errors import ShoalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# What the help says of groups that are no object's: of the others, that they manage it.
_GROUP_WORDS = {
    "system": "Manage the engine",
    "why": "Tell why something has happened",
    "vm": "Prepare virtual machines for containers",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `shoal ARGUMENTS` in this process; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    context = standard_context(os.environ)
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
    """The exit code of one command line; errors are reported to the context's stderr."""
    try:
        if words and words[0] == "__complete":
            from shoal.cli.completion import complete

            return complete(list(words[1:]), context)
        rest = take_global_flags(words, context)
        entry, called, rest = _find_verb(rest)
        verb = load_verb(entry)
        parser = Parser(called, entry.usage, entry.summary, spellings(entry))
        verb.configure(parser)
        options = parse(parser, rest, verb.Options(), interspersed=not entry.takes_command)
        return verb.run(options, context)
    except HelpShown as help_shown:
        (context.stdout if help_shown.is_asked else context.stderr).write(help_shown.text)
        return 0
    except ExitCode as exit_code:
        if exit_code.error is not None:
            context.report(exit_code.error)
        return exit_code.code
    except UsageError as error:
        context.report(error)
        _show_usage(error, context)
        return error.code
    except ShoalError as error:
        context.report(error)
        return 1


def _show_usage(error: UsageError, context: Context) -> None:
    if error.usage:
        context.warn(f"\nUsage:  {error.usage}")
    if error.command:
        context.warn(f"\nRun '{error.command} --help' for more information")


def _find_verb(words: Sequence[str]) -> tuple[VerbEntry, str, Sequence[str]]:
    """The entry of the verb in `words`, how it was called, and the words after it; `container ls` and the like mean
    `ps`."""
    if words and words[0] == "help":
        words = [*words[1:], "--help"]
    if not words or words[0] in ("--help", "-h"):
        raise HelpShown(overview())
    name, rest = words[0], words[1:]
    called = name
    if name in GROUPS and not (_entry_named(name) and _is_for_verb(name, rest)):
        if not rest or rest[0] in ("--help", "-h"):
            raise HelpShown(_group_overview(name), is_asked=bool(rest))
        inner, rest = rest[0], rest[1:]
        if inner not in GROUPS[name]:
            raise _unknown(f"{name} {inner}", inner, list(GROUPS[name]), f"shoal {name}")
        called = f"{name} {inner}"
        name = GROUPS[name][inner]
    entry = _entry_named(name)
    if entry is None:
        known = [entry.name for entry in VERBS if " " not in entry.name] + list(GROUPS)
        raise _unknown(name, name, known, "shoal")
    return entry, called, rest


def _is_for_verb(name: str, rest: Sequence[str]) -> bool:
    """Whether the words after `port` mean that verb, of a container that may be called `add`, and none of its group."""
    return not rest or rest[0] not in GROUPS[name] or len(rest) < (2 if rest[-1] in ("--help", "-h") else 3)


def _entry_named(name: str) -> VerbEntry | None:
    return next((entry for entry in VERBS if entry.name == name or name in entry.aliases), None)


def _unknown(words: str, word: str, known: Sequence[str], command: str) -> UsageError:
    from shoal.cli.suggestions import did_you_mean  # only a mistake needs it

    question = did_you_mean(word, known)
    return WrongWords(f"unknown command: shoal {words}", fix=question, command=command)


def overview() -> str:
    """What `shoal --help` says."""
    from shoal.cli.helping import commands_text, options_text

    parser = Parser("", "[OPTIONS] COMMAND", "")
    add_global_flags(parser)
    verbs = [(entry.name, entry.summary) for entry in VERBS if " " not in entry.name and not entry.hidden]
    groups = [(name, _GROUP_WORDS.get(name, f"Manage {name}s")) for name in sorted(GROUPS)]
    parts = (
        "Usage:  shoal [OPTIONS] COMMAND",
        "A container engine that any Docker client drives",
        "Commands:\n" + commands_text(verbs),
        "Management Commands:\n" + commands_text(groups),
        "Global Options:\n" + options_text(parser.flags),
        "Run 'shoal COMMAND --help' for more information on a command.",
    )
    return "\n\n".join(parts) + "\n"


def _group_overview(name: str) -> str:
    from shoal.cli.helping import commands_text

    rows = []
    seen = set()
    # Of several words for one verb, the other name is the one to leave out.
    for word, verb in sorted(GROUPS[name].items(), key=lambda pair: (pair[0] in ("list", "ps", "remove"), pair[0])):
        entry = _entry_named(verb)
        if entry is not None and verb not in seen and not entry.hidden:
            rows.append((word, entry.summary))
            seen.add(verb)
    rows.sort()
    return (
        f"Usage:  shoal {name} COMMAND\n\nCommands:\n{commands_text(rows)}\n\n"
        f"Run 'shoal {name} COMMAND --help' for more information on a command.\n"
    )


def version_text() -> str:
    """What `shoal --version` says."""
    return f"shoal version {__version__}\n"


if __name__ == "__main__":
    sys.exit(main())
