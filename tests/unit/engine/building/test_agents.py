"""Agents of ssh that can't be reached."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shoal.build.ports import StepMount
from shoal.engine.building.agents import relayed
from shoal.errors import Unavailable


@pytest.mark.parametrize(("source", "why"), [("/nowhere/agent", "no such file"), ("/x" * 100, "path too long")])
def test_relayed_says_why_an_agent_is_not_reached(tmp_path: Path, source: str, why: str) -> None:
    """The kernel's reason, and that of a path which no socket can have."""

    async def relay() -> None:
        async with relayed(tmp_path / "socket", StepMount(kind="socket", target="/agent", source=source)):
            pass

    with pytest.raises(Unavailable) as caught:
        asyncio.run(relay())
    assert why in caught.value.why
