"""`docker build` with the classic builder: what it prints, and what image comes out."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.engine import Engine

pytestmark = [pytest.mark.usefixtures("cli")]
_IDS = re.compile(r"\b[0-9a-f]{12}\b")


@pytest.fixture
def builder(images: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The engine, asked by the classic builder of the command line."""
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    yield images
    images.ok("builder", "prune", "--force")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A directory with a few files."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("a\n")
    (tmp_path / "sub/b.txt").write_text("b\n")
    (tmp_path / "sub/program").write_text("#!/bin/sh\necho hi\n")
    (tmp_path / "sub/program").chmod(0o755)
    return tmp_path


def build(engine: Engine, context: Path, text: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """`docker build` of a Dockerfile of this text."""
    (context / "Dockerfile").write_text(text)
    return engine.docker("build", *flags, str(context))


def steps(output: str) -> list[str]:
    """What was printed, ids and the words around containers of settings left out."""
    told = [_IDS.sub("ID", line) for line in output.splitlines()]
    return [line for line in told if not line.startswith((" ---> Running in", "Removing intermediate", "Sending"))]


def test_build_prints_steps_and_makes_the_image(builder: Engine, context: Path) -> None:
    """Every instruction is a step, its output comes between, and the image has the names."""
    text = (
        'FROM busybox\nENV A=1\nRUN echo "a is $A"\nCOPY sub /sub/\nWORKDIR /sub\nUSER app\n'
        'EXPOSE 80\nLABEL x=y\nVOLUME /v\nSTOPSIGNAL SIGINT\nENTRYPOINT ["cat"]\nCMD ["b.txt"]\n'
    )
    done = build(builder, context, text, "-t", "built:1", "-t", "built:2")
    assert done.returncode == 0, done.stderr
    lines = steps(done.stdout)
    assert [line for line in lines if line.startswith("Step")][:3] == [
        "Step 1/12 : FROM busybox",
        "Step 2/12 : ENV A=1",
        'Step 3/12 : RUN echo "a is $A"',
    ]
    assert "a is 1" in lines
    assert lines[-3:] == ["Successfully built ID", "Successfully tagged built:1", "Successfully tagged built:2"]
    assert builder.ok("run", "--rm", "built:2") == "b"
    (image,) = json.loads(builder.ok("image", "inspect", "built:1"))
    config = image["Config"]
    assert config["Env"] == ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=1"]
    assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("app", "/sub", "SIGINT")
    assert (config["Entrypoint"], config["Cmd"]) == (["cat"], ["b.txt"])
    assert (config["ExposedPorts"], config["Volumes"]) == ({"80/tcp": {}}, {"/v": {}})
    assert config["Labels"] == {"x": "y"}


def test_build_again_uses_the_cache(builder: Engine, context: Path) -> None:
    """What is built a second time is all taken from the cache, and is the same image, though files have other times."""
    text = "FROM busybox\nCOPY sub /sub/\nRUN date > /now\n"
    first = build(builder, context, text, "-q")
    (context / "sub/b.txt").touch()
    again = build(builder, context, text, "-t", "again")
    assert again.stdout.count(" ---> Using cache") == 2
    assert builder.ok("image", "inspect", "-f", "{{.Id}}", "again") == first.stdout.strip()


def test_build_changed_file_is_built_anew(builder: Engine, context: Path) -> None:
    """A file with other content is copied, and what follows is run."""
    text = "FROM busybox\nRUN echo early\nCOPY a.txt /\nRUN cat /a.txt\n"
    build(builder, context, text)
    (context / "a.txt").write_text("other\n")
    again = build(builder, context, text)
    assert again.stdout.count(" ---> Using cache") == 1
    assert "other\n" in again.stdout


def test_build_of_a_failing_command_tells_its_code(builder: Engine, context: Path) -> None:
    """The command's exit code is the client's, and its output was printed."""
    done = build(builder, context, "FROM busybox\nRUN echo before; exit 7\n", "-t", "never")
    assert done.returncode == 7
    assert "before" in done.stdout
    assert "The command '/bin/sh -c echo before; exit 7' returned a non-zero code: 7" in done.stderr
    assert builder.docker("image", "inspect", "never").returncode == 1


def test_build_of_several_stages_copies_between_them(builder: Engine, context: Path) -> None:
    """Files come from a stage by name and by number, and the target ends the build."""
    text = (
        "FROM busybox AS one\nRUN mkdir /out && echo made > /out/file\n"
        "FROM busybox AS two\nCOPY --from=one /out/ /from-one/\nCOPY --from=0 /out/file /by-number\n"
        "FROM two AS three\nRUN false\n"
    )
    done = build(builder, context, text, "--target", "two", "-t", "staged")
    assert done.returncode == 0, done.stderr
    assert builder.ok("run", "--rm", "staged", "cat", "/from-one/file", "/by-number") == "made\nmade"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("FROM busybox\nNONSENSE x\n", "(?i)dockerfile parse error.*unknown instruction: NONSENSE"),
        ("FROM busybox\nCOPY nothing /x\n", "file not found in build context or excluded by .dockerignore"),
        ("FROM busybox\nCOPY ../x /x\n", "forbidden path outside the build context: ../x"),
        ("FROM busybox\nCOPY a.txt sub /x\n", "When using COPY with more than one source file"),
        ("FROM busybox\nRUN --mount\n", "(?i)mount"),
        ("\n", "(?i)the Dockerfile.*cannot be empty|file with no instructions"),
    ],
)
def test_build_of_a_bad_file_says_what_is_wrong(builder: Engine, context: Path, text: str, sentence: str) -> None:
    """Mistakes are refused in sentences that say what is meant."""
    done = build(builder, context, text)
    assert done.returncode == 1
    assert re.search(sentence, done.stderr), done.stderr


def test_build_with_arguments_labels_and_standard_input(builder: Engine) -> None:
    """Build arguments have effect, those that nobody wants are warned of, and the file may come from a pipe."""
    text = "FROM busybox\nARG who=nobody\nRUN echo hello $who > /greeting\n"
    flags = ("--build-arg", "who=me", "--build-arg", "more=1", "--label", "l=1", "-t", "piped", "-")
    done = builder.docker("build", *flags, input=text)
    assert done.returncode == 0, done.stderr
    assert "[Warning] One or more build-args [more] were not consumed" in done.stdout + done.stderr
    assert builder.ok("run", "--rm", "piped", "cat", "/greeting") == "hello me"
    assert json.loads(builder.ok("image", "inspect", "-f", "{{json .Config.Labels}}", "piped")) == {"l": "1"}


def test_build_ignores_what_dockerignore_names(builder: Engine, context: Path) -> None:
    """Files that are to be ignored are not in the image, exceptions are."""
    (context / ".dockerignore").write_text("sub\n!sub/b.txt\n")
    build(builder, context, "FROM busybox\nCOPY . /all/\n", "-t", "ignored")
    assert builder.ok("run", "--rm", "ignored", "ls", "/all/sub") == "b.txt"


def test_build_adds_archives_unpacked(builder: Engine, context: Path) -> None:
    """ADD unpacks a local archive, COPY does not."""
    subprocess.run(["tar", "czf", "files.tgz", "sub"], cwd=context, check=True)
    build(builder, context, "FROM busybox\nADD files.tgz /add/\nCOPY files.tgz /copy/\n", "-t", "added")
    assert builder.ok("run", "--rm", "added", "ls", "/add/sub", "/copy") == (
        "/add/sub:\nb.txt\nprogram\n\n/copy:\nfiles.tgz"
    )


def test_build_runs_triggers_of_the_base(builder: Engine, context: Path) -> None:
    """ONBUILD instructions run in the image that is built on theirs, and only there."""
    build(builder, context, "FROM busybox\nONBUILD RUN echo triggered > /t\nRUN test ! -e /t\n", "-t", "trigger")
    done = build(builder, context, "FROM trigger\nRUN cat /t\n", "-t", "child")
    assert done.returncode == 0, done.stderr
    assert "# Executing 1 build trigger" in done.stdout
    assert "triggered" in done.stdout
    assert json.loads(builder.ok("image", "inspect", "-f", "{{json .Config.OnBuild}}", "child")) in (None, [])


def test_build_whose_client_leaves_is_ended(builder: Engine, context: Path) -> None:
    """When the client goes away, the command ends and nothing of it stays."""
    sleep = f"sleep {secrets.randbelow(10**9) + 10**6}"
    (context / "Dockerfile").write_text(f"FROM busybox\nRUN echo started; {sleep}\n")
    client = builder.popen("build", str(context))
    assert client.stdout is not None
    while b"started" not in client.stdout.readline():
        assert client.poll() is None
    client.kill()
    client.wait()
    deadline = time.monotonic() + 20
    while subprocess.run(["pgrep", "-f", f"^{sleep}$"], capture_output=True, check=False).returncode == 0:
        assert time.monotonic() < deadline, "the command goes on"
        time.sleep(0.05)
    assert build(builder, context, "FROM busybox\nRUN echo next\n").returncode == 0
