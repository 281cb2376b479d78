"""Every example that the Python API documents is true."""

from __future__ import annotations

import asyncio
import time
from importlib import import_module

import pytest

import shoal
from tests.arch.source import ROOT
from tests.engines.shoald import Shoald
from tests.kernel.python_api.examples import examples_in, fenced_examples, run_examples

MODULES = ("containers", "engine", "execs", "files", "images", "networks", "streams", "volumes")
AWAITING = [(f"aio.{name}", key) for name in MODULES for key in examples_in(import_module(f"shoal.aio.{name}"))]
WAITING = [(f"sync.{name}", key) for name in MODULES for key in examples_in(import_module(f"shoal.sync.{name}"))]


@pytest.mark.parametrize(("module", "key"), AWAITING)
def test_examples_that_await(shoald: Shoald, monkeypatch: pytest.MonkeyPatch, module: str, key: str) -> None:
    """The examples in the docstrings of shoal.aio."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{shoald.socket}")
    text = examples_in(import_module(f"shoal.{module}"))[key]

    async def run() -> None:
        async with shoal.aio.connect() as engine:
            await run_examples(text, {"shoal": shoal, "engine": engine, "time": time})

    asyncio.run(run())


@pytest.mark.parametrize(("module", "key"), WAITING)
def test_examples_that_wait(shoald: Shoald, monkeypatch: pytest.MonkeyPatch, module: str, key: str) -> None:
    """The examples in the docstrings of the API without asyncio."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{shoald.socket}")
    text = examples_in(import_module(f"shoal.{module}"))[key]
    with shoal.connect() as engine:
        asyncio.run(run_examples(text, {"shoal": shoal, "engine": engine, "time": time}))


def test_examples_of_results() -> None:
    """The examples of the objects that the calls give back."""
    results = import_module("shoal.client.results")
    for text in examples_in(results).values():
        asyncio.run(run_examples(text, dict(vars(results))))


@pytest.mark.parametrize("document", ["docs/python.md", "README.md"])
def test_examples_in_documents(shoald: Shoald, monkeypatch: pytest.MonkeyPatch, document: str) -> None:
    """The sessions in the documents, one after another as a reader would type them."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{shoald.socket}")
    blocks = fenced_examples((ROOT / document).read_text(encoding="utf-8"))
    assert blocks, f"{document} has no example"

    async def run() -> None:
        names: dict[str, object] = {"shoal": shoal}
        for block in blocks:
            await run_examples(block, names)

    asyncio.run(run())
