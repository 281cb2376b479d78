"""The path of a client's packet to a container's port: what is known of it, and the first thing that is wrong. Pure.

program ◀ address it is bound to ◀ interface, route ◀ bridge ◀ host's route, ip_forward ◀ firewalls ◀ map element
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shoal.network.endpoint import ANY_ADDRESS, ANY_ADDRESS6
from shoal.network.firewall.foreign import Drop
from shoal.network.listeners import Listener
from shoal.network.port_question import Asked, Finding, Inside, Outside, place

_ANYWHERE = (ANY_ADDRESS, ANY_ADDRESS6)


def first_fault(asked: Asked, inside: Inside, outside: Outside) -> Finding | None:
    """The first thing on the path that keeps clients from the port."""
    for step in (_listening(asked, inside), _reachable_inside(asked, inside), _published(asked)):
        for finding in step:
            return finding
    for finding in _bridged(asked, outside):
        return finding
    if outside.answer == "refused" and not asked.is_ipv6 and _is_ipv6_only(asked, inside):
        return Finding(
            "ipv6-listener",
            f"The program in {asked.name} listens on [::]:{asked.port} for IPv6 only, and refuses IPv4.",
            f"tell the program to listen on 0.0.0.0:{asked.port}, or on :: without IPV6_V6ONLY",
        )
    return next(_let_through(asked, outside), None)


def _is_ipv6_only(asked: Asked, inside: Inside) -> bool:
    here = [one for one in inside.listeners if (one.protocol, one.port) == (asked.protocol, asked.port)]
    return bool(here) and all(one.address == "::" for one in here)


def not_running(asked: Asked) -> Finding | None:
    """What is to be said of a container that does not run."""
    if asked.status == "running":
        return None
    if asked.status == "paused":
        return Finding(
            "paused",
            f"{asked.name} is paused: connections are accepted by the kernel, and nobody answers.",
            f"shoal unpause {asked.name}",
        )
    if "port is already allocated" in asked.error or "address already in use" in asked.error:
        return Finding(
            "host-port-taken",
            f"{asked.name} did not start, because its host port belongs to somebody else: {asked.error}",
            f"end the one that has it, or publish to another port: shoal port add {asked.name} PORT:{asked.key}",
        )
    hint = f"shoal start {asked.name}" if asked.status == "created" else f"shoal why exit {asked.name}"
    return Finding("not-running", f"{asked.name} is not running: it is {asked.status}.", hint)


def without_network(asked: Asked, inside: Inside) -> Finding | None:
    """What is to be said of a container on the host's network, or on none; None where it has its own."""
    if asked.network:
        return None
    if asked.mode == "host":
        return next(_listening(asked, inside), None)
    return Finding(
        "no-network",
        f"{asked.name} is in no network that has a way to the host: nothing outside it reaches its ports.",
        f"shoal network connect bridge {asked.name}" if asked.mode != "none" else "make it anew without --network none",
    )


def _listening(asked: Asked, inside: Inside) -> Iterator[Finding]:
    if asked.protocol == "sctp":
        return  # the kernel's tables of SCTP tell nothing of namespaces that this one may read
    here = [one for one in inside.listeners if (one.protocol, one.port) == (asked.protocol, asked.port)]
    if not here:
        yield _nobody(asked, inside.listeners)
    elif any(_is_reached(asked, one) for one in here):
        return
    elif asked.mode == "host":
        return  # any address of the host's will do
    elif all(one.is_loopback for one in here):
        yield Finding(
            "loopback-listener",
            f"The program in {asked.name} listens on {place(here[0].address, asked.port)}: that is the container's own "
            "loopback, which nobody outside of it reaches.",
            f"tell the program to listen on {_everywhere(asked)}",
        )
    elif asked.is_ipv6 and any(one.is_everywhere for one in here):
        yield Finding(
            "ipv4-listener",
            f"The program in {asked.name} listens on 0.0.0.0:{asked.port}: by IPv4 it is reached, by IPv6 it is not.",
            f"tell the program to listen on [::]:{asked.port}",
        )
    else:
        addresses = ", ".join(sorted(one.address for one in here))
        yield Finding(
            "other-address-listener",
            f"The program in {asked.name} listens on {addresses} only, and published ports lead to {asked.ip}.",
            f"tell the program to listen on {_everywhere(asked)}",
        )


def _is_reached(asked: Asked, listener: Listener) -> bool:
    """Whether what a published port leads to is the listener's; one at :: answers by IPv4 too, and not the reverse."""
    if listener.is_everywhere:
        return listener.address == ANY_ADDRESS6 or not asked.is_ipv6
    return listener.address.removeprefix("::ffff:") == asked.ip


def _everywhere(asked: Asked) -> str:
    return place(ANY_ADDRESS6 if asked.is_ipv6 else ANY_ADDRESS, asked.port)


def _nobody(asked: Asked, listeners: Sequence[Listener]) -> Finding:
    other = next((one for one in listeners if one.port == asked.port), None)
    if other is not None:
        return Finding(
            "listener-protocol",
            f"The program in {asked.name} listens on port {asked.port} by {other.protocol}, not by {asked.protocol}.",
            f"publish it as {asked.port}/{other.protocol}: shoal port add {asked.name} {asked.port}:"
            f"{asked.port}/{other.protocol}",
        )
    known = sorted({(one.port, one.protocol) for one in listeners if not one.is_loopback})
    what = ", ".join(f"{port}/{protocol}" for port, protocol in known) or "nothing"
    return Finding(
        "no-listener",
        f"Nothing in {asked.name} listens on {asked.key}; what does listen there: {what}.",
        f"look at what the program says: shoal logs {asked.name}",
    )


def _reachable_inside(asked: Asked, inside: Inside) -> Iterator[Finding]:
    again = f"shoal network disconnect {asked.network} {asked.name}; shoal network connect {asked.network} {asked.name}"
    where = f"The interface of {asked.name} in network {asked.network}"
    if not inside.has_interface:
        yield Finding("no-interface", f"{where} has gone.", again)
    elif not inside.has_address:
        yield Finding("no-address", f"{where} has lost its address {asked.ip}.", again)
    elif not inside.is_up:
        yield Finding("interface-down", f"{where} is down.", again)
    elif asked.mac and inside.mac != asked.mac:
        yield Finding(
            "mac-changed",
            f"{where} has the MAC address {inside.mac}: the network knows it by {asked.mac}, and hears no other.",
            f"shoal restart {asked.name}; or make it with --mac-address {inside.mac}",
        )
    elif not inside.default_gateways and not asked.internal:
        yield Finding(
            "no-default-route",
            f"{asked.name} has no default route{' of IPv6' if asked.is_ipv6 else ''}: it gets what clients send, and "
            "its answers get nowhere.",
            f"shoal restart {asked.name}, or in it: ip{_flag(asked)} route add default via {asked.gateway}",
        )
    elif asked.gateway not in inside.default_gateways and not asked.internal:
        yield Finding(
            "default-route-elsewhere",
            f"The default route of {asked.name} leads to {inside.default_gateways[0]}, and its ports are published by "
            f"network {asked.network} (gateway {asked.gateway}): its answers take another way, and are dropped.",
            f"in it: ip{_flag(asked)} route replace default via {asked.gateway}",
        )


def _flag(asked: Asked) -> str:
    return " -6" if asked.is_ipv6 else ""


def _published(asked: Asked) -> Iterator[Finding]:
    if asked.here:
        return
    if asked.internal:
        yield Finding(
            "internal-network",
            f"Network {asked.network} is internal: nothing of its containers is published.",
            f"connect it to another network: shoal network connect bridge {asked.name}",
        )
        return
    if not asked.bridge:
        yield Finding(
            "lan-network",
            f"Network {asked.network} publishes nothing: {asked.name} is a machine of its parent's LAN, whose others "
            f"reach the port at {place(asked.ip, asked.port)}, and this host does not.",
            f"ask for it there, or connect it to another network: shoal network connect bridge {asked.name}",
        )
        return
    add = f"shoal port add {asked.name} {asked.port}:{asked.key}"
    same = [port for port in asked.published if port.container_port == asked.port]
    if same:
        yield Finding(
            "published-protocol",
            f"Port {asked.port} of {asked.name} is published by {same[0].protocol}, not by {asked.protocol}.",
            add,
        )
        return
    others = ", ".join(f"{port.host_port} → {port.container_port}/{port.protocol}" for port in asked.published)
    yield Finding(
        "not-published",
        f"Port {asked.key} of {asked.name} is not published{f' ({others} is)' if others else ''}: "
        f"only the host and other containers reach it, at {place(asked.ip, asked.port)}.",
        add,
    )


def _bridged(asked: Asked, outside: Outside) -> Iterator[Finding]:
    bridge, restart = asked.bridge, "restart shoald, which repairs its networks"
    if not outside.has_bridge:
        yield Finding("bridge-gone", f"The bridge {bridge} of network {asked.network} has gone.", restart)
    elif not outside.bridge_up:
        yield Finding("bridge-down", f"The bridge {bridge} is down.", f"ip link set {bridge} up")
    elif asked.gateway not in outside.bridge_addresses:
        yield Finding("bridge-address", f"The bridge {bridge} has lost its address {asked.gateway}.", restart)
    elif outside.veth != "forwarding":
        words = {
            "gone": "has gone",
            "unplugged": f"is no port of the bridge {bridge}",
            "down": "is down",
            "blocked": f"does not forward on the bridge {bridge}",
        }
        fixes = {
            "unplugged": f"ip link set {asked.veth} master {bridge}",
            "down": f"ip link set {asked.veth} up",
            "blocked": f"bridge link set dev {asked.veth} state 3",
        }
        fix = fixes.get(outside.veth, f"shoal restart {asked.name}")
        yield Finding(
            f"veth-{outside.veth}", f"The host's end {asked.veth} of {asked.name} {words[outside.veth]}.", fix
        )
    elif outside.source != asked.gateway:
        way = f"by {outside.source}" if outside.source else "nowhere"
        yield Finding(
            "host-route",
            f"The host's route to {asked.ip} does not lead to the bridge {bridge}, but {way}: a more specific route, "
            "or a rule of a VPN's, takes the network's addresses.",
            f"see `ip route get {asked.ip}` and `ip{_flag(asked)} rule`",
        )


def _let_through(asked: Asked, outside: Outside) -> Iterator[Finding]:
    if not outside.has_table:
        yield Finding(
            "table-gone", "shoal's nftables table is not in the kernel.", "restart shoald, which puts it there again"
        )
        return
    for port in asked.here:
        target = outside.targets.get(port, "")
        address = place(port.host_ip, port.host_port)
        if target != place(asked.ip, asked.port):
            what = f"leads to {target}" if target else "is missing"
            yield Finding(
                "element-elsewhere" if target else "element-gone",
                f"The element for {address}/{port.protocol} in shoal's nftables map {what}.",
                "restart shoald, which builds its table anew",
            )
        if port.host_ip not in (*_ANYWHERE, *outside.addresses) and not port.host_ip.startswith("127."):
            yield Finding(
                "host-address-gone",
                f"The port is published at {address}, and this host does not have the address {port.host_ip} now.",
                f"shoal port rm {asked.name} {address}:{asked.key}, and add it at an address of this host",
            )
    if outside.answer in ("refused", "none"):
        yield Finding(
            "no-answer",
            f"The host itself gets no answer from {place(asked.ip, asked.port)}, although a program listens there"
            f"{' (it is refused)' if outside.answer == 'refused' else ''}: something in the container drops it, such "
            "as firewall rules of its own, or the program takes no more connections.",
            f"shoal exec {asked.name} nft list ruleset; shoal logs {asked.name}",
        )
    if all(_is_loopback(port.host_ip) for port in asked.here):
        if not outside.reaches_loopback:
            yield _localnet(asked)
        return
    yield from _from_other_machines(asked, outside)


def _from_other_machines(asked: Asked, outside: Outside) -> Iterator[Finding]:
    if not outside.ip_forward:
        setting = "net.ipv6.conf.all.forwarding" if asked.is_ipv6 else "net.ipv4.ip_forward"
        yield Finding(
            "ip-forward-off",
            f"{setting} is 0: this host reaches the port, and no other machine does.",
            f"sysctl {setting}=1",
        )
    if outside.not_forwarding:
        yield Finding(
            "interface-forwarding-off",
            f"net.ipv4.conf.{outside.not_forwarding}.forwarding is 0: what comes in there is not forwarded.",
            f"sysctl net.ipv4.conf.{outside.not_forwarding}.forwarding=1",
        )
    if drop := outside.drop:
        yield _foreign(asked, drop)
    # That ::1 cannot be translated is a limit of the host's: there is 127.0.0.1 for what is published to all.
    if not outside.reaches_loopback and not asked.is_ipv6:
        yield _localnet(asked)


def _is_loopback(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def _foreign(asked: Asked, drop: Drop) -> Finding:
    if drop.translates:
        return Finding(
            "foreign-translation",
            f"The {drop.rule} of the chain {drop.chain} leads connections to the port elsewhere, before shoal's.",
            f"take it away, or publish to another port: `{drop.command} {_listing(drop)}`",
        )
    what = "its policy is drop" if drop.rule == "policy" else f"the {drop.rule}"
    if drop.of_host:
        return Finding(
            "host-firewall",
            f"The port obeys this host's own firewall (published-ports is host-firewall), which denies it: chain "
            f"{drop.chain}, {what}.",
            "allow the host's port there, as with `ufw allow` or `firewall-cmd --add-port`",
        )
    flag, word = ("-i", "iifname") if drop.of_answers else ("-o", "oifname")
    if drop.command != "nft":
        fix = f"{drop.command} -I {drop.chain.split()[-1]} {flag} {asked.bridge} -j ACCEPT"
    elif drop.before_translation:
        fix = f"allow the port there: see `nft -a list chain {drop.chain}`"
    else:
        fix = f"nft insert rule {drop.chain} {word} {asked.bridge} accept"
    return Finding(
        "foreign-firewall",
        f"A firewall rule that is not shoal's drops what {_whose(drop)}: chain {drop.chain}, {what}.",
        fix,
    )


def _whose(drop: Drop) -> str:
    return "the container answers to other machines" if drop.of_answers else "other machines send to the port"


def _listing(drop: Drop) -> str:
    return f"-a list chain {drop.chain}" if drop.command == "nft" else "-S"


def _localnet(asked: Asked) -> Finding:
    if asked.is_ipv6:
        return Finding(
            "loopback-not-translated",
            "net.bridge.bridge-nf-call-ip6tables is 1: what the host sends to ::1 cannot lead into a bridge.",
            f"sysctl net.bridge.bridge-nf-call-ip6tables=0; or publish at 127.0.0.1: shoal port add {asked.name} "
            f"127.0.0.1:{asked.here[0].host_port}:{asked.key}",
        )
    return Finding(
        "route-localnet-off",
        f"net.ipv4.conf.{asked.bridge}.route_localnet is 0: the host does not reach the port at 127.0.0.1.",
        f"sysctl net.ipv4.conf.{asked.bridge}.route_localnet=1",
    )


def limit(asked: Asked) -> Finding | None:
    """What is as it was asked for, and yet may surprise: a port that some clients only are to reach."""
    here = asked.here
    if not here or any(port.host_ip in _ANYWHERE for port in here):
        return None
    addresses = ", ".join(place(port.host_ip, port.host_port) for port in here)
    if all(_is_loopback(port.host_ip) for port in here):
        return Finding(
            "loopback-only",
            f"It is published at {addresses}: programs of this host reach it, other machines do not.",
            f"shoal port add {asked.name} {here[0].host_port}:{asked.key} publishes it to all, once "
            f"`shoal port rm {asked.name} {asked.key}` is done",
        )
    return Finding("one-address-only", f"It is published at {addresses}, and at no other address of this host.")
