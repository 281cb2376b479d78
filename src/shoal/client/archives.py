# Derived from src/shoal/client/aio/archives.py by ./dev twins: change it there.
"""Calls on the files of containers. `ref` is a container's name, full id, or unambiguous beginning of its id."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

from shoal.client.caller import Caller
from shoal.client.document import Document, parse_document
from shoal.client.http import Response

_STAT = "x-docker-container-path-stat"
_DIRECTORY = 1 << 31
_LINK = 1 << 27


class PathStat:
    """What a container has at a path. Docker API v1.50 ContainerArchiveInfo."""

    __slots__ = ("link_target", "mode", "name")

    def __init__(self, document: Document) -> None:
        self.name = document.text("name")
        self.mode = document.number("mode")
        self.link_target = document.text("linkTarget")

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return bool(self.mode & _DIRECTORY)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link; then `link_target` is where it leads in the end."""
        return bool(self.mode & _LINK)


class Archives:
    """The calls of one client on containers' files. All raise as `Client.call`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def stat(self, ref: str, path: str) -> PathStat:
        """What is at a path, a symbolic link as such."""
        response = self._caller.call("HEAD", f"/containers/{ref}/archive", query={"path": path})
        response.read()
        return _stat_of(response)

    def read(self, ref: str, path: str) -> tuple[PathStat, Response]:
        """What is at a path, and a tar archive of it as a stream."""
        response = self._caller.call("GET", f"/containers/{ref}/archive", query={"path": path})
        return _stat_of(response), response

    def write(self, ref: str, path: str, archive: bytes | Iterable[bytes], *, copy_owner: bool = False) -> None:
        """Extracts a tar archive into the directory at a path; no directory gives way to a file, nor a file to one."""
        query = {"path": path, "noOverwriteDirNonDir": "true"}
        if copy_owner:
            query["copyUIDGID"] = "true"
        headers = {"Content-Type": "application/x-tar"}
        response = self._caller.call("PUT", f"/containers/{ref}/archive", query=query, body=archive, headers=headers)
        response.read()

    def export(self, ref: str) -> Response:
        """A tar archive of the root file system, as a stream."""
        return self._caller.call("GET", f"/containers/{ref}/export")

    def commit(
        self,
        ref: str,
        *,
        repo: str = "",
        tag: str = "",
        author: str = "",
        comment: str = "",
        changes: Sequence[str] = (),
        pause: bool = True,
    ) -> str:
        """The id of a new image, made of what the container changed."""
        query: dict[str, str | Iterable[str]] = {"container": ref, "author": author, "comment": comment}
        query.update({name: value for name, value in (("repo", repo), ("tag", tag), ("changes", changes)) if value})
        if not pause:
            query["pause"] = "0"
        answer = self._caller.document("POST", "/commit", query=query)
        return answer.text("Id")


def _stat_of(response: Response) -> PathStat:
    return PathStat(parse_document(base64.b64decode(response.headers.get(_STAT, "")), "the description of a path"))
