"""The host's side of bind mounts: `-v` makes a directory that is missing, `--mount` insists that it is there."""

from __future__ import annotations

import os
from collections.abc import Iterable

from shoal.api.host_config import HostConfig
from shoal.engine.specgen.binds import requested_mounts
from shoal.engine.specgen.requested import RequestedMount
from shoal.errors import InvalidArgument
from shoal.linux.procfs import mount_above

# What a mount of the host must have for a propagation, and how it is called.
_NEEDED = {
    "shared": (("shared:",), "shared mount"),
    "slave": (("shared:", "master:"), "shared or slave mount"),
}


def check_bind_sources(host: HostConfig) -> None:
    """Raises: InvalidArgument, in Docker's words, when the source of a `--mount type=bind` is not there."""
    for mount in host.mounts:
        makes_it = mount.bind_options is not None and mount.bind_options.create_mountpoint
        if mount.type == "bind" and not makes_it and not os.path.lexists(mount.source):
            raise InvalidArgument(
                f'invalid mount config for type "bind": bind source path does not exist: {mount.source}',
                fix=f"mkdir -p {mount.source}",
            )


def check_propagation(mounts: Iterable[RequestedMount]) -> None:
    """Raises: InvalidArgument, in Docker's words, when the host does not share what a bind would pass on."""
    for mount in mounts:
        needed = _NEEDED.get(mount.propagation.removeprefix("r")) if mount.kind == "bind" else None
        if needed is None:
            continue
        place, peers = mount_above(os.path.realpath(mount.source))
        if not any(word in peers for word in needed[0]):
            raise InvalidArgument(
                f"path {mount.source} is mounted on {place} but it is not a {needed[1]}",
                fix=f"mount --make-rshared {place}",
            )


def make_bind_sources(host: HostConfig) -> None:
    """Makes the directories that `-v` and `bind-create-src` name and that are missing. Raises: OSError."""
    sources = [mount.source for mount in requested_mounts(host) if mount.create_source]
    for source in sources:
        if not os.path.lexists(source):
            os.makedirs(source, mode=0o755, exist_ok=True)
