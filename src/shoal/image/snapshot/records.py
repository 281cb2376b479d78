"""The directories of snapshots, and what both snapshotters do alike: make, find, remove, count.

snapshots/<key>/…           the driver's own; an xattr (or the file `top`) has the top layer's chainID
snapshots/.mountpoints/     a small tree that lies under every image
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Sequence

from shoal.errors import Conflict, InvalidArgument, NotFound
from shoal.image.failures import explained
from shoal.image.layers import LayerStore
from shoal.image.scratch import Scratch
from shoal.image.snapshot.blanks import Blanks
from shoal.image.snapshot.protocol import Usage
from shoal.image.trees import open_directory, walk_tree
from shoal.oci.digest import Digest, hex_of

_CHAIN_XATTR = "trusted.shoal.top"
_CHAIN_FILE = "top"
_KEY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,200}\Z")

# What every container needs to exist in its root, to mount on or because programs look for it; Docker's list.
_DIRECTORIES = ("dev", "dev/pts", "dev/shm", "etc", "proc", "sys")
_FILES = (".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf")


class SnapshotRecords:
    """The snapshots under `root`. Thread-safe."""

    def __init__(self, root: str, layers: LayerStore, scratch: Scratch) -> None:
        self.layers = layers
        self._root = root
        self._scratch = scratch
        os.makedirs(root, mode=0o700, exist_ok=True)
        self.mountpoints = os.path.join(root, ".mountpoints")
        _make_mountpoints(self.mountpoints, scratch)
        self._chains: dict[str, tuple[Digest, ...]] = {}
        for key in os.listdir(root):
            if not key.startswith("."):
                self._chains[key] = self._read_chain(key)
                layers.hold(self._chains[key])

    def blanks(self, fill: Callable[[str], None]) -> Blanks:
        """Directories made ahead by `fill`."""
        return Blanks(os.path.join(self._root, ".blanks"), self._scratch, fill)

    def scratch_directory(self) -> str:
        """A new empty directory on the snapshots' file system. Raises: OSError."""
        directory = self._scratch.fresh("snapshot")
        os.mkdir(directory, 0o700)
        return directory

    def discard(self, directory: str) -> None:
        """Throw a scratch directory away, now. Raises: OSError."""
        self._scratch.discard(directory)
        self._scratch.purge()

    def keys(self) -> list[str]:
        """All keys, sorted."""
        return sorted(self._chains)

    def chain(self, key: str) -> tuple[Digest, ...]:
        """The layers below `key`, the bottom one first. Raises: NotFound."""
        self.path(key)
        return self._chains[key]

    def path(self, key: str) -> str:
        """The directory of `key`. Raises: NotFound."""
        if key not in self._chains:
            raise NotFound(f"snapshot {key} does not exist")
        return os.path.join(self._root, key)

    def lower_trees(self, key: str) -> tuple[str, ...]:
        """The trees under `key`, the topmost first. Raises: NotFound."""
        self.path(key)
        return self.trees(self._chains[key])

    def trees(self, chain_ids: Sequence[Digest]) -> tuple[str, ...]:
        """The trees of `chain_ids` and, below them, the mount points; the topmost first."""
        return (*(self.layers.tree(chain_id) for chain_id in reversed(chain_ids)), self.mountpoints)

    def create(self, key: str, chain_ids: Sequence[Digest], make: Callable[[], str]) -> str:
        """The new directory of `key`: what `make` returns, a directory with the driver's own things, renamed.

        Raises: as `Snapshotter.prepare`.
        """
        if not _KEY.match(key):
            raise InvalidArgument(f"invalid snapshot key `{key}`", why="only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
        if key in self._chains:
            raise Conflict(f"snapshot {key} already exists")
        self.layers.hold_existing(chain_ids)
        directory = None
        target = os.path.join(self._root, key)
        try:
            directory = make()
            _write_chain(directory, chain_ids)
            os.rename(directory, target)
        except BaseException as error:
            self.layers.release(chain_ids)
            if directory is not None and os.path.exists(directory):
                self._scratch.discard(directory)
            if isinstance(error, OSError):
                if os.path.exists(target):
                    raise Conflict(f"snapshot {key} already exists") from error
                raise explained(error, doing="prepare snapshot") from error
            raise
        self._chains[key] = tuple(chain_ids)
        return target

    def remove(self, key: str) -> None:
        """Move the directory of `key` to the trash, and let its layers go. Raises: NotFound."""
        directory = self.path(key)
        try:
            self._scratch.discard(directory)
        except FileNotFoundError:
            raise NotFound(f"snapshot {key} does not exist") from None
        self.layers.release(self._chains.pop(key))

    def purge(self) -> None:
        """Delete what is in the trash."""
        self._scratch.purge()

    def _read_chain(self, key: str) -> tuple[Digest, ...]:
        directory = os.path.join(self._root, key)
        try:
            raw = os.getxattr(directory, _CHAIN_XATTR)
        except OSError:
            try:
                with open(os.path.join(directory, _CHAIN_FILE), "rb") as file:
                    raw = file.read()
            except FileNotFoundError:
                return ()  # not ours; it can still be removed
        return self.layers.chain(Digest(f"sha256:{raw.hex()}")) if raw else ()


def _write_chain(directory: str, chain_ids: Sequence[Digest]) -> None:
    """Note the top layer, which knows the others: in an xattr, which needs no inode, or else in a file.

    Raises: OSError.
    """
    raw = bytes.fromhex(hex_of(chain_ids[-1])) if chain_ids else b""
    try:
        os.setxattr(directory, _CHAIN_XATTR, raw)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP):
            raise
        with open(os.path.join(directory, _CHAIN_FILE), "wb") as file:
            file.write(raw)


def tree_usage(tree: str) -> Usage:
    """What the files below `tree` take. Raises: OSError if `tree` does not exist."""
    size = inodes = 0
    linked: set[tuple[int, int]] = set()
    root_fd = open_directory(tree)
    try:
        for item in walk_tree(root_fd):
            status = item.status
            if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
                identity = (status.st_dev, status.st_ino)
                if identity in linked:
                    continue
                linked.add(identity)
            inodes += 1
            if stat.S_ISREG(status.st_mode):
                size += status.st_size
    finally:
        os.close(root_fd)
    return Usage(size, inodes)


def _make_mountpoints(path: str, scratch: Scratch) -> None:
    """Make the tree that lies under every image: mount points, so that none has to be made in a read-only root.

    Being the lowest, it shows only where the image has nothing of that name.
    """
    if os.path.isdir(path):
        return
    directory = scratch.fresh("mountpoints")
    os.mkdir(directory, 0o755)
    os.chmod(directory, 0o755)
    for name in _DIRECTORIES:
        os.mkdir(os.path.join(directory, name), 0o755)
        os.chmod(os.path.join(directory, name), 0o755)
    for name in _FILES:
        with open(os.path.join(directory, name), "xb") as file:
            os.fchmod(file.fileno(), 0o755 if name in (".dockerenv", "dev/console") else 0o644)
    os.symlink("/proc/mounts", os.path.join(directory, "etc/mtab"))
    os.rename(directory, path)
