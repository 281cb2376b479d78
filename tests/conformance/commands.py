"""Docker commands whose outcome a case is about, in one word each."""

from __future__ import annotations

import json
from typing import Any

from tests.engines.engine import Engine


def run(engine: Engine, *options: str, script: str) -> str:
    """What a shell script prints in a container that is gone afterwards; asserts success."""
    return engine.ok("run", "--rm", *options, "busybox", "sh", "-c", script)


def started(engine: Engine, name: str, *options: str, script: str = "sleep 1000") -> str:
    """The id of a container that runs a shell script in the background."""
    return engine.ok("run", "-d", "--name", name, *options, "busybox", "sh", "-c", script)


def refused(engine: Engine, *words: str, code: int | None = None) -> str:
    """What is said to a docker command that must fail, with this exit code if there is one to expect."""
    done = engine.docker(*words)
    assert done.returncode != 0, f"docker {' '.join(words)} succeeded\n{done.stdout}"
    assert code is None or done.returncode == code, f"{done.returncode}: {done.stderr}"
    return done.stderr


def run_refused(engine: Engine, *options: str) -> str:
    """What is said to a `run` that the engine must refuse."""
    return refused(engine, "run", "--rm", *options, "busybox", "true")


def shown(engine: Engine, ref: str, form: str) -> Any:
    """What `inspect` shows of a container by a template whose outcome is JSON."""
    return json.loads(engine.ok("inspect", "-f", form, ref))
