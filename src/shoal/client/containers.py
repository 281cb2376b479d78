# Derived from src/shoal/client/aio/containers.py by ./dev twins: change it there.
"""Calls on containers. `ref` is a container's name, full id, or unambiguous beginning of its id."""

from __future__ import annotations

from shoal.client.document import Document, Json, json_text, parse_document
from shoal.errors import NotModified

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from shoal.client.caller import Caller
    from shoal.client.http import Hijacked, Response

    Filters: TypeAlias = Mapping[str, Sequence[str]]
else:
    Filters = object


def filters_query(filters: Filters) -> dict[str, str]:
    """The `filters` query parameter as Docker encodes it: {"name": {"value": true}}; nothing for no filters."""
    if not filters:
        return {}
    encoded: dict[str, Json] = {name: dict.fromkeys(values, True) for name, values in filters.items()}
    return {"filters": json_text(encoded)}


class Waiting:
    """A wait that the engine has accepted: `result` blocks until the container's end."""

    __slots__ = ("_response",)

    def __init__(self, response: Response) -> None:
        self._response = response

    def fileno(self) -> int:
        """The descriptor that becomes readable when the result is there."""
        return self._response.fileno()

    def has_buffered(self) -> bool:
        """Whether the result, or a part of it, came already."""
        return self._response.has_buffered()

    def result(self) -> Document:
        """`StatusCode`, and `Error.Message` where the engine could not wait. Raises: Unavailable."""
        return parse_document(self._response.read(), "the result of wait")

    def close(self) -> None:
        """Gives the wait up."""
        self._response.close()


class Containers:
    """The container calls of one client. Docker API v1.50, tag Container. All raise as `Client.call`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def create(self, config: Mapping[str, Json], *, name: str = "", platform: str = "") -> Document:
        """`Id` and `Warnings` of the new container."""
        query = {key: value for key, value in (("name", name), ("platform", platform)) if value}
        return self._caller.document("POST", "/containers/create", query=query, body=config)

    def list(
        self, *, all: bool = False, limit: int | None = None, size: bool = False, filters: Filters | None = None
    ) -> list[Document]:
        """Summaries of the running containers, or of all, newest first."""
        query = filters_query(filters or {})
        if all:
            query["all"] = "1"
        if limit is not None:
            query["limit"] = str(limit)
        if size:
            query["size"] = "1"
        return self._caller.documents("GET", "/containers/json", query=query)

    def inspect(self, ref: str, *, size: bool = False) -> Document:
        """Everything about one container."""
        return self._caller.document("GET", f"/containers/{ref}/json", query={"size": "1"} if size else None)

    def start(self, ref: str, *, detach_keys: str = "") -> None:
        """Starts it; starting a running one does nothing."""
        query = {"detachKeys": detach_keys} if detach_keys else None
        try:
            self._caller.perform("POST", f"/containers/{ref}/start", query=query)
        except NotModified:
            pass

    def stop(self, ref: str, *, signal: str = "", timeout_s: int | None = None, restart: bool = False) -> None:
        """Stops (or restarts) it: its stop signal, then SIGKILL after `timeout_s` (None: the container's own)."""
        query = {"signal": signal} if signal else {}
        if timeout_s is not None:
            query["t"] = str(timeout_s)
        try:
            self._caller.perform("POST", f"/containers/{ref}/{'restart' if restart else 'stop'}", query=query)
        except NotModified:
            pass

    def move(self, ref: str, isolation: str) -> None:
        """Stops it, and starts it again in a virtual machine ("vm") or as a container ("default"): shoal's own."""
        try:
            self._caller.perform("POST", f"/containers/{ref}/move", query={"isolation": isolation})
        except NotModified:
            pass

    def kill(self, ref: str, *, signal: str = "") -> None:
        """Sends `signal` (name or number, "" means SIGKILL) to its PID 1."""
        self._caller.perform("POST", f"/containers/{ref}/kill", query={"signal": signal} if signal else None)

    def remove(self, ref: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> None:
        """Removes it; `force` kills it first, `volumes` removes its anonymous volumes too."""
        flags = (("force", force), ("v", volumes), ("link", link))
        self._caller.perform("DELETE", f"/containers/{ref}", query={name: "1" for name, on in flags if on})

    def change(self, ref: str, verb: str) -> None:
        """Performs `pause` or `unpause`."""
        self._caller.perform("POST", f"/containers/{ref}/{verb}")

    def rename(self, ref: str, name: str) -> None:
        """Gives it another name."""
        self._caller.perform("POST", f"/containers/{ref}/rename", query={"name": name})

    def wait(self, ref: str, *, condition: str = "") -> Waiting:
        """A wait in place (the engine has answered its head), for `not-running` (""), `next-exit` or `removed`."""
        query = {"condition": condition} if condition else None
        response = self._caller.call("POST", f"/containers/{ref}/wait", query=query)
        return Waiting(response)

    def attach(
        self, ref: str, *, stdin: bool, stdout: bool, stderr: bool, logs: bool = False, detach_keys: str = ""
    ) -> Hijacked:
        """The live stream of its standard streams; the caller closes it."""
        flags = (("stdin", stdin), ("stdout", stdout), ("stderr", stderr), ("logs", logs))
        query = {"stream": "1", **{name: "1" for name, on in flags if on}}
        if detach_keys:
            query["detachKeys"] = detach_keys
        return self._caller.hijack(f"/containers/{ref}/attach", query=query)

    def logs(
        self,
        ref: str,
        *,
        follow: bool = False,
        timestamps: bool = False,
        details: bool = False,
        tail: str = "all",
        since: str = "",
        until: str = "",
    ) -> Response:
        """The log as a stream, stdcopy-framed unless the container has a terminal."""
        flags = (("follow", follow), ("timestamps", timestamps), ("details", details))
        query = {"stdout": "1", "stderr": "1", "tail": tail, **{name: "1" for name, on in flags if on}}
        query.update({name: value for name, value in (("since", since), ("until", until)) if value})
        return self._caller.call("GET", f"/containers/{ref}/logs", query=query)

    def why_dns(self, ref: str, name: str) -> Document:
        """What keeps it from a name: `Healthy`, `Cause`, `Sentence`, `Hint`, `Addresses`. shoal's alone."""
        return self._caller.document("GET", f"/containers/{ref}/why/dns", query={"name": name})

    def exits(self, ref: str) -> Document:
        """What ended its last runs: `Exits`, the latest first, each with `Cause` and `Sentence`. shoal's alone."""
        return self._caller.document("GET", f"/containers/{ref}/exits")

    def why_port(self, ref: str, port: str) -> Document:
        """What keeps clients from its port ("80", "53/udp"): `Healthy`, `Cause`, `Sentence`, `Hint`. shoal's alone."""
        return self._caller.document("GET", f"/containers/{ref}/why/port", query={"port": port})

    def change_ports(self, ref: str, change: Mapping[str, Json]) -> Document:
        """Publishes ports (`Add`), or no longer (`Remove`), as port maps; `Ports` as they are then. shoal's alone."""
        return self._caller.document("POST", f"/containers/{ref}/ports", body=change)

    def changes(self, ref: str) -> Sequence[Document]:
        """What differs from the image: `Path` and `Kind` (0 changed, 1 added, 2 deleted)."""
        return self._caller.documents("GET", f"/containers/{ref}/changes")

    def top(self, ref: str, arguments: str = "") -> Document:
        """Its processes: `Titles` and `Processes`, in the columns that these arguments of ps ask for."""
        return self._caller.document(
            "GET", f"/containers/{ref}/top", query={"ps_args": arguments} if arguments else None
        )

    def sample(self, ref: str) -> Document:
        """What it uses at this moment, with nothing to compare it with."""
        return self._caller.document("GET", f"/containers/{ref}/stats", query={"stream": "0", "one-shot": "1"})

    def update(self, ref: str, limits: Mapping[str, Json]) -> Document:
        """Gives it other limits (the fields of HostConfig) or another restart policy; `Warnings`."""
        return self._caller.document("POST", f"/containers/{ref}/update", body=limits)

    def resize(self, ref: str, *, rows: int, cols: int) -> None:
        """Sets the size of its terminal."""
        self._caller.perform("POST", f"/containers/{ref}/resize", query={"h": str(rows), "w": str(cols)})
