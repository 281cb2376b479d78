"""Documents that stand in the file."""

from __future__ import annotations

import pytest

from shoal.build.dockerfile.heredocs import ScriptFile, heredoc_of, script_of
from shoal.build.dockerfile.instructions import Copy, Heredoc, Instruction, Run
from shoal.build.dockerfile.parser import parse


def last(text: str) -> Instruction:
    """The last instruction of a file."""
    return parse("FROM a\n" + text).stages[0].instructions[-1]


@pytest.mark.parametrize(
    ("word", "heredoc"),
    [
        ("<<EOF", Heredoc("EOF", "")),
        ("<<-EOF", Heredoc("EOF", "", strip_tabs=True)),
        ('<<"EOF"', Heredoc("EOF", "", expand=False)),
        ("<<'EOF'", Heredoc("EOF", "", expand=False)),
        ("<<E'O'F", Heredoc("EOF", "", expand=False)),
        (r"<<\EOF", Heredoc("EOF", "", expand=False)),
        ("3<<EOF", Heredoc("EOF", "")),
        ("<<$x", Heredoc("$x", "")),
        ("<<", None),
        ("<<-", None),
        ("<EOF", None),
        ("<<<EOF", None),
        ("cat<<EOF", None),
        ("<<'a b' c", None),
        ("<<'a", None),
    ],
)
def test_heredoc_of_word_is_its_name_and_kind(word: str, heredoc: Heredoc | None) -> None:
    """Quotes anywhere in the name mean that the content has no variables."""
    assert heredoc_of(word) == heredoc


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("RUN echo\n", "echo"),
        ("RUN <<E\necho 1\necho $x\nE\n", "echo 1\necho $x\n"),
        ("RUN <<-E\n\t\techo 1\n\tE\n", "echo 1\n"),
        ("RUN <<E\nE\n", ""),
        ("RUN <<E\n#!/bin/cat\nx\nE\n", ScriptFile("E", "#!/bin/cat\nx\n")),
        ("RUN cat <<E\n#!/bin/cat\nE\n", "cat <<E\n#!/bin/cat\nE"),
        ("RUN cat <<-A 3<<'B' >x\n\ta\n\tA\nb\nB\n", "cat <<-A 3<<'B' >x\n\ta\nA\nb\nB"),
        ("RUN echo it's <<E\n", "echo it's <<E"),
        ("RUN echo '<<E'\n", "echo '<<E'"),
        ("RUN cat<<E\n", "cat<<E"),
    ],
)
def test_script_of_run_is_what_the_shell_gets(text: str, script: str | ScriptFile) -> None:
    """A document alone is the script; with a command around it, the shell reads it itself."""
    run = last(text)
    assert isinstance(run, Run)
    assert script_of(run) == script


def test_heredocs_of_copy_are_files_beside_its_paths() -> None:
    """COPY takes several documents and paths in one instruction."""
    copy = last("COPY <<A file <<-'B' /d/\na $x\nA\n\tb\nB\n")
    assert isinstance(copy, Copy)
    assert (copy.sources, copy.destination) == (("file",), "/d/")
    assert [(entry.name, entry.content, entry.expand) for entry in copy.heredocs] == [
        ("A", "a $x\n", True),
        ("B", "b\n", False),
    ]
    assert (copy.span.first, copy.span.last) == (2, 6)


def test_heredocs_only_where_the_reference_has_them() -> None:
    """`<<` in other instructions, and in the JSON form, announces nothing."""
    instructions = (
        parse('FROM a\nENV a=<<E\nCMD <<E\nRUN ["x", "<<E"]\nCOPY ["<<E", "/x"]\nRUN y\n').stages[0].instructions
    )
    assert [entry.original for entry in instructions][-1] == "RUN y"
    assert len(instructions) == 5


def test_heredoc_without_final_newline_ends_with_the_file() -> None:
    """The line that ends a document may be the last of the file, without a newline."""
    run = last("RUN <<E\nx\nE")
    assert isinstance(run, Run)
    assert run.heredocs[0].content == "x\n"
