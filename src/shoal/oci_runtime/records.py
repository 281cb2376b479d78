"""What the runtime remembers of a container: a directory below `--root`, by the container's id.

    ROOT/ID/state.json    the record below; written to another name and renamed, so that it is whole or not there
    ROOT/ID/config.json   the bundle's specification as it was at `create`
    ROOT/ID/start         the socket on which a created container waits for `start`

Whoever changes a container holds the lock of its directory (flock(2)); the kernel gives it back when that process dies.
A status is never written down: it is what the kernel says of the process, so no kill can make it wrong.
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import json
import os

from shoal.errors import Conflict, InvalidArgument, NotFound, SyscallError, Unavailable
from shoal.linux.cgroups import Cgroup, detect
from shoal.linux.fd import Fd
from shoal.linux.procfs import process_exists

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# What the state of a container complies with, whatever its bundle said.
STATE_VERSION = "1.3.0"
CREATING, CREATED, RUNNING, PAUSED, STOPPED = "creating", "created", "running", "paused", "stopped"
_ALPHABET = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")
_MOST_ID = 1024
# A record is a page or two; what is larger was not written by us.
_MOST_BYTES = 16 << 20


class Record:
    """A container's facts. `interpreter` is device and inode of what its process runs until the user's program does.

    `ready` says that the container is made. Before, its process dies with whoever makes it.
    """

    __slots__ = (
        "annotations", "bundle", "cgroup_path", "created", "id", "interpreter", "own_pid_namespace", "pid", "ready",
        "rootfs", "start_ticks",
    )  # fmt: skip

    def __init__(self, id: str, bundle: str, rootfs: str, created: str, annotations: dict[str, str]) -> None:
        self.id = id
        self.bundle = bundle
        self.rootfs = rootfs
        self.created = created
        self.annotations = annotations
        self.pid = 0
        self.start_ticks = 0
        self.interpreter = (0, 0)
        self.cgroup_path = ""
        self.own_pid_namespace = True
        self.ready = False

    def cgroup(self) -> Cgroup | None:
        """Its control group, which may be gone; None for a container without one. Raises: Unavailable, SyscallError."""
        return detect().open(self.cgroup_path) if self.cgroup_path else None

    def is_alive(self) -> bool:
        """Whether its first process has not ended."""
        return self.pid > 0 and process_exists(self.pid, self.start_ticks)

    def status(self) -> str:
        """What the kernel says of it: created, running, paused or stopped."""
        program = self._program() if self.is_alive() else None
        if program is None:
            return STOPPED
        if program == tuple(self.interpreter):
            return CREATED
        group = self.cgroup()
        return PAUSED if group is not None and group.is_frozen() else RUNNING

    def _program(self) -> tuple[int, int] | None:
        """Device and inode of what its process runs; None when it runs nothing any more.

        A process that was killed gives its memory up first and its namespaces then, which can take a second.
        """
        try:
            status = os.stat(f"/proc/{self.pid}/exe")
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def state(self, status: str) -> dict[str, Any]:
        """Its state as the specification has it, §State, and `rootfs`, `created` and `owner` as runc has them."""
        return {
            "ociVersion": STATE_VERSION,
            "id": self.id,
            "pid": 0 if status == STOPPED else self.pid,
            "status": status,
            "bundle": self.bundle,
            "rootfs": self.rootfs,
            "created": self.created,
            "annotations": self.annotations,
            "owner": "",
        }


class Place:
    """The directory of one container."""

    __slots__ = ("_lock", "directory", "id")

    def __init__(self, root: str, id: str) -> None:
        self.id = id
        self.directory = f"{root}/{id}"
        self._lock: Fd | None = None

    def lock(self, *, wait: bool = True) -> bool:
        """Whether this process has the container for itself until it ends; without `wait` False at once.

        Raises: NotFound when it was deleted meanwhile; SyscallError.
        """
        try:
            lock = Fd(os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except FileNotFoundError:
            raise NotFound("container does not exist") from None
        except OSError as error:
            raise SyscallError("flock", self.directory, error.errno or 0) from None
        if not self._is_its(lock):
            raise NotFound("container does not exist")
        self._lock = lock
        return True

    def _is_its(self, lock: Fd) -> bool:
        """Whether what was locked still is the container's: it may have been deleted, and its id given anew."""
        try:
            return os.path.samestat(os.fstat(lock.fileno()), os.stat(self.directory))
        except FileNotFoundError:
            return False

    def unlock(self) -> None:
        """Lets others have it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def load(self) -> Record | None:
        """What is known of the container; None while it is so new that there is nothing. Raises: Unavailable."""
        content = self.read("state.json")
        if content is None:
            return None
        try:
            values = json.loads(content)
            record = Record("", "", "", "", {})
            for name in Record.__slots__:
                setattr(record, name, values[name])
        except (ValueError, KeyError, TypeError):
            raise Unavailable(
                f"the record of container {self.id} is damaged",
                why=f"{self.directory}/state.json is not what was written",
                fix=f"delete it: shoal-runtime delete --force {self.id}",
            ) from None
        return record

    def save(self, record: Record) -> None:
        """Keeps what is known. Raises: SyscallError."""
        self.write("state.json", json.dumps({name: getattr(record, name) for name in Record.__slots__}).encode())

    def read(self, name: str) -> bytes | None:
        """The content of a file of the container's; None when there is none. Raises: SyscallError."""
        path = f"{self.directory}/{name}"
        try:
            with open(path, "rb") as file:
                return file.read(_MOST_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SyscallError("read", path, error.errno or 0) from None

    def write(self, name: str, content: bytes) -> None:
        """Replaces a file of the container's as one. Raises: SyscallError."""
        path = f"{self.directory}/{name}"
        try:
            with open(f"{path}.new", "wb") as file:
                file.write(content)
            os.rename(f"{path}.new", path)
        except OSError as error:
            raise SyscallError("write", path, error.errno or 0) from None

    def status(self, record: Record | None) -> str:
        """Its status; `creating` while somebody makes it, `stopped` when that was not brought to its end."""
        if record is not None and record.ready:
            return record.status()
        if not self.lock(wait=False):
            return CREATING
        self.unlock()
        return STOPPED  # its process has died with whoever was making it

    def listen(self) -> _socket.socket:
        """The listening socket on which the container waits for `start`. Raises: SyscallError."""
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        try:
            with _directory(self.directory) as directory:
                # By the descriptor: a directory's path may be longer than the 107 bytes of a socket's.
                sock.bind(f"/proc/self/fd/{directory.fileno()}/start")
            sock.listen(1)
        except OSError as error:
            sock.close()
            raise SyscallError("bind", f"{self.directory}/start", error.errno or 0) from None
        return sock

    def connect(self) -> _socket.socket | None:
        """A connection to the waiting container; None when it waits no more. Raises: SyscallError."""
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        try:
            with _directory(self.directory) as directory:
                sock.connect(f"/proc/self/fd/{directory.fileno()}/start")
        except OSError as error:
            sock.close()
            if error.errno in (errno.ECONNREFUSED, errno.ENOENT):
                return None
            raise SyscallError("connect", f"{self.directory}/start", error.errno or 0) from None
        return sock

    def remove(self) -> None:
        """Forgets the container. Raises: SyscallError."""
        try:
            for name in os.listdir(self.directory):
                os.unlink(f"{self.directory}/{name}")
            os.rmdir(self.directory)
        except FileNotFoundError:
            pass  # somebody else was at it, too
        except OSError as error:
            raise SyscallError("rmdir", self.directory, error.errno or 0) from None
        self.unlock()


def _directory(path: str) -> Fd:
    return Fd(os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))


def check_id(id: str) -> None:
    """Raises: InvalidArgument for what cannot be the id of a container."""
    if not id or len(id) > _MOST_ID or id in (".", "..") or not _ALPHABET.issuperset(id):
        raise InvalidArgument(f"invalid container id format: {id!r}", fix="use letters, digits and _ + - .")


def reserve(root: str, id: str) -> Place:
    """The new place of a container, locked. Raises: Conflict when the id is taken; InvalidArgument; SyscallError."""
    check_id(id)
    place = Place(root, id)
    try:
        os.makedirs(root, 0o711, exist_ok=True)
        os.mkdir(place.directory, 0o700)
    except FileExistsError:
        raise Conflict("container with given ID already exists", why=id) from None
    except OSError as error:
        raise SyscallError("mkdir", place.directory, error.errno or 0) from None
    place.lock()
    return place


def find(root: str, id: str) -> Place:
    """The place of a container that exists. Raises: NotFound, InvalidArgument."""
    check_id(id)
    place = Place(root, id)
    if not os.path.isdir(place.directory):
        raise NotFound("container does not exist", why=id)
    return place


def all_places(root: str) -> list[Place]:
    """The places of all containers, by id."""
    try:
        names = os.listdir(root)
    except FileNotFoundError:
        return []
    return [Place(root, name) for name in sorted(names) if _ALPHABET.issuperset(name)]
