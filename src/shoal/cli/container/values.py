"""Converters from the text of one flag to its value in the API. Pure, but for the files that a flag names."""

from __future__ import annotations

import os

from shoal.cli.quantities import size_bytes
from shoal.client.document import Json
from shoal.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio"),
    *("rttime", "sigpending", "stack"),
)


def read_text(path: str) -> str:
    """The text of the file that a flag names. Raises: InvalidArgument."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InvalidArgument(f"open {path}: {why}") from None
    except UnicodeDecodeError:
        raise InvalidArgument(f"{path} is not UTF-8 text") from None


def environment_list(pairs: Sequence[str], files: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """`NAME=value` items of --env-file, then of -e; a bare NAME takes the client's own value.

    Where the client has none, NAME alone takes the image's variable away; in a file it means nothing.

    Raises: InvalidArgument.
    """
    items: list[str] = []
    for path in files:
        for line in read_text(path).splitlines():
            # Leading white space is no part of a name; trailing white space is part of a value.
            entry = line.lstrip()
            if entry and not entry.startswith("#"):
                name = entry.partition("=")[0]
                if any(letter.isspace() for letter in name):
                    raise InvalidArgument(f"invalid env file ({path}): variable '{name}' contains whitespaces")
                items.append(entry)
    items = [item for item in items if "=" in item or item in environment]
    items.extend(pairs)
    result = []
    for item in items:
        if item.startswith("=") or not item:
            raise InvalidArgument(f"invalid environment variable: {item}")
        if "=" in item:
            result.append(item)
        else:
            # Alone, a name that the client does not have takes the image's variable away.
            result.append(f"{item}={environment[item]}" if item in environment else item)
    return result


def labels(pairs: Sequence[str], files: Sequence[str] = ()) -> dict[str, Json]:
    """A map of `name=value` items; a bare name has the value ""."""
    items = [line.strip() for path in files for line in read_text(path).splitlines()]
    items = [line for line in items if line and not line.startswith("#")] + list(pairs)
    return {name: value for name, _, value in (item.partition("=") for item in items)}


def _is_whole(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdecimal()


def nano_cpus(text: str) -> int:
    """The API's NanoCpus for `--cpus 1.5`. Raises: InvalidArgument."""
    import re  # 3 ms, which only those who use the flag pay

    match = re.fullmatch(r"(\d*)\.?(\d*)", text)
    if match is None or text in ("", ".") or len(match[2]) > 9:
        raise InvalidArgument(f"failed to parse {text} as a rational number", fix="write it like 1.5")
    return int(match[1] or "0") * 10**9 + int(match[2].ljust(9, "0"))


def size_or_unlimited(text: str) -> int:
    """Bytes, or -1 for `-1` (--memory-swap)."""
    return -1 if text == "-1" else size_bytes(text)


def device_rule(text: str) -> str:
    """A rule for --device-cgroup-rule. Raises: InvalidArgument in Docker's words."""
    import re  # 3 ms, which only those who use the flag pay

    if not re.fullmatch(r"[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}", text):
        raise InvalidArgument(f"invalid device cgroup format '{text}'", fix="write it like 'c 1:3 rwm'")
    return text


def ulimit(text: str) -> Json:
    """The API's Ulimit for `nofile=1024:2048`. Raises: InvalidArgument."""
    name, equals, limits = text.partition("=")
    soft, colon, hard = limits.partition(":")
    if not equals or not _is_whole(soft) or (colon and not _is_whole(hard)):
        raise InvalidArgument(f"invalid ulimit argument: {text}", fix="write NAME=SOFT[:HARD], like nofile=1024:2048")
    if name not in _LIMITS:
        raise InvalidArgument(f"invalid ulimit type: {name}", fix=f"use one of {', '.join(_LIMITS)}")
    least, most = int(soft), int(hard) if colon else int(soft)
    if most != -1 and (least == -1 or least > most):
        raise InvalidArgument(f"ulimit soft limit must be less than or equal to hard limit: {least} > {most}")
    return {"Name": name, "Soft": least, "Hard": most}


def restart_policy(text: str) -> Json:
    """The API's RestartPolicy for `no`, `always`, `unless-stopped`, `on-failure[:N]`. Raises: InvalidArgument."""
    name, colon, count = text.partition(":")
    if colon and not count.isdecimal():
        raise InvalidArgument("invalid restart policy format: maximum retry count must be an integer")
    if not name:
        raise InvalidArgument("invalid restart policy format: no policy provided before colon")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def comma_separated(text: str) -> list[str]:
    """The fields of one line of CSV: `"a,b",c` has two. Raises: InvalidArgument."""
    # Without the module csv around it, which takes longer to import.
    from _csv import Error, reader

    try:
        return next(iter(reader([text], strict=True)), [])
    except Error as error:
        raise InvalidArgument(str(error)) from None


def link(text: str) -> str:
    """A `--link`, as it is. Raises: InvalidArgument in Docker's words."""
    if not text or text.count(":") > 1:
        raise InvalidArgument(f"bad format for links: {text}" if text else "empty string specified for links")
    return text


def dns_server(text: str) -> str:
    """An address for --dns. Raises: InvalidArgument in Docker's words."""
    from ipaddress import ip_address

    try:
        ip_address(text.strip())
    except ValueError:
        raise InvalidArgument(f"IP address is not correctly formatted: {text}") from None
    return text.strip()


def capability(text: str) -> str:
    """A capability by the kernel's name."""
    name = text.strip().upper()
    return name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"


def extra_host(text: str) -> Json:
    """`name:address` for --add-host, which may also be written with `=`. Raises: InvalidArgument."""
    separator = "=" if "=" in text else ":"
    name, found, address = text.partition(separator)
    if not found or not name or not address:
        raise InvalidArgument(f'bad format for add-host: "{text}"', fix="write NAME:ADDRESS")
    return f"{name}:{address.removeprefix('[').removesuffix(']')}"


def security_option(text: str) -> str:
    """One --security-opt as the API wants it: a seccomp profile's file becomes its JSON. Raises: InvalidArgument."""
    name, equals, value = text.partition("=")
    if not equals:
        name, equals, value = text.partition(":")
    if not equals and text != "no-new-privileges":
        raise InvalidArgument(f"Invalid --security-opt: {text!r}")
    if name == "seccomp" and value not in ("unconfined", "builtin"):
        try:
            import json  # see above

            return f"seccomp={json.dumps(json.loads(read_text(value)), separators=(',', ':'))}"
        except ValueError as error:
            raise InvalidArgument(f"compacting json for seccomp profile failed: {error}") from None
    return f"{name}={value}" if equals else text


def bind(text: str) -> tuple[str, str]:
    """("bind", `source:target[:mode]`) with an absolute source, or ("volume", target) for an anonymous one.

    Raises: InvalidArgument.
    """
    parts = text.split(":")
    if len(parts) > 3 or not all(parts):
        raise InvalidArgument(
            f"invalid spec: {text}: empty section between colons"
            if "" in parts
            else f"invalid volume specification: '{text}'"
        )
    if len(parts) == 1:
        return "volume", text
    if parts[0].startswith(("./", "../", "~")) or parts[0] in (".", ".."):
        parts[0] = os.path.abspath(os.path.expanduser(parts[0]))
    return "bind", ":".join(parts)


def tmpfs(items: Sequence[str]) -> dict[str, Json]:
    """The API's Tmpfs map for `/path[:options]` items."""
    return {path: options for path, _, options in (item.partition(":") for item in items)}
