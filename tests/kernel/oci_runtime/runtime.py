"""Bundles with busybox in them, and `shoal-runtime` called as engines call it: as a program."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

from shoal.linux.cgroups import detect
from shoal.linux.procfs import children
from shoal.oci_runtime.verbs.describing import default_spec
from tests.engines.busybox import root_filesystem
from tests.kernel.leaks import CGROUP_PREFIX, reap_orphans

PROGRAM = Path(sys.executable).with_name("shoal-runtime")
DEADLINE_S = 60


class Bundle:
    """A bundle in a directory; `spec` is its config.json, written by `write`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.rootfs = directory / "rootfs"
        self.rootfs.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(root_filesystem())) as archive:
            archive.extractall(self.rootfs)
        self.spec: dict[str, Any] = json.loads(json.dumps(default_spec(rootless=False)))
        self.process["terminal"] = False
        self.spec["root"]["readonly"] = False
        self.linux["cgroupsPath"] = f"/{CGROUP_PREFIX}/{directory.name}"

    @property
    def process(self) -> dict[str, Any]:
        """`process` of the specification."""
        found: dict[str, Any] = self.spec["process"]
        return found

    @property
    def linux(self) -> dict[str, Any]:
        """`linux` of the specification."""
        found: dict[str, Any] = self.spec["linux"]
        return found

    def namespace(self, kind: str, path: str | None = None) -> None:
        """Gives the container a new namespace, or the one at `path`, instead of what it had."""
        others = [one for one in self.linux["namespaces"] if one["type"] != kind]
        self.linux["namespaces"] = [*others, {"type": kind, **({"path": path} if path else {})}]

    def mount(self, destination: str, kind: str, source: str, *options: str, **more: object) -> None:
        """Adds a mount."""
        entry = {"destination": destination, "type": kind, "source": source, "options": list(options), **more}
        self.spec["mounts"].append(entry)

    def hook(self, point: str, script: str, **more: object) -> None:
        """Adds a hook that runs a shell script; inside the container's root if that is where the hook runs."""
        shell = "/bin/sh"
        entry = {"path": shell, "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"], **more}
        self.spec.setdefault("hooks", {}).setdefault(point, []).append(entry)

    def shell(self, script: str) -> None:
        """Makes the container's program a shell with this script."""
        self.process["args"] = ["sh", "-c", script]

    def write(self) -> None:
        """Writes config.json."""
        (self.directory / "config.json").write_text(json.dumps(self.spec))


class Runtime:
    """`shoal-runtime` with a root of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "state"
        self._count = 0
        self._others = set(children(os.getpid()))

    def bundle(self) -> Bundle:
        """A new bundle."""
        self._count += 1
        return Bundle(self.directory / f"box{self._count}")

    def command(self, *words: str, options: tuple[str, ...] = ()) -> list[str]:
        """The command line of a call."""
        return [str(PROGRAM), "--root", str(self.root), *options, *words]

    def call(
        self, *words: str, options: tuple[str, ...] = (), data: str = "", **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """A call that was made, with its output. What it leaves running must not hold the pipes: `start_detached`."""
        command = self.command(*words, options=options)
        return subprocess.run(
            command, input=data, capture_output=True, text=True, timeout=DEADLINE_S, check=False, **more
        )

    def run(self, bundle: Bundle, *flags: str, id: str = "one", **more: Any) -> subprocess.CompletedProcess[str]:
        """A container that ran in the foreground to its end."""
        bundle.write()
        return self.call("run", "--bundle", str(bundle.directory), *flags, id, **more)

    def create(self, bundle: Bundle, *flags: str, id: str = "one", **more: Any) -> subprocess.CompletedProcess[str]:
        """A call of `create`, whose container writes to the bundle's file `output`."""
        return self._leave("create", bundle, *flags, id=id, **more)

    def start(self, bundle: Bundle, *flags: str, id: str = "one") -> int:
        """The pid of a container that runs in the background and writes to the bundle's file `output`."""
        done = self._leave("run", bundle, "--detach", *flags, id=id)
        assert done.returncode == 0, done.stderr
        return int(self.state(id)["pid"])

    def _leave(self, verb: str, bundle: Bundle, *flags: str, id: str, **more: Any) -> subprocess.CompletedProcess[str]:
        bundle.write()
        words = self.command(verb, "--bundle", str(bundle.directory), *flags, id)
        with (bundle.directory / "output").open("w") as output, (bundle.directory / "errors").open("w") as errors:
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, timeout=DEADLINE_S, check=False, **more
            )
        text = (bundle.directory / "errors").read_text()
        return subprocess.CompletedProcess(words, done.returncode, "", text)

    def state(self, id: str = "one") -> dict[str, Any]:
        """The state of a container."""
        done = self.call("state", id)
        assert done.returncode == 0, done.stderr
        state: dict[str, Any] = json.loads(done.stdout)
        return state

    def close(self) -> None:
        """Removes every container, and the cgroup above theirs."""
        if self.root.is_dir():
            for place in self.root.iterdir():
                if not place.name.startswith("@"):
                    self._delete(place.name)
        group = detect().open(f"/{CGROUP_PREFIX}")
        if os.path.isdir(group.main_directory()):
            group.remove()

    def _delete(self, id: str) -> None:
        # A detached exec is an orphan that came to us: the container's end waits until its status is taken up.
        with subprocess.Popen(self.command("delete", "--force", id), stderr=subprocess.DEVNULL) as call:
            while call.poll() is None:
                reap_orphans({*self._others, call.pid})
                time.sleep(0.01)  # several ends are waited for at once


def output_of(done: subprocess.CompletedProcess[str]) -> str:
    """What a call wrote, once it has succeeded."""
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout
