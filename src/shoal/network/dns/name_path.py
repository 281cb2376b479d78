"""Why a container does not find a name: what was seen on the way from its program to an answer, judged. Pure.

the program ─▶ /etc/hosts ─▶ resolv.conf ─▶ 127.0.0.11 (loopback, redirect) ─▶ shoald: names of containers
                                        └▶ other servers                    └▶ the servers behind it
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shoal.network.dns.redirect import RESOLVER_ADDRESS

NXDOMAIN = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a question to a server: `code` and `addresses` of an answer; "closed": nobody listens there."""

    kind: Literal["answer", "closed", "silent", "unreachable"]
    code: int = 0
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Other:
    """Another container that has the name asked for: `networks` are those that it is in, or is to be in."""

    name: str
    status: str
    networks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """A server that the question was put to. `from_host`: what the host itself got, if the container got nothing."""

    address: str
    outcome: Outcome
    from_host: Outcome | None = None


@dataclass(frozen=True, slots=True)
class NamePath:
    """All that was looked at. `mode` is the container's network mode, `networks` are those it is in.

    `has_names`: one of them is a user's. `servers` are in the container's resolv.conf, `hosts` what its /etc/hosts says
    of the name. `known` is what shoald knows of it; None: nothing. `answer` came from 127.0.0.11, to a question that
    shoald answers itself; None: not asked.
    """

    container: str
    name: str
    status: str
    mode: str
    networks: tuple[str, ...] = ()
    has_names: bool = False
    leads_outside: bool = True
    servers: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    loopback_up: bool = True
    redirected: bool = True
    answer: Outcome | None = None
    known: tuple[str, ...] | None = None
    others: tuple[Other, ...] = ()
    asked: tuple[Asked, ...] = ()
    forwards: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong: a word for programs, a sentence, what to do."""

    cause: str
    sentence: str
    hint: str = ""


def first_fault(path: NamePath) -> Finding | None:
    """The first thing on the way that is wrong; None when the name is found."""
    return _before_the_question(path) or _at_the_resolver(path) or _at_other_containers(path) or _at_servers(path)


def found(path: NamePath) -> tuple[str, ...]:
    """The addresses that the container gets."""
    if path.hosts:
        return path.hosts
    if path.known is not None and RESOLVER_ADDRESS in path.servers:
        return path.known
    return next((asked.outcome.addresses for asked in path.asked if _is_good(asked.outcome)), ())


def _before_the_question(path: NamePath) -> Finding | None:
    who = path.container
    if path.status not in ("running", "paused"):
        return Finding("not-running", f"{who} does not run: it is {path.status}.", f"docker start {who}")
    if path.status == "paused":
        return Finding("paused", f"{who} is paused: nothing in it asks for anything.", f"docker unpause {who}")
    if path.mode == "none":
        return Finding(
            "no-network", f"{who} has no network: it is on `none`.", f"start {who} anew in a network: --network NAME"
        )
    if path.hosts and path.known and not set(path.hosts) & set(path.known):
        return Finding(
            "hosts-file",
            f"/etc/hosts of {who} says that {path.name} is {_list(path.hosts)}; the container of this name is"
            f" {_list(path.known)}.",
            f"take the name out of /etc/hosts of {who} (--add-host, or a program in it, put it there)",
        )
    if not path.servers and not path.hosts:
        return Finding(
            "no-name-server",
            f"resolv.conf of {who} names no server.",
            f"restart {who}: shoal writes the file anew; or give it one with --dns",
        )
    return None


def _at_the_resolver(path: NamePath) -> Finding | None:
    if path.hosts or not path.has_names:
        return None
    who = path.container
    if path.servers[0] != RESOLVER_ADDRESS:
        if path.known is None:
            return None  # a name of the world outside, which others may know
        return Finding(
            "other-resolver",
            f"resolv.conf of {who} leads to {path.servers[0]}, which knows no containers; {RESOLVER_ADDRESS} does.",
            f"put `nameserver {RESOLVER_ADDRESS}` first into its resolv.conf, or restart {who}",
        )
    if path.answer is None or path.answer.kind == "answer":
        return None
    if not path.loopback_up:
        return Finding(
            "loopback-down", f"The loopback interface of {who} is down.", f"docker exec {who} ip link set lo up"
        )
    if not path.redirected:
        return Finding(
            "redirect-gone",
            f"The firewall table that leads {RESOLVER_ADDRESS}:53 to shoald is gone from the network of {who}: a"
            " program in it has flushed its firewall.",
            f"docker restart {who}",
        )
    return Finding(
        "resolver-blocked",
        f"{RESOLVER_ADDRESS}:53 does not answer in {who} (it is {path.answer.kind}): a firewall rule or a route of"
        " its own is in the way.",
        f"look at it: nsenter -t PID -n nft list ruleset, with the PID of docker inspect {who}",
    )


def _at_other_containers(path: NamePath) -> Finding | None:
    if path.hosts or path.known is not None or not path.others:
        return None
    who, other = path.container, path.others[0]
    if any(_is_good(asked.outcome) for asked in path.asked):
        return None
    running = next((candidate for candidate in path.others if candidate.status in ("running", "paused")), None)
    if running is None:
        return Finding(
            "target-not-running",
            f"{path.name} is the container {other.name}, which does not run: it is {other.status}.",
            f"docker start {other.name}",
        )
    shared = sorted(set(running.networks) & set(path.networks))
    if shared:
        return Finding(
            "default-bridge",
            f"{who} and {running.name} share only the network {shared[0]}, on which containers have no names.",
            f"docker network create NAME, and docker network connect NAME for {who} and for {running.name}",
        )
    return Finding(
        "no-shared-network",
        f"{path.name} is the container {running.name}, which is in {_list(running.networks)}; {who} is in"
        f" {_list(path.networks)}.",
        f"docker network connect {(running.networks or ('NAME',))[0]} {who}",
    )


def _at_servers(path: NamePath) -> Finding | None:
    if path.hosts or (path.known is not None and path.has_names):
        return None
    who = path.container
    if any(_is_good(asked.outcome) for asked in path.asked):
        return None
    if not path.leads_outside:
        return Finding(
            "internal",
            f"No container is called {path.name}, and {who} is in internal networks only: nobody else is asked.",
            f"docker network connect NAME {who}, with a network that has a way outside",
        )
    if not path.asked:
        return Finding(
            "no-upstream",
            f"No container is called {path.name}, and there is no server to ask: the host's resolv.conf names none.",
            f"start {who} anew with --dns ADDRESS, or put a server into the host's resolv.conf",
        )
    for asked in path.asked:
        if asked.outcome.kind == "answer" and asked.outcome.code in (0, NXDOMAIN):
            return Finding(
                "no-such-name",
                f"The server {asked.address} says that there is no {path.name}, and no container is called so.",
                "look for a typo: docker ps --format '{{.Names}}'",
            )
    return _server_fault(path, path.asked[0])


def _server_fault(path: NamePath, asked: Asked) -> Finding:
    who, server = path.container, asked.address
    if asked.outcome.kind == "answer":
        return Finding(
            "server-fails",
            f"The server {server} answers with an error (code {asked.outcome.code}).",
            f"ask another one: --dns ADDRESS; or see what is wrong with {server}",
        )
    if asked.from_host is not None and asked.from_host.kind == "answer":
        if not path.forwards:
            return Finding(
                "forwarding-off",
                f"The server {server} answers the host, and not {who}: the host forwards no packets.",
                "sysctl -w net.ipv4.ip_forward=1",
            )
        return Finding(
            "server-blocked",
            f"The server {server} answers the host, and not {who} (it is {asked.outcome.kind}): a firewall is in"
            " between, or it answers the host's address only.",
            "nft list ruleset: look for a rule that drops forwarded packets to port 53",
        )
    if asked.outcome.kind == "closed":
        return Finding(
            "server-closed", f"Nobody listens on port 53 of {server}.", "start the server, or name another: --dns"
        )
    if asked.outcome.kind == "unreachable":
        return Finding(
            "server-unreachable",
            f"There is no way from {who} to {server}.",
            f"docker exec {who} ip route; or name another: --dns",
        )
    return Finding(
        "server-silent", f"The server {server} does not answer, the host neither.", "name another: --dns ADDRESS"
    )


def _is_good(outcome: Outcome) -> bool:
    return outcome.kind == "answer" and outcome.code == 0 and bool(outcome.addresses)


def _list(words: tuple[str, ...]) -> str:
    return ", ".join(words) or "no network"
