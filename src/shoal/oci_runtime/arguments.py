"""The command line: flags in front of the verb, the verb, its flags, and the words behind them.

By hand and not by argparse, whose import takes longer than many a verb. Flags are written as Go programs take them:
`--name value`, `--name=value`, `-name value`, and `--name` alone for a switch.
"""

from __future__ import annotations

import os

from shoal.errors import InvalidArgument

# What a flag takes: nothing, a value, several values.
SWITCH, VALUE, LIST = "switch", "value", "list"

GLOBAL = {
    "root": VALUE,
    "log": VALUE,
    "log-format": VALUE,
    "debug": SWITCH,
    "systemd-cgroup": SWITCH,
    "rootless": VALUE,
    "criu": VALUE,
    "help": SWITCH,
    "version": SWITCH,
}
_LAUNCH = {
    "bundle": VALUE,
    "console-socket": VALUE,
    "pid-file": VALUE,
    "no-pivot": SWITCH,
    "no-new-keyring": SWITCH,
    "preserve-fds": VALUE,
}
_UPDATE = (
    "resources blkio-weight cpu-period cpu-quota cpu-burst cpu-share cpu-rt-period cpu-rt-runtime cpuset-cpus "
    "cpuset-mems memory kernel-memory kernel-memory-tcp memory-reservation memory-swap pids-limit cpu-idle"
)
VERBS = {
    "create": _LAUNCH,
    "run": {**_LAUNCH, "detach": SWITCH, "keep": SWITCH, "no-subreaper": SWITCH},
    "start": {},
    "exec": {
        "console-socket": VALUE,
        "cwd": VALUE,
        "env": LIST,
        "tty": SWITCH,
        "user": VALUE,
        "additional-gids": LIST,
        "process": VALUE,
        "detach": SWITCH,
        "pid-file": VALUE,
        "process-label": VALUE,
        "apparmor": VALUE,
        "no-new-privs": SWITCH,
        "cap": LIST,
        "preserve-fds": VALUE,
        "ignore-paused": SWITCH,
    },
    "state": {},
    "kill": {"all": SWITCH},
    "delete": {"force": SWITCH},
    "list": {"format": VALUE, "quiet": SWITCH},
    "ps": {"format": VALUE},
    "pause": {},
    "resume": {},
    "update": dict.fromkeys(_UPDATE.split(), VALUE),
    "events": {"interval": VALUE, "stats": SWITCH},
    "spec": {"bundle": VALUE, "rootless": SWITCH},
    "features": {},
}
_SHORT = {
    "": {"h": "help", "v": "version"},
    "create": {"b": "bundle"},
    "run": {"b": "bundle", "d": "detach"},
    "exec": {
        "e": "env", "t": "tty", "u": "user", "g": "additional-gids", "p": "process", "d": "detach", "c": "cap",
    },
    "kill": {"a": "all"},
    "delete": {"f": "force"},
    "list": {"f": "format", "q": "quiet"},
    "ps": {"f": "format"},
    "update": {"r": "resources"},
    "spec": {"b": "bundle"},
}  # fmt: skip
# What follows their first word belongs to another program.
_OTHERS_WORDS = ("exec", "ps")
_TRUE, _FALSE = ("1", "t", "true", "yes", "on"), ("0", "f", "false", "no", "off")


class Flags:
    """The flags that were given."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, list[str]]) -> None:
        self._values = values

    def text(self, name: str, default: str = "") -> str:
        """The value of a flag; of several the last."""
        return self._values.get(name, [default])[-1]

    def texts(self, name: str) -> list[str]:
        """All values of a flag that may be repeated."""
        return self._values.get(name, [])

    def has(self, name: str) -> bool:
        """Whether it was given at all."""
        return name in self._values

    def switch(self, name: str) -> bool:
        """Whether it was given and not as `=false`. Raises: InvalidArgument."""
        value = self.text(name, "false").lower()
        if value not in _TRUE and value not in _FALSE:
            raise InvalidArgument(f'invalid value "{value}" for flag --{name}', why="it is true or false")
        return value in _TRUE

    def number(self, name: str, default: int = 0) -> int:
        """The value of a flag as a number. Raises: InvalidArgument."""
        value = self.text(name, str(default))
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 19:
            raise InvalidArgument(f'invalid value "{value}" for flag --{name}', why="it is a number")
        return int(value)


class Invocation:
    """One call: the flags before the verb, the verb ("" for none), its flags, and what follows them."""

    __slots__ = ("flags", "options", "verb", "words")

    def __init__(self, options: Flags, verb: str, flags: Flags, words: list[str]) -> None:
        self.options = options
        self.verb = verb
        self.flags = flags
        self.words = words

    @property
    def root(self) -> str:
        """The directory that holds the containers' state."""
        given = self.options.text("root")
        if given:
            return os.path.abspath(given)
        runtime_dir = os.environ.get("XDG_RUNTIME_DIR", "")
        return f"{runtime_dir}/shoal-runtime" if os.geteuid() and runtime_dir else "/run/shoal-runtime"

    @property
    def rootless(self) -> bool:
        """Whether what needs more rights than we have is left out: cgroups, above all."""
        value = self.options.text("rootless", "auto")
        return os.geteuid() != 0 if value == "auto" else self.options.switch("rootless")

    def id(self) -> str:
        """The container that it is about. Raises: InvalidArgument."""
        if not self.words:
            raise InvalidArgument(f'"{self.verb}" requires a container id')
        return self.words[0]

    def only_id(self) -> str:
        """The same where nothing may follow. Raises: InvalidArgument."""
        if len(self.words) > 1:
            raise InvalidArgument(f'"{self.verb}" requires exactly 1 argument', why=f"got {len(self.words)}")
        return self.id()


def parse(arguments: list[str]) -> Invocation:
    """What the words of a command line ask for. Raises: InvalidArgument for an unknown verb or flag."""
    options, rest = _flags(arguments, GLOBAL, _SHORT[""], stop=True)
    if not rest:
        return Invocation(options, "", Flags({}), [])
    verb = rest[0]
    if verb not in VERBS:
        raise InvalidArgument(f'unknown command "{verb}"', fix=f"use one of {', '.join(VERBS)}")
    known = {**VERBS[verb], "help": SWITCH}
    flags, words = _flags(rest[1:], known, {**_SHORT.get(verb, {}), "h": "help"}, stop=verb in _OTHERS_WORDS)
    return Invocation(options, verb, flags, words)


def _flags(
    arguments: list[str], known: dict[str, str], short: dict[str, str], *, stop: bool
) -> tuple[Flags, list[str]]:
    """(flags, the other words); with `stop` everything from the first other word on is such."""
    values: dict[str, list[str]] = {}
    words: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--" or not word.startswith("-") or word == "-":
            words += [word] if word != "--" else []
            if stop or word == "--":
                words += rest
                break
            continue
        name, equals, value = word.lstrip("-").partition("=")
        name = short.get(name, name)
        if name not in known:
            raise InvalidArgument(f"flag provided but not defined: {word.partition('=')[0]}")
        if not equals:
            if known[name] == SWITCH:
                value = "true"
            elif rest:
                value = rest.pop(0)
            else:
                raise InvalidArgument(f"flag needs an argument: {word}")
        values.setdefault(name, []).append(value)
    return Flags(values), words
