"""The demo's private shoald: own directories, own socket, nothing of the host switched on for it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence

from shoal.client.client import Client
from shoal.client.transport import UnixTransport
from shoal.errors import Internal, ShoalError, Unavailable

_START_DEADLINE_S = 20.0
_STOP_DEADLINE_S = 15.0
_PAUSE_S = 0.01


class PrivateEngine:
    """A context manager: starts shoald in a fresh directory under `parent`; the end stops it and removes everything.

    `root` holds data/ and run/. Needs root.
    """

    def __init__(self, program: Sequence[str], parent: str) -> None:
        self._program = list(program)
        # The path must stay short: a unix socket's name has 107 characters, and more directories follow.
        self.root = tempfile.mkdtemp(prefix="shoal-demo-", dir=parent)
        self.data_root = os.path.join(self.root, "data")
        self.exec_root = os.path.join(self.root, "run")
        self.socket = os.path.join(self.exec_root, "docker.sock")
        self.client = Client(UnixTransport(self.socket))
        self.start_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log_path(self) -> str:
        """Where shoald writes its messages."""
        return os.path.join(self.root, "shoald.log")

    @property
    def pid(self) -> int:
        """shoald's process id, 0 where it does not run."""
        return self._process.pid if self._process is not None else 0

    def __enter__(self) -> PrivateEngine:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        os.makedirs(self.exec_root, mode=0o711)
        arguments = ["--data-root", self.data_root, "--exec-root", self.exec_root, "-H", f"unix://{self.socket}"]
        arguments += [
            "--pidfile",
            os.path.join(self.exec_root, "shoald.pid"),
            "--ip-forward=false",
            "--shutdown-containers",
        ]
        # No file of the host's own configuration may reach the demo's engine.
        arguments += ["--config-file", os.path.join(self.root, "daemon.json")]
        with open(os.path.join(self.root, "daemon.json"), "w", encoding="ascii") as file:
            file.write("{}\n")
        started = time.monotonic()
        with open(self.log_path, "wb") as log:
            # A session of its own: a Ctrl-C ends the demo, which then ends the engine in order.
            self._process = subprocess.Popen(
                [*self._program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_answering(started + _START_DEADLINE_S)
        self.start_s = time.monotonic() - started

    def _wait_answering(self, deadline: float) -> None:
        assert self._process is not None
        while True:
            if self._process.poll() is not None:
                raise Unavailable(
                    f"the private shoald ended at once with code {self._process.returncode}", why=self.last_words()
                )
            try:
                self.client.system.version()
                return
            except Unavailable:
                if time.monotonic() > deadline:
                    raise Unavailable("the private shoald does not answer", why=self.last_words()) from None
            time.sleep(_PAUSE_S)

    def last_words(self) -> str:
        """The last line of its log."""
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                lines = [line.strip() for line in file if line.strip()]
        except OSError:
            return ""
        return lines[-1] if lines else ""

    def remove_containers(self) -> None:
        """Removes whatever containers there are."""
        for container in self.client.containers.list(all=True):
            self.client.containers.remove(container.text("Id"), force=True, volumes=True)

    def stop(self) -> None:
        """Ends shoald as a service manager would. Raises: Internal if it had to be killed."""
        process, self._process = self._process, None
        self.client.close()
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Internal(f"the private shoald did not end within {_STOP_DEADLINE_S:.0f} s") from None

    def close(self) -> None:
        """Stops everything and removes the directory; safe to call at any point, and again."""
        # A fresh client: an interrupted one may stand in the middle of an exchange.
        self.client.close()
        self.client = Client(UnixTransport(self.socket))
        try:
            if self._process is not None and self._process.poll() is None:
                self.remove_containers()
        except (ShoalError, OSError):
            pass  # It can't be asked any more; stopping it is the next try.
        finally:
            try:
                self.stop()
            finally:
                shutil.rmtree(self.root, ignore_errors=True)
