"""The command line's grammar, Docker's: what users and scripts of `docker` write means the same after `shoal`.

    --name=value  --name value          a value; a switch takes one only after `=`
    -abc  -n5  -n 5  -n=5               letters of switches joined; a letter with a value ends the word
    --                                  only words follow
    a word                              positional; where a container's command follows, the first one ends the options

Own code, not argparse: that one costs 8 ms, a third of a whole `shoal ps`, and knows other habits. The grammar is that
of Go's pflag, which Docker's client uses, down to the sentences of its refusals.
"""

from __future__ import annotations

from shoal.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import NoReturn, TypeVar

    OptionsType = TypeVar("OptionsType")

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_UNBOUNDED = 1 << 30
REMAINDER = "..."


class Flags:
    """The parsed flags and words of one call, as attributes. Each verb derives its own."""


class UsageError(InvalidArgument):
    """The words after `shoal` make no sense. `usage` is the verb's usage line, `command` the words that led to it."""

    code = 125

    def __init__(self, what: str, *, why: str = "", fix: str = "", usage: str = "", command: str = "") -> None:
        super().__init__(what, why=why, fix=fix)
        self.usage = usage
        self.command = command


class WrongWords(UsageError):
    """Too few words, too many, or an unknown command: exit code 1, as Docker's client has it."""

    code = 1


class HelpShown(Exception):  # not an error: the reader got what they asked for
    """Help was asked for; `text` is it. A group's, without a verb, is shown like an error: `is_asked` is False."""

    def __init__(self, text: str, *, is_asked: bool = True) -> None:
        super().__init__()
        self.text = text
        self.is_asked = is_asked


class Flag:
    """One flag. `kind`: "bool", "string", "list" or "int"; `shown` is what stands for its value in the help."""

    __slots__ = ("default", "dest", "help", "hidden", "kind", "letters", "names", "shown")

    def __init__(
        self, names: Sequence[str], dest: str, kind: str, help: str, default: object, shown: str, *, hidden: bool
    ) -> None:
        self.names = tuple(name[2:] for name in names if name.startswith("--"))
        self.letters = tuple(name[1:] for name in names if not name.startswith("--"))
        self.dest = dest
        self.kind = kind
        self.help = help
        self.default = default
        self.shown = shown
        self.hidden = hidden

    @property
    def spelling(self) -> str:
        """`-a, --all`, as refusals name it."""
        long_name = f"--{self.names[0]}" if self.names else ""
        return f"-{self.letters[0]}, {long_name}" if self.letters and long_name else long_name or f"-{self.letters[0]}"

    def put(self, options: object, text: str) -> None:
        """Stores the value that `text` means. Raises: ValueError with Go's words."""
        if self.kind == "bool":
            if text not in _TRUE and text not in _FALSE:
                raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
            setattr(options, self.dest, text in _TRUE)
        elif self.kind == "int":
            try:
                setattr(options, self.dest, int(text, 0 if text.strip("+-").startswith("0x") else 10))
            except ValueError:
                raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
        elif self.kind == "list":
            getattr(options, self.dest).append(text)
        else:
            setattr(options, self.dest, text)


class Word:
    """A positional word, or several: `nargs` None is one, "?" one or none, "*", "+" and REMAINDER as many as come."""

    __slots__ = ("default", "dest", "metavar", "nargs")

    def __init__(self, dest: str, metavar: str, nargs: str | None, default: object) -> None:
        self.dest = dest
        self.metavar = metavar
        self.nargs = nargs
        self.default = default

    @property
    def least(self) -> int:
        """How many words it takes at least."""
        return 1 if self.nargs in (None, "+") else 0

    @property
    def most(self) -> int:
        """How many words it takes at most."""
        return 1 if self.nargs in (None, "?") else _UNBOUNDED


class Parser:
    """The flags and words of one verb."""

    def __init__(self, verb: str, usage: str, summary: str, aliases: Sequence[str] = ()) -> None:
        self.prog = f"shoal {verb}".rstrip()
        self.usage = f"{self.prog} {usage}".rstrip()
        self.summary = summary
        self.aliases = aliases
        self.flags: list[Flag] = []
        self.words: list[Word] = []
        self._by_name: dict[str, Flag] = {}
        self._by_letter: dict[str, Flag] = {}

    def _add(
        self, names: Sequence[str], dest: str, kind: str, help: str, default: object, shown: str, hidden: bool
    ) -> None:
        flag = Flag(names, dest, kind, help, default, shown, hidden=hidden)
        self.flags.append(flag)
        for name in flag.names:
            self._by_name[name] = flag
        for letter in flag.letters:
            self._by_letter[letter] = flag

    def toggle(self, *names: str, dest: str, help: str, default: bool = False, hidden: bool = False) -> None:
        """Adds a switch; `--name=false` switches it off."""
        self._add(names, dest, "bool", help, default, "", hidden)

    def text(
        self,
        *names: str,
        dest: str,
        help: str,
        metavar: str = "string",
        default: str | None = "",
        hidden: bool = False,
    ) -> None:
        """Adds an option with one value; the last one counts."""
        self._add(names, dest, "string", help, default, metavar, hidden)

    def texts(self, *names: str, dest: str, help: str, metavar: str = "list", hidden: bool = False) -> None:
        """Adds an option that may be given several times."""
        self._add(names, dest, "list", help, None, metavar, hidden)

    def integer(
        self,
        *names: str,
        dest: str,
        help: str,
        metavar: str = "int",
        default: int | None = None,
        hidden: bool = False,
    ) -> None:
        """Adds an option with one whole number."""
        self._add(names, dest, "int", help, default, metavar, hidden)

    def add_argument(
        self,
        name: str,
        *,
        metavar: str = "",
        nargs: str | None = None,
        dest: str = "",
        help: str = "",
        default: str | None = None,
    ) -> None:
        """Adds a positional word; or, for a name with dashes, an option whose absence is `default` (None)."""
        if name.startswith("-"):
            self.text(name, dest=dest, help=help, metavar="string", default=default)
        else:
            self.words.append(Word(name, metavar or name.upper(), nargs, default))

    def error(self, message: str, *, fix: str = "", kind: type[UsageError] = UsageError) -> NoReturn:
        """Raises: UsageError, or the given kind of it, with the verb's usage."""
        raise kind(message, fix=fix, usage=self.usage, command=self.prog)

    def flag_named(self, name: str) -> Flag | None:
        """The flag that `--name` is, None for none."""
        return self._by_name.get(name)

    def flag_lettered(self, letter: str) -> Flag | None:
        """The flag that `-l` is, None for none."""
        return self._by_letter.get(letter)

    def format_help(self) -> str:
        """The text that --help prints."""
        from shoal.cli.helping import help_text  # only those who ask for help pay for it

        return help_text(self)


def parse(
    parser: Parser, words: Sequence[str], options: OptionsType, *, interspersed: bool, lenient: bool = False
) -> OptionsType:
    """`options`, filled from `words`. With `interspersed`, options may stand between and after the positional words.

    `lenient` takes any number of words. Raises: UsageError, HelpShown.
    """
    for flag in parser.flags:
        setattr(options, flag.dest, [] if flag.kind == "list" else flag.default)
    rest = list(words)
    positional: list[str] = []
    while rest:
        word = rest.pop(0)
        if word == "--":
            positional += rest
            break
        if len(word) < 2 or not word.startswith("-"):
            positional.append(word)
            if not interspersed:
                positional += rest
                break
        elif word.startswith("--"):
            _take_long(parser, word, rest, options)
        else:
            _take_letters(parser, word, rest, options)
    _spread(parser, positional, options, lenient=lenient)
    return options


def _take_long(parser: Parser, word: str, rest: list[str], options: object) -> None:
    name, equals, value = word[2:].partition("=")
    flag = parser.flag_named(name)
    if flag is None:
        if name == "help" and value not in _FALSE:
            raise HelpShown(parser.format_help())
        parser.error(f"unknown flag: --{name}", fix=_nearest_flag(parser, name))
    if not equals:
        if flag.kind == "bool":
            value = "true"
        elif rest:
            value = rest.pop(0)
        else:
            parser.error(f"flag needs an argument: --{name}")
    _put(parser, flag, options, value)


def _take_letters(parser: Parser, word: str, rest: list[str], options: object) -> None:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        flag = parser.flag_lettered(letter)
        if flag is None:
            if letter == "h":
                raise HelpShown(parser.format_help())
            parser.error(f"unknown shorthand flag: '{letter}' in {word}")
        if len(letters) > 1 and letters[0] == "=":
            value, letters = letters[1:], ""
        elif flag.kind == "bool":
            value = "true"
        elif letters:
            value, letters = letters, ""
        elif rest:
            value = rest.pop(0)
        else:
            parser.error(f"flag needs an argument: '{letter}' in {word}")
        _put(parser, flag, options, value)


def _put(parser: Parser, flag: Flag, options: object, value: str) -> None:
    try:
        flag.put(options, value)
    except ValueError as error:
        parser.error(f'invalid argument "{value}" for "{flag.spelling}" flag: {error}')


def _nearest_flag(parser: Parser, name: str) -> str:
    from shoal.cli.suggestions import nearest  # only a mistake needs it

    found = nearest(name, [name for flag in parser.flags if not flag.hidden for name in flag.names])
    return f"did you mean --{found[0]}?" if found else ""


def _spread(parser: Parser, positional: list[str], options: object, *, lenient: bool) -> None:
    """Gives each positional word its name: those that must be there first, and what is over to the first that takes
    more."""
    least = sum(word.least for word in parser.words)
    most = sum(word.most for word in parser.words)
    if not lenient and not least <= len(positional) <= most:
        parser.error(f"'{parser.prog}' {_arity(least, most)}", kind=WrongWords)
    over = max(len(positional) - least, 0)
    for word in parser.words:
        extra = min(over, word.most - word.least)
        over -= extra
        taken, positional = positional[: word.least + extra], positional[word.least + extra :]
        single = word.nargs in (None, "?")
        setattr(options, word.dest, (taken[0] if taken else word.default) if single else taken)


def _arity(least: int, most: int) -> str:
    def counted(count: int) -> str:
        return f"{count} argument" if count == 1 else f"{count} arguments"

    if most == 0:
        return "accepts no arguments"
    if least == most:
        return f"requires {counted(least)}"
    if most >= _UNBOUNDED:
        return f"requires at least {counted(least)}"
    if least == 0:
        return f"requires at most {counted(most)}"
    return f"requires at least {least} and at most {counted(most)}"


def visible_flags(parser: Parser) -> Iterable[Flag]:
    """The flags that help and completion show, by name."""
    return sorted((flag for flag in parser.flags if not flag.hidden), key=lambda flag: (*flag.names, *flag.letters)[0])
