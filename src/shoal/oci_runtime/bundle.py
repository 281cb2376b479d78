"""A bundle: the directory with `config.json` and the root file system, read, checked, and its paths made absolute."""

from __future__ import annotations

import os

import msgspec

from shoal.errors import InvalidArgument, NotFound, SyscallError, Unsupported
from shoal.linux.namespaces import OCI_NAMES
from shoal.linux.scheduling import (
    IO_CLASSES,
    MEMORY_FLAGS,
    MEMORY_MODES,
    PERSONALITIES,
    POLICIES,
    SCHEDULER_FLAGS,
)
from shoal.linux.seccomp import FLAGS as SECCOMP_FLAGS
from shoal.oci.runtime_spec import Linux, Process, RuntimeSpec, decode
from shoal.runtime.compile.bundle import PROPAGATIONS, is_bind
from shoal.runtime.compile.options import read_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# A specification is some kilobytes; a seccomp profile some hundred.
_MOST_BYTES = 64 << 20
_CLOCKS = ("monotonic", "boottime")


class LoadedBundle:
    """The bundle's directory, its root file system, its specification, and that as it was written."""

    __slots__ = ("directory", "document", "rootfs", "spec")

    def __init__(self, directory: str, rootfs: str, spec: RuntimeSpec, document: bytes) -> None:
        self.directory = directory
        self.rootfs = rootfs
        self.spec = spec
        self.document = document


def load_bundle(path: str) -> LoadedBundle:
    """The bundle in the directory `path`.

    Raises: NotFound without a config.json; InvalidArgument for one that no container can be made of; Unsupported for
    what this runtime does not do.
    """
    directory = os.path.realpath(path)
    document = _read(f"{directory}/config.json")
    spec = parse_spec(document)
    if spec.process is None:
        raise InvalidArgument("process property must not be empty", fix="add `process` to config.json")
    if spec.root is None:
        raise InvalidArgument("root property must not be empty", fix="add `root` to config.json")
    check(spec)
    rootfs = os.path.realpath(os.path.join(directory, spec.root.path))
    if not os.path.isdir(rootfs):
        raise InvalidArgument(f"invalid rootfs {rootfs}", why="no such directory", fix="correct `root.path`")
    mounts = tuple(
        msgspec.structs.replace(mount, source=os.path.join(directory, mount.source)) if is_bind(mount) else mount
        for mount in spec.mounts
    )
    return LoadedBundle(directory, rootfs, msgspec.structs.replace(spec, mounts=mounts), document)


def parse_spec(document: bytes) -> RuntimeSpec:
    """The specification in a `config.json`. Raises: InvalidArgument with the path of what is wrong in it."""
    try:
        spec = decode(document)
    except msgspec.DecodeError as error:
        raise InvalidArgument("config.json is not an OCI runtime specification", why=str(error)) from None
    if msgspec.json.decode(document).get("ociVersion") is None:
        raise InvalidArgument("config.json is not an OCI runtime specification", why="it has no `ociVersion`")
    major, _, rest = spec.oci_version.partition(".")
    if major != "1" or not rest.partition(".")[0].isdigit():
        raise InvalidArgument(
            f"unsupported ociVersion {spec.oci_version!r}", why="this runtime knows versions 1.0 to 1.3"
        )
    return spec


def parse_process(document: bytes) -> Process:
    """The process in a `process.json`. Raises: InvalidArgument."""
    try:
        process = msgspec.json.decode(document, type=Process)
    except msgspec.DecodeError as error:
        raise InvalidArgument("the process is not an OCI runtime specification's", why=str(error)) from None
    check_process(process)
    return process


def check(spec: RuntimeSpec) -> None:
    """Raises: InvalidArgument for what makes no sense; Unsupported for what this runtime does not do."""
    assert spec.process is not None
    check_process(spec.process)
    linux = spec.linux or Linux()
    _check_namespaces(spec, linux)
    _check_linux(linux)
    for mount in spec.mounts:
        if not mount.destination:
            raise InvalidArgument("a mount has no destination")
        words = read_options(mount.options)
        if bool(mount.uid_mappings) != bool(mount.gid_mappings):
            raise InvalidArgument(
                f"mount {mount.destination} has mappings of users or groups only", why="it needs both"
            )
        if (words.id_map or mount.uid_mappings) and not is_bind(mount):
            raise Unsupported(f"mount {mount.destination}: id-mapped mounts are binds", fix="add the option bind")
    hooks = spec.hooks
    if hooks is not None:
        for name in hooks.__struct_fields__:
            for hook in getattr(hooks, name):
                if not hook.path.startswith("/"):
                    raise InvalidArgument(f"invalid hook path {hook.path!r}", why="it is absolute")
                if hook.timeout is not None and hook.timeout <= 0:
                    raise InvalidArgument(f"invalid timeout {hook.timeout} of hook {hook.path}", why="it is above 0")


def check_process(process: Process) -> None:
    """Raises: InvalidArgument, Unsupported."""
    if not process.args:
        raise InvalidArgument("args must not be empty", fix="add `process.args` to config.json")
    if not process.cwd.startswith("/"):
        raise InvalidArgument(f"Cwd must be an absolute path, and is {process.cwd!r}")
    for text in (*process.args, *process.env, process.cwd):
        if "\0" in text:
            raise InvalidArgument("arguments and environment must not hold a NUL")
    user = process.user
    for number in (user.uid, user.gid, *user.additional_gids):
        if not 0 <= number < 2**32 - 1:
            raise InvalidArgument(f"invalid user or group id {number}")
    if process.scheduler is not None:
        _check_names("scheduler policy", (process.scheduler.policy,), POLICIES)
        _check_names("scheduler flag", process.scheduler.flags, SCHEDULER_FLAGS)
    if process.io_priority is not None:
        _check_names("ioPriority class", (process.io_priority.class_,), IO_CLASSES)
    if process.selinux_label:
        raise Unsupported("selinuxLabel is not supported", why="this runtime does not know SELinux")
    if process.apparmor_profile and not has_apparmor():
        raise Unsupported(
            f"the AppArmor profile {process.apparmor_profile} cannot be applied", why="AppArmor is not enabled here"
        )


def has_apparmor() -> bool:
    """Whether the kernel has AppArmor, and it is on."""
    try:
        with open("/sys/module/apparmor/parameters/enabled", "rb") as file:
            return file.read(1) == b"Y"
    except OSError:
        return False


def _check_namespaces(spec: RuntimeSpec, linux: Linux) -> None:
    kinds = [namespace.type for namespace in linux.namespaces]
    _check_names("namespace type", kinds, OCI_NAMES)
    if len(set(kinds)) != len(kinds):
        raise InvalidArgument("a namespace is there twice", why=", ".join(kinds))
    paths = {namespace.type: namespace.path for namespace in linux.namespaces}
    if "mount" not in paths:
        raise Unsupported("a container needs a mount namespace", fix='add {"type": "mount"} to linux.namespaces')
    if paths["mount"]:
        raise Unsupported("a mount namespace cannot be joined", why="the root would change for everybody in it")
    if "user" in paths and not paths["user"] and not (linux.uid_mappings and linux.gid_mappings):
        raise InvalidArgument("a user namespace needs uidMappings and gidMappings")
    if (linux.uid_mappings or linux.gid_mappings) and "user" not in paths:
        raise InvalidArgument("uidMappings and gidMappings need a user namespace")
    if linux.time_offsets:
        _check_names("clock of timeOffsets", linux.time_offsets, dict.fromkeys(_CLOCKS, 0))
        if paths.get("time") != "":
            raise InvalidArgument("timeOffsets need a new time namespace")
    for name, value, kind in (("hostname", spec.hostname, "uts"), ("domainname", spec.domainname, "uts")):
        if value and kind not in paths:
            raise InvalidArgument(f"unable to set {name} without a private UTS namespace")
    if linux.net_devices and paths.get("network") is None:
        raise InvalidArgument("netDevices need a network namespace")


def _check_linux(linux: Linux) -> None:
    if linux.mount_label:
        raise Unsupported("mountLabel is not supported", why="this runtime does not know SELinux")
    if linux.intel_rdt is not None:
        raise Unsupported("intelRdt is not supported", fix="remove linux.intelRdt from config.json")
    if linux.rootfs_propagation:
        _check_names("rootfsPropagation", (linux.rootfs_propagation,), PROPAGATIONS)
    if linux.personality is not None:
        _check_names("personality domain", (linux.personality.domain,), PERSONALITIES)
        if linux.personality.flags:
            raise Unsupported("personality flags are not supported", why="the specification names none")
    if linux.memory_policy is not None:
        _check_names("memoryPolicy mode", (linux.memory_policy.mode,), MEMORY_MODES)
        _check_names("memoryPolicy flag", linux.memory_policy.flags, MEMORY_FLAGS)
    seccomp = linux.seccomp
    if seccomp is not None:
        _check_names("seccomp flag", seccomp.flags, SECCOMP_FLAGS)
        if seccomp.listener_path or any(rule.action == "SCMP_ACT_NOTIFY" for rule in seccomp.syscalls):
            raise Unsupported("seccomp notifications are not supported", fix="remove listenerPath and SCMP_ACT_NOTIFY")


def _check_names(what: str, names: Iterable[str], known: dict[str, int] | dict[str, str]) -> None:
    for name in names:
        if name not in known:
            raise InvalidArgument(f"invalid {what} {name!r}", fix=f"use one of {', '.join(known)}")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise NotFound("JSON specification file config.json not found", why=path) from None
    except OSError as error:
        raise SyscallError("read", path, error.errno or 0) from None
