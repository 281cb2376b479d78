"""What shoald is told: flags, the configuration file, defaults. Pure but for reading the file.

The flags and keys are dockerd's where dockerd has them; a key of the file is a flag's name without the dashes. A value
given in both places is an error, as with dockerd.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, ip_network
from pathlib import Path
from typing import Any, Literal

import msgspec

from shoal import __version__
from shoal.api.host_config import LogConfig
from shoal.daemon.tls import TlsSettings
from shoal.engine.container.log_drivers import DEFAULT_DRIVER, check_log_config, decimal_size
from shoal.errors import InvalidArgument
from shoal.image.registry.endpoints import RegistrySettings, check_insecure, parse_mirror
from shoal.image.registry.proxies import check_proxy
from shoal.network.ipam import DEFAULT_POOLS
from shoal.network.ipam6 import SMALLEST_PREFIX6, first_gateway6, parse_subnet6
from shoal.network.ports import OPEN, check_published_ports

DEFAULT_DATA_ROOT = "/var/lib/shoal"
DEFAULT_EXEC_ROOT = "/run/shoal"
DEFAULT_CONFIG_FILE = "/etc/shoal/daemon.json"
DEFAULT_TLS = "/etc/shoal/tls"
_SMALLEST_SUBNET = 30  # a gateway and one container
_ProxyKey = Literal["http-proxy", "https-proxy", "no-proxy"]
LogLevel = Literal["debug", "info", "warn", "error", "fatal"]


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one daemon, all of them decided."""

    data_root: Path
    exec_root: Path
    hosts: tuple[str, ...]
    pidfile: Path
    debug: bool
    log_level: LogLevel
    bip: str | None
    bridge: str | None
    address_pools: tuple[tuple[str, int], ...]
    ipv6: bool
    bridge_address6: str | None
    address_pools6: tuple[tuple[str, int], ...]
    ip_forward: bool
    published_ports: str
    shutdown_containers: bool
    containers_per_supervisor: int
    default_isolation: str
    storage_driver: str | None
    labels: tuple[str, ...]
    tls: TlsSettings | None
    log_driver: str
    log_opts: Mapping[str, str]
    registries: RegistrySettings
    image_store_budget: int | None
    image_drop_blobs: bool

    @property
    def instance(self) -> str:
        """Eight hex digits that tell this daemon's things from others'; empty on the default exec root."""
        if str(self.exec_root) == DEFAULT_EXEC_ROOT:
            return ""
        return hashlib.sha256(os.fsencode(self.exec_root)).hexdigest()[:8]


class _AddressPool(msgspec.Struct, forbid_unknown_fields=True):
    """Where subnets of networks that name none come from: `base` is cut into pieces with a prefix of `size`."""

    base: str
    size: int


class _File(msgspec.Struct, rename="kebab", forbid_unknown_fields=True):
    """The configuration file: every key may be missing."""

    data_root: str | None = None
    exec_root: str | None = None
    hosts: list[str] | None = None
    pidfile: str | None = None
    debug: bool | None = None
    log_level: LogLevel | None = None
    bip: str | None = None
    bridge: str | None = None
    ipv6: bool | None = None
    fixed_cidr_v6: str | None = None
    default_address_pools: list[_AddressPool] | None = None
    ip_forward: bool | None = None
    published_ports: str | None = None
    shutdown_containers: bool | None = None
    containers_per_supervisor: int | None = None
    default_isolation: str | None = None
    storage_driver: str | None = None
    labels: list[str] | None = None
    tls: bool | None = None
    tlsverify: bool | None = None
    tlscacert: str | None = None
    tlscert: str | None = None
    tlskey: str | None = None
    log_driver: str | None = None
    log_opts: dict[str, str] | None = None
    insecure_registries: list[str] | None = None
    registry_mirrors: list[str] | None = None
    image_store_budget: str | None = None
    image_drop_blobs: bool | None = None
    proxies: dict[_ProxyKey, str] | None = None


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of shoald: its settings, and whether it only checks them."""

    config: Config
    validate: bool


def parse(arguments: list[str]) -> Invocation:
    """The invocation that `arguments` and the configuration file they name ask for.

    Raises: InvalidArgument for a bad value or a setting given twice; SystemExit from argparse for a bad flag.
    """
    flags = _parser().parse_args(arguments)
    named = flags.config_file is not None
    file = _read_file(Path(flags.config_file or DEFAULT_CONFIG_FILE), must_exist=named)
    return Invocation(_decide(flags, file), flags.validate)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("shoald", description="The daemon of shoal, a container engine.")
    add = parser.add_argument
    add("-v", "--version", action="version", version=f"shoald version {__version__}")
    add("--data-root", metavar="DIR", help=f"where images and containers are kept ({DEFAULT_DATA_ROOT})")
    add("--exec-root", metavar="DIR", help=f"where sockets and run-time state are kept ({DEFAULT_EXEC_ROOT})")
    add(
        "-H",
        "--host",
        dest="hosts",
        action="append",
        metavar="ADDRESS",
        help="what to serve: unix://PATH, tcp://HOST:PORT or fd:// (repeatable)",
    )
    add("-p", "--pidfile", metavar="FILE", help="where the process id is written (EXEC_ROOT/shoald.pid)")
    add("--config-file", metavar="FILE", help=f"JSON settings ({DEFAULT_CONFIG_FILE}, where it exists)")
    add("--validate", action="store_true", help="check the settings and stop")
    add("-D", "--debug", action="store_true", default=None, help="log launch plans and more")
    add("-l", "--log-level", choices=("debug", "info", "warn", "error", "fatal"), help="(info)")
    add("--bip", metavar="CIDR", help="address and prefix of the bridge, such as 172.20.0.1/16")
    add("--bridge", "-b", metavar="NAME", help='a bridge that you have made; "none" for no container network')
    add("--ipv6", nargs="?", const=True, type=_flag, metavar="BOOL", help="IPv6 on the default bridge too (false)")
    add("--fixed-cidr-v6", metavar="CIDR", help="the IPv6 subnet of the default bridge, such as fd00:1:2:3::/64")
    add(
        "--default-address-pool",
        dest="default_address_pools",
        action="append",
        type=_address_pool,
        metavar="base=CIDR,size=N",
        help="where networks that name no subnet get theirs, in pieces of /N (repeatable)",
    )
    add("--ip-forward", type=_flag, metavar="BOOL", help="switch net.ipv4.ip_forward on (true)")
    add("--published-ports", metavar="MODE", help="whom published ports serve: open (to all) or host-firewall (open)")
    add(
        "--shutdown-containers",
        action="store_true",
        default=None,
        help="stop the containers when shoald ends",
    )
    add(
        "--containers-per-supervisor",
        type=int,
        metavar="N",
        help="how many containers share a supervisor (32)",
    )
    add("--default-isolation", metavar="NAME", help="default, or vm: where containers run that name none")
    add("-s", "--storage-driver", choices=("overlay", "vfs"), help="(overlay where the kernel can)")
    add(
        "--label",
        dest="labels",
        action="append",
        metavar="KEY=VALUE",
        help="a label of this daemon (repeatable)",
    )
    add("--image-store-budget", metavar="SIZE", help="remove the images unused for longest when all take more (20GB)")
    add("--image-drop-blobs", type=_flag, metavar="BOOL", help="keep no compressed layers that a registry has (true)")
    _add_log_flags(parser)
    _add_tls_flags(parser)
    _add_registry_flags(parser)
    return parser


def _add_tls_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--tls", nargs="?", const=True, type=_flag, metavar="BOOL", help="use TLS on tcp://; implied by --tlsverify")
    add("--tlsverify", nargs="?", const=True, type=_flag, metavar="BOOL", help="use TLS and verify the client")
    add("--tlscacert", metavar="FILE", help=f"trust clients whose certificate this CA signed ({DEFAULT_TLS}/ca.pem)")
    add("--tlscert", metavar="FILE", help=f"the certificate of this engine ({DEFAULT_TLS}/cert.pem)")
    add("--tlskey", metavar="FILE", help=f"the key of this engine ({DEFAULT_TLS}/key.pem)")


def _add_log_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--log-driver", metavar="NAME", help="the log driver of containers that name none (json-file)")
    add("--log-opt", dest="log_opts", action=_Pairs, metavar="KEY=VALUE", help="an option of that driver (repeatable)")


def _add_registry_flags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--insecure-registry",
        dest="insecure_registries",
        action="append",
        metavar="HOST|CIDR",
        help="a registry, or a network of them, without valid certificates (repeatable); loopback needs none",
    )
    add(
        "--registry-mirror",
        dest="registry_mirrors",
        action="append",
        metavar="[HOST=]URL",
        help="a mirror of Docker Hub, or of the registry HOST, that is asked first (repeatable)",
    )
    for scheme in ("http", "https"):
        add(
            f"--{scheme}-proxy",
            dest="proxies",
            action=_Proxy,
            metavar="URL",
            help=f"the proxy for {scheme}:// addresses of registries",
        )
    add("--no-proxy", dest="proxies", action=_Proxy, metavar="HOSTS", help="what needs no proxy, separated by commas")


class _Proxy(argparse.Action):
    """Collects the flags of proxies as the configuration file has them, under `proxies`."""

    def __call__(self, _: argparse.ArgumentParser, namespace: argparse.Namespace, value: Any, __: Any = None) -> None:
        name = self.option_strings[0].removeprefix("--")
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest) or {}), name: str(value)})


class _Pairs(argparse.Action):
    """Collects KEY=VALUE into a dictionary."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, value: Any, _: Any = None
    ) -> None:
        key, separator, text = str(value).partition("=")
        if not separator:
            parser.error(f"argument {'/'.join(self.option_strings)}: {value!r} is not of the form KEY=VALUE")
        setattr(namespace, self.dest, {**(getattr(namespace, self.dest) or {}), key: text})


def _address_pool(text: str) -> _AddressPool:
    try:
        return msgspec.convert(dict(part.split("=", 1) for part in text.split(",")), _AddressPool, strict=False)
    except (ValueError, msgspec.ValidationError):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form base=10.0.0.0/8,size=24") from None


def _check_pools(pools: list[_AddressPool] | None, *, version: int) -> tuple[tuple[str, int], ...]:
    """The pools of one family. Raises: InvalidArgument for a pool that is no block, or has none of this size."""
    found = []
    for pool in pools or ():
        try:
            base = ip_network(pool.base)
        except ValueError as cause:
            raise InvalidArgument(f"invalid base pool {pool.base!r}", why=str(cause)) from None
        smallest = _SMALLEST_SUBNET if base.version == 4 else SMALLEST_PREFIX6
        if not base.prefixlen <= pool.size <= smallest:
            raise InvalidArgument(
                f"invalid pool size {pool.size} of {pool.base}",
                why=f"it is a prefix length from {base.prefixlen} to {smallest}",
            )
        if base.version == version:
            found.append((pool.base, pool.size))
    return tuple(found)


def _bridge_address6(subnet: str | None, *, ipv6: bool) -> str | None:
    """What the default bridge has of its IPv6 subnet. Raises: InvalidArgument for none, and for one without --ipv6."""
    if subnet is None:
        return None
    if not ipv6:
        raise InvalidArgument("--fixed-cidr-v6 is for a bridge with IPv6", fix="add --ipv6")
    return str(first_gateway6(parse_subnet6(subnet)))


def _flag(text: str) -> bool:
    values = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return values[text.lower()]


def _read_file(path: Path, *, must_exist: bool) -> _File:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except FileNotFoundError:
        if not must_exist:
            return _File()
        raise InvalidArgument(f"cannot read the configuration file {str(path)!r}: it does not exist") from None
    except (OSError, msgspec.DecodeError) as cause:
        raise InvalidArgument(
            f"cannot use the configuration file {str(path)!r}",
            why=str(cause),
            fix="see shoald --help for the keys",
        ) from cause


def _decide(flags: argparse.Namespace, file: _File) -> Config:
    twice = [
        name for name in _File.__struct_fields__ if getattr(flags, name) is not None and getattr(file, name) is not None
    ]
    if twice:
        names = ", ".join(name.replace("_", "-") for name in twice)
        raise InvalidArgument(
            f"the following directives are specified both as a flag and in the configuration file: {names}",
            fix="drop the flag or the key",
        )

    merged = _File(**{name: _first(getattr(flags, name), getattr(file, name)) for name in _File.__struct_fields__})
    exec_root = Path(merged.exec_root or DEFAULT_EXEC_ROOT).absolute()
    return Config(
        data_root=Path(merged.data_root or DEFAULT_DATA_ROOT).absolute(),
        exec_root=exec_root,
        hosts=tuple(_check_host(host) for host in merged.hosts or [f"unix://{exec_root}/docker.sock"]),
        pidfile=Path(merged.pidfile or exec_root / "shoald.pid"),
        debug=bool(merged.debug) or merged.log_level == "debug",
        log_level="debug" if merged.debug else merged.log_level or "info",
        bip=_check_bip(merged.bip),
        bridge=_check_bridge(merged.bridge),
        address_pools=_check_pools(merged.default_address_pools, version=4) or DEFAULT_POOLS,
        ipv6=bool(merged.ipv6),
        bridge_address6=_bridge_address6(merged.fixed_cidr_v6, ipv6=bool(merged.ipv6)),
        address_pools6=_check_pools(merged.default_address_pools, version=6),
        ip_forward=merged.ip_forward is not False,
        published_ports=check_published_ports(merged.published_ports or OPEN, "published-ports"),
        shutdown_containers=bool(merged.shutdown_containers),
        containers_per_supervisor=_check_count(merged.containers_per_supervisor),
        default_isolation=_check_isolation(merged.default_isolation),
        storage_driver=merged.storage_driver,
        labels=tuple(merged.labels or ()),
        tls=_tls_settings(merged),
        log_driver=merged.log_driver or DEFAULT_DRIVER,
        log_opts=_check_log_opts(merged),
        image_store_budget=_check_budget(merged.image_store_budget),
        image_drop_blobs=merged.image_drop_blobs is not False,
        registries=RegistrySettings(
            insecure=tuple(check_insecure(entry) for entry in merged.insecure_registries or ()),
            mirrors=tuple(parse_mirror(text) for text in merged.registry_mirrors or ()),
            environment=_with_proxies(merged.proxies or {}),
            user_agent=f"shoal/{__version__}",
        ),
    )


def _with_proxies(proxies: Mapping[_ProxyKey, str]) -> Mapping[str, str]:
    """shoald's environment, in which the proxies of the configuration come first. Raises: InvalidArgument."""
    for name, proxy in proxies.items():
        if name != "no-proxy" and proxy:
            check_proxy(proxy)
    return {**os.environ, **{name.replace("-", "_"): value for name, value in proxies.items()}}


def _check_isolation(isolation: str | None) -> str:
    if isolation not in (None, "default", "vm"):
        raise InvalidArgument(f"invalid default-isolation {isolation!r}", fix="use default, or vm")
    return isolation or "default"


def _tls_settings(merged: _File) -> TlsSettings | None:
    if not (merged.tls or merged.tlsverify):
        named = next((name for name in ("tlscacert", "tlscert", "tlskey") if getattr(merged, name)), None)
        if named:
            raise InvalidArgument(f"--{named} does nothing without TLS", fix="give --tlsverify too")
        return None
    return TlsSettings(
        certificate=Path(merged.tlscert or f"{DEFAULT_TLS}/cert.pem"),
        key=Path(merged.tlskey or f"{DEFAULT_TLS}/key.pem"),
        client_authority=Path(merged.tlscacert or f"{DEFAULT_TLS}/ca.pem") if merged.tlsverify else None,
    )


def _check_budget(text: str | None) -> int | None:
    """Raises: InvalidArgument for what is no size."""
    try:
        return decimal_size(text) if text else None
    except InvalidArgument as problem:
        raise InvalidArgument(f"invalid image-store-budget: {problem.what}", fix="write a size such as 20GB") from None


def _check_log_opts(merged: _File) -> Mapping[str, str]:
    """The options of the daemon's log driver. Raises: InvalidArgument for a driver or an option that there is not."""
    options = merged.log_opts or {}
    try:
        check_log_config(LogConfig(type=merged.log_driver or DEFAULT_DRIVER, config=options))
    except InvalidArgument as problem:
        raise InvalidArgument(f"failed to set log opts: {problem.what}", fix=problem.fix) from problem
    return options


def _first(flag: object, key: object) -> Any:
    return key if flag is None else flag


def _check_host(host: str) -> str:
    scheme, separator, rest = host.partition("://")
    if not separator or not rest or scheme not in ("unix", "tcp", "fd"):
        raise InvalidArgument(
            f"cannot listen on {host!r}",
            why="an address is unix://PATH, tcp://HOST:PORT or fd://",
            fix="see shoald --help",
        )
    return host


def _check_bip(bip: str | None) -> str | None:
    if bip is None:
        return None
    try:
        interface = IPv4Interface(bip)
    except ValueError as cause:
        raise InvalidArgument(
            f"invalid --bip {bip!r}", why=str(cause), fix="give an address such as 172.20.0.1/16"
        ) from cause
    if interface.network.num_addresses < 4 or interface.ip in (
        interface.network.network_address,
        interface.network.broadcast_address,
    ):
        raise InvalidArgument(
            f"invalid --bip {bip!r}",
            why="it is not the address of a host in a network that has room for containers",
        )
    return bip


def _check_bridge(name: str | None) -> str | None:
    if name is not None and (not 0 < len(name) < 16 or "/" in name or name.isspace()):
        raise InvalidArgument(
            f"invalid --bridge {name!r}", why="an interface name has 1 to 15 characters, none of them a slash"
        )
    return name


def _check_count(count: int | None) -> int:
    if count is not None and not 1 <= count <= 1024:
        raise InvalidArgument(f"invalid --containers-per-supervisor {count}", why="it is a number from 1 to 1024")
    return count or 32
