"""The command line of `shoal-runtime`, as callers of runc write it."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidArgument
from shoal.oci_runtime.arguments import parse


def test_parse_takes_what_containerd_calls() -> None:
    """Flags before the verb, behind it, and the words; with `=`, without, by one dash, by one letter."""
    words = "--root /r --log=/l --log-format json create --bundle /b -pid-file /p --no-pivot one"
    call = parse(words.split())
    assert (call.root, call.options.text("log"), call.options.text("log-format")) == ("/r", "/l", "json")
    assert (call.verb, call.flags.text("bundle"), call.flags.text("pid-file")) == ("create", "/b", "/p")
    assert call.flags.switch("no-pivot")
    assert call.only_id() == "one"


def test_parse_leaves_the_words_of_another_program_alone() -> None:
    """What stands behind the container of an exec is its command, flags included."""
    call = parse(["exec", "-e", "A=1", "--env", "B=2", "-t", "one", "ls", "-l", "--env", "x"])
    assert call.flags.texts("env") == ["A=1", "B=2"]
    assert call.words == ["one", "ls", "-l", "--env", "x"]


@pytest.mark.parametrize(("words", "value"), [("--detach", True), ("--detach=true", True), ("--detach=false", False)])
def test_switch_takes_a_value_only_behind_an_equals_sign(words: str, value: bool) -> None:
    """As Go's flags do."""
    assert parse(["run", words, "one"]).flags.switch("detach") is value


def test_flags_may_stand_behind_the_id() -> None:
    """`kill ID KILL --all` and `delete ID --force` are written so by people."""
    assert parse(["delete", "one", "--force"]).flags.switch("force")
    assert parse(["kill", "one", "9", "-a"]).words == ["one", "9"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["fly"], "unknown command"),
        (["--wings"], "flag provided but not defined: --wings"),
        (["run", "--bundle"], "flag needs an argument"),
        (["run", "--detach=perhaps", "one"], "it is true or false"),
        (["run", "--preserve-fds", "x", "one"], "it is a number"),
        (["state"], "requires a container id"),
    ],
)
def test_parse_refuses_in_words(words: list[str], sentence: str) -> None:
    """Each mistake has its sentence."""

    def read() -> None:
        call = parse(words)
        call.flags.switch("detach")
        call.flags.number("preserve-fds")
        call.only_id()

    with pytest.raises(InvalidArgument, match=sentence):
        read()
