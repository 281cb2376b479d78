"""The engines with Debian's base image, made once, and what the applications' builds take from this machine."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apps.engines import OutsideDockerd
from tests.engines import dockerd
from tests.engines.engine import Engine
from tests.engines.shoald import Shoald

BASE = "debian:bookworm"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need root."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.root)


@pytest.fixture(scope="session")
def engines() -> Iterator[list[Engine]]:
    """shoald, and dockerd where it is installed, with the same base image."""
    running: list[Engine] = []
    try:
        for kind in (Shoald, *([OutsideDockerd] if dockerd.is_installed() else [])):
            running.append(kind())
            running[-1].start()
        first = running[0]
        command = [sys.executable, "-m", "shoal.cli.main", "bootstrap", BASE]
        subprocess.run(command, env=first.environment(), check=True, timeout=280, stdout=subprocess.DEVNULL)
        for engine in running[1:]:
            archive = first.docker_bytes("save", BASE, timeout_s=120).stdout
            assert engine.docker_bytes("load", input=archive, timeout_s=120).returncode == 0
        yield running
    finally:
        for engine in running:
            engine.close()


@pytest.fixture(scope="session")
def arguments() -> list[str]:
    """Where the registries are, if this machine's settings say so."""
    names = ("PIP_INDEX_URL", "NPM_CONFIG_REGISTRY")
    return [word for name in names if os.environ.get(name) for word in ("--build-arg", name)]


@pytest.fixture(scope="session")
def certificates() -> bytes:
    """The authorities that this machine trusts: a mirror of a registry may have its own."""
    known = (ssl.get_default_verify_paths().cafile, "/etc/ssl/certs/ca-certificates.crt")
    found = next((name for name in known if name and os.path.isfile(name)), None)
    assert found is not None, "no file with certificates was found: apt-get install ca-certificates"
    return Path(found).read_bytes()
