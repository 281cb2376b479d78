"""A Python web application with pip, a Node application with npm, and a C program that runs from scratch."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from tests.engines.engine import Engine
from tests.kernel.cli.shoal import shoal

_HERE = Path(__file__).parent
_BUILD_S = 400


@pytest.fixture(autouse=True)
def classic(monkeypatch: pytest.MonkeyPatch) -> None:
    """`docker build` without plug-ins."""
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")


def built(engine: Engine, context: Path, arguments: list[str]) -> str:
    """The output of the application's build, in the host's network."""
    words = ("build", "--network", "host", *arguments, "-t", f"app-{context.name}", str(context))
    done = engine.docker(*words, timeout_s=_BUILD_S)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def settings(engine: Engine, name: str) -> dict[str, object]:
    """What of the image's configuration is the application's, and how many steps made layers."""
    (image,) = json.loads(engine.ok("image", "inspect", name))
    config = {key: value for key, value in image["Config"].items() if value and key not in ("Hostname", "Image")}
    history = engine.ok("history", "--no-trunc", "--format", "{{.CreatedBy}}", name).splitlines()
    return {"config": config, "history": [_step(line) for line in history], "layers": len(image["RootFS"]["Layers"])}


def _step(line: str) -> str:
    """A step of the history without the digest of what was copied."""
    words = line.split()
    return " ".join(word.partition(":")[0] if word.startswith(("file:", "dir:", "multi:")) else word for word in words)


def answer(engine: Engine, context: Path) -> str:
    """What the application says to whoever asks it, from within its container, as soon as it is up."""
    name = f"running-{context.name}"
    engine.ok("run", "-d", "--name", name, "--network", "host", f"app-{context.name}")
    deadline = time.monotonic() + 30
    while True:
        asked = engine.docker("exec", name, "sh", "-c", (context / "ask").read_text())
        if asked.returncode == 0:
            engine.ok("rm", "-f", name)
            return asked.stdout
        assert time.monotonic() < deadline, asked.stderr + engine.docker("logs", name).stderr
        time.sleep(0.1)  # nothing announces that it listens


@pytest.fixture
def context(request: pytest.FixtureRequest, tmp_path: Path, certificates: bytes) -> Path:
    """The application of that name, with the certificates that its installer needs."""
    directory = tmp_path / str(request.param)
    shutil.copytree(_HERE / str(request.param), directory)
    (directory / "certificates.pem").write_bytes(certificates)
    return directory


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("context", "said"), [("python", "flask"), ("node", "express")], indirect=["context"])
def test_web_application_is_built_and_answers(
    engines: list[Engine], context: Path, said: str, arguments: list[str]
) -> None:
    """Every engine makes an image with the same settings and steps, whose server answers."""
    images = []
    for engine in engines:
        built(engine, context, arguments)
        assert answer(engine, context) == f"hello harbour from {said}\n"
        images.append(settings(engine, f"app-{context.name}"))
    assert images.count(images[0]) == len(images)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("context", ["c"], indirect=True)
def test_program_built_in_one_stage_runs_from_scratch(
    engines: list[Engine], context: Path, arguments: list[str]
) -> None:
    """The image is the program alone, the same bytes from every engine, and takes arguments."""
    images = []
    for engine in engines:
        built(engine, context, arguments)
        assert engine.ok("run", "--rm", "app-c") == "hello harbour from c"
        assert engine.ok("run", "--rm", "app-c", "you") == "hello you from c"
        engine.ok("create", "--name", "made", "app-c")
        engine.ok("cp", "made:/greet", f"{context}/{engine.name}")
        images.append((settings(engine, "app-c"), (context / engine.name).read_bytes()))
    assert images.count(images[0]) == len(images)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("context", ["python"], indirect=True)
def test_change_of_the_application_alone_installs_nothing(
    engines: list[Engine], context: Path, arguments: list[str]
) -> None:
    """When only the program has changed, `shoal build` takes all before it from the cache."""
    engine = engines[0]
    built(engine, context, arguments)
    (context / "app.py").write_text((context / "app.py").read_text().replace("hello", "welcome"))
    words = ("build", "--network", "host", *arguments, "-t", "app-python", str(context))
    done = shoal(engine, *words, timeout_s=_BUILD_S)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    anew = [line for line in lines if "RUN" in line and "cached" not in line]
    assert anew == [], anew
    assert answer(engine, context) == "welcome harbour from flask\n"
