"""`shoal restart`: stops containers and starts them again."""

from __future__ import annotations

from shoal.cli.context import Context
from shoal.cli.verbs.each import for_each
from shoal.cli.verbs.stop import Options, configure

__all__ = ["Options", "configure", "run"]


def run(options: Options, context: Context) -> int:
    """Restarts each."""

    def restart(ref: str) -> None:
        context.client.containers.stop(ref, signal=options.signal, timeout_s=options.time, restart=True)

    return for_each(options.containers, restart, context)
