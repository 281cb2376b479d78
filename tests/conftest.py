"""Fixtures that more than one kind of test uses: a shoald for the session and a private one."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator

import hypothesis
import pytest

from tests.engines.engine import DOCKER
from tests.engines.shoald import Shoald

WITHOUT_DOCKER = pytest.StashKey[int]()


def pytest_configure() -> None:
    """Nothing depends on how quick the machine is, nor on the shell that the tests were started from.

    Signals that a shell or nohup ignores in the background would be ignored by every program under test.
    """
    hypothesis.settings.register_profile("unhurried", deadline=None)
    hypothesis.settings.load_profile("unhurried")
    handlers = {
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGINT: signal.default_int_handler,
        signal.SIGQUIT: signal.SIG_DFL,
    }
    for number, handler in handlers.items():
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--engine NAME`: the conformance cases against this engine only."""
    parser.addoption("--engine", choices=["dockerd", "shoald"], default=None, help="conformance against this one only")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that needs root is skipped, and says so, for one who is not root; `./dev test` asks for root itself.

    One that takes the fixture `cli` is deselected where the docker command is not installed; the summary tells.
    """
    if os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker("root"):
                item.add_marker(pytest.mark.skip(reason="needs root: run  sudo ./dev test"))
    if DOCKER is None and (absent := [item for item in items if "cli" in getattr(item, "fixturenames", ())]):
        config.hook.pytest_deselected(items=absent)
        config.stash[WITHOUT_DOCKER] = len(absent)
        items[:] = [item for item in items if item not in absent]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says what was left out and why, and how to have the same order of tests again."""
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", ()))
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped: {count} tests: {reason}")
    if left_out := config.stash.get(WITHOUT_DOCKER, 0):
        terminalreporter.write_line(f"left out: {left_out} tests that use the docker command, which is not installed")
    seed = config.getoption("randomly_seed", None)
    if isinstance(seed, int):
        terminalreporter.write_line(f"the tests ran in random order; the same again: --randomly-seed={seed}")


def _reason(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


@pytest.fixture(scope="session", autouse=True)
def no_docker_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing of the developer's own Docker configuration (contexts, proxies, credentials) reaches a test."""
    directory = tmp_path_factory.mktemp("docker")
    (directory / "config.json").write_text("{}")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("DOCKER_")]:
            patch.delenv(name)
        patch.setenv("DOCKER_CONFIG", str(directory))
        yield


@pytest.fixture
def cli() -> None:
    """Says that a test uses the docker command."""
    assert DOCKER is not None


@pytest.fixture(scope="session")
def shoald_session() -> Iterator[Shoald]:
    """One shoald with the busybox image for the whole session; its end checks that nothing is left."""
    engine = Shoald()
    try:
        engine.start()
        engine.import_busybox()
        yield engine
    finally:
        engine.close()


@pytest.fixture
def shoald(shoald_session: Shoald) -> Iterator[Shoald]:
    """The session's shoald, without containers, volumes and networks before and after the test."""
    if shoald_session.process is None:
        shoald_session.start()
    yield shoald_session
    shoald_session.clear()


@pytest.fixture
def private_shoald() -> Iterator[Shoald]:
    """A shoald for one test alone, which may kill it; the busybox image is in place."""
    engine = Shoald()
    try:
        engine.start()
        engine.import_busybox()
        yield engine
        if engine.process is None:
            engine.start()
    finally:
        engine.close()
