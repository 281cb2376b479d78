"""Requests made up from the published description by schemathesis, and made worse by hand."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

import requests
import schemathesis
import yaml
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from tests.engines.swagger import description_path
from tests.fuzz.target import Attempt

VERSIONS = st.sampled_from(["", "", "", "/v1.50", "/v1.41", "/v1.24", "/v1.23", "/v1.51", "/v1..5", "/v9999999999.1"])
NASTY_NAMES = (
    "none",
    "%00",
    "it%00",
    "..%2f..%2fetc%2fpasswd",
    "%C3%BC%F0%9F%90%9F",
    "%ff%fe",
    "it%0d%0aX-Injected:%201",
    "%20",
    "%2F",
    "a" * 4000,
    "sha256:" + "0" * 64,
    "-",
    "{id}",
)
NASTY_QUERIES = (
    "t=-1&signal=SIGWINCH",
    "t=99999999999999999999",
    "limit=-9223372036854775808",
    "since=NaN&until=1e400",
    "since=-99999999999999&until=9999999999999999",
    "filters=%7B%22label%22%3A%5B%22%5Cu0000%22%5D%7D",
    "filters=" + quote('{"name":["(a+)+$","[","\\ud800"]}'),
    "filters=" + quote('{"a":' * 3000),
    "filters=" + quote('{"until":["99999999999999999h","-1"]}'),
    "h=4294967295&w=4294967295",
    "h=0&w=0",
    "tail=-5&stdout=1",
    "tail=99999999999999999999999&stdout=1&timestamps=1&details=1",
    "detachKeys=ctrl-%00",
    "name=%00%0a",
    "condition=%FF",
    "ps_args=" + quote("-o pid,args --forest"),
    "ps_args=" + quote("-eo\x00pid"),
    "path=" + quote("/proc/self/root/../../etc"),
    "path=" + quote("\x00/etc"),
    "path=" + "%2Fa" * 2000,
    "stdout=1&stdout=0&stdout=",
    "&&&=&==",
    "all=%ff",
)
NASTY_BODIES = (
    b"",
    bytes(1024),
    b"\x1f\x8b\x08\x00" + bytes(600),
    b"BZh9" + bytes(600),
    b"\xfd7zXZ\x00" + bytes(600),
    b"(\xb5/\xfd" + bytes(600),
    b"../../etc/passwd" + bytes(108) + b"0000644\x00" * 3 + b"77777777777\x00" * 2 + bytes(400),
    b"null",
    b"[]",
    b'"x"',
    b"0",
    b"{",
    b"\xff\xfe{}",
    b"\x00",
    b"[" * 100_000,
    b'{"a":' * 10_000,
    b'{"Cmd":["\\u0000"],"Env":["\\u0000=x","=","A"]}',
    b'{"Cmd":["true"],"User":"\\ud800","WorkingDir":"\\u0000"}',
    b'{"Cmd":["true"],"ConsoleSize":[4294967295,4294967295,1],"Tty":true}',
    b'{"Memory":1e400}',
    b'{"Memory":-9223372036854775808,"NanoCpus":9223372036854775807}',
    b'{"MemorySwap":-2,"CpusetCpus":"0-99999999999","BlkioWeight":65535}',
    b'{"CpuShares":9223372036854775807,"CpuQuota":9223372036854775807,"PidsLimit":9223372036854775807}',
    b'{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":9223372036854775807}}',
    b'{"Name":"\\u0000"}',
    b'{"Name":"ok","DriverOpts":{"type":"\\u0000","o":"size=-1","device":"tmpfs"}}',
    b'{"Image":"busybox","Cmd":["true"],"HostConfig":{"Memory":-1,"ShmSize":-5,"OomScoreAdj":99999}}',
    b'{"Image":"busybox\\u0000"}',
    b'{"Image":"busybox","Hostname":"\\u0000\\n","Domainname":"a b","StopTimeout":-9223372036854775808}',
    b'{"Image":"busybox","ExposedPorts":{"99999/tcp":{},"/":{}},"HostConfig":{"PortBindings":{"x":null,"":[{}]}}}',
    b'{"Image":"busybox","HostConfig":{"LogConfig":{"Type":"json-file","Config":{"max-size":"-1","max-file":"x"}}}}',
    b'{"Image":"busybox","HostConfig":{"Tmpfs":{"rel":"size=-1","/a\\u0000":""},"Sysctls":{"":"","a..b":"\\n"}}}',
    b'{"Image":"busybox","HostConfig":{"Ulimits":[{"Name":"nofile","Soft":9223372036854775807,"Hard":-2}]}}',
    b'{"Image":"busybox","Labels":{"' + b"x" * 100_000 + b'":""}}',
    b'{"Image":"busybox","Entrypoint":[""],"Cmd":[]}',
    b'{"Image":"busybox","Cmd":["true"],"Healthcheck":{"Test":["CMD"],"Interval":-1,"Retries":-9}}',
)
NASTY_HEADERS = (
    ("Content-Type", "application/json; charset=utf-16"),
    ("Content-Type", "\xff"),
    ("Expect", "100-continue"),
    ("Expect", "200-ok"),
    ("Upgrade", "h2c"),
    ("Connection", "close, Upgrade"),
    ("X-Registry-Auth", "!!!"),
    ("Accept", "application/json-seq"),
    ("Range", "bytes=0-"),
    ("Sec-WebSocket-Key", "x"),
)
# What would reach out of the engine if it were taken: directories of the host, its devices, other daemons' groups.
_OUTSIDE = ("Binds", "Mounts", "VolumesFrom", "Devices", "CgroupParent", "ContainerIDFile", "DeviceCgroupRules")


@schemathesis.serializer("application/x-tar")
def as_archive(_context: Any, value: Any) -> bytes:
    """A made-up archive: the bytes of whatever it is, which are hardly ever a tar."""
    return value if isinstance(value, bytes) else repr(value).encode(errors="replace")


def operations() -> list[Any]:
    """Every published operation as schemathesis knows it; none where the description is not here."""
    if not description_path().exists():
        return []
    raw = yaml.load(description_path().read_text(), yaml.CSafeLoader)
    return [result.ok() for result in schemathesis.openapi.from_dict(raw).get_all_operations()]


def operation_id(operation: Any) -> str:
    """The published name of an operation."""
    return str(operation.definition.raw["operationId"])


_MODES = (GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
_ODD = st.text(min_size=1, max_size=40).map(lambda text: quote(text, safe="", errors="replace"))
_MAYBE_QUERY = st.one_of(st.none(), st.none(), st.sampled_from(range(len(NASTY_QUERIES))))
_MAYBE_BODY = st.one_of(st.none(), st.none(), st.sampled_from(range(len(NASTY_BODIES))))
_MAYBE_HEADER = st.lists(st.sampled_from(NASTY_HEADERS), max_size=1)


@st.composite
def attempts(draw: st.DrawFn, operation: Any, exec_id: str) -> Attempt:
    """Requests of one operation, from those that fit its description to those that fit nothing."""
    case = draw(operation.as_strategy(generation_mode=draw(st.sampled_from(_MODES))))
    known = st.sampled_from(["it", "it", "tty", "idle", "ended", "data", "busybox", "bridge", exec_id])
    name = draw(st.one_of(known, st.sampled_from(NASTY_NAMES), _ODD))
    query, body = draw(_MAYBE_QUERY), draw(_MAYBE_BODY)
    return _attempt(
        operation,
        case,
        name,
        draw(VERSIONS),
        None if query is None else NASTY_QUERIES[query],
        None if body is None else NASTY_BODIES[body],
        draw(_MAYBE_HEADER),
    )


def _attempt(
    operation: Any,
    case: Any,
    name: str,
    version: str,
    query: str | None,
    body: bytes | None,
    headers: list[tuple[str, str]],
) -> Attempt:
    """The request of a case, with its name and version replaced, and a query, a body and headers put in or not."""
    path = version + re.sub(r"\{\w+\}", lambda _: name, operation.path)
    made, content = _query_and_body(case)
    target = path + "?" + "&".join(part for part in (made, query) if part)
    if body is not None and operation.method != "get":
        content = body
    if operation_id(operation) == "ContainerCreate" and body is None:
        content = _tamed(content)
    kept = [("Content-Type", "application/json")] if content is not None else []
    fields = [(key, value) for key, value in kept if key not in dict(headers)] + headers
    if content is not None:
        fields.append(("Content-Length", str(len(content))))
    return Attempt(operation_id(operation), operation.method.upper(), target, tuple(fields), content)


def _query_and_body(case: Any) -> tuple[str, bytes | None]:
    """The query and body that schemathesis made; nothing of what cannot be written down."""
    try:
        wire = requests.Request(**case.as_transport_kwargs(base_url="http://docker")).prepare()
    except (ValueError, UnicodeError, TypeError):
        return "", None
    content = wire.body
    if isinstance(content, str):
        content = content.encode(errors="surrogatepass")
    query = (wire.path_url or "").partition("?")[2]
    return query.encode("ascii", "ignore").decode(), content if isinstance(content, bytes) else None


def _tamed(content: bytes | None) -> bytes | None:
    """A made-up container, of an image that is there, and without what would reach out of the engine."""
    try:
        wanted = json.loads(content or b"{}")
    except ValueError:
        return content
    if not isinstance(wanted, dict):
        return content
    wanted |= {"Image": "busybox", "Cmd": ["sleep", "1000"], "Entrypoint": None}
    host = wanted.get("HostConfig")
    if isinstance(host, dict):
        for name in _OUTSIDE:
            host.pop(name, None)
    return json.dumps(wanted).encode()
