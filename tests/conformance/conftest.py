"""The engines that the cases run against, each started at its first use and shared by the session.

`--engine shoald` or `--engine dockerd` runs the cases against one of them alone. Where there is no docker command, the
cases that need it are left out, as the summary says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engines import dockerd
from tests.engines.engine import DOCKER, Engine
from tests.engines.shoald import Shoald

ENGINES: dict[str, Callable[[], Engine]] = {"dockerd": dockerd.Dockerd, "shoald": Shoald}


def chosen_engines(config: pytest.Config) -> list[str]:
    """The engines to run against: shoald always, dockerd where it is installed."""
    if only := config.getoption("--engine", None):
        return [str(only)]
    return ["dockerd", "shoald"] if dockerd.is_installed() else ["shoald"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--killed-pulls N`: how many pulls a shoald that is killed again and again has to bring home."""
    parser.addoption("--killed-pulls", type=int, default=20, help="pulls of test_pulls_killed.py")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says which engines and clients the cases ran with, and what was missing for the rest."""
    engines = " and ".join(chosen_engines(config))
    terminalreporter.write_line(f"conformance: {engines}; docker command: {DOCKER or 'not installed, docker-py alone'}")
    if missing := dockerd.missing_programs():
        terminalreporter.write_line(f"left out: the cases against dockerd, for want of {', '.join(missing)}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each case that takes `engine` runs once per engine."""
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", chosen_engines(metafunc.config), indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All these cases need root."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.root)


@pytest.fixture(scope="session")
def engines() -> Iterator[Callable[[str], Engine]]:
    """Gives the engine of a name, started at the first call; all are stopped, and checked for leaks, at the end."""
    running: dict[str, Engine] = {}

    def get(name: str) -> Engine:
        if name not in running:
            running[name] = ENGINES[name]()
            running[name].start()
            running[name].import_busybox()
        return running[name]

    with contextlib.ExitStack() as stack:
        yield get
        for engine in running.values():
            stack.callback(engine.close)


@pytest.fixture
def engine(request: pytest.FixtureRequest, engines: Callable[[str], Engine]) -> Iterator[Engine]:
    """An engine without containers, volumes and networks and with the image `busybox`, whatever the case before did."""
    engine = engines(request.param)
    yield engine
    engine.clear()


@pytest.fixture
def shoald(engines: Callable[[str], Engine]) -> Iterator[Engine]:
    """shoald alone, for what Docker has in later versions than Debian's."""
    engine = engines("shoald")
    yield engine
    engine.clear()


@pytest.fixture
def images(engine: Engine) -> Iterator[Engine]:
    """The same engine for a case that makes images: afterwards only `busybox` is there."""
    yield engine
    engine.clear()
    engine.remove_images()
