"""`shoal pull` and a `run` that pulls, on a terminal and off it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engines.bad_registry import BadRegistry, layer_tar
from tests.engines.shoald import Shoald
from tests.kernel.cli.shoal import exit_code, on_terminal, shoal

pytestmark = pytest.mark.root


@pytest.fixture
def name(shoald: Shoald) -> Iterator[str]:
    """An image that a registry has and nobody else."""
    with BadRegistry() as registry:
        registry.image(layer_tar("one", b"1"), layer_tar("two", b"2"))
        name = f"{registry.host}/x/y:1"
        yield name
        shoal(shoald, "rmi", "-f", name)


def test_pull_on_a_terminal_shows_rows_and_the_sum(shoald: Shoald, name: str) -> None:
    """Each layer's row ends as complete; the sentences about the whole stand below."""
    with on_terminal(shoald, "pull", name) as pull:
        pull.expect_exact("2 of 2 layers")
        pull.expect_exact("Digest: sha256:")
        pull.expect_exact(f"Status: Downloaded newer image for {name}")
        assert exit_code(pull) == 0


def test_run_that_pulls_keeps_its_standard_output_clean(shoald: Shoald, name: str) -> None:
    """What the pull tells goes to standard error, a line a step; the image has no program to run."""
    done = shoal(shoald, "run", "--rm", name, "/none")
    assert done.stdout == b""
    assert done.stderr.count(b"Pull complete") == 2
    assert done.returncode == 127
