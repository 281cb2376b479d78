"""Whether packets of containers get out, and published ports in: forwarding, and the rules of others in the way."""

from __future__ import annotations

import json
import os
import subprocess

from shoal.cli.doctor.finding import OK, PROBLEM, WARNING, Finding, read_text
from shoal.cli.doctor.machine import program

AREA = "network"
_ASK_S = 5.0
_OWN_TABLES = ("shoal", "sh-")


def check_firewall() -> list[Finding]:
    """What may keep containers from the network."""
    return [_forwarding(), *_chains(), *_managers(), _bridge_filter()]


def _forwarding() -> Finding:
    if read_text("/proc/sys/net/ipv4/ip_forward") == "1":
        return Finding(AREA, "ip-forward", OK)
    reason = "net.ipv4.ip_forward is 0: no container gets out (shoald sets it, unless --ip-forward=false)"
    return Finding(AREA, "ip-forward", WARNING, reason, "sysctl net.ipv4.ip_forward=1")


def _chains() -> list[Finding]:
    """The chains of others that drop what nobody else let through: an accept in our table can't save it from them."""
    if not program("nft"):
        fix = "apt-get install nftables"
        return [Finding(AREA, "nftables", PROBLEM, "the program nft is not installed", fix)]
    if os.geteuid() != 0:
        return [Finding(AREA, "nftables", WARNING, "only root may see the rules", "sudo shoal doctor")]
    try:
        asked = subprocess.run([program("nft"), "-j", "list", "chains"], capture_output=True, timeout=_ASK_S)
        objects = json.loads(asked.stdout or b"{}").get("nftables", []) if not asked.returncode else None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return [Finding(AREA, "nftables", PROBLEM, f"the rules can't be read: {error}", "try `nft list ruleset`")]
    if objects is None:
        why = asked.stderr.decode("utf-8", "replace").strip().splitlines()[:1]
        return [Finding(AREA, "nftables", PROBLEM, "".join(why), "the kernel needs nf_tables: modprobe nf_tables")]
    dropping = [
        chain
        for chain in (entry.get("chain", {}) for entry in objects if isinstance(entry, dict))
        if chain.get("hook") == "forward"
        and chain.get("policy") == "drop"
        and not str(chain.get("table", "")).startswith(_OWN_TABLES)
    ]
    found = [Finding(AREA, "nftables", OK)]
    found += [_dropping(chain) for chain in dropping]
    return found + ([] if dropping else [Finding(AREA, "forward-policy", OK, "nobody drops what is forwarded")])


def _dropping(chain: dict[str, object]) -> Finding:
    family, table, name = (str(chain.get(key, "")) for key in ("family", "table", "name"))
    reason = f"the chain {name} of the table {family} {table} drops what it does not know, containers' packets too"
    if table == "filter" and name == "FORWARD":
        fix = "iptables -I FORWARD -i shoal0 -j ACCEPT; iptables -I FORWARD -o shoal0 -j ACCEPT"
    else:
        insert = f"nft insert rule {family} {table} {name}"
        fix = f"{insert} iifname shoal0 accept; {insert} oifname shoal0 accept"
    return Finding(AREA, "forward-policy", WARNING, reason, fix)


def _managers() -> list[Finding]:
    """Programs that write rules anew now and then."""
    found = []
    if os.path.exists("/run/firewalld") and _runs("firewalld"):
        fix = "firewall-cmd --permanent --zone=trusted --add-interface=shoal0 && firewall-cmd --reload"
        found.append(Finding(AREA, "firewalld", WARNING, "runs: its zones decide on containers' packets too", fix))
    if "ENABLED=yes" in read_text("/etc/ufw/ufw.conf"):
        fix = "ufw route allow in on shoal0; ufw route allow out on shoal0"
        found.append(
            Finding(AREA, "ufw", WARNING, "is enabled: it drops what is forwarded unless a rule allows it", fix)
        )
    return found


def _runs(name: str) -> bool:
    return any(entry.isdigit() and read_text(f"/proc/{entry}/comm") == name for entry in os.listdir("/proc"))


def _bridge_filter() -> Finding:
    """Whether packets between two containers of one bridge pass the rules for forwarded ones as well."""
    if read_text("/proc/sys/net/bridge/bridge-nf-call-iptables") == "1":
        reason = "net.bridge.bridge-nf-call-iptables is 1: rules for forwarding see what stays on one bridge too"
        return Finding(AREA, "bridge-filter", OK, reason)
    return Finding(AREA, "bridge-filter", OK)
