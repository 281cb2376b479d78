"""What the Tab key offers."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.cli.completion import split_line
from tests.unit.cli.invocation import Outcome, shoal
from tests.unit.client.scripted import answer

CONTAINERS = [
    {"Names": ["/web"], "Image": "busybox", "Status": "Up 2 minutes", "State": "running"},
    {"Names": ["/db", "/web/alias"], "Image": "busybox", "Status": "Exited (0)", "State": "exited"},
]


def complete(line: str, *answers: object, environment: dict[str, str] | None = None) -> Outcome:
    """The outcome for a line that ends at the cursor, with the engine's answers to what is asked."""
    return shoal(
        "__complete", "--line", line, scripts=[[answer(200, body) for body in answers]], environment=environment
    )


def offered(outcome: Outcome) -> list[str]:
    """The candidates alone."""
    return [line.partition("\t")[0] for line in outcome.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("shoal", ["shoal"]),
        ("shoal ", ["shoal", ""]),
        ("shoal rm  web d", ["shoal", "rm", "web", "d"]),
        ("shoal run -e 'a b' ", ["shoal", "run", "-e", "a b", ""]),
        ('shoal run -e "a \\" b"c', ["shoal", "run", "-e", 'a " bc']),
        ("shoal run -e a\\ b", ["shoal", "run", "-e", "a b"]),
        ("shoal exec 'x y", ["shoal", "exec", "x y"]),
        ("shoal x''", ["shoal", "x"]),
        ("shoal ''", ["shoal", ""]),
        ("shoal \\", ["shoal", ""]),
    ],
)
def test_split_line_reads_what_a_shell_would(line: str, words: list[str]) -> None:
    """Quotes, backslashes and a word that is not finished."""
    assert split_line(line) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("shoal vol", ["volume"]),
        ("shoal sto", ["stop"]),
        ("shoal volume ", ["create", "inspect", "list", "ls", "prune", "remove", "rm"]),
        ("shoal container rena", ["rename"]),
        ("shoal nothing ", []),
        ("shoal volume nothing ", []),
        ("shoal ps --no", ["--no-trunc"]),
        ("shoal run --pull=al", ["--pull=always"]),
        ("shoal run --pull ", ["always", "missing", "never"]),
        ("shoal run -it --pull n", ["never"]),
        ("shoal ps -f stat", ["status=", ":nospace"]),
        ("shoal ps --filter status=p", ["status=paused"]),
        ("shoal kill -s US", ["USR1", "USR2"]),
        ("shoal --log-level w", ["warn"]),
        ("shoal -H un", ["unix://", ":nospace"]),
        ("shoal --tlsca", ["--tlscacert"]),
        ("shoal completion ", ["bash", "zsh", "fish"]),
        ("shoal load -i ", [":files"]),
        ("shoal run busybox ls ", [":files"]),
        ("shoal exec web ls -", [":files"]),
        ("shoal rm -- -", []),
    ],
)
def test_complete_knows_verbs_flags_and_values(line: str, words: list[str]) -> None:
    """What no engine needs to be asked for."""
    outcome = complete(line)
    assert (outcome.code, offered(outcome), outcome.stderr) == (0, words, "")
    assert not outcome.requests or line.startswith("shoal rm")


def test_complete_offers_containers_with_what_they_are() -> None:
    """A link's alias is no name, and what stands on the line already is not offered again."""
    outcome = complete("shoal inspect ", CONTAINERS, [], [], {"Volumes": []})
    assert outcome.stdout.splitlines()[:2] == ["web\tbusybox, Up 2 minutes", "db\tbusybox, Exited (0)"]
    assert offered(complete("shoal rm web ", CONTAINERS)) == ["db"]
    assert offered(complete("shoal container rm w", CONTAINERS)) == ["web"]


def test_complete_asks_for_containers_that_fit_the_verb() -> None:
    """`stop` offers what runs, `start` what does not."""
    (request,) = complete("shoal start ", CONTAINERS).requests
    assert "created" in request
    assert "exited" in request
    assert "running" not in request


def test_complete_offers_images_without_latest() -> None:
    """An image without a name is offered by its id."""
    images = [{"RepoTags": ["busybox:latest", "a:1"]}, {"RepoTags": [], "Id": "sha256:0123456789abcdef"}]
    assert offered(complete("shoal run ", images)) == ["busybox", "a:1", "0123456789ab"]


def test_complete_offers_networks_and_volumes_as_values() -> None:
    """A volume may also be a directory, so files may stand there."""
    assert offered(complete("shoal run --network=b", [{"Name": "bridge"}])) == ["--network=bridge"]
    assert offered(complete("shoal run -v ", {"Volumes": [{"Name": "data"}]})) == ["data", ":files"]


def test_complete_of_cp_is_a_path_or_a_container() -> None:
    """The colon belongs to the word, which goes on behind it."""
    assert offered(complete("shoal cp w", CONTAINERS)) == ["web:", ":nospace"]
    assert offered(complete("shoal cp ./", CONTAINERS)) == [":files"]


def test_complete_offers_contexts(tmp_path: Path) -> None:
    """By flag and by verb, and of the directory that the line itself names."""
    home = {"DOCKER_CONFIG": str(tmp_path)}
    shoal("context", "create", "box", "--docker", "host=unix:///x", environment=home)
    assert offered(complete("shoal --context b", environment=home)) == ["box"]
    assert offered(complete("shoal context use ", environment=home)) == ["default", "box"]
    assert offered(complete(f"shoal --config {tmp_path} context rm b")) == ["box"]


@pytest.mark.parametrize("line", ["shoal stop ", "shoal run ", "shoal volume rm ", "shoal network rm ", "shoal cp "])
def test_complete_without_an_engine_says_nothing(line: str) -> None:
    """No error into the middle of a line that somebody types, and no engine that starts."""
    outcome = shoal("__complete", "--line", line, scripts=[[]])
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "", "")


def test_complete_takes_words_as_zsh_and_fish_have_them() -> None:
    """Behind `--`, the last one unfinished."""
    assert offered(shoal("__complete", "--", "volume", "c")) == ["create"]
    assert "ps" in offered(shoal("__complete", "--", ""))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(shell: str) -> None:
    """Another shell is refused with the names of these."""
    outcome = shoal("completion", shell)
    assert outcome.code == 0
    assert "__complete" in outcome.stdout
    assert shoal("completion", "csh").code == 1
