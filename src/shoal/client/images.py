# Derived from src/shoal/client/aio/images.py by ./dev twins: change it there.
"""Calls on images. `ref` is a name with or without tag, a digest reference, or an id."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

from shoal.client.caller import Caller
from shoal.client.containers import Filters, filters_query
from shoal.client.document import Document, parse_document
from shoal.client.http import Response
from shoal.errors import Internal, NotFound, ShoalError


class Images:
    """The image calls of one client. Docker API v1.50, tag Image. All raise as `Client.call`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def list(self, *, all: bool = False, filters: Filters | None = None) -> list[Document]:
        """Summaries of the tagged and dangling images, newest first; `all` adds intermediate ones."""
        query = filters_query(filters or {})
        if all:
            query["all"] = "1"
        return self._caller.documents("GET", "/images/json", query=query)

    def inspect(self, ref: str) -> Document:
        """Everything about one image."""
        return self._caller.document("GET", f"/images/{ref}/json")

    def history(self, ref: str) -> Sequence[Document]:
        """Its layers and empty steps, newest first."""
        return self._caller.documents("GET", f"/images/{ref}/history")

    def tree(self, ref: str) -> Document:
        """The stack of its layers, and what of each is covered. Of shoal alone: else NotFound."""
        return self._caller.document("GET", f"/images/{ref}/tree")

    def differences(self, ref: str, other: str) -> Iterator[Document]:
        """In what `other` differs: fields of the configuration, then paths. Of shoal alone: else NotFound."""
        response = self._caller.call("GET", f"/images/{ref}/diff", query={"with": other})
        for line in response.lines():
            yield parse_document(line, "a difference")

    def tag(self, ref: str, *, repo: str, tag: str) -> None:
        """Gives it one more name."""
        self._caller.perform("POST", f"/images/{ref}/tag", query={"repo": repo, "tag": tag})

    def remove(self, ref: str, *, force: bool = False, prune: bool = True) -> Sequence[Document]:
        """What was done: objects with `Untagged` or `Deleted`."""
        query = {name: "1" for name, on in (("force", force), ("noprune", not prune)) if on}
        return self._caller.documents("DELETE", f"/images/{ref}", query=query)

    def load(
        self, archive: bytes | Iterable[bytes], *, size_bytes: int | None = None, quiet: bool = False
    ) -> Iterator[Document]:
        """The messages of loading an archive (docker save or OCI layout). Raises: also what a message reports."""
        headers = {"Content-Type": "application/x-tar"}
        if size_bytes is not None:
            headers["Content-Length"] = str(size_bytes)
        query = {"quiet": "1" if quiet else "0"}
        return messages(self._caller.call("POST", "/images/load", query=query, body=archive, headers=headers))

    def save(self, refs: Sequence[str]) -> Response:
        """An archive of the images, as a stream."""
        return self._caller.call("GET", "/images/get", query={"names": refs})

    def files(self, ref: str) -> Response:
        """All files of an image as one tar, as a stream. Of shoal alone: else NotFound."""
        return self._caller.call("GET", f"/images/{ref}/files")

    def build(
        self,
        context: bytes | Iterable[bytes] | None,
        query: Mapping[str, str | Sequence[str]],
        headers: Mapping[str, str],
    ) -> Iterator[Document]:
        """The messages of a build; one that reports an error is the last, and is not raised: it has more to tell."""
        sent = {"Content-Type": "application/x-tar", **headers}
        response = self._caller.call("POST", "/build", query=query, body=context, headers=sent)
        for line in response.lines():
            yield parse_document(line, "a message of a build")

    def has_context(self, token: str) -> bool:
        """Whether the engine keeps the build context of this token, to be changed. Of shoal alone: else NotFound."""
        return (self._caller.document("GET", "/build/context", query={"token": token})).flag("Known")

    def send_cache(self, archive: bytes | Iterable[bytes]) -> str:
        """The token of a cache, an OCI layout, for the next build. Of shoal alone: else NotFound."""
        response = self._caller.call(
            "POST", "/build/cache", body=archive, headers={"Content-Type": "application/x-tar"}
        )
        token = ""
        for line in response.lines():
            token = parse_document(line, "the token of a cache").text("Id")
        return token

    def build_cache(self, build: str, *, is_whole: bool) -> Response:
        """The cache of a build as an OCI layout in a tar, as a stream. Of shoal alone: else NotFound."""
        query = {"build": build, "mode": "max" if is_whole else "min"}
        return self._caller.call("GET", "/build/cache", query=query)

    def build_state(self, build: str, step: str) -> str:
        """The id of an image that is what a step of a build came to. Of shoal alone: else NotFound."""
        query = {"build": build, "step": step}
        return (self._caller.document("POST", "/build/state", query=query)).text("Id")

    def import_archive(
        self,
        source: str,
        archive: bytes | Iterable[bytes],
        *,
        repo: str = "",
        changes: Sequence[str] = (),
        message: str = "",
        platform: str = "",
    ) -> Iterator[Document]:
        """The messages of making an image from a tar of a file system; the last has its id as `status`.

        `source` is "-" (the archive is the body) or an address that the engine fetches.
        """
        query: dict[str, str | Sequence[str]] = {"fromSrc": source}
        optional = (("repo", repo), ("changes", changes), ("message", message), ("platform", platform))
        query.update({name: value for name, value in optional if value})
        headers = {"Content-Type": "application/x-tar"}
        return messages(self._caller.call("POST", "/images/create", query=query, body=archive, headers=headers))

    def pull(self, repo: str, *, tag: str, platform: str = "", auth: str = "") -> Iterator[Document]:
        """The messages of pulling from a registry; `auth` is the value of X-Registry-Auth, if any."""
        query = {"fromImage": repo, "tag": tag}
        if platform:
            query["platform"] = platform
        headers = {"X-Registry-Auth": auth} if auth else {}
        return messages(self._caller.call("POST", "/images/create", query=query, headers=headers))

    def push(self, repo: str, *, tag: str, platform: str = "", auth: str = "") -> Iterator[Document]:
        """The messages of pushing to a registry; `auth` is the value of X-Registry-Auth, if any."""
        query = {name: value for name, value in (("tag", tag), ("platform", _as_json(platform))) if value}
        # An engine wants this header, and takes an empty object for nobody in particular.
        headers = {"X-Registry-Auth": auth or "e30="}
        return messages(self._caller.call("POST", f"/images/{repo}/push", query=query, headers=headers))


def _as_json(platform: str) -> str:
    """The platform "OS[/ARCH[/VARIANT]]" as ImagePush wants to hear it, "" for none. Docker API v1.50 ImagePush."""
    names = ("os", "architecture", "variant")
    return json.dumps(dict(zip(names, platform.split("/"), strict=False))) if platform else ""


def messages(response: Response) -> Iterator[Document]:
    """The JSON messages of a progress stream, as they come.

    Raises: NotFound or Internal for a message that reports an error, which ends the stream (Docker API JSONMessage).
    """
    for line in response.lines():
        message = parse_document(line, "a progress message")
        text = message.text("errorDetail", "message") or message.text("error")
        if text:
            kind: type[ShoalError] = NotFound if message.number("errorDetail", "code") == 404 else Internal
            raise kind(text, why=message.text("why"), fix=message.text("fix"))
        yield message
