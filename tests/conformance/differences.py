"""Where shoald knowingly answers otherwise than Debian's dockerd 20.10, and why. A data table.

A case asks for its sentence with `sentence(engine, key)`; what stands here is all that may differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.engines.engine import Engine


@dataclass(frozen=True)
class Difference:
    """What each of the two says, as a regular expression, and the reason for it."""

    dockerd: str
    shoald: str
    reason: str


NEWER_WORDING = "the wording of Docker 23 and later"
NEWER_STATUS = "Docker 23 and later tell a malformed request from a failure of their own"

DIFFERENCES: dict[str, Difference] = {
    "privileged-on-a-host-with-fewer-capabilities": Difference(
        dockerd="unable to apply caps: operation not permitted",
        shoald="",
        reason="runc asks for capabilities that the host itself lacks, and gives up; shoal gives those there are",
    ),
    "rm-running": Difference(
        dockerd=r"You cannot remove a running container {id}\. Stop the container before attempting removal",
        shoald=r'cannot remove container "/idle": container is running: stop the container before removing or force',
        reason=NEWER_WORDING,
    ),
    "not-running": Difference(
        dockerd="Container {id} is not running", shoald="container {id} is not running", reason=NEWER_WORDING
    ),
    "kill-failed": Difference(
        dockerd="Cannot kill container: {name}: ", shoald="cannot kill container: {name}: ", reason=NEWER_WORDING
    ),
    "malformed-json-status": Difference(dockerd="400|500", shoald="400", reason=NEWER_STATUS),
    "client-error-status": Difference(dockerd="400|404|500", shoald="400|404", reason=NEWER_STATUS),
    "archive-refused-status": Difference(dockerd="400|404|500", shoald="400|404", reason=NEWER_STATUS),
    "restart-unknown": Difference(
        dockerd="invalid restart policy 'nope'",
        shoald="invalid restart policy: unknown policy 'nope'; use one of 'no', 'always',",
        reason=NEWER_WORDING,
    ),
    "restart-count": Difference(
        dockerd="maximum retry count cannot be used with restart policy 'always'",
        shoald="invalid restart policy: maximum retry count can only be used with 'on-failure'",
        reason=NEWER_WORDING,
    ),
    "restart-negative": Difference(
        dockerd="maximum retry count cannot be negative",
        shoald="invalid restart policy: maximum retry count cannot be negative",
        reason=NEWER_WORDING,
    ),
    "kernel-memory": Difference(
        dockerd="Specifying a kernel memory limit is deprecated and will be removed",
        shoald="kernel memory limits are not supported: Linux ignores them since 5.4",
        reason="a limit that limits nothing is not passed over",
    ),
    "domainname-of-the-host": Difference(
        dockerd="kernel.domainname.* is not in a separate kernel namespace",
        shoald="conflicting options: domainname and the UTS mode",
        reason="told when the container is made, in the words for --hostname",
    ),
    "runtime-unknown": Difference(
        dockerd="Unknown runtime specified nope", shoald="unknown or invalid runtime name: nope", reason=NEWER_WORDING
    ),
    "storage-opt": Difference(
        dockerd="--storage-opt is (not )?supported",
        shoald="--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
        reason="the file system below Docker's storage decides which of its sentences comes",
    ),
    "platform": Difference(
        dockerd="image with reference busybox was found but does not match the specified platform",
        shoald=r"image with reference busybox was found but its platform \(linux/amd64\) does not match the specified "
        r"platform \(linux/s390x\)",
        reason=NEWER_WORDING,
    ),
    "volume-at-the-root": Difference(
        dockerd="no such file or directory",
        shoald="invalid specification: destination can't be '/'",
        reason="Docker hides the container's own root and fails on the first file that it misses",
    ),
    "volume-onto-a-file": Difference(
        dockerd="source .*/etc/passwd is not directory",
        shoald="cannot mount volume over existing file, file exists /etc/passwd",
        reason="the sentence that Docker has for VOLUMEs of an image; a path inside the storage driver helps nobody",
    ),
    "network-subnet": Difference(
        dockerd="Invalid subnet {text} : invalid CIDR address: {text}",
        shoald="invalid network config:\ninvalid subnet {text}: invalid CIDR block notation",
        reason=NEWER_WORDING,
    ),
    "network-gateway-outside": Difference(
        dockerd=r"failed to allocate gateway \(10\.8\.0\.1\): Requested address is out of range",
        shoald="invalid gateway 10.8.0.1: parent subnet 10.9.0.0/24 doesn't contain this address",
        reason=NEWER_WORDING,
    ),
    "network-gateway-malformed": Difference(
        dockerd="invalid gateway address foo in Ipam configuration",
        shoald="invalid gateway foo: invalid address",
        reason=NEWER_WORDING,
    ),
    "network-range": Difference(
        dockerd='failed to parse pool request for address space "LocalDefault" pool "10.9.0.0/24" subpool "foo"',
        shoald="invalid ip-range foo: invalid CIDR block notation",
        reason=NEWER_WORDING,
    ),
    "network-address-outside": Difference(
        dockerd="Invalid address 10.9.1.5: It does not belong to any of this network's subnets",
        shoald="no configured subnet or ip-range contain the IP address 10.9.1.5",
        reason=NEWER_WORDING,
    ),
    "network-request-status": Difference(dockerd="400|403|500", shoald="400", reason=NEWER_STATUS),
    "network-mtu-range": Difference(
        dockerd="^$", shoald="invalid MTU number: 100000", reason="Docker makes the network, and no container can start"
    ),
    "network-ipv6": Difference(
        dockerd="could not find an available, non-overlapping IPv6 address pool",
        shoald="IPv6 networks are not served yet",
        reason="shoal has no IPv6 so far",
    ),
    "save-unknown": Difference(
        dockerd="reference does not exist",
        shoald="(reference does not exist|No such image: no-such:1)",
        reason="a sentence that names what is missing helps more",
    ),
}


def sentence(engine: Engine, key: str) -> str:
    """The regular expression that this engine's answer must match."""
    return str(getattr(DIFFERENCES[key], engine.name))
