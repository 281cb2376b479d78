"""Finding the verb, and turning errors into words and exit codes."""

from __future__ import annotations

import pytest

from shoal import __version__
from shoal.cli.verbs.table import GROUPS, VERBS, load_verb
from tests.unit.cli.invocation import shoal
from tests.unit.client.scripted import answer


def test_shoal_without_words_shows_the_verbs() -> None:
    """The overview names every verb."""
    outcome = shoal()
    assert outcome.code == 0
    assert all(f"  {entry.name} " in outcome.stdout for entry in VERBS)


@pytest.mark.parametrize("entry", VERBS, ids=lambda entry: entry.name)
def test_verb_help_shows_its_usage(entry: object) -> None:
    """Every verb's module loads, and its help costs no connection."""
    name = getattr(entry, "name", "")
    outcome = shoal(name, "--help")
    assert outcome.code == 0
    assert outcome.stdout.startswith(f"usage: shoal {name}")
    assert outcome.requests == []


def test_verb_modules_have_what_the_table_needs() -> None:
    """Each module has Options, configure and run; each grouped word leads to a verb."""
    for entry in VERBS:
        verb = load_verb(entry)
        assert callable(verb.configure)
        assert callable(verb.run)
        assert isinstance(verb.Options, type)
    names = {entry.name for entry in VERBS}
    assert {verb for group in GROUPS.values() for verb in group.values()} <= names


def test_shoal_version_is_the_package_version() -> None:
    """--version asks no engine."""
    assert shoal("--version").stdout == f"shoal version {__version__}\n"


def test_shoal_unknown_verb_is_a_usage_error() -> None:
    """125, the word, and where to look."""
    outcome = shoal("bogus")
    assert outcome.code == 125
    assert outcome.stderr == "shoal: 'bogus' is not a shoal command\nhint: shoal --help\n"


@pytest.mark.parametrize("words", [("ps", "--bogus"), ("run", "--bogus", "x"), ("rm", "c", "--bogus")])
def test_shoal_unknown_flag_is_a_usage_error(words: tuple[str, ...]) -> None:
    """Docker's sentence and code, wherever the flag stands."""
    outcome = shoal(*words)
    assert outcome.code == 125
    assert outcome.stderr == f"shoal: unknown flag: --bogus\nhint: shoal {words[0]} --help\n"


def test_shoal_missing_argument_is_named() -> None:
    """What is missing is said by its name."""
    outcome = shoal("run")
    assert outcome.code == 125
    assert "`shoal run` requires IMAGE" in outcome.stderr


def test_shoal_engine_error_is_told_with_its_hint() -> None:
    """what, why and fix of the engine reach the user; the exit code of most verbs is 1."""
    body = {"message": "No such container: x", "fix": "shoal ps -a"}
    outcome = shoal("stop", "x", scripts=[[answer(404, body)]])
    assert outcome.code == 1
    assert outcome.stderr == "shoal: No such container: x\nhint: shoal ps -a\n"


def test_shoal_goes_on_after_one_of_several_fails() -> None:
    """The others are done, and the code tells that one was not."""
    outcome = shoal("stop", "a", "b", scripts=[[answer(404, {"message": "No such container: a"}), answer(204)]])
    assert (outcome.code, outcome.stdout) == (1, "b\n")


def test_shoal_group_words_lead_to_the_verbs() -> None:
    """`container ls` is ps, `image ls` is images."""
    assert shoal("container", "ls", scripts=[[answer(200, [])]]).requests == ["GET /v1.50/containers/json"]
    assert shoal("image", "ls", scripts=[[answer(200, [])]]).requests == ["GET /v1.50/images/json"]
    assert shoal("container", "bogus").code == 125


def test_shoal_options_may_stand_after_names() -> None:
    """`rm NAME -f` works, as with Docker's client."""
    assert shoal("rm", "x", "-f", scripts=[[answer(204)]]).requests == ["DELETE /v1.50/containers/x?force=1"]


def test_shoal_switch_takes_a_value() -> None:
    """`--all=false` is not `--all`."""
    assert shoal("ps", "--all=true", scripts=[[answer(200, [])]]).requests == ["GET /v1.50/containers/json?all=1"]
    assert shoal("ps", "--all=false", scripts=[[answer(200, [])]]).requests == ["GET /v1.50/containers/json"]
