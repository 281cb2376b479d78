"""The instructions of a Dockerfile as types: what the parser gives and the solver reads.

Pure data. Words stand as they are written, with quotes and variables; `expansion.expand` says what they mean in an
environment. Which words that are is told at each field: "word" is to be expanded, "text" never. Docker's
Dockerfile reference.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Span:
    """Lines of the file, the first being 1; of a single one perhaps the part between two columns, counted from 0."""

    first: int
    last: int
    start: int = 0
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A document that stands in the file itself, `<<NAME` to `NAME`; `written` are its lines as they stand there.

    `expand` is false after a quoted name: then the content holds no variables (`expansion.expand_document`).
    """

    name: str
    written: str
    expand: bool = True
    strip_tabs: bool = False

    @property
    def content(self) -> str:
        """What the document says: after `<<-` without the tabs at the beginning of its lines."""
        return re.sub(r"^\t+", "", self.written, flags=re.MULTILINE) if self.strip_tabs else self.written


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One `key=value`; both are words. `legacy` is the form without an equals sign."""

    key: str
    value: str
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command: a text for the shell (`is_shell`, one element or none), or the program and its arguments."""

    words: tuple[str, ...]
    is_shell: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """What all instructions have.

    `original` is the instruction as one line, as Docker prints it (`Step 2/3 : RUN echo`): continuations joined,
    comments left out, flags in their place, heredocs as their `<<NAME` alone.
    """

    span: Span
    original: str

    @property
    def keyword(self) -> str:
        """The instruction's name in capitals, `RUN`."""
        return type(self).__name__.upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class From(Instruction):
    """FROM: `base` and `platform` are words (global arguments only), `stage_name` is lower case, "" without `AS`."""

    base: str
    platform: str = ""
    stage_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Instruction):
    """RUN: `command` is text, `mounts` holds the words of each `--mount=`, for `mounts.mounts_of`.

    `heredocs` are the documents of the command, for `heredocs.script_of`.
    """

    command: CommandLine
    heredocs: tuple[Heredoc, ...] = ()
    mounts: tuple[str, ...] = ()
    network: Literal["default", "none", "host"] = "default"
    security: Literal["sandbox", "insecure"] = "sandbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy(Instruction):
    """COPY: paths, `chown`, `chmod` and `excludes` are words; `from_name` is text (a stage, a number, or an image).

    `sources` are the paths, `heredocs` the files whose content stands in the file; both go to `destination`.
    """

    sources: tuple[str, ...]
    destination: str
    heredocs: tuple[Heredoc, ...] = ()
    from_name: str = ""
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Instruction):
    """ADD: paths, URLs, `chown`, `chmod`, `checksum` and `excludes` are words.

    `unpack` is None where archives are to be unpacked as ever: local ones yes, those of URLs not.
    """

    sources: tuple[str, ...]
    destination: str
    heredocs: tuple[Heredoc, ...] = ()
    chown: str = ""
    chmod: str = ""
    link: bool = False
    excludes: tuple[str, ...] = ()
    keep_git_dir: bool = False
    checksum: str = ""
    unpack: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Env(Instruction):
    """ENV: every key and every value is a word, expanded in the environment before the instruction."""

    pairs: tuple[KeyValue, ...]


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of ARG: `key` is a word, and so is `default`, which is None where there is none."""

    key: str
    default: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg(Instruction):
    """ARG: one or more arguments, each of which sees those before it."""

    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label(Instruction):
    """LABEL: every key and every value is a word."""

    pairs: tuple[KeyValue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose(Instruction):
    """EXPOSE: words that are split after expansion (`expand_words`), for `ports.exposed_ports`."""

    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume(Instruction):
    """VOLUME: words, which are not split after expansion."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class User(Instruction):
    """USER: a word, `name`, `uid`, `name:group` …."""

    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdir(Instruction):
    """WORKDIR: a word, absolute or relative to the directory before."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrypoint(Instruction):
    """ENTRYPOINT: text."""

    command: CommandLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmd(Instruction):
    """CMD: text."""

    command: CommandLine


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell(Instruction):
    """SHELL: the program and its arguments that the shell forms after it are given to, as text."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSignal(Instruction):
    """STOPSIGNAL: a word, a name or a number."""

    signal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck(Instruction):
    """HEALTHCHECK: text. `test` as the image's configuration has it: `NONE`, `CMD` …, or `CMD-SHELL` and a text.

    Times in nanoseconds, 0 where none is given.
    """

    test: tuple[str, ...]
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Onbuild(Instruction):
    """ONBUILD: the instruction for images that are built on this one, as text, with its heredocs.

    It goes to the image's configuration as it is; `parser.parse_trigger` reads it when its time has come.
    """

    trigger: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintainer(Instruction):
    """MAINTAINER: text, the image's author."""

    author: str


@dataclass(frozen=True, slots=True)
class Stage:
    """FROM and what follows it. `index` counts from 0; `name` is lower case, "" for none."""

    index: int
    origin: From
    instructions: tuple[Instruction, ...]

    @property
    def name(self) -> str:
        """The name that `AS` gave it, in lower case; "" for none."""
        return self.origin.stage_name


@dataclass(frozen=True, slots=True)
class Checks:
    """What `# check=` asks for: rules to pass over (`all` for each), to try, and whether a warning is an error."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    error: bool = False


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A parsed file. `arguments` are the global ones, before the first FROM; `syntax` is of no effect here."""

    name: str
    text: str
    arguments: tuple[Arg, ...]
    stages: tuple[Stage, ...]
    escape: str = "\\"
    syntax: str = ""
    checks: Checks = Checks()

    def stage_named(self, name: str, *, before: int | None = None) -> Stage | None:
        """The last stage of that name, in any case, among all or those before the one of index `before`."""
        wanted = name.lower()
        return next((stage for stage in reversed(self.stages[:before]) if wanted and stage.name == wanted), None)

    def stage(self, reference: str, *, before: int | None = None) -> Stage | None:
        """The stage that `COPY --from=` or a target means: by name, else by number."""
        named = self.stage_named(reference, before=before)
        if named is None and reference.isascii() and reference.isdigit():
            number = reference.lstrip("0") or "0"
            return next((stage for stage in self.stages[:before] if str(stage.index) == number), None)
        return named
