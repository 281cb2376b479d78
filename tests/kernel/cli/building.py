"""What tests of builds share: `shoal build` of a Dockerfile on standard input."""

from __future__ import annotations

from tests.engines.engine import Engine
from tests.kernel.cli.shoal import shoal


def build(engine: Engine, text: str, *flags: str, code: int = 0) -> str:
    """What `shoal build` of a Dockerfile on standard input prints, on both streams."""
    done = shoal(engine, "build", *flags, "-", input=text.encode())
    assert done.returncode == code, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode() + done.stderr.decode()
