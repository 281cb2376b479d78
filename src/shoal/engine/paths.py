"""Where the daemon keeps what: the one place that knows the names of files and directories. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Paths:
    """The layout below `data_root` (kept for good) and `exec_root` (gone with a reboot)."""

    data_root: Path
    exec_root: Path

    @property
    def database(self) -> Path:
        """The SQLite file with all metadata."""
        return self.data_root / "shoal.db"

    @property
    def containers(self) -> Path:
        """One directory per container."""
        return self.data_root / "containers"

    @property
    def trash(self) -> Path:
        """Directories of removed containers, until they are deleted."""
        return self.data_root / "tmp" / "containers"

    @property
    def build_caches(self) -> Path:
        """One directory per cache that builds mount."""
        return self.data_root / "build-caches"

    @property
    def build_contexts(self) -> Path:
        """One directory per context of a build that its client sends changes of."""
        return self.data_root / "build-contexts"

    @property
    def volumes(self) -> Path:
        """One directory per volume."""
        return self.data_root / "volumes"

    @property
    def volume_trash(self) -> Path:
        """Directories of removed volumes, until they are deleted."""
        return self.data_root / "tmp" / "volumes"

    def container_dir(self, id: str) -> Path:
        """The container's bundle, files, log and exit record."""
        return self.containers / id

    def run_dir(self, id: str) -> Path:
        """The FIFOs of the container's streams."""
        return self.exec_root / "containers" / id

    def log_file(self, id: str) -> Path:
        """The json-file log."""
        return self.container_dir(id) / f"{id}-json.log"

    def local_log_file(self, id: str) -> Path:
        """The log of the driver `local`, and the copy that is kept of what is sent away."""
        return self.container_dir(id) / "local-logs" / "container.log"

    def exit_file(self, id: str) -> Path:
        """What the supervisor writes when the container's process has ended."""
        return self.container_dir(id) / "exit.json"

    def hosts_file(self, id: str) -> Path:
        """What the container sees as /etc/hosts."""
        return self.container_dir(id) / "hosts"

    def hostname_file(self, id: str) -> Path:
        """What the container sees as /etc/hostname."""
        return self.container_dir(id) / "hostname"

    def resolv_conf_file(self, id: str) -> Path:
        """What the container sees as /etc/resolv.conf."""
        return self.container_dir(id) / "resolv.conf"
