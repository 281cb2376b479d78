"""From the text of a Dockerfile to its stages and instructions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.build.dockerfile.instructions import (
    Arg,
    Argument,
    Cmd,
    CommandLine,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    KeyValue,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Span,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from shoal.build.dockerfile.parser import parse, parse_trigger
from shoal.build.dockerfile.problems import DockerfileError, pointed
from shoal.errors import InvalidArgument


def only(line: str) -> Instruction:
    """The instruction of a file that has one besides its FROM."""
    (instruction,) = parse("FROM scratch\n" + line + "\n").stages[0].instructions
    return instruction


def shell_text(line: str) -> str:
    """The shell text of a RUN."""
    run = only(line)
    assert isinstance(run, Run)
    assert run.command.is_shell
    return "".join(run.command.words)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("RUN echo a", "echo a"),
        ("run echo a", "echo a"),
        ("  RUN \t echo a  ", "echo a"),
        ("RUN echo \\\n  a", "echo   a"),
        ("RUN echo \\  \n a", "echo  a"),
        ("RUN echo \\\n# comment\n  # another\n a", "echo  a"),
        ("RUN echo \\\n\n a", "echo  a"),
        ("RUN echo \\\r\n a\r", "echo  a"),
        ("RUN echo # no comment", "echo # no comment"),
        (r"RUN echo \\", r"echo \\"),
        ("RUN echo a\\\nb", "echo ab"),
        ("RUN \\\n echo a", "echo a"),
        ("RUN echo a \\", "echo a"),
        ("RUN [not json]", "[not json]"),
        ('RUN ["a", NaN]', '["a", NaN]'),
        ('RUN ["a",]', '["a",]'),
        ("RUN ['a']", "['a']"),
        ("RUN", ""),
    ],
)
def test_parse_shell_form_is_one_line(lines: str, text: str) -> None:
    """Continuations are joined without their escape; comments and empty lines inside of them are left out."""
    assert shell_text(lines) == text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('RUN ["a", "b c"]', ("a", "b c")),
        ('RUN   [ "a" ]  ', ("a",)),
        ("RUN []", ()),
        ('RUN ["a", \\\n "b"]', ("a", "b")),
        (r'RUN ["\u00e9\ud800"]', ("é\ufffd",)),
    ],
)
def test_parse_json_form_is_a_list_of_words(line: str, words: tuple[str, ...]) -> None:
    """An array of strings is the program and its arguments."""
    run = only(line)
    assert isinstance(run, Run)
    assert run.command == CommandLine(words, is_shell=False)


def test_parse_every_instruction_has_its_type() -> None:
    """One file with each instruction in a usual form."""
    found = parse(
        """
FROM busybox
MAINTAINER Some One <one@example.com>
ARG version=1 other
ENV a=1 "b c"="d e" f=g\\ h
ENV old style value
LABEL a=1 b="2"
EXPOSE 80/tcp 53/udp
VOLUME /a /b
VOLUME ["/c d"]
USER me:us
WORKDIR /a b
SHELL ["/bin/bash", "-c"]
STOPSIGNAL SIGTERM
ENTRYPOINT exec top
CMD ["-b"]
HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=5s --start-interval=1s --retries=2 CMD curl x
HEALTHCHECK NONE
ONBUILD COPY . /x
"""
    ).stages[0]
    plain = [(type(entry), entry.original) for entry in found.instructions]
    assert [kind for kind, _ in plain] == [
        *(Maintainer, Arg, Env, Env, Label, Expose, Volume, Volume, User, Workdir, Shell, StopSignal, Entrypoint),
        *(Cmd, Healthcheck, Healthcheck, Onbuild),
    ]
    by_line = {entry.span.first: entry for entry in found.instructions}
    assert by_line[3].author == "Some One <one@example.com>"
    assert by_line[4].arguments == (Argument("version", "1"), Argument("other", None))
    pairs = (KeyValue("a", "1"), KeyValue('"b c"', '"d e"'), KeyValue("f", "g\\ h"))
    assert by_line[5].pairs == pairs
    assert by_line[6].pairs == (KeyValue("old", "style value", legacy=True),)
    assert by_line[8].ports == ("53/udp", "80/tcp")
    assert (by_line[9].paths, by_line[10].paths) == (("/a", "/b"), ("/c d",))
    assert by_line[12].path == "/a b"
    assert by_line[15].command == CommandLine(("exec top",), is_shell=True)
    health = by_line[17]
    assert isinstance(health, Healthcheck)
    assert health.test == ("CMD-SHELL", "curl x")
    times = (health.interval_ns, health.timeout_ns, health.start_period_ns, health.start_interval_ns)
    assert times == (90 * 10**9, 5 * 10**8, 5 * 10**9, 10**9)
    assert health.retries == 2
    assert by_line[18].test == ("NONE",)
    assert by_line[19].trigger == "COPY . /x"


def test_parse_stages_are_found_by_name_and_number() -> None:
    """A stage has the name after AS, in any case, and its number; the last of one name counts."""
    file = parse("ARG V=1\nFROM a AS Base\nFROM --platform=linux/arm64 base as two\nRUN x\nFROM c AS base\n")
    assert file.arguments[0].arguments == (Argument("V", "1"),)
    assert [stage.name for stage in file.stages] == ["base", "two", "base"]
    second = file.stages[1].origin
    assert (second.base, second.platform, second.span.first) == ("base", "linux/arm64", 3)
    assert file.stage("BASE") is file.stages[2]
    assert file.stage("base", before=1) is file.stages[0]
    assert file.stage("1") is file.stages[1]
    assert file.stage("01") is file.stages[1]
    assert file.stage("3") is None
    assert file.stage("1", before=1) is None
    assert file.stage("") is None


def test_parse_directives_come_first() -> None:
    """Directives are read in any case and order, up to the first line that is none."""
    file = parse(
        "# escape = `\n#Syntax=docker/dockerfile:1\n# check=skip=A,B;error=true\nFROM a\nRUN a `\n b\nRUN c \\\n"
    )
    assert (file.escape, file.syntax) == ("`", "docker/dockerfile:1")
    assert file.checks.skip == {"A", "B"}
    assert file.checks.error
    assert [entry.original for entry in file.stages[0].instructions] == ["RUN a  b", "RUN c \\"]
    late = parse("# about this file\n# escape=`\nFROM a\n")
    assert late.escape == "\\"
    unknown = parse("# nothing=1\n# escape=`\nFROM a\n")
    assert unknown.escape == "\\"


def test_parse_byte_order_mark_and_crlf_change_nothing() -> None:
    """Files of editors on Windows say the same."""
    file = parse("\ufeff# escape=`\r\nFROM a\r\nENV a=b\r\nRUN <<E\r\nx\r\nE\r\n")
    assert file.escape == "`"
    env, run = file.stages[0].instructions
    assert isinstance(env, Env)
    assert env.pairs == (KeyValue("a", "b"),)
    assert isinstance(run, Run)
    assert run.heredocs[0].content == "x\r\n"


def test_parse_bytes_that_are_no_utf8_are_replaced_where_they_are_text() -> None:
    """Comments and texts of another encoding are no obstacle, but nothing is executed or copied that is not meant."""
    file = parse("# caf\udce9\nFROM a\nMAINTAINER Jos\udce9\nRUN a \\\n# \udce9\n b\n")
    assert file.text.startswith("# caf\ufffd\n")
    maintainer, run = file.stages[0].instructions
    assert (maintainer.original, run.original) == ("MAINTAINER Jos\ufffd", "RUN a  b")
    for line in ("RUN \udce9", "COPY \udce9 /", "ADD <<E /\n\udce9\nE", "ONBUILD RUN \udce9"):
        with pytest.raises(DockerfileError, match="bytes that are not UTF-8"):
            parse("FROM a\n" + line)


@pytest.mark.parametrize(
    ("text", "line", "sentence", "fix"),
    [
        ("", 1, "file with no instructions", ""),
        ("# only\n\n", 2, "file with no instructions", ""),
        ("# escape=x\nFROM a", 1, "invalid escape token 'x' does not match ` or \\", ""),
        ("# escape=`\n# escape=`\nFROM a", 2, "only one escape parser directive can be used", ""),
        ("RUN a", 1, "no build stage in current context", "begin with a FROM"),
        ("ARG a", 1, "no build stage in current context", "add a FROM"),
        ("FROM a\n\nRUNN x", 3, "unknown instruction: RUNN", "did you mean RUN?"),
        ("FROM a\nfoo", 2, "unknown instruction: FOO", ""),
        ("FROM", 1, "FROM requires either one or three arguments", "write `FROM image AS name`"),
        ("FROM a is b", 1, "FROM requires either one or three arguments", "write `FROM image AS name`"),
        (
            *("FROM a AS 1b", 1),
            'invalid name for build stage: "1b", name can\'t start with a number or contain symbols',
            "",
        ),
        ("FROM --platfrom=x a", 1, "unknown flag: --platfrom", "did you mean --platform?"),
        ("FROM --platform a", 1, "missing a value on flag: platform", ""),
        ("FROM a\nCOPY --link=maybe a b", 2, "expecting boolean value for flag link, not: maybe", ""),
        ("FROM a\nCOPY --link= a b", 2, "missing a value on flag: link", ""),
        ("FROM a\nCOPY --chown=1 --chown=2 a b", 2, "duplicate flag specified: chown", ""),
        ("FROM a\nCMD --x=1 a", 2, "unknown flag: --x", "CMD has no flags"),
        ("FROM a\nCOPY", 2, "COPY requires at least two arguments", "write `COPY source destination`"),
        (
            *("FROM a\nADD x", 2),
            "ADD requires at least two arguments, but only one was provided. Destination could not be determined",
            "",
        ),
        (
            *("FROM a\nCOPY --from=$x a b", 2),
            "'$x' doesn't support variable expansion, define alias stage instead",
            "begin a stage with `FROM $variable AS name`",
        ),
        ("FROM a\n" + "USER x\n" * 10_001, 10_001, "more than 10000 instructions", ""),
        ("FROM a\n" * 4002, 4002, "more than 4000 stages", ""),
        ("FROM a\nCOPY a <<E\nE", 2, "COPY cannot accept a heredoc as a destination", ""),
        ("FROM a\nRUN <<E\nx", 2, "unterminated heredoc", "end the document with a line that is E alone"),
        ("FROM a\nENV", 2, "ENV requires at least one argument", ""),
        ("FROM a\nENV a", 2, "ENV must have two arguments", "write `a=value`"),
        ("FROM a\nENV =a", 2, "ENV names can not be blank", ""),
        ("FROM a\nARG", 2, "ARG requires at least one argument", ""),
        ("FROM a\nARG =a", 2, "ARG names can not be blank", ""),
        (
            *("FROM a\nLABEL a=b c", 2),
            'Syntax error - can\'t find = in "c". Must be of the form: name=value',
            "put quotes around a value with spaces",
        ),
        ("FROM a\nEXPOSE", 2, "EXPOSE requires at least one argument", ""),
        ("FROM a\nVOLUME", 2, "VOLUME requires at least one argument", ""),
        ('FROM a\nVOLUME [""]', 2, "VOLUME specified can not be an empty string", ""),
        ("FROM a\nUSER", 2, "USER requires exactly one argument", ""),
        ("FROM a\nWORKDIR", 2, "WORKDIR requires exactly one argument", ""),
        ("FROM a\nSTOPSIGNAL", 2, "STOPSIGNAL requires exactly one argument", ""),
        ("FROM a\nMAINTAINER", 2, "MAINTAINER requires exactly one argument", ""),
        ("FROM a\nSHELL", 2, "SHELL requires at least one argument", ""),
        (
            *("FROM a\nSHELL bash", 2),
            "SHELL requires the arguments to be in JSON form",
            'write `SHELL ["/bin/sh", "-c"]`',
        ),
        (
            *('FROM a\nCMD ["a", 1]', 2),
            "when using JSON array syntax, arrays must be comprised of strings only",
            "put quotes around every element",
        ),
        ("FROM a\nHEALTHCHECK", 2, "HEALTHCHECK requires at least one argument", "write `HEALTHCHECK CMD command`"),
        ("FROM a\nHEALTHCHECK NONE x", 2, "HEALTHCHECK NONE takes no arguments", ""),
        ("FROM a\nHEALTHCHECK curl", 2, 'Unknown type "CURL" in HEALTHCHECK (try CMD)', ""),
        ("FROM a\nHEALTHCHECK CMD", 2, "Missing command after HEALTHCHECK CMD", ""),
        (
            *("FROM a\nHEALTHCHECK --timeout=5 CMD x", 2, 'time: invalid duration "5"'),
            "write a number and its unit, as in `30s`",
        ),
        ("FROM a\nHEALTHCHECK --timeout=1us CMD x", 2, 'Interval "timeout" cannot be less than 1ms', ""),
        ("FROM a\nHEALTHCHECK --retries=0 CMD x", 2, "--retries must be at least 1 (not 0)", ""),
        ("FROM a\nHEALTHCHECK --retries=x CMD x", 2, 'strconv.ParseInt: parsing "x": invalid syntax', ""),
        ("FROM a\nONBUILD", 2, "ONBUILD requires at least one argument", ""),
        ("FROM a\nONBUILD ONBUILD RUN x", 2, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", ""),
        ("FROM a\nONBUILD from b", 2, "FROM isn't allowed as an ONBUILD trigger", ""),
        ("FROM a\nONBUILD MAINTAINER b", 2, "MAINTAINER isn't allowed as an ONBUILD trigger", ""),
        ("FROM a\nONBUILD RUNN b", 2, "unknown instruction: RUNN", "did you mean RUN?"),
        ("FROM a\nRUN --network=bridge x", 2, 'unsupported network mode: "bridge"', "one of default, none, host"),
        ("FROM a\nRUN --security=no x", 2, 'security "no" is not valid', "one of sandbox, insecure"),
        ("FROM a\nRUN --device=gpu x", 2, "the --device option is not supported", "build without the device"),
        ("FROM a\nRUN --mount=typ=cache x", 2, "unexpected key 'typ' in 'typ=cache'", "did you mean type?"),
    ],
)
def test_parse_mistake_is_told_with_its_line_and_how_to_mend_it(text: str, line: int, sentence: str, fix: str) -> None:
    """What is wrong is told in Docker's words, with the line."""
    with pytest.raises(DockerfileError) as refused:
        parse(text)
    assert refused.value.what == f"dockerfile parse error line {line}: {sentence}"
    assert refused.value.fix == fix


def test_parse_mistake_is_shown_in_its_line() -> None:
    """The excerpt has the lines around the mistake, numbered, and a mark below the word that is meant."""
    text = "FROM a\n\nRUN \\\n\t--network=none \\\n\t--mont=x \\\n\techo\nCMD x\n"
    with pytest.raises(DockerfileError) as refused:
        parse(text, "app.Dockerfile")
    assert refused.value.excerpt.split("\n") == [
        "app.Dockerfile:5",
        "  4 | \t--network=none \\",
        "> 5 | \t--mont=x \\",
        "    | \t^^^^^^ did you mean --mount?",
        "  6 | \techo",
    ]


def test_pointed_marks_the_word_that_the_sentence_is_about() -> None:
    """What an instruction meets in the build is shown in the file, by the longest word that the sentence names."""
    file = parse("FROM a\nCOPY x \\\n  lib/nothing /d/\nEXPOSE 80\n")
    problem = pointed(file, Span(2, 3), InvalidArgument("COPY failed", why="stat lib/nothing", fix="put it there"))
    assert str(problem) == "COPY failed: stat lib/nothing"
    assert problem.excerpt.split("\n") == [
        "Dockerfile:3",
        "  2 | COPY x \\",
        "> 3 |   lib/nothing /d/",
        "    |   ^^^^^^^^^^^ put it there",
        "  4 | EXPOSE 80",
    ]
    elsewhere = pointed(file, Span(4, 4), InvalidArgument("no such thing", fix="think"))
    assert elsewhere.excerpt.split("\n")[1:] == ["  3 |   lib/nothing /d/", "> 4 | EXPOSE 80", "  5 |", "    | think"]


def test_parse_flags_of_copy_and_add() -> None:
    """Every flag of the reference has its field; flags that may be repeated keep their order."""
    copy = only("COPY --from=x --chown=a:b --chmod=u+x --link --parents --exclude=*.o --exclude=b -- --odd /d/")
    assert isinstance(copy, Copy)
    assert (copy.from_name, copy.chown, copy.chmod, copy.excludes) == ("x", "a:b", "u+x", ("*.o", "b"))
    assert copy.link
    assert copy.parents
    assert (copy.sources, copy.destination) == (("--odd",), "/d/")
    add = only("ADD --keep-git-dir=true --checksum=sha256:00 --unpack=false --link=false http://x/y z ./")
    assert (add.keep_git_dir, add.checksum, add.unpack, add.link) == (True, "sha256:00", False, False)
    assert only("ADD a b").unpack is None
    quoted = only('COPY --chown="a b" ["x y", "z"]')
    assert isinstance(quoted, Copy)
    assert (quoted.chown, quoted.sources, quoted.destination) == ("a b", ("x y",), "z")


def test_parse_trigger_reads_what_onbuild_kept() -> None:
    """A trigger keeps its heredocs, and becomes the instruction that it is."""
    (kept,) = parse("FROM a\nONBUILD RUN <<E cat\nhello\nE\n").stages[0].instructions
    assert isinstance(kept, Onbuild)
    run = parse_trigger(kept.trigger)
    assert isinstance(run, Run)
    assert run.heredocs[0].content == "hello\n"
    with pytest.raises(DockerfileError):
        parse_trigger("FROM x")
    with pytest.raises(DockerfileError):
        parse_trigger("RUN x\nRUN y")


@given(st.text(alphabet="FROMRUNCOPYADENVabc \\`\n\t\r#=<-'\"[]{}$,:--", max_size=200))
def test_parse_any_text_is_a_file_or_a_mistake_in_it(text: str) -> None:
    """No text breaks the parser, and every refusal points into the file."""
    try:
        spans = [entry.span for stage in parse("FROM a\n" + text).stages for entry in stage.instructions]
    except DockerfileError as refused:
        spans = [refused.span]
    assert all(1 <= span.first <= span.last <= text.count("\n") + 2 for span in spans)


_WORD = st.text(alphabet="abcXYZ012_./-", min_size=1, max_size=8)


@given(st.lists(st.tuples(_WORD, st.integers(0, 3)), min_size=1, max_size=8))
def test_parse_wherever_a_line_is_broken_it_says_the_same(words: list[tuple[str, int]]) -> None:
    """A command is the same text in one line, in several, and with comments and empty lines between them."""
    breaks = [" ", " \\\n", " \\\n# c\n", " \\\n\n"]
    plain = shell_text("RUN x " + " ".join(word for word, _ in words))
    broken = shell_text("RUN x" + "".join(breaks[kind] + word for word, kind in words))
    assert broken == plain
