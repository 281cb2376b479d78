"""`shoal debug BUILD STEP`: a shell in what one step of a build came to."""

from __future__ import annotations

import pytest

from tests.engines.engine import Engine
from tests.kernel.cli.building import build
from tests.kernel.cli.shoal import shoal

pytestmark = pytest.mark.root

TEXT = (
    "FROM busybox AS one\nARG WHO=me\nRUN echo 1 > /x\nWORKDIR /w\nENV A=2\nRUN echo 2 > /x\n"
    'FROM busybox\nCOPY --from=one /x /y\nUSER app\nENTRYPOINT ["false"]\nRUN echo 3 > /tmp/z; exit 7\n'
)


def looked(engine: Engine, build: str, step: int, script: str) -> str:
    """What a shell in the state of a step prints."""
    done = shoal(engine, "debug", build, str(step), input=script.encode())
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def test_debug_opens_a_shell_in_each_step(engine: Engine) -> None:
    """Files, directory, variables, arguments and user are those of that step, in each stage; the failed one too."""
    output = build(engine, TEXT, "-t", "looked", code=7)
    assert looked(engine, "looked", 3, "cat /x; pwd; echo $WHO; echo [$A]").split() == ["1", "/", "me", "[]"]
    assert looked(engine, "looked", 6, "cat /x; pwd; echo $A").split() == ["2", "/w", "2"]
    assert looked(engine, "looked:latest", 10, "cat /y; id -un").split() == ["2", "app"]
    assert looked(engine, "looked", 11, "cat /tmp/z") == "3"
    state = output.rpartition("shoal debug ")[2].split()[0]
    assert looked(engine, state, 3, "cat /x") == "1"
    engine.ok("image", "prune", "-f")


def test_debug_of_a_build_by_its_image_and_of_none(engine: Engine) -> None:
    """The image's id names its build; a build or a step that is not there is told, with the steps that are."""
    build(engine, "FROM busybox\nRUN echo 1 > /x\nRUN echo 2 > /x\n", "-t", "known")
    id = engine.ok("image", "inspect", "-f", "{{.Id}}", "known")
    assert looked(engine, id.removeprefix("sha256:")[:12], 2, "cat /x") == "1"
    for words, sentence in (
        (("known", "9"), b"the build has no state of a step 9"),
        (("unknown", "1"), b"no build of unknown is known"),
        (("known", "two"), b'invalid value for "step"'),
    ):
        done = shoal(engine, "debug", *words)
        assert (done.returncode, sentence in done.stderr) == (1, True), done.stderr
    engine.ok("rmi", "-f", "known")
    engine.request("POST", "/build/prune?all=1")
    gone = shoal(engine, "debug", "known", "3")
    assert b"the layers of step 3 are gone" in gone.stderr
