"""ps, images, history, inspect: what is asked, and what is shown."""

from __future__ import annotations

import json
import time

import pytest

from shoal.cli.verbs.ps import ports_text
from shoal.client.document import Document
from tests.unit.cli.invocation import shoal
from tests.unit.client.scripted import answer

NOW = int(time.time())
CONTAINER = {
    "Id": "0123456789abcdef",
    "Names": ["/web", "/other/alias"],
    "Image": "busybox",
    "Command": "sleep a very long time indeed",
    "Created": NOW - 370 * 86400,
    "Status": "Up 2 minutes",
    "State": "running",
    "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}],
    "Labels": {"b": "2", "a": "1"},
    "NetworkSettings": {"Networks": {"bridge": {}}},
    "Mounts": [{"Type": "bind", "Source": "/a/very/long/directory"}],
    "SizeRw": 10,
    "SizeRootFs": 2_000_000,
}
IMAGE = {
    "Id": "sha256:0123456789abcdef",
    "RepoTags": ["busybox:latest", "localhost:5000/x/busybox:1"],
    "RepoDigests": ["busybox@sha256:aa"],
    "Created": NOW - 370 * 86400,
    "Size": 2_130_000,
    "SharedSize": -1,
    "Containers": -1,
}


def test_ps_shows_dockers_table() -> None:
    """Headings and columns stand where Docker's client puts them."""
    outcome = shoal("ps", scripts=[[answer(200, [CONTAINER])]])
    assert outcome.stdout.splitlines() == [
        "CONTAINER ID   IMAGE     COMMAND                  CREATED         STATUS         PORTS                  NAMES",
        '0123456789ab   busybox   "sleep a very long t…"   12 months ago   Up 2 minutes   0.0.0.0:8080->80/tcp   web',
    ]


def test_ps_of_nothing_shows_the_headings() -> None:
    """An empty table is a table."""
    assert shoal("ps", scripts=[[answer(200, [])]]).stdout == (
        "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
    )


def test_ps_asks_for_what_its_flags_say() -> None:
    """all, limit, size and filters travel in the query."""
    words = ("ps", "-a", "-n", "3", "-s", "-f", "name=x", "--filter", "status=exited")
    requests = shoal(*words, scripts=[[answer(200, [])]]).requests
    assert requests == [
        "GET /v1.50/containers/json"
        "?filters=%7B%22name%22%3A%7B%22x%22%3Atrue%7D%2C%22status%22%3A%7B%22exited%22%3Atrue%7D%7D&all=1&limit=3&size=1"
    ]


def test_ps_quiet_shows_ids() -> None:
    """Twelve digits, or all with --no-trunc."""
    assert shoal("ps", "-q", scripts=[[answer(200, [CONTAINER])]]).stdout == "0123456789ab\n"
    assert shoal("ps", "-q", "--no-trunc", scripts=[[answer(200, [CONTAINER])]]).stdout == "0123456789abcdef\n"


def test_ps_no_trunc_shortens_nothing() -> None:
    """Aliases, whole commands."""
    outcome = shoal("ps", "--no-trunc", "--format", "{{.Names}} {{.Command}}", scripts=[[answer(200, [CONTAINER])]])
    assert outcome.stdout == 'web,other/alias "sleep a very long time indeed"\n'


def test_ps_format_template_sees_dockers_fields() -> None:
    """Fields of `docker ps --format`."""
    form = "{{.ID}} {{.Ports}} {{.Labels}} {{.Networks}} {{.Mounts}} {{.Size}} {{.State}}"
    outcome = shoal("ps", "--format", form, scripts=[[answer(200, [CONTAINER])]])
    assert outcome.stdout == (
        "0123456789ab 0.0.0.0:8080->80/tcp a=1,b=2 bridge /a/very/long/d… 10B (virtual 2MB) running\n"
    )
    assert outcome.requests == ["GET /v1.50/containers/json?size=1"]


def test_ps_format_table_has_headings() -> None:
    """`table` with a template has the headings of its fields, and aligned columns."""
    outcome = shoal("ps", "--format", "table {{.Names}}\\t{{.Status}}", scripts=[[answer(200, [CONTAINER])]])
    assert outcome.stdout == "NAMES     STATUS\nweb       Up 2 minutes\n"


def test_ps_format_json_is_one_object_a_line() -> None:
    """For programs."""
    outcome = shoal("ps", "--format", "json", scripts=[[answer(200, [CONTAINER, CONTAINER])]])
    assert [json.loads(line)["Names"] for line in outcome.stdout.splitlines()] == ["web", "web"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--format", "{{.Bogus}}"), "Bogus"),
        (("--format", "{{"), "unclosed action"),
    ],
)
def test_ps_malformed_flag_is_told(words: tuple[str, ...], sentence: str) -> None:
    """Exit code 1 and the reason."""
    outcome = shoal("ps", *words, scripts=[[answer(200, [CONTAINER])]])
    assert outcome.code == 1
    assert sentence in outcome.stderr


def test_ps_filter_without_a_value_is_a_usage_error() -> None:
    """Docker's sentence and code, before anything is asked."""
    outcome = shoal("ps", "-f", "bogus")
    assert (outcome.code, outcome.requests) == (125, [])
    assert 'invalid argument "bogus" for "-f, --filter" flag: bad format of filter' in outcome.stderr


def test_ps_label_of_a_template_looks_one_label_up() -> None:
    """`.Label` is a method: "" for one that there is not, and no field of the JSON."""
    labelled = {**CONTAINER, "Labels": {"a": "1,2", "b": "3"}}
    words = ("ps", "--format", '{{.Label "a"}}|{{.Label "c"}}|{{"b" | .Label}}')
    assert shoal(*words, scripts=[[answer(200, [labelled])]]).stdout == "1,2||3\n"
    shown = json.loads(shoal("ps", "--format", "json", scripts=[[answer(200, [labelled])]]).stdout)
    assert "Label" not in shown
    assert list(shown) == sorted(shown)


def test_ports_text_joins_runs_of_ports() -> None:
    """Neighbours that go to neighbours are one range; everything else stands alone."""

    def port(private: int, public: int = 0, kind: str = "tcp", address: str = "0.0.0.0") -> Document:
        return Document({"IP": address, "PrivatePort": private, "PublicPort": public, "Type": kind})

    assert ports_text([port(80), port(81), port(443)]) == "80-81/tcp, 443/tcp"
    assert ports_text([port(80, 8080), port(81, 8081)]) == "0.0.0.0:8080-8081->80-81/tcp"
    assert ports_text([port(80, 8080), port(81, 9000)]) == "0.0.0.0:8080->80/tcp, 0.0.0.0:9000->81/tcp"
    assert ports_text([port(80, 8080), port(80, 8080, address="::")]) == "0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
    assert ports_text([port(53, 53, "udp"), port(53, 53)]) == "0.0.0.0:53->53/tcp, 0.0.0.0:53->53/udp"


def test_images_shows_a_row_for_each_name() -> None:
    """A registry's port is no tag; the digest belongs to its repository."""
    outcome = shoal("images", "--digests", scripts=[[answer(200, [IMAGE])]])
    assert [line.split() for line in outcome.stdout.splitlines()[1:]] == [
        ["busybox", "latest", "sha256:aa", "0123456789ab", "12", "months", "ago", "2.13MB"],
        ["localhost:5000/x/busybox", "1", "<none>", "0123456789ab", "12", "months", "ago", "2.13MB"],
    ]


def test_images_without_a_name_is_none() -> None:
    """A dangling image has a row too."""
    outcome = shoal(
        "images", "--format", "{{.Repository}}:{{.Tag}}", scripts=[[answer(200, [IMAGE | {"RepoTags": None}])]]
    )
    assert outcome.stdout == "busybox:<none>\n"
    bare = IMAGE | {"RepoTags": [], "RepoDigests": []}
    outcome = shoal("images", "--format", "{{.Repository}}:{{.Tag}}", scripts=[[answer(200, [bare])]])
    assert outcome.stdout == "<none>:<none>\n"


def test_images_reference_is_a_filter() -> None:
    """`shoal images busybox`."""
    requests = shoal("images", "busybox", scripts=[[answer(200, [])]]).requests
    assert requests == ["GET /v1.50/images/json?filters=%7B%22reference%22%3A%7B%22busybox%22%3Atrue%7D%7D"]


def test_images_quiet_shows_each_image_once() -> None:
    """One id for an image with two names."""
    assert shoal("images", "-q", scripts=[[answer(200, [IMAGE])]]).stdout == "0123456789ab\n"


def test_inspect_tries_every_kind_in_dockers_order() -> None:
    """Container, image, network, volume; the first that knows the name wins."""
    missing = answer(404, {"message": "no"})
    outcome = shoal("inspect", "x", scripts=[[missing, missing, missing, answer(200, {"Name": "x"})]])
    assert outcome.code == 0
    assert json.loads(outcome.stdout) == [{"Name": "x"}]
    assert [request.split("/")[2] for request in outcome.requests] == ["containers", "images", "networks", "volumes"]


def test_inspect_of_nothing_is_told() -> None:
    """Docker's sentence, an empty list, and code 1."""
    missing = answer(404, {"message": "no"})
    unserved = answer(501, {"message": "not yet"})
    outcome = shoal("inspect", "x", scripts=[[missing, missing, missing, unserved]])
    assert (outcome.code, outcome.stdout) == (1, "[]\n")
    assert outcome.stderr.startswith("shoal: No such object: x\n")


def test_inspect_of_a_kind_asks_only_for_it() -> None:
    """The engine's own sentence comes through."""
    outcome = shoal("inspect", "--type", "image", "x", scripts=[[answer(404, {"message": "No such image: x:latest"})]])
    assert outcome.stderr == "shoal: No such image: x:latest\n"
    assert shoal("inspect", "--type", "bogus", "x").code == 1


def test_inspect_format_prints_a_line_for_each() -> None:
    """A template, once for each object."""
    script = [answer(200, {"Name": "/a"}), answer(200, {"Name": "/b"})]
    assert shoal("inspect", "-f", "{{.Name}}", "a", "b", scripts=[script]).stdout == "/a\n/b\n"


def test_history_shows_steps_newest_first() -> None:
    """As the engine gives them."""
    steps = [
        {"Id": "sha256:abcdef0123456789", "Created": NOW - 5, "CreatedBy": "COPY x" * 20, "Size": 10, "Comment": "c"},
        {"Id": "<missing>", "Created": NOW - 5, "CreatedBy": "base", "Size": 2_000_000, "Comment": ""},
    ]
    lines = shoal("history", "x", scripts=[[answer(200, steps)]]).stdout.splitlines()
    assert lines[1].split()[0] == "abcdef012345"
    assert "COPY xCOPY x" in lines[1]
    assert "…" in lines[1]
    assert lines[2].startswith("<missing>")
    assert "2MB" in lines[2]


@pytest.mark.parametrize("platform", ["linux", "linux/amd64", "Linux/x86_64"])
def test_platform_that_an_image_has_is_found(platform: str) -> None:
    """As users spell it."""
    image = {"Os": "linux", "Architecture": "amd64", "Id": "sha256:1"}
    script = [answer(200, image), answer(200, image)]
    outcome = shoal("image", "inspect", "--platform", platform, "-f", "{{.Id}}", "x", scripts=[script])
    assert (outcome.code, outcome.stdout) == (0, "sha256:1\n")


@pytest.mark.parametrize("words", [("image", "inspect"), ("history",), ("save", "-o", "/nowhere"), ("rmi",)])
def test_platform_that_an_image_has_not_is_not_found(words: tuple[str, ...]) -> None:
    """Docker's sentence, which platform it has, and nothing done to the one that is there."""
    image = {"Os": "linux", "Architecture": "amd64"}
    outcome = shoal(*words, "--platform", "linux/arm64", "x", scripts=[[answer(200, image)]])
    assert outcome.code == 1
    assert "its platform (linux/amd64) does not match the specified platform (linux/arm64)" in outcome.stderr
    assert [request.split()[0] for request in outcome.requests] == ["GET"]
    assert "invalid platform" in shoal(*words, "--platform", "a//b", "x", scripts=[[answer(200, image)]]).stderr


@pytest.mark.parametrize(
    "words", [("start", "--checkpoint", "c", "x"), ("images", "--tree"), ("load", "--platform", "linux/arm64")]
)
def test_flags_of_what_is_not_served_are_refused(words: tuple[str, ...]) -> None:
    """Known, told as not served, and never passed over in silence."""
    outcome = shoal(*words)
    assert (outcome.code, outcome.requests) == (1, [])
    assert "unknown flag" not in outcome.stderr
