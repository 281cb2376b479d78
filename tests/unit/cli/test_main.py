"""Finding the verb, and turning errors into words and exit codes."""

from __future__ import annotations

import re

import pytest

from shoal import __version__
from shoal.cli.verbs.table import GROUPS, VERBS, load_verb
from tests.unit.cli.invocation import shoal
from tests.unit.client.scripted import answer


def test_shoal_without_words_shows_the_verbs() -> None:
    """The overview names every verb that stands alone, and every group."""
    outcome = shoal()
    assert outcome.code == 0
    names = [*(entry.name for entry in VERBS if " " not in entry.name and not entry.hidden), *GROUPS]
    assert all(f"\n  {name} " in outcome.stdout for name in names)


@pytest.mark.parametrize("entry", VERBS, ids=lambda entry: entry.name)
def test_verb_help_shows_its_usage(entry: object) -> None:
    """Every verb's module loads, and its help costs no connection."""
    name = getattr(entry, "name", "")
    outcome = shoal(name, "--help")
    assert outcome.code == 0
    assert outcome.stdout.startswith(f"Usage:  shoal {name}")
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
    """Docker's code and sentence, and where to look."""
    outcome = shoal("bogus")
    assert outcome.code == 1
    assert outcome.stderr == "shoal: unknown command: shoal bogus\n\nRun 'shoal --help' for more information\n"


@pytest.mark.parametrize(
    ("words", "meant"),
    [(("sp",), "ps"), (("pss",), "ps"), (("comit",), "commit"), (("container", "lss"), "ls"), (("volum",), "volume")],
)
def test_shoal_misspelt_verb_asks_for_the_meant_one(words: tuple[str, ...], meant: str) -> None:
    """A slip of the finger is answered with the word that it may have been."""
    stderr = shoal(*words).stderr
    assert "hint: did you mean" in stderr
    assert re.search(rf"\b{meant}\b", stderr.partition("hint:")[2])


@pytest.mark.parametrize("words", [("ps", "--bogus"), ("run", "--bogus", "x"), ("rm", "c", "--bogus")])
def test_shoal_unknown_flag_is_a_usage_error(words: tuple[str, ...]) -> None:
    """Docker's sentence and code, wherever the flag stands."""
    outcome = shoal(*words)
    assert outcome.code == 125
    assert outcome.stderr.startswith(f"shoal: unknown flag: --bogus\n\nUsage:  shoal {words[0]} [OPTIONS]")
    assert outcome.stderr.endswith(f"\n\nRun 'shoal {words[0]} --help' for more information\n")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("ps", "-z"), "unknown shorthand flag: 'z' in -z"),
        (("ps", "-n"), "flag needs an argument: 'n' in -n"),
        (("ps", "--filter"), "flag needs an argument: --filter"),
        (
            ("ps", "-n", "x"),
            'invalid argument "x" for "-n, --last" flag: strconv.ParseInt: parsing "x": invalid syntax',
        ),
        (
            ("ps", "--all=maybe"),
            'invalid argument "maybe" for "-a, --all" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
    ],
)
def test_shoal_wrong_flags_are_refused_in_dockers_words(words: tuple[str, ...], sentence: str) -> None:
    """What scripts look for in the refusals of Docker's client is there."""
    outcome = shoal(*words)
    assert outcome.code == 125
    assert outcome.stderr.startswith(f"shoal: {sentence}\n")


def test_shoal_misspelt_flag_asks_for_the_meant_one() -> None:
    """`--filtr` is nearly `--filter`."""
    assert "hint: did you mean --filter?" in shoal("ps", "--filtr", "x").stderr


def test_shoal_missing_argument_is_named() -> None:
    """Docker's sentence and code, and the usage that names what is missing."""
    outcome = shoal("run")
    assert outcome.code == 1
    assert outcome.stderr.startswith(
        "shoal: 'shoal run' requires at least 1 argument\n\nUsage:  shoal run [OPTIONS] IM"
    )


@pytest.mark.parametrize(
    ("words", "arity"),
    [
        (("ps", "x"), "accepts no arguments"),
        (("rename", "a"), "requires 2 arguments"),
        (("exec", "a"), "requires at least 2 arguments"),
        (("port",), "requires at least 1 and at most 2 arguments"),
        (("volume", "create", "a", "b"), "requires at most 1 argument"),
    ],
)
def test_shoal_wrong_number_of_words_is_counted(words: tuple[str, ...], arity: str) -> None:
    """How many words a verb takes is said as Docker's client says it."""
    outcome = shoal(*words)
    assert outcome.code == 1
    assert arity in outcome.stderr


def test_shoal_joined_letters_are_several_flags() -> None:
    """`-aqn5` is -a, -q and -n 5, and `-n=5` is -n 5."""
    expected = ["GET /v1.50/containers/json?all=1&limit=5"]
    assert shoal("ps", "-aqn5", scripts=[[answer(200, [])]]).requests == expected
    assert shoal("ps", "-n=5", scripts=[[answer(200, [])]]).requests == expected


def test_shoal_two_hosts_or_a_host_and_a_context_conflict() -> None:
    """Which engine is meant must be clear."""
    assert "specify only one -H" in shoal("-H", "a:1", "-H", "b:1", "ps").stderr
    assert "both --host and --context" in shoal("-H", "a:1", "--context", "b", "ps").stderr


def test_shoal_engine_error_is_told_with_its_hint() -> None:
    """what, why and fix of the engine reach the user; the exit code of most verbs is 1."""
    body = {"message": "No such container: x", "fix": "shoal ps -a"}
    outcome = shoal("stop", "x", scripts=[[answer(404, body)]])
    assert outcome.code == 1
    assert outcome.stderr == "shoal: No such container: x\nhint: shoal ps -a\n"


@pytest.mark.parametrize(
    ("fix", "told"),
    [
        ("docker network ls", "shoal network ls"),
        ("stop it: `docker ps`, or docker rm -f x", "stop it: `shoal ps`, or shoal rm -f x"),
        ("see the docker endpoint, or ask docker ", "see the docker endpoint, or ask docker "),
    ],
)
def test_shoal_hint_names_its_own_commands(fix: str, told: str) -> None:
    """An engine advises in `docker`'s commands; who types `shoal` reads them as that."""
    outcome = shoal("stop", "x", scripts=[[answer(404, {"message": "No such container: x", "fix": fix})]])
    assert outcome.stderr == f"shoal: No such container: x\nhint: {told}\n"


def test_shoal_goes_on_after_one_of_several_fails() -> None:
    """The others are done, and the code tells that one was not."""
    outcome = shoal("stop", "a", "b", scripts=[[answer(404, {"message": "No such container: a"}), answer(204)]])
    assert (outcome.code, outcome.stdout) == (1, "b\n")


def test_shoal_group_words_lead_to_the_verbs() -> None:
    """`container ls` is ps, `image ls` is images."""
    assert shoal("container", "ls", scripts=[[answer(200, [])]]).requests == ["GET /v1.50/containers/json"]
    assert shoal("image", "ls", scripts=[[answer(200, [])]]).requests == ["GET /v1.50/images/json"]
    assert shoal("container", "bogus").code == 1


def test_shoal_options_may_stand_after_names() -> None:
    """`rm NAME -f` works, as with Docker's client."""
    assert shoal("rm", "x", "-f", scripts=[[answer(204)]]).requests == ["DELETE /v1.50/containers/x?force=1"]


def test_shoal_switch_takes_a_value() -> None:
    """`--all=false` is not `--all`."""
    assert shoal("ps", "--all=true", scripts=[[answer(200, [])]]).requests == ["GET /v1.50/containers/json?all=1"]
    assert shoal("ps", "--all=false", scripts=[[answer(200, [])]]).requests == ["GET /v1.50/containers/json"]
