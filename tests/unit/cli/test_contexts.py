"""Contexts: names for engines, in the files that Docker's client has too."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import tarfile
from pathlib import Path

import pytest

from shoal.cli.context import Context
from shoal.cli.contexts import ContextStore
from shoal.cli.endpoint import context_name, open_client
from shoal.cli.main import run_words
from shoal.client.transport import UnixTransport
from tests.unit.cli.invocation import Outcome
from tests.unit.cli.invocation import shoal as run_shoal


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment whose configuration is empty."""
    return {"DOCKER_CONFIG": str(tmp_path / "config")}


def _meta(home: dict[str, str], name: str) -> Path:
    return Path(home["DOCKER_CONFIG"], "contexts", "meta", hashlib.sha256(name.encode()).hexdigest(), "meta.json")


def _create(home: dict[str, str], name: str, *more: str) -> Outcome:
    return run_shoal("context", "create", name, "--docker", f"host=unix:///{name}.sock", *more, environment=home)


def _context(home: dict[str, str]) -> Context:
    streams = [io.TextIOWrapper(io.BytesIO()) for _ in range(3)]
    return Context(open_client, streams[0], streams[1], streams[2], home)


def test_context_create_writes_dockers_file(home: dict[str, str]) -> None:
    """The file is where Docker's client looks for it, and says what it would."""
    made = _create(home, "box", "--description", "a box")
    assert (made.code, made.stdout, made.stderr) == (0, "box\n", 'Successfully created context "box"\n')
    assert json.loads(_meta(home, "box").read_text()) == {
        "Name": "box",
        "Metadata": {"Description": "a box"},
        "Endpoints": {"docker": {"Host": "unix:///box.sock", "SkipTLSVerify": False}},
    }


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("default", "--docker", "host=unix:///x"), 'context name "default" is reserved'),
        (("-x", "--docker", "host=unix:///x"), "unknown shorthand flag"),
        (("a/b", "--docker", "host=unix:///x"), 'context name "a/b" is invalid'),
        (("box",), "docker endpoint configuration is required"),
        (("box", "--docker", "hots=unix:///x"), "unrecognized config key: hots"),
        (("box", "--docker", "host"), "must be formatted as key=value"),
        (("box", "--docker", "host=gopher://x"), "invalid bind address format"),
        (("box", "--docker", "host=tcp://x,ca=/nowhere"), "unable to read /nowhere"),
        (("box", "--from", "none"), 'context "none": context not found'),
    ],
)
def test_context_create_refuses_what_makes_no_context(
    home: dict[str, str], words: tuple[str, ...], sentence: str
) -> None:
    """Nothing is written, and the sentence names what is wrong."""
    outcome = run_shoal("context", "create", *words, environment=home)
    assert outcome.code != 0
    assert sentence in outcome.stderr
    assert ContextStore(home["DOCKER_CONFIG"]).names() == []


def test_context_create_twice_is_a_conflict(home: dict[str, str]) -> None:
    """The first one stays as it was."""
    _create(home, "box")
    again = _create(home, "box", "--description", "other")
    assert again.code == 1
    assert 'context "box" already exists' in again.stderr
    assert json.loads(_meta(home, "box").read_text())["Metadata"] == {}


def test_context_ls_marks_the_one_in_use(home: dict[str, str]) -> None:
    """`default` is always there; the star stands where the next command goes."""
    _create(home, "box")
    assert run_shoal("context", "ls", "-q", environment=home).stdout == "box\ndefault\n"
    assert "\ndefault * " in run_shoal("context", "ls", environment=home).stdout
    assert run_shoal("context", "use", "box", environment=home).stdout == "box\n"
    assert "\nbox * " in run_shoal("context", "ls", environment=home).stdout
    assert run_shoal("context", "show", environment=home).stdout == "box\n"
    rows = run_shoal("context", "ls", "--format", "json", environment=home).stdout.splitlines()
    assert [json.loads(row)["Current"] for row in rows] == [True, False]


def test_context_in_use_follows_dockers_order(home: dict[str, str]) -> None:
    """--context, then a host, then DOCKER_CONTEXT, then what was chosen."""
    for name in ("chosen", "variable", "flag"):
        _create(home, name)
    run_shoal("context", "use", "chosen", environment=home)
    assert context_name(_context(home)) == "chosen"
    assert context_name(_context({**home, "DOCKER_CONTEXT": "variable"})) == "variable"
    assert context_name(_context({**home, "DOCKER_CONTEXT": "variable", "DOCKER_HOST": "unix:///x"})) == "default"
    shown = run_shoal("--context", "flag", "context", "show", environment={**home, "DOCKER_HOST": "unix:///x"})
    assert shown.stdout == "flag\n"


def test_context_leads_to_its_engine(home: dict[str, str]) -> None:
    """The client of a context talks to the context's address."""
    _create(home, "box")
    transport = open_client(_context({**home, "DOCKER_CONTEXT": "box"})).transport
    assert isinstance(transport, UnixTransport)
    assert transport.path == "/box.sock"


def test_context_of_dockers_choice_is_not_followed(home: dict[str, str]) -> None:
    """What `docker context use` chose need not have a shoald behind it."""
    _create(home, "box")
    Path(home["DOCKER_CONFIG"], "config.json").write_text('{"currentContext": "box"}')
    assert run_shoal("context", "show", environment=home).stdout == "default\n"


def test_context_use_unknown_is_refused_and_default_always_works(home: dict[str, str]) -> None:
    """The choice stays as it was."""
    _create(home, "box")
    run_shoal("context", "use", "box", environment=home)
    assert run_shoal("context", "use", "none", environment=home).code == 1
    assert run_shoal("context", "show", environment=home).stdout == "box\n"
    run_shoal("context", "use", "default", environment=home)
    assert run_shoal("context", "show", environment=home).stdout == "default\n"


def test_context_use_warns_of_what_goes_before_it(home: dict[str, str]) -> None:
    """DOCKER_HOST still counts, and that is said."""
    _create(home, "box")
    outcome = run_shoal("context", "use", "box", environment={**home, "DOCKER_HOST": "unix:///x"})
    assert "Warning: DOCKER_HOST environment variable overrides the active context." in outcome.stderr


def test_context_rm_of_the_one_in_use_needs_force(home: dict[str, str]) -> None:
    """With -f it goes, and `default` counts again."""
    _create(home, "box")
    run_shoal("context", "use", "box", environment=home)
    refused = run_shoal("context", "rm", "box", environment=home)
    assert (refused.code, refused.stdout) == (1, "")
    assert 'context "box" is in use, set -f flag to force remove' in refused.stderr
    assert run_shoal("context", "rm", "-f", "box", environment=home).stdout == "box\n"
    assert run_shoal("context", "show", environment=home).stdout == "default\n"
    assert run_shoal("context", "rm", "box", environment=home).code == 1
    assert run_shoal("context", "rm", "default", environment=home).code == 1


def test_context_export_and_import_carry_keys_for_their_owner_only(home: dict[str, str], tmp_path: Path) -> None:
    """What comes back is the same, and neither the archive nor the files can be read by others."""
    key = tmp_path / "key"
    key.write_text("secret")
    words = ("--docker", f"host=tcp://box:2376,key={key},cert={key},ca={key}", "--description", "far")
    run_shoal("context", "create", "box", *words, environment=home)
    archive = tmp_path / "archive"
    assert run_shoal("context", "export", "box", str(archive), environment=home).code == 0
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert run_shoal("context", "export", "box", str(archive), environment=home).code == 1
    assert run_shoal("context", "import", "copy", str(archive), environment=home).stdout == "copy\n"
    copy = ContextStore(home["DOCKER_CONFIG"]).get("copy")
    assert (copy.host, copy.description, set(copy.tls.values())) == ("tcp://box:2376", "far", {b"secret"})
    files = copy.tls_files()
    assert files is not None
    assert stat.S_IMODE(Path(files.key).stat().st_mode) == 0o600


def _tar(members: dict[str, bytes]) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return output.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a tar",
        _tar({"x": b""}),
        _tar({"meta.json": b"["}),
        _tar({"meta.json": b"[" * 100000}),
        _tar({"../../meta.json": b"{}"}),
    ],
    ids=["empty", "no tar", "no meta.json", "no JSON", "deep JSON", "path out of it"],
)
def test_context_import_of_something_else_is_refused(home: dict[str, str], content: bytes) -> None:
    """A file from a stranger makes no context, no crash, and no file elsewhere."""
    outcome = run_shoal("context", "import", "box", "-", environment=home, stdin=content)
    assert (outcome.code, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith("shoal: ")
    assert ContextStore(home["DOCKER_CONFIG"]).names() == []


def test_context_import_never_unpacks_paths(home: dict[str, str], tmp_path: Path) -> None:
    """Only the members that a context has are looked at, under names of the store's own."""
    content = _tar({"meta.json": b"{}", "tls/docker/../../../evil": b"x", "/evil": b"x", "tls/docker/ca.pem": b"ca"})
    assert run_shoal("context", "import", "box", "-", environment=home, stdin=content).code == 0
    assert not list(tmp_path.rglob("evil"))
    assert ContextStore(home["DOCKER_CONFIG"]).get("box").tls == {"ca.pem": b"ca"}


def test_context_update_changes_what_is_given(home: dict[str, str]) -> None:
    """The description alone leaves the address, and the other way round."""
    _create(home, "box")
    run_shoal("context", "update", "box", "--description", "new", environment=home)
    run_shoal("context", "update", "box", "--docker", "host=ssh://me@box", environment=home)
    stored = ContextStore(home["DOCKER_CONFIG"]).get("box")
    assert (stored.description, stored.host) == ("new", "ssh://me@box")
    assert run_shoal("context", "update", "none", "--description", "x", environment=home).code == 1


def test_context_inspect_describes_the_one_in_use_by_default(home: dict[str, str]) -> None:
    """`default` has no file; another one says where it is kept."""
    _create(home, "box")
    (default,) = json.loads(run_shoal("context", "inspect", environment=home).stdout)
    assert default["Storage"] == {"MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>"}
    asked = run_shoal("context", "inspect", "box", "--format", "{{.Endpoints.docker.Host}}", environment=home)
    assert asked.stdout == "unix:///box.sock\n"


def test_context_that_is_gone_is_told_by_every_verb(home: dict[str, str]) -> None:
    """`shoal ps` with a context that was removed says which one, and how to see the others."""
    context = _context({**home, "DOCKER_CONTEXT": "gone"})
    assert run_words(["ps"], context) == 1
    context.stderr.flush()
    shown = context.stderr.buffer
    assert isinstance(shown, io.BytesIO)
    assert 'shoal: context "gone": context not found' in shown.getvalue().decode()
