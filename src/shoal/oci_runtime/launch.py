"""Makes a container out of a bundle, until it waits for `start`: what `create` and `run` have in common.

Whatever fails, the child is killed and reaped, its cgroup removed, its poststop hooks are run and its directory is gone
before the error is told.
"""

from __future__ import annotations

import _socket
import os
import resource
import signal
import time

from shoal.errors import Internal, InvalidArgument, ShoalError, SyscallError, Unsupported
from shoal.linux.cgroups import Cgroup, Layout, detect
from shoal.linux.fd import Fd
from shoal.linux.idmaps import map_identities, user_namespace
from shoal.linux.libc import AT_FDCWD, AT_RECURSIVE
from shoal.linux.mounts import OPEN_TREE_CLONE, open_tree
from shoal.linux.namespaces import CLONE_NEWPID, namespace_fd, write_user_maps
from shoal.linux.pidfd import pidfd_send_signal
from shoal.linux.procfs import start_time_ticks
from shoal.oci.runtime_spec import IdMapping, Linux, RuntimeSpec
from shoal.oci_runtime.bundle import LoadedBundle, load_bundle
from shoal.oci_runtime.child import LISTEN, START, Inheritance
from shoal.oci_runtime.cloning import Namespaces, clone_into, open_joined
from shoal.oci_runtime.console import send_console
from shoal.oci_runtime.conversation import Conversation
from shoal.oci_runtime.hooks import run_hooks_outside, run_poststop, state_template
from shoal.oci_runtime.machine import cgroup_path, host_facts
from shoal.oci_runtime.records import CREATED, CREATING, Place, Record, reserve
from shoal.oci_runtime.report import Report
from shoal.runtime.compile.bundle import Bundle, compile_bundle
from shoal.runtime.compile.options import read_options
from shoal.runtime.compile.plan import Plan
from shoal.supervisor.entrance import open_entrances
from shoal.supervisor.protocol import close_all
from shoal.supervisor.timestamps import rfc3339_nano


class LaunchOptions:
    """What the command line says of a launch."""

    __slots__ = ("bundle", "console_socket", "id", "kept", "new_keyring", "pid_file", "pivot", "rootless")

    def __init__(self, id: str, bundle: str) -> None:
        self.id = id
        self.bundle = bundle
        self.console_socket = ""
        self.pid_file = ""
        self.pivot = True
        self.new_keyring = True
        self.kept = range(0)
        self.rootless = False


class Container:
    """A container that is made and waits for `start`. Owns its pidfd and the conversation with it."""

    __slots__ = ("conversation", "pidfd", "place", "record", "spec")

    def __init__(self, place: Place, record: Record, spec: RuntimeSpec) -> None:
        self.place = place
        self.record = record
        self.spec = spec
        self.pidfd: Fd | None = None
        self.conversation: Conversation | None = None

    def let_go(self) -> None:
        """Leaves it waiting for a `start` by somebody else."""
        assert self.conversation is not None
        self.conversation.go(LISTEN)
        # It closes its end when it does not depend on us any more: until then our end would be its end.
        self.conversation.next_barrier()
        self.conversation.close()

    def start(self) -> None:
        """Lets it run at once. Raises: the error of its last steps."""
        assert self.conversation is not None
        self.conversation.go(START)
        self.conversation.next_barrier()


class _Launch:
    """One launch, from the bundle to the waiting container."""

    def __init__(self, root: str, options: LaunchOptions, report: Report) -> None:
        self._root = root
        self._options = options
        self._report = report
        self._bundle: LoadedBundle = load_bundle(options.bundle)
        self._linux = self._bundle.spec.linux or Linux()
        self._layout: Layout = detect()
        self._cgroup: Cgroup | None = None
        self._container: Container | None = None
        # Closed when the child has its copies.
        self._borrowed: list[Fd] = []

    def run(self) -> Container:
        """The container. Raises: ShoalError; nothing of it is left then."""
        if os.geteuid() != 0:
            raise Unsupported(
                "making a container needs root", fix="call it as root, or as root of a user namespace (unshare -Ur)"
            )
        _check_console(self._bundle.spec, self._options)
        place = reserve(self._root, self._options.id)
        record = Record(
            self._options.id,
            self._bundle.directory,
            self._bundle.rootfs,
            rfc3339_nano(time.time_ns()),
            dict(self._bundle.spec.annotations),
        )
        container = self._container = Container(place, record, self._bundle.spec)
        try:
            self._make(container)
        except BaseException:
            self._take_back(container)
            raise
        finally:
            for fd in self._borrowed:
                fd.close()
        return container

    def _make(self, container: Container) -> None:
        record, place = container.record, container.place
        record.cgroup_path = cgroup_path(self._linux.cgroups_path, record.id)
        plan = self._plan(record)
        for line in plan.describe():
            self._report.debug(line)
        place.write("config.json", self._bundle.document)
        status = os.stat("/proc/self/exe")
        record.interpreter = (status.st_dev, status.st_ino)
        record.own_pid_namespace = bool(plan.clone_flags & CLONE_NEWPID)
        # Before there is anything to forget: a kill from here on leaves what `delete` finds.
        place.save(record)
        self._make_cgroup(record)
        self._clone(container, plan)
        place.save(record)
        self._accompany(container, plan)
        if self._options.pid_file:
            write_pid_file(self._options.pid_file, record.pid)
        record.ready = True
        place.save(record)

    def _plan(self, record: Record) -> Plan:
        states = {status: state_template(record, status) for status in (CREATING, CREATED)}
        bundle = Bundle(
            self._bundle.spec,
            self._bundle.rootfs,
            record.cgroup_path,
            states,
            pivot=self._options.pivot,
            new_keyring=self._options.new_keyring,
        )
        return compile_bundle(bundle, host_facts(self._root, self._layout))

    def _make_cgroup(self, record: Record) -> None:
        try:
            self._cgroup = self._layout.create(record.cgroup_path)
        except SyscallError as error:
            if not self._options.rootless:
                raise
            self._report.warning(f"the container has no cgroup of its own: {error}")
            record.cgroup_path = ""

    def _clone(self, container: Container, plan: Plan) -> None:
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        container.conversation = Conversation(ours, self._report.warning)
        spec = self._bundle.spec
        terminal = spec.process is not None and spec.process.terminal
        own = Inheritance(theirs, plan.steps, terminal=terminal, kept=self._options.kept)
        try:
            own.listener = container.place.listen()
            joined = open_joined(plan.joins)
            self._borrowed += joined.values()
            own.joins = {kind: fd.fileno() for kind, fd in joined.items() if kind not in ("pid", "user")}
            own.trees = self._id_mapped_trees()
            namespaces = Namespaces(plan.clone_flags)
            namespaces.pid, namespaces.user = joined.get("pid"), joined.get("user")
            if any(one.type == "time" and not one.path for one in self._linux.namespaces):
                offsets = self._linux.time_offsets
                namespaces.time_offsets = {clock: (one.secs, one.nanosecs) for clock, one in offsets.items()}
            container.record.pid, container.pidfd = self._clone_into_cgroup(namespaces, own)
            container.record.start_ticks = start_time_ticks(container.record.pid)
        finally:
            theirs.close()
            if own.listener is not None:
                own.listener.close()
            close_all(own.entrances)

    def _clone_into_cgroup(self, namespaces: Namespaces, own: Inheritance) -> tuple[int, Fd]:
        if self._cgroup is None:
            return clone_into(namespaces, own, None)
        if self._layout.version == "v2":
            with self._cgroup.directory_fd() as directory:
                return clone_into(namespaces, own, directory)
        own.entrances = open_entrances(self._cgroup, self._layout)
        return clone_into(namespaces, own, None)

    def _id_mapped_trees(self) -> dict[str, int]:
        """Sources of id-mapped binds as detached mounts, by target: the child may lack the right to map them."""
        trees: dict[str, int] = {}
        for mount in self._bundle.spec.mounts:
            words = read_options(mount.options)
            if not (words.id_map or mount.uid_mappings):
                continue
            uid_map = ranges(mount.uid_mappings or self._linux.uid_mappings)
            gid_map = ranges(mount.gid_mappings or self._linux.gid_mappings)
            if not (uid_map and gid_map):
                raise InvalidArgument(f"mount {mount.destination} has no mappings, and the container has none either")
            flags = OPEN_TREE_CLONE | (AT_RECURSIVE if words.recursive else 0)
            tree = open_tree(AT_FDCWD, mount.source, flags)
            self._borrowed.append(tree)
            with user_namespace(uid_map, gid_map) as identities:
                map_identities(tree, identities, recursive=words.id_map == "ridmap")
            trees[mount.destination] = tree.fileno()
        return trees

    def _accompany(self, container: Container, plan: Plan) -> None:
        """Does what the child waits for, until it waits for `start`."""
        conversation, record = container.conversation, container.record
        assert conversation is not None
        while (barrier := conversation.next_barrier()) != START:
            if barrier == "maps":
                write_user_maps(record.pid, ranges(self._linux.uid_mappings), ranges(self._linux.gid_mappings))
            elif barrier == "hooks":
                self._at_hooks(container, plan)
            elif barrier is None:
                raise Internal("the container's first process died before its program ran")
            conversation.go(barrier)
        if conversation.console is not None and self._options.console_socket:
            send_console(self._options.console_socket, conversation.console)

    def _at_hooks(self, container: Container, plan: Plan) -> None:
        """Limits, what only somebody outside of the container's user namespace may set, and the hooks outside of it."""
        if self._cgroup is not None:
            try:
                for warning in self._cgroup.apply(dict(plan.resources)):
                    self._report.warning(warning)
            except SyscallError as error:
                if not self._options.rootless:
                    raise
                self._report.warning(f"the container is not limited: {error}")
        pid = container.record.pid
        if any(one.type == "user" and not one.path for one in self._linux.namespaces):
            self._set_limits_of(pid)
        self._move_net_devices(pid)
        hooks = self._bundle.spec.hooks
        if hooks is not None:
            state = container.record.state(CREATING)
            run_hooks_outside("prestart", hooks.prestart, state)
            run_hooks_outside("createRuntime", hooks.create_runtime, state)

    def _set_limits_of(self, pid: int) -> None:
        process = self._bundle.spec.process
        assert process is not None
        for limit in process.rlimits:
            number = getattr(resource, limit.type, None)
            if number is None:
                raise InvalidArgument(f"invalid rlimit type {limit.type!r}")
            most = 2**63 - 1
            soft, hard = (resource.RLIM_INFINITY if value > most else value for value in (limit.soft, limit.hard))
            try:
                resource.prlimit(pid, number, (soft, hard))
            except (OSError, ValueError) as error:
                self._report.warning(f"{limit.type} was not set: {error}")
        if process.oom_score_adj is not None:
            try:
                with open(f"/proc/{pid}/oom_score_adj", "w", encoding="ascii") as file:
                    file.write(str(process.oom_score_adj))
            except OSError as error:
                self._report.warning(f"oom_score_adj {process.oom_score_adj} was not set: {error.strerror}")

    def _move_net_devices(self, pid: int) -> None:
        if not self._linux.net_devices:
            return
        from shoal.oci_runtime.net_devices import move_into

        with namespace_fd(pid, "net") as network:
            for name, device in self._linux.net_devices.items():
                move_into(network, name, device.name or name)

    def _take_back(self, container: Container) -> None:
        """Removes all that was made so far; a failure of that never hides the cause."""
        if container.pidfd is not None:
            try:
                pidfd_send_signal(container.pidfd, signal.SIGKILL)
                os.waitpid(container.record.pid, 0)
            except (ShoalError, OSError):
                pass  # it has ended, and somebody reaped it
            container.pidfd.close()
            run_poststop(container.spec.hooks, container.record, self._report)
        if container.conversation is not None:
            container.conversation.close()
        try:
            if self._cgroup is not None:
                self._cgroup.kill(signal.SIGKILL)
                self._cgroup.remove()
            container.place.remove()
        except ShoalError as error:
            self._report.warning(f"left behind: {error}")


def launch(root: str, options: LaunchOptions, report: Report) -> Container:
    """A new container that waits for `start`; its place is locked. Raises: ShoalError."""
    return _Launch(root, options, report).run()


def write_pid_file(path: str, pid: int) -> None:
    """The file with a process's pid, there as a whole or not at all. Raises: SyscallError."""
    directory, _, name = os.path.abspath(path).rpartition("/")
    temporary = f"{directory}/.{name}"
    try:
        with open(temporary, "w", encoding="ascii") as file:
            file.write(str(pid))
        os.rename(temporary, path)
    except OSError as error:
        raise SyscallError("open", path, error.errno or 0) from None


def ranges(mappings: tuple[IdMapping, ...]) -> list[tuple[int, int, int]]:
    """The specification's mappings as the kernel's (inside, outside, count)."""
    return [(one.container_id, one.host_id, one.size) for one in mappings]


def _check_console(spec: RuntimeSpec, options: LaunchOptions) -> None:
    terminal = spec.process is not None and spec.process.terminal
    if options.console_socket and not terminal:
        raise InvalidArgument("cannot use console socket if the process has no terminal", fix="set process.terminal")
