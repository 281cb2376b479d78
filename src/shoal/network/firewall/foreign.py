"""What other people's firewall rules do to a packet: read from libnftables' JSON or `iptables -S`. Pure.

A rule is judged for one packet: it matches, it doesn't, or that can't be told (a client's address, a rate limit, a
match of iptables' own). What can't be told drops nothing, and makes a drop that comes after it uncertain.
Source: libnftables-json(5), iptables(8), iptables-extensions(8).
"""

from __future__ import annotations

import ipaddress
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

_DEPTH = 16
_PROTOCOLS = ("tcp", "udp", "sctp", "icmp", "icmpv6", "ip", "ip6")
Family = Literal["ip", "ip6"]
Verdict = Literal["accept", "drop", "translate", "return", "jump", "goto", ""]


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of a client's connection, or an answer; None for what is not known of it. `translated`: DNAT is done."""

    protocol: str
    port: int | None
    address: str | None = None
    came_in: str | None = None
    goes_out: str | None = None
    translated: bool = True
    state: Literal["new", "established"] = "new"
    source: str | None = None
    source_port: int | None = None
    family: Family = "ip"


@dataclass(frozen=True, slots=True)
class Drop:
    """Who stops the packet: `chain` "ip filter FORWARD" and its rule's words, or "policy"; `command` is its program."""

    chain: str
    rule: str
    command: str
    translates: bool = False
    of_answers: bool = False
    before_translation: bool = False
    of_host: bool = False


@dataclass(frozen=True, slots=True)
class _Rule:
    matches: bool | None
    verdict: Verdict
    target: str
    words: str


@dataclass(slots=True)
class _Chain:
    rules: list[_Rule] = field(default_factory=list)
    policy: str = ""
    hook: str = ""
    title: str = ""


def find_drop(objects: Sequence[Mapping[str, Any]], hook: str, packet: Packet, own: str) -> Drop | None:
    """The first foreign chain at a hook that surely stops the packet; `own` is the table left out.

    `objects` is the list "nftables" of `list ruleset` as JSON.
    """
    tables: dict[tuple[str, str], dict[str, _Chain]] = {}
    for entry in objects:
        for kind, thing in entry.items():
            if kind not in ("chain", "rule") or thing["family"] not in (packet.family, "inet") or thing["table"] == own:
                continue
            chains = tables.setdefault((thing["family"], thing["table"]), {})
            if kind == "chain":
                chain = chains.setdefault(thing["name"], _Chain())
                chain.policy, chain.hook = thing.get("policy", ""), thing.get("hook", "")
            else:
                chains.setdefault(thing["chain"], _Chain()).rules.append(_rule(thing, packet))
    for (family, table), chains in tables.items():
        for name, chain in chains.items():
            if chain.hook == hook and (found := _judge(chains, name, f"{family} {table}", "nft")) is not None:
                return found
    return None


def find_legacy_drop(listing: str, chain: str, packet: Packet, command: str) -> Drop | None:
    """The same for one chain of `iptables -S`, or of ip6tables; `command` is the program that lists and changes it."""
    chains: dict[str, _Chain] = {}
    for line in listing.splitlines():
        words = shlex.split(line)
        if words[:1] == ["-P"] and len(words) >= 3:
            chains.setdefault(words[1], _Chain()).policy = words[2].lower()
        elif words[:1] == ["-N"] and len(words) >= 2:
            chains.setdefault(words[1], _Chain())
        elif words[:1] == ["-A"] and len(words) >= 2:
            chains.setdefault(words[1], _Chain()).rules.append(_legacy_rule(words[2:], line, packet))
    return _judge(chains, chain, f"{packet.family} filter", command) if chain in chains else None


def has_foreign_matches(objects: Sequence[Mapping[str, Any]], family: str, table: str) -> bool:
    """Whether a table of iptables holds matches of iptables that only iptables can read."""
    return any(
        "xt" in expression
        for entry in objects
        if (rule := entry.get("rule")) and (rule["family"], rule["table"]) == (family, table)
        for expression in rule.get("expr", ())
    )


# -- walking ------------------------------------------------------------------------------------------------------


def _judge(chains: Mapping[str, _Chain], name: str, table: str, command: str) -> Drop | None:
    verdict, rule, is_sure = _walk(chains, name, 0)
    if not is_sure or verdict not in ("drop", "translate", "end"):
        return None
    if verdict == "end":
        if chains[name].policy != "drop":
            return None
        rule = "policy"
    return Drop(f"{table} {name}", rule, command, verdict == "translate")


def _walk(chains: Mapping[str, _Chain], name: str, depth: int) -> tuple[str, str, bool]:
    """(accept, drop, translate or end, the rule's words, whether that is sure)."""
    is_sure = True
    for rule in chains[name].rules if name in chains and depth < _DEPTH else ():
        if rule.matches is False or not rule.verdict:
            continue
        if rule.verdict in ("jump", "goto"):
            verdict, words, sure = _walk(chains, rule.target, depth + 1)
            if rule.matches is None:
                is_sure = is_sure and verdict == "end"
                continue
            is_sure = is_sure and sure
            if verdict != "end" or rule.verdict == "goto":
                return verdict, words, is_sure
        elif rule.matches is None:
            # A drop that may not be meant for this client blames nobody; an acceptance makes the rest uncertain.
            is_sure = is_sure and rule.verdict not in ("accept", "return")
        elif rule.verdict == "return":
            return "end", "", is_sure
        else:
            return rule.verdict, rule.words, is_sure
    return "end", "", is_sure


def _all(answers: Sequence[bool | None]) -> bool | None:
    if False in answers:
        return False
    return None if None in answers else True


# -- nftables -----------------------------------------------------------------------------------------------------


def _rule(rule: Mapping[str, Any], packet: Packet) -> _Rule:
    answers: list[bool | None] = []
    verdict: Verdict = ""
    target = ""
    for expression in rule.get("expr", ()):
        ((kind, value),) = expression.items()
        if kind == "match":
            answers.append(_matches(value, packet))
        elif kind in ("drop", "reject"):
            verdict = "drop"
        elif kind in ("accept", "return"):
            verdict = kind
        elif kind in ("jump", "goto"):
            verdict, target = kind, value["target"]
        elif kind in ("dnat", "redirect"):
            verdict = "translate"
        elif kind not in ("counter", "log", "mangle"):
            answers.append(None)
            verdict = verdict or ("accept" if kind == "vmap" else "")
    return _Rule(_all(answers), verdict, target, f"rule with handle {rule.get('handle')}")


def _matches(match: Mapping[str, Any], packet: Packet) -> bool | None:
    known = _value(match["left"], packet)
    if known is None:
        return None
    if known == "":
        return False
    answers = [_is_in(one, match["right"]) for one in known.split(",")]
    found = True if True in answers else (None if None in answers else False)
    if found is None or match.get("op") not in ("==", "in", "!="):
        return None
    return found if match["op"] != "!=" else not found


def _value(left: Mapping[str, Any], packet: Packet) -> str | None:
    """What the packet has there, several by commas; "" for what it surely has not, None if that isn't known."""
    if meta := left.get("meta"):
        return {
            "iifname": packet.came_in,
            "iif": packet.came_in,
            "oifname": packet.goes_out,
            "oif": packet.goes_out,
            "l4proto": packet.protocol,
            "nfproto": "ipv6" if packet.family == "ip6" else "ipv4",
        }.get(meta["key"])
    if payload := left.get("payload"):
        protocol, name = payload.get("protocol"), payload.get("field")
        if protocol in _PROTOCOLS and protocol not in (packet.protocol, packet.family):
            return ""
        if protocol in ("th", packet.protocol):
            port = {"dport": packet.port, "sport": packet.source_port}.get(name)
            return None if port is None else str(port)
        if protocol == packet.family:
            next_header = "nexthdr" if protocol == "ip6" else "protocol"
            return {"daddr": packet.address, "saddr": packet.source, next_header: packet.protocol}.get(name)
        return None
    if ct := left.get("ct"):
        return {"state": packet.state, "status": "dnat" if packet.translated else "none"}.get(ct["key"])
    return None


def _is_in(known: str, right: Any) -> bool | None:
    if isinstance(right, list):
        return _any([_is_in(known, one) for one in right])
    if isinstance(right, dict):
        if "set" in right:
            return _any([_is_in(known, one) for one in right["set"]])
        if "range" in right:
            return _in_range(known, *map(str, right["range"]))
        if "prefix" in right:
            return _in_subnet(known, f"{right['prefix']['addr']}/{right['prefix']['len']}")
        return None
    text = str(right)
    if text.startswith("@"):
        return None
    if text.endswith("*"):
        return known.startswith(text[:-1])
    return known == text


def _any(answers: Sequence[bool | None]) -> bool | None:
    return True if True in answers else (None if None in answers else False)


def _in_range(known: str, first: str, last: str) -> bool | None:
    if known.isdigit() and first.isdigit() and last.isdigit():
        return int(first) <= int(known) <= int(last)
    try:
        return int(ipaddress.ip_address(first)) <= int(ipaddress.ip_address(known)) <= int(ipaddress.ip_address(last))
    except ValueError:
        return None


def _in_subnet(known: str, subnet: str) -> bool | None:
    try:
        return ipaddress.ip_address(known) in ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        return None


# -- iptables -----------------------------------------------------------------------------------------------------


def _legacy_rule(words: list[str], line: str, packet: Packet) -> _Rule:
    answers: list[bool | None] = []
    verdict: Verdict = ""
    target, is_not = "", False
    rest = iter(words)
    for word in rest:
        if word == "!":
            is_not = True
            continue
        if not word.startswith("-"):
            answers.append(None)
            continue
        if word in ("-j", "-g"):
            name = next(rest, "")
            verdict = _legacy_verdict(name) or ("goto" if word == "-g" else "jump")
            target = name
            break
        value = next(rest, "")
        if word not in ("-m", "--comment"):
            answer = _legacy_matches(word, value, packet)
            answers.append(not answer if is_not and answer is not None else answer)
        is_not = False
    if target in ("LOG", "NFLOG", "MARK", "CONNMARK", "TRACE", "SET"):
        verdict = ""
    return _Rule(_all(answers), verdict, target, f"`{line}`")


def _legacy_verdict(name: str) -> Verdict:
    verdicts: dict[str, Verdict] = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}
    return verdicts.get(name, "translate" if name in ("DNAT", "REDIRECT") else "")


def _legacy_matches(flag: str, value: str, packet: Packet) -> bool | None:
    if flag in ("-i", "-o"):
        known = packet.came_in if flag == "-i" else packet.goes_out
        pattern = value[:-1] + "*" if value.endswith("+") else value
        return None if known is None else _any([_is_in(one, pattern) for one in known.split(",")])
    if flag == "-p":
        return value in ("all", packet.protocol)
    if flag in ("-d", "-s"):
        address = packet.address if flag == "-d" else packet.source
        return None if address is None else _in_subnet(address, value)
    if flag in ("--dport", "--dports", "--sport", "--sports"):
        port = packet.port if flag.startswith("--d") else packet.source_port
        parts = [part.partition(":") for part in value.split(",")]
        if port is None:
            return None
        return _any([_in_range(str(port), low, high if colon else low) for low, colon, high in parts])
    if flag in ("--ctstate", "--state"):
        states = value.split(",")
        return packet.state.upper() in states or ("DNAT" in states and packet.translated)
    return None
