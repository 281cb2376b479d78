"""Step 1 of the demo: one port, three owners."""

from __future__ import annotations

import http.client
import os
import socket
import time

from shoal.cli.demo import archives, webserver
from shoal.cli.demo.stage import Stage
from shoal.client.document import Json
from shoal.errors import Unavailable

_ANSWER_DEADLINE_S = 10.0
_PAUSE_S = 0.01


class PortHolder:
    """A listening socket of this process on the host's port 4000; a context manager.

    `held` is False where another process has the port already, which serves the demo as well.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def __enter__(self) -> PortHolder:
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()

    @property
    def held(self) -> bool:
        """Whether this process has the port."""
        return self._socket is not None

    def take(self) -> None:
        """Takes the port if nobody has it."""
        if self._socket is not None:
            return
        taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("0.0.0.0", webserver.PORT))
            taken.listen()
        except OSError:
            taken.close()
        else:
            self._socket = taken

    def is_the_hosts(self) -> bool:
        """Whether the host's port 4000 is its own while containers use theirs.

        Then a connection to it reaches this process; where another one has it, the host lets nobody else take it.
        """
        self.take()  # The other one may have gone meanwhile.
        if self._socket is None:
            return True
        with socket.create_connection(("127.0.0.1", webserver.PORT), timeout=5) as caller:
            self._socket.settimeout(5)
            accepted, address = self._socket.accept()
            accepted.close()
            return bool(address == caller.getsockname())


def show_port(stage: Stage, holder: PortHolder) -> None:
    """Step 1: the web server twice, while the host's own port 4000 is held."""
    narration = stage.narration
    narration.step(1, "One port, three owners")
    narration.explain(
        "Two containers run the same web server, which knows no other port than 4000. Each has a network of its own, "
        "and so a port 4000 of its own; the host's port 4000 is held at the same time. Docker's `-p 4000` publishes "
        "each on a free port of the host."
    )
    if holder.held:
        narration.figure("host, port 4000", f"held by this program (pid {os.getpid()})")
    else:
        narration.figure("host, port 4000", "held by another program of this machine, which is just what we need")
    host: dict[str, Json] = {"PortBindings": {f"{webserver.PORT}/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}
    answers = []
    for name in ("web-1", "web-2"):
        stage.run(name, archives.WEB_IMAGE, host=host)
        port = _published_port(stage, name)
        answer, took_s = _get(port)
        answers.append((name, port, answer))
        shown = f"http://127.0.0.1:{port} says “{answer}”, after {took_s * 1000:.0f} ms"
        narration.figure(f"{name}, port 4000", shown)
    ports = {port for _, port, _ in answers}
    narration.promise(
        "both servers answer, each from its own port 4000, through two free ports of the host",
        len(ports) == 2 and webserver.PORT not in ports and all(_is_right(name, answer) for name, _, answer in answers),
    )
    narration.promise("the host's port 4000 is still its own", holder.is_the_hosts())


def _is_right(name: str, answer: str) -> bool:
    return answer == f"{name} answers from port {webserver.PORT} as process 1"


def _published_port(stage: Stage, name: str) -> int:
    bindings = stage.client.containers.inspect(name).children("NetworkSettings", "Ports", f"{webserver.PORT}/tcp")
    if not bindings:
        raise Unavailable(f"port {webserver.PORT} of {name} is not published")
    return int(bindings[0].text("HostPort"))


def _get(port: int) -> tuple[str, float]:
    """The body of the page, and the seconds until it came: a server needs a moment before it listens."""
    started = time.monotonic()
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read().decode().strip(), time.monotonic() - started
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() - started > _ANSWER_DEADLINE_S:
                raise Unavailable(f"http://127.0.0.1:{port} does not answer", why=str(error)) from None
        finally:
            connection.close()
        time.sleep(_PAUSE_S)
