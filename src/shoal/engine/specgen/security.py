"""`--security-opt`, and what of /proc and /sys a container may see and write. Pure.

Source: Docker API v1.50 HostConfig.SecurityOpt, MaskedPaths, ReadonlyPaths.
"""

from __future__ import annotations

import msgspec

from shoal.api.booleans import read_boolean
from shoal.api.host_config import HostConfig
from shoal.engine.specgen.facts import DaemonDefaults, MachineFacts
from shoal.engine.specgen.seccomp_profile import Profile, default_profile, parse_profile, resolve_profile
from shoal.errors import InvalidArgument
from shoal.oci.runtime_spec import Seccomp

MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

UNCONFINED = "unconfined"
_BUILTIN = ("", "builtin")


class SecurityOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options read: `seccomp` is "" (the daemon's), "unconfined", "builtin" or a profile's JSON text.

    `apparmor` is the profile asked for; on a kernel without AppArmor it is kept for `inspect` and changes nothing, as
    with Docker. So it is with labels on any kernel.
    """

    seccomp: str = ""
    apparmor: str = ""
    no_new_privileges: bool | None = None
    writable_cgroups: bool | None = None
    system_paths_unconfined: bool = False


def read_security_options(options: list[str]) -> SecurityOptions:
    """What the list says. Raises: InvalidArgument `invalid --security-opt 2: "…"`."""
    values: dict[str, str | bool] = {}
    for option in options:
        if option == "disable":
            continue  # the old form of label=disable
        if option == "no-new-privileges":
            values["no_new_privileges"] = True
            continue
        key, separator, value = option.partition("=" if "=" in option else ":")
        if not separator:
            raise InvalidArgument(f'invalid --security-opt 1: "{option}"')
        if key == "seccomp":
            values["seccomp"] = value
        elif key == "no-new-privileges":
            values["no_new_privileges"] = _boolean(value, option)
        elif key == "writable-cgroups":
            values["writable_cgroups"] = _boolean(value, option)
        elif key == "systempaths" and value == UNCONFINED:
            values["system_paths_unconfined"] = True
        elif key == "apparmor":
            values["apparmor"] = value
        elif key != "label":
            raise InvalidArgument(f'invalid --security-opt 2: "{option}"')
    return msgspec.convert(values, SecurityOptions)


def apparmor_profile(options: SecurityOptions, machine: MachineFacts) -> str:
    """The profile to confine the process by, "" for none. It must be loaded: the engine loads none."""
    return options.apparmor if machine.apparmor and options.apparmor != UNCONFINED else ""


def masked_and_readonly(host: HostConfig, options: SecurityOptions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The paths to hide and those to make read-only; both empty for a privileged container."""
    if host.privileged or options.system_paths_unconfined:
        return (), ()
    masked = MASKED_PATHS if host.masked_paths is None else tuple(host.masked_paths)
    readonly = READONLY_PATHS if host.readonly_paths is None else tuple(host.readonly_paths)
    return masked, readonly


class SeccompProfiles:
    """Chooses and resolves the filter of a container. Holds the built-in profile, built once."""

    def __init__(self) -> None:
        """Builds the built-in profile; keep the object."""
        self._builtin = default_profile()

    def filter(
        self,
        options: SecurityOptions,
        defaults: DaemonDefaults,
        capabilities: tuple[str, ...],
        machine: MachineFacts,
        *,
        privileged: bool,
    ) -> Seccomp | None:
        """The resolved filter, None for none: unconfined, or privileged without a profile of its own.

        Raises: InvalidArgument for a profile that cannot be read, or one asked for where the kernel has no
        seccomp.
        """
        wanted = options.seccomp
        if not machine.seccomp:
            if wanted and wanted != UNCONFINED:
                raise InvalidArgument("seccomp is not enabled in your kernel, cannot run a custom seccomp profile")
            return None
        if privileged and not wanted:
            return None
        wanted = wanted or defaults.seccomp_profile
        if wanted == UNCONFINED:
            return None
        profile: Profile = self._builtin if wanted in _BUILTIN else parse_profile(wanted)
        return resolve_profile(profile, capabilities, machine.machine, machine.kernel)


def _boolean(text: str, option: str) -> bool:
    value = read_boolean(text)
    if value is None:
        raise InvalidArgument(f'invalid --security-opt 2: "{option}"')
    return value
