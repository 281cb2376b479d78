"""The flags of `run` and `create`: one table for those that go straight into the request, and the few others.

Each Flag of the table names the field of the request that it fills; `request.create_request` applies them in order.
"""

from __future__ import annotations

from shoal.cli.arguments import REMAINDER, Flags, Parser
from shoal.cli.container import devices, values
from shoal.cli.container.mounts import parse_mount
from shoal.cli.quantities import size_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shoal.client.document import Json


class FlagOptions(Flags):
    """Parsed flags of the table, read by their `dest`."""

    def flag_value(self, dest: str) -> str | bool | int | list[str] | None:
        """The parsed value of one flag of the table."""
        value: str | bool | int | list[str] | None = getattr(self, dest)
        return value


class ContainerOptions(FlagOptions):
    """What `run` and `create` share."""

    image: str
    command: list[str]
    name: str
    platform: str
    pull: str
    cidfile: str
    interactive: bool
    tty: bool
    attach: list[str]
    env: list[str]
    env_file: list[str]
    label: list[str]
    label_file: list[str]
    publish: list[str]
    publish_all: bool
    expose: list[str]
    volume: list[str]
    tmpfs: list[str]
    sysctl: list[str]
    log_opt: list[str]
    network: list[str]
    network_alias: list[str]
    ip: str
    ip6: str
    link_local_ip: list[str]
    annotation: list[str]
    storage_opt: list[str]
    content_trust: bool
    mac_address: str
    security_opt: list[str]
    init: bool
    entrypoint: str | None
    stop_timeout: int | None
    health_cmd: str
    health_interval: str
    health_timeout: str
    health_start_period: str
    health_start_interval: str
    health_retries: int
    no_healthcheck: bool
    on_unhealthy: str
    quiet: bool
    help_shown: bool


class Flag:
    """A flag that fills the field `path` of the request.

    `kind`: "text", "texts" (may be repeated), "toggle" or "integer". `convert` applies to a text, or to each of texts.
    """

    __slots__ = ("convert", "help", "kind", "names", "path")

    def __init__(
        self,
        names: tuple[str, ...],
        path: tuple[str, ...],
        kind: str,
        help: str,
        convert: Callable[[str], Json] | None = None,
    ) -> None:
        self.names = names
        self.path = path
        self.kind = kind
        self.help = help
        self.convert = convert

    @property
    def spelling(self) -> str:
        """`-m, --memory`, as refusals name it."""
        return ", ".join(self.names)

    @property
    def dest(self) -> str:
        """The name of its value in the parsed options."""
        return "field_" + self.names[-1].lstrip("-").replace("-", "_")


_HOST = "HostConfig"

FLAGS = (
    Flag(("-h", "--hostname"), ("Hostname",), "text", "Container host name"),
    Flag(("--domainname",), ("Domainname",), "text", "Container NIS domain name"),
    Flag(("-u", "--user"), ("User",), "text", "User name or UID, and group (name|uid[:group|gid])"),
    Flag(("-w", "--workdir"), ("WorkingDir",), "text", "Working directory inside the container"),
    Flag(("--stop-signal",), ("StopSignal",), "text", "Signal that stops the container"),
    Flag(("--rm",), (_HOST, "AutoRemove"), "toggle", "Remove the container when it exits"),
    Flag(("--privileged",), (_HOST, "Privileged"), "toggle", "Give extended privileges to the container"),
    Flag(("--read-only",), (_HOST, "ReadonlyRootfs"), "toggle", "Mount the root file system read-only"),
    Flag(("--cap-add",), (_HOST, "CapAdd"), "texts", "Add a Linux capability", values.capability),
    Flag(("--cap-drop",), (_HOST, "CapDrop"), "texts", "Drop a Linux capability", values.capability),
    Flag(("--group-add",), (_HOST, "GroupAdd"), "texts", "Add a group to join"),
    Flag(("-m", "--memory"), (_HOST, "Memory"), "text", "Memory limit", size_bytes),
    Flag(
        ("--memory-swap",),
        (_HOST, "MemorySwap"),
        "text",
        "Memory plus swap limit (-1: no limit)",
        values.size_or_unlimited,
    ),
    Flag(("--memory-reservation",), (_HOST, "MemoryReservation"), "text", "Soft memory limit", size_bytes),
    Flag(("--memory-swappiness",), (_HOST, "MemorySwappiness"), "integer", "Swappiness, 0 to 100"),
    Flag(("--oom-kill-disable",), (_HOST, "OomKillDisable"), "toggle", "Disable the OOM killer"),
    Flag(("--oom-score-adj",), (_HOST, "OomScoreAdj"), "integer", "OOM preference, -1000 to 1000"),
    Flag(("--cpus",), (_HOST, "NanoCpus"), "text", "Number of CPUs", values.nano_cpus),
    Flag(("-c", "--cpu-shares"), (_HOST, "CpuShares"), "integer", "CPU shares (relative weight)"),
    Flag(("--cpu-period",), (_HOST, "CpuPeriod"), "integer", "CFS period in µs"),
    Flag(("--cpu-quota",), (_HOST, "CpuQuota"), "integer", "CFS quota in µs"),
    Flag(("--cpuset-cpus",), (_HOST, "CpusetCpus"), "text", "CPUs in which to run (0-3, 0,1)"),
    Flag(("--cpuset-mems",), (_HOST, "CpusetMems"), "text", "Memory nodes in which to run"),
    Flag(("--pids-limit",), (_HOST, "PidsLimit"), "integer", "Limit of processes (-1: no limit)"),
    Flag(("--cpu-rt-period",), (_HOST, "CpuRealtimePeriod"), "integer", "Real-time period in µs"),
    Flag(("--cpu-rt-runtime",), (_HOST, "CpuRealtimeRuntime"), "integer", "Real-time runtime in µs"),
    Flag(("--kernel-memory",), (_HOST, "KernelMemory"), "text", "Kernel memory limit (refused)", size_bytes),
    Flag(("--blkio-weight",), (_HOST, "BlkioWeight"), "integer", "Block IO weight, 10 to 1000"),
    Flag(
        ("--blkio-weight-device",),
        (_HOST, "BlkioWeightDevice"),
        "texts",
        "Block IO weight of a disk (DEVICE:WEIGHT)",
        devices.weight_device,
    ),
    *(
        Flag((f"--device-{way}-bps",), (_HOST, f"BlkioDevice{way.title()}Bps"), "texts", help, devices.byte_rate)
        for way, help in (("read", "Bytes a second from a disk (DEVICE:1mb)"), ("write", "Bytes a second to a disk"))
    ),
    *(
        Flag((f"--device-{way}-iops",), (_HOST, f"BlkioDevice{way.title()}IOps"), "texts", help, devices.operation_rate)
        for way, help in (("read", "Reads a second from a disk (DEVICE:100)"), ("write", "Writes a second to a disk"))
    ),
    Flag(("--ulimit",), (_HOST, "Ulimits"), "texts", "Ulimit NAME=SOFT[:HARD]", values.ulimit),
    Flag(("--shm-size",), (_HOST, "ShmSize"), "text", "Size of /dev/shm", size_bytes),
    Flag(("--device",), (_HOST, "Devices"), "texts", "Add a host device", devices.device),
    Flag(
        ("--device-cgroup-rule",),
        (_HOST, "DeviceCgroupRules"),
        "texts",
        "Add a rule to the devices allowed",
        values.device_rule,
    ),
    Flag(("--mount",), (_HOST, "Mounts"), "texts", "Attach a file system mount", parse_mount),
    Flag(("--gpus",), (_HOST, "DeviceRequests"), "text", "GPU devices ('all' for all)", devices.gpus),
    Flag(("--volume-driver",), (_HOST, "VolumeDriver"), "text", "Volume driver for the container's volumes"),
    Flag(("--link",), (_HOST, "Links"), "texts", "Link to another container (CONTAINER[:ALIAS])", values.link),
    Flag(("--volumes-from",), (_HOST, "VolumesFrom"), "texts", "Mount the volumes of another container"),
    Flag(("--dns",), (_HOST, "Dns"), "texts", "DNS server", values.dns_server),
    Flag(("--dns-search",), (_HOST, "DnsSearch"), "texts", "DNS search domain"),
    Flag(("--dns-opt", "--dns-option"), (_HOST, "DnsOptions"), "texts", "DNS option"),
    Flag(("--add-host",), (_HOST, "ExtraHosts"), "texts", "Add a line to /etc/hosts (NAME:ADDRESS)", values.extra_host),
    Flag(("--ipc",), (_HOST, "IpcMode"), "text", "IPC namespace to use"),
    Flag(("--pid",), (_HOST, "PidMode"), "text", "PID namespace to use"),
    Flag(("--uts",), (_HOST, "UTSMode"), "text", "UTS namespace to use"),
    Flag(("--userns",), (_HOST, "UsernsMode"), "text", "User namespace to use"),
    Flag(("--cgroupns",), (_HOST, "CgroupnsMode"), "text", "Cgroup namespace to use (host|private)"),
    Flag(("--cgroup-parent",), (_HOST, "CgroupParent"), "text", "Parent cgroup"),
    Flag(("--restart",), (_HOST, "RestartPolicy"), "text", "Restart policy when it exits", values.restart_policy),
    Flag(("--runtime",), (_HOST, "Runtime"), "text", "Runtime to use"),
    Flag(("--isolation",), (_HOST, "Isolation"), "text", "Isolation: default, or vm for a kernel of its own"),
    Flag(("--log-driver",), (_HOST, "LogConfig", "Type"), "text", "Log driver (json-file, local, syslog, …)"),
)


def add_container_flags(parser: Parser) -> None:
    """Adds everything that `run` and `create` share, the positional words included."""
    add_flags(parser, FLAGS)
    _add_composed_flags(parser)
    _add_health_flags(parser)
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument("command", metavar="COMMAND", nargs=REMAINDER)


def add_flags(parser: Parser, flags: Iterable[Flag]) -> None:
    """Adds flags of the table."""
    for flag in flags:
        if flag.kind == "toggle":
            parser.toggle(*flag.names, dest=flag.dest, help=flag.help)
        elif flag.kind == "integer":
            parser.integer(*flag.names, dest=flag.dest, help=flag.help)
        elif flag.kind == "texts":
            parser.texts(*flag.names, dest=flag.dest, help=flag.help)
        else:
            parser.text(*flag.names, dest=flag.dest, help=flag.help)


def _add_composed_flags(parser: Parser) -> None:
    parser.text("--name", dest="name", help="Name of the container")
    parser.text("--platform", dest="platform", help="Platform, if the engine has several (OS[/ARCH[/VARIANT]])")
    parser.text("--pull", dest="pull", default="missing", help="Pull the image before (always, missing, never)")
    parser.text("--cidfile", dest="cidfile", help="Write the container's id to this file")
    parser.toggle("-i", "--interactive", dest="interactive", help="Keep stdin open even if not attached")
    parser.toggle("-t", "--tty", dest="tty", help="Give it a terminal")
    parser.toggle("-q", "--quiet", dest="quiet", help="Do not show the progress of a pull")
    parser.texts("-a", "--attach", dest="attach", help="Attach to stdin, stdout or stderr")
    parser.texts("-e", "--env", dest="env", help="Set an environment variable")
    parser.texts("--env-file", dest="env_file", help="Read environment variables from a file")
    parser.texts("-l", "--label", dest="label", help="Set a label")
    parser.texts("--label-file", dest="label_file", help="Read labels from a file")
    parser.texts("-p", "--publish", dest="publish", help="Publish a port to the host ([IP:][HOSTPORT:]PORT[/PROTO])")
    parser.toggle("-P", "--publish-all", dest="publish_all", help="Publish all exposed ports to free host ports")
    parser.texts("--expose", dest="expose", help="Expose a port or a range of ports")
    parser.texts("-v", "--volume", dest="volume", help="Bind mount a directory or volume (SOURCE:TARGET[:ro])")
    parser.texts("--tmpfs", dest="tmpfs", help="Mount a tmpfs (PATH[:OPTIONS])")
    parser.texts("--sysctl", dest="sysctl", help="Set a kernel parameter (NAME=VALUE)")
    parser.texts("--log-opt", dest="log_opt", help="Log driver option")
    parser.texts("--network", "--net", dest="network", help="Network to join (bridge, none, host)")
    parser.texts("--network-alias", "--net-alias", dest="network_alias", help="Add a name in the network")
    parser.text("--ip", dest="ip", help="IPv4 address")
    parser.text("--ip6", dest="ip6", help="IPv6 address")
    parser.texts("--link-local-ip", dest="link_local_ip", help="IPv4 or IPv6 link-local address")
    parser.texts("--annotation", dest="annotation", help="Add an annotation (NAME=VALUE)")
    parser.texts("--storage-opt", dest="storage_opt", help="Storage driver option (refused: there are no quotas)")
    parser.toggle("--disable-content-trust", dest="content_trust", default=True, help="Ignored", hidden=True)
    parser.text("--mac-address", dest="mac_address", help="MAC address")
    parser.texts("--security-opt", dest="security_opt", help="Security option")
    parser.toggle("--init", dest="init", help="Run an init that forwards signals and reaps processes")
    parser.add_argument("--entrypoint", dest="entrypoint", help="Replace the image's entrypoint", metavar="TEXT")
    parser.integer("--stop-timeout", dest="stop_timeout", help="Seconds to wait before it is killed")


def _add_health_flags(parser: Parser) -> None:
    parser.text("--health-cmd", dest="health_cmd", help="Command that says whether the container is healthy")
    parser.text("--health-interval", dest="health_interval", help="Time between two checks (30s)")
    parser.text("--health-timeout", dest="health_timeout", help="Time that one check may take (30s)")
    parser.text("--health-start-period", dest="health_start_period", help="Time in which failures do not count (0s)")
    parser.text("--health-start-interval", dest="health_start_interval", help="Time between checks meanwhile (5s)")
    parser.integer("--health-retries", dest="health_retries", default=0, help="Failures that make it unhealthy (3)")
    parser.toggle("--no-healthcheck", dest="no_healthcheck", help="Run no health check, though the image has one")
    parser.text("--on-unhealthy", dest="on_unhealthy", help="What to do when unhealthy (restart|stop|kill)")
