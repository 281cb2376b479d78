"""What a built image is, in a form that two engines can be compared by: no times, no ids, no order of files."""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import tarfile
from dataclasses import dataclass
from typing import Any

from tests.build_corpus.corpus import Case, context
from tests.engines.engine import Engine

# What a classic builder notes of the container that a step ran in.
_OF_THE_STEP = ("Hostname", "Domainname", "Image", "ArgsEscaped", "AttachStdin", "AttachStdout", "AttachStderr", "Tty")
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"

# What every builder tells of a step in its own way: the sum of what is copied, and a health check as it is in memory.
_OWN_WORDS = re.compile(r"(?:file|dir|multi):[0-9a-f]{64}|(?<=HEALTHCHECK ).*")
_SHOWN = 100


@dataclass(frozen=True)
class Built:
    """How a build ended: the messages that it printed, and its error, "" for none."""

    output: str
    error: str


def build(engine: Engine, case: Case, tag: str) -> Built:
    """Build a case, and give the image a name."""
    answer = engine.request("POST", f"/build?{case.query(tag)}", context(case), {"Content-Type": "application/x-tar"})
    if answer.status != 200:
        return Built("", answer.message)
    messages = [json.loads(line) for line in answer.body.splitlines() if line.strip()]
    output = "".join(message.get("stream", "") for message in messages)
    return Built(output, next((message["error"] for message in messages if "error" in message), ""))


def configuration(engine: Engine, tag: str) -> dict[str, Any]:
    """What containers of the image start with; empty lists, maps and texts are left out."""
    document = engine.request("GET", f"/images/{tag}/json").json
    config = {key: value for key, value in document["Config"].items() if value and key not in _OF_THE_STEP}
    config["Env"] = sorted(config.get("Env", []))
    return {**config, "Author": document.get("Author", "")}


def history(engine: Engine, tag: str) -> list[str]:
    """The words of how the image came about, the oldest first."""
    entries = engine.request("GET", f"/images/{tag}/history").json[::-1]
    # Docker notes that there are no arguments but predefined ones; they must not make another image, so shoal does not.
    return [_OWN_WORDS.sub("…", entry["CreatedBy"]).removeprefix("|0 ") for entry in entries]


def files(engine: Engine, tag: str) -> dict[str, str]:
    """All files of the image by their path: kind and mode, owner, and content or where a link leads."""
    found: dict[str, str] = {}
    for layer in _layers(engine, tag):
        _apply(found, layer)
    return found


def _layers(engine: Engine, tag: str) -> list[bytes]:
    """The image's layers, as `docker save` gives them; Docker refuses to save an image without any."""
    if not engine.request("GET", f"/images/{tag}/json").json["RootFS"].get("Layers"):
        return []
    answer = engine.request("GET", f"/images/{tag}/get")
    assert answer.status == 200, answer.body
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as archive:
        (image,) = json.loads(_content(archive, "manifest.json"))
        return [_content(archive, name) for name in image["Layers"]]


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None, name
    return file.read()


def outcome(engine: Engine, tag: str, base: dict[str, str], built: Built) -> dict[str, Any]:
    """All of it: what was printed of the steps, and the image, of its files those in which it differs from `base`."""
    return {
        "steps": re.findall(r"Step \d+/\d+ : .*", built.output),
        "configuration": configuration(engine, tag),
        "history": history(engine, tag),
        "files": changes(engine, tag, base),
    }


def _apply(found: dict[str, str], layer: bytes) -> None:
    """Put a layer on what is there."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        entries = [(entry.name.removeprefix("./").strip("/"), entry) for entry in archive]
        for path, _ in entries:
            directory, _, name = path.rpartition("/")
            if name == _OPAQUE:
                _remove(found, directory, itself=False)
            elif name.startswith(_WHITEOUT):
                _remove(found, f"{directory}/{name.removeprefix(_WHITEOUT)}".lstrip("/"))
        for path, entry in entries:
            if path.rpartition("/")[2].startswith(_WHITEOUT) or not path:
                continue
            if not entry.isdir():
                _remove(found, path, itself=False)
            linked = entry.linkname.removeprefix("./").strip("/") if entry.islnk() else ""
            found[path] = found[linked] if linked in found else _entry(archive, entry)


def _remove(found: dict[str, str], path: str, *, itself: bool = True) -> None:
    gone = [name for name in found if name.startswith(path + "/") or (itself and name == path)]
    for name in gone:
        del found[name]


def changes(engine: Engine, tag: str, base: dict[str, str]) -> dict[str, str | None]:
    """The files in which the image differs from the base image; None for what it has no more, if it is built on it."""
    found = files(engine, tag)
    changed: dict[str, str | None] = {path: entry for path, entry in found.items() if base.get(path) != entry}
    if "bin/busybox" in found:
        changed.update(dict.fromkeys(base.keys() - found.keys()))
    return dict(sorted(changed.items()))


def _entry(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> str:
    kind = {tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK, tarfile.FIFOTYPE: stat.S_IFIFO}
    mode = stat.filemode(kind.get(entry.type, stat.S_IFREG) | entry.mode & 0o7777)
    file = archive.extractfile(entry) if entry.isreg() else None
    content = file.read() if file else entry.linkname.encode()
    shown = repr(content.decode()) if len(content) <= _SHOWN else hashlib.sha256(content).hexdigest()
    return f"{mode} {entry.uid}:{entry.gid} {shown}"
