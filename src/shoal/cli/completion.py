"""What may stand at the end of an unfinished command line: the answer to the Tab key.

    shoal __complete --line TEXT          the whole line up to the cursor, as bash has it
    shoal __complete -- WORD… CURRENT     its words, as zsh and fish have them

prints a candidate a line, with a tab and what it is where that helps, and at the end `:files` or `:dirs` where names of
files may stand too, or `:nospace` where more of the word follows. It says nothing where nothing is known, never starts
an engine, and gives up after a second: nobody waits for a key.
"""

from __future__ import annotations

import os

# `signal` itself would import `enum`, for 3 ms; the stubs do not know what it is made of.
from _signal import ITIMER_REAL, SIGALRM, setitimer, signal  # type: ignore[import-not-found]

from shoal.cli.arguments import Flag, Parser, Word
from shoal.cli.globals import add_global_flags
from shoal.cli.verbs.table import GROUPS, VERBS, VerbEntry, load_verb
from shoal.errors import ShoalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from shoal.cli.context import Context

_PATIENCE_S = 1.0
_FILES, _DIRECTORIES, _NO_SPACE = "files", "dirs", "nospace"


class Candidates:
    """Words with what they are, and what else may stand there (`directive`)."""

    __slots__ = ("directive", "words")

    def __init__(self, words: Sequence[tuple[str, str]] = (), directive: str = "") -> None:
        self.words = list(words)
        self.directive = directive


def complete(arguments: list[str], context: Context) -> int:
    """Prints the candidates for the line or words in `arguments`; always 0."""
    context.may_start_engine = False
    signal(SIGALRM, lambda *_: os._exit(0))
    setitimer(ITIMER_REAL, _PATIENCE_S)
    if arguments[:1] == ["--line"]:
        words = split_line(arguments[1] if len(arguments) > 1 else "")[1:]
    else:
        words = list(arguments[1:] if arguments[:1] == ["--"] else arguments)
    try:
        found = candidates(words or [""], context)
    except (ShoalError, OSError):
        found = Candidates()
    current = (words or [""])[-1]
    for word, what in found.words:
        if word.startswith(current):
            context.print(f"{word}\t{' '.join(what.split())}" if what else word)
    if found.directive:
        context.print(f":{found.directive}")
    return 0


def split_line(line: str) -> list[str]:
    """The words of an unfinished shell line, the last one "" after a space. Quotes and backslashes as sh reads them."""
    words, word, quote, has_word = [], "", "", False
    letters = iter(line)
    for letter in letters:
        if letter == "\\" and quote != "'":
            word, has_word = word + next(letters, ""), True
        elif quote:
            quote, word = ("", word) if letter == quote else (quote, word + letter)
        elif letter in "'\"":
            quote, has_word = letter, True
        elif letter.isspace():
            if has_word:
                words.append(word)
            word, has_word = "", False
        else:
            word, has_word = word + letter, True
    return [*words, word]


def candidates(words: Sequence[str], context: Context) -> Candidates:
    """What may stand in place of the last of `words`, of which none is `shoal`. Raises: ShoalError."""
    parser = Parser("", "", "")
    add_global_flags(parser)
    *before, current = words
    flag, _, rest = _walk(parser, before, interspersed=False)
    if flag is not None or not rest:
        # The flags so far may say which engine is meant, the unfinished one apart.
        _apply(parser, before, context)
        if flag is not None or current.startswith("-"):
            return _of_flag_or_value(parser, flag, current, "", context)
        return Candidates(_verbs())
    _apply(parser, before, context)
    name, rest = rest[0], rest[1:]
    if name in GROUPS:
        if not rest:
            return Candidates(_group(name))
        name, rest = GROUPS[name].get(rest[0], ""), rest[1:]
    entry = next((entry for entry in VERBS if entry.name == name or name in entry.aliases), None)
    return _of_verb(entry, rest, current, context) if entry is not None else Candidates()


def _verbs() -> list[tuple[str, str]]:
    verbs = [(entry.name, entry.summary) for entry in VERBS if " " not in entry.name and not entry.hidden]
    groups = [(name, "") for name in GROUPS if name not in {verb for verb, _ in verbs}]
    return sorted(verbs + groups)


def _group(name: str) -> list[tuple[str, str]]:
    summaries = {entry.name: entry.summary for entry in VERBS if not entry.hidden}
    return [(word, summaries[verb]) for word, verb in sorted(GROUPS[name].items()) if verb in summaries]


def _apply(parser: Parser, before: Sequence[str], context: Context) -> None:
    """Takes the global flags of an unfinished line, as far as they go."""
    from shoal.cli.arguments import UsageError, parse
    from shoal.cli.globals import GlobalFlags

    if not before or not before[0].startswith("-"):
        return
    parser.words.append(Word("words", "", "...", None))
    try:
        context.globals = parse(parser, before, GlobalFlags(), interspersed=False)
    except UsageError:
        pass
    parser.words.clear()


def _of_verb(entry: VerbEntry, before: Sequence[str], current: str, context: Context) -> Candidates:
    verb = load_verb(entry)
    parser = Parser(entry.name, entry.usage, entry.summary)
    verb.configure(parser)
    flag, positional, rest = _walk(parser, before, interspersed=not entry.takes_command)
    if entry.takes_command and (rest or positional):
        return Candidates(directive=_FILES)  # a container's command: its files are not ours, but often alike
    if flag is not None or (current.startswith("-") and "--" not in before):
        return _of_flag_or_value(parser, flag, current, entry.name, context)
    from shoal.cli.completion_values import words_for

    return words_for(entry.name, _word_at(parser, len(positional)), positional, current, context)


def _walk(parser: Parser, words: Sequence[str], *, interspersed: bool) -> tuple[Flag | None, list[str], Sequence[str]]:
    """The flag whose value comes next (or None), the positional words so far, and what follows the first of them
    where options end there."""
    positional: list[str] = []
    waiting: Flag | None = None
    for index, word in enumerate(words):
        if waiting is not None:
            waiting = None
        elif word == "--":
            return None, [*positional, *words[index + 1 :]], []
        elif len(word) > 1 and word.startswith("-"):
            waiting = _wants_value(parser, word)
        elif interspersed:
            positional.append(word)
        else:
            return None, [word], words[index:] if not parser.words else words[index + 1 :]
    return waiting, positional, []


def _wants_value(parser: Parser, word: str) -> Flag | None:
    """The flag of `word` if its value is the next word."""
    if word.startswith("--"):
        flag = parser.flag_named(word[2:]) if "=" not in word else None
        return flag if flag is not None and flag.kind != "bool" else None
    for position, letter in enumerate(word[1:], 2):
        flag = parser.flag_lettered(letter)
        if flag is None:
            return None
        if flag.kind != "bool":
            return flag if position == len(word) else None
    return None


def _of_flag_or_value(parser: Parser, flag: Flag | None, current: str, verb: str, context: Context) -> Candidates:
    from shoal.cli.completion_values import values_of

    if flag is not None:
        return values_of(flag.names[0], verb, current, context)
    name, equals, value = current.partition("=")
    named = parser.flag_named(name[2:]) if name.startswith("--") else None
    if equals and named is not None:
        found = values_of(named.names[0], verb, value, context)
        return Candidates([(f"{name}={word}", what) for word, what in found.words], found.directive)
    flags = [flag for flag in parser.flags if not flag.hidden]
    shown = [(f"--{long_name}", flag.help) for flag in flags for long_name in flag.names]
    if not current.startswith("--"):
        shown += [(f"-{letter}", flag.help) for flag in flags for letter in flag.letters]
    return Candidates([*sorted(shown), ("--help", "Print usage")])


def _word_at(parser: Parser, index: int) -> Word | None:
    """The positional word that stands at `index`, the last one again where it takes several."""
    if index < len(parser.words):
        return parser.words[index]
    last = parser.words[-1] if parser.words else None
    return last if last is not None and last.most > 1 else None
