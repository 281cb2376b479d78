"""shoald: reads its settings, makes the one daemon of its roots, serves until it is told to stop.

SIGTERM, SIGINT   stop serving, let go of the containers (they go on), leave; with --shutdown-containers stop them first
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import sys
from contextlib import ExitStack

from shoal import __version__
from shoal.daemon.compose import open_engine
from shoal.daemon.config import Config, parse
from shoal.daemon.ownership import exclusive, pidfile
from shoal.daemon.sockets import open_sockets, remove_socket_files
from shoal.engine.background import Background
from shoal.errors import Forbidden, ShoalError
from shoal.linux.prctl import set_child_subreaper
from shoal.server.api_server import ApiServer

_log = logging.getLogger("shoald")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_GRACE_S = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Runs shoald with the command line's arguments; its exit status."""
    try:
        invocation = parse(sys.argv[1:] if arguments is None else arguments)
        if invocation.validate:
            print("configuration OK")
            return 0
        run(invocation.config)
    except ShoalError as problem:
        return _refuse(problem)
    except BaseExceptionGroup as group:
        # What goes wrong in the daemon's task group arrives wrapped; a problem that we can name is told by its name.
        known, unknown = group.split(ShoalError)
        if known is None or unknown is not None:
            raise
        return _refuse(_first_of(known))
    return 0


def _refuse(problem: BaseException) -> int:
    print(f"shoald: {problem}", file=sys.stderr)
    if isinstance(problem, ShoalError) and problem.fix:
        print(f"hint: {problem.fix}", file=sys.stderr)
    return 1


def _first_of(group: BaseExceptionGroup[ShoalError]) -> BaseException:
    inner = group.exceptions[0]
    return _first_of(inner) if isinstance(inner, BaseExceptionGroup) else inner


def run(config: Config) -> None:
    """Serves until a signal ends it. Raises: ShoalError when it cannot start."""
    if os.geteuid() != 0:
        raise Forbidden(
            "shoald needs root", why="namespaces, mounts and networks are the kernel's to give", fix="run it with sudo"
        )
    logging.basicConfig(
        stream=sys.stderr,
        level=_LEVELS.get(config.log_level, logging.CRITICAL),
        format="%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    with ExitStack() as owned:
        owned.enter_context(exclusive(config.data_root))
        if config.exec_root != config.data_root:
            owned.enter_context(exclusive(config.exec_root))
        owned.enter_context(pidfile(config.pidfile))
        set_child_subreaper(True)
        _raise_descriptor_limit()
        asyncio.run(_serve(config))


def _raise_descriptor_limit() -> None:
    """Takes as many descriptors as the hard limit allows: each container that runs needs about four of them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sockets = open_sockets(config.hosts, config.tls)
    try:
        async with asyncio.TaskGroup() as tasks:
            engine = await open_engine(config, Background(tasks))
            try:
                await engine.recovery.run()
                engine.watch_networks()
                engine.watch_images()
                server = ApiServer(engine)
                serving = tasks.create_task(server.serve(sockets))
                gc.freeze()  # what lives now lives to the end: the collector need not look at it again
                _log.info("shoald %s serves %s", __version__, ", ".join(config.hosts))
                await _first(stop, serving)
                _log.info("shoald leaves")
                if config.shutdown_containers:
                    await engine.stop_containers()
                await server.close(grace_s=_GRACE_S)
            finally:
                await engine.close()
    finally:
        remove_socket_files(config.hosts)


async def _first(stop: asyncio.Event, serving: asyncio.Task[None]) -> None:
    """Returns when a signal came, or serving ended by itself."""
    waiting = asyncio.ensure_future(stop.wait())
    await asyncio.wait((waiting, serving), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


if __name__ == "__main__":
    sys.exit(main())
