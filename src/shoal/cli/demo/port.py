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
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.held = False

    def __enter__(self) -> PortHolder:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("0.0.0.0", webserver.PORT))
            self._socket.listen()
            self.held = True
        except OSError:
            self._socket.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def is_taken(self) -> bool:
        """Whether the host refuses the port to a second taker, as it must while someone holds it."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as second:
            try:
                second.bind(("0.0.0.0", webserver.PORT))
            except OSError:
                return True
            return False

    def answers_here(self) -> bool:
        """Whether a connection to the host's port 4000 reaches this process (only asked where it holds the port)."""
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
    kept = holder.is_taken() and (not holder.held or holder.answers_here())
    narration.promise("the host's port 4000 still belongs to whoever held it before", kept)


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
