"""What the engine remembers of a container; the JSON of it is a row of the table `containers`."""

from __future__ import annotations

import msgspec

from shoal.api.container import ContainerConfig
from shoal.api.host_config import HostConfig
from shoal.api.network import NetworkingConfig
from shoal.engine.container.exits import Ask, ExitRecord
from shoal.engine.container.states import ACTIVE, RUNNING, Status, Transition, next_status
from shoal.engine.specgen.requested import RequestedMount
from shoal.errors import Conflict
from shoal.oci.rootfs import Rootfs

SHORT_ID = 12


class StateRecord(msgspec.Struct, kw_only=True):
    """A container's state. Times in ns from the epoch, 0 for never; `start_ticks` tells a pid from its reuse.

    `asked` is who has asked the present run to end; `paused_for_now`: a commit paused it, until it is done.
    """

    status: Status = "created"
    pid: int = 0
    start_ticks: int | None = None
    exit_code: int = 0
    exit_known: bool = True
    error: str = ""
    oom_killed: bool = False
    started_at_ns: int = 0
    finished_at_ns: int = 0
    stopped_by_user: bool = False
    asked: Ask | None = None
    paused_for_now: bool = False


class Link(msgspec.Struct, kw_only=True, frozen=True):
    """A `--link`: the container `id`, which was called `name`, is known as `alias` here."""

    alias: str
    id: str
    name: str


class ContainerRecord(msgspec.Struct, kw_only=True):
    """One container: what was asked for, what it was made from, how it is.

    `config` is the request merged with the image's defaults, `path` and `args` the command that follows from it;
    `restart_delay_s` is how long its restart policy waited last. `mounts` are its volumes and what it has of other
    containers; `drops_volumes` says that its anonymous volumes go with it. `links` are its `--link`s. `exits` tell how
    its last runs ended. `networking` is all that there is once `networks_changed`; before, the network mode adds to it.
    """

    id: str
    name: str
    created_ns: int
    image_id: str
    config: ContainerConfig
    host_config: HostConfig
    networking: NetworkingConfig
    networks_changed: bool = False
    path: str
    args: list[str]
    rootfs: Rootfs
    state: StateRecord = msgspec.field(default_factory=StateRecord)
    restart_count: int = 0
    restart_delay_s: float | None = None
    mounts: list[RequestedMount] = []
    drops_volumes: bool = False
    links: list[Link] = []
    exits: list[ExitRecord] = []

    @property
    def is_running(self) -> bool:
        """Whether the container has a process, paused or not."""
        return self.state.status in RUNNING

    @property
    def is_active(self) -> bool:
        """Whether clients take it for running: it has a process, or its restart policy will start one."""
        return self.state.status in ACTIVE

    @property
    def is_restarting(self) -> bool:
        """Whether it has ended and waits for its restart policy to start it again."""
        return self.state.status == "restarting"

    def move(self, transition: Transition) -> None:
        """Takes one step of the state machine.

        Raises: Internal when there is no such step from here.
        """
        self.state.status = next_status(self.state.status, transition)

    def attributes(self) -> dict[str, str]:
        """What events tell of the container: its labels, image and name."""
        return {**self.config.labels, "image": self.config.image, "name": self.name}


def check_settled(record: ContainerRecord) -> None:
    """Raises: Conflict, in Docker's words, while the container waits for its restart policy."""
    if record.is_restarting:
        raise Conflict(f"Container {record.id} is restarting, wait until the container is running")
