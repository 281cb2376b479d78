"""COPY, ADD and WORKDIR: files from the context, from stages, images, URLs and the Dockerfile itself into a layer."""

from __future__ import annotations

import asyncio
import hashlib
import posixpath
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shoal.build.accounts import owner_of
from shoal.build.cache import Before, Inputs
from shoal.build.copying import Attributes, Item, Manifest, find_sources, place
from shoal.build.dockerfile.expansion import expand, expand_document
from shoal.build.dockerfile.ignore import IgnoreRules
from shoal.build.dockerfile.instructions import Add, Copy, Heredoc
from shoal.build.dockerfile.modes import parse_mode
from shoal.build.dockerfile.paths import has_wildcards
from shoal.build.files import Files, clean, resolve
from shoal.build.layer_writing import LayerWriting, SameFiles
from shoal.build.ports import Layers, MadeLayer, Record
from shoal.build.state import State
from shoal.build.steps.settings import nop
from shoal.build.steps.work import Work
from shoal.errors import InvalidArgument
from shoal.oci.file_entry import FileEntry

_ROOT = (0, 0)


@dataclass(frozen=True, slots=True)
class Origin:
    """Files to copy from: what `--from` names, or the context. `name` is their place in the cache's key."""

    files: Files
    name: str = ""
    is_context: bool = True


class TextFiles:
    """Files that stand in the Dockerfile itself, by name."""

    def __init__(self, contents: dict[bytes, bytes]) -> None:
        self._contents = contents

    def find(self, path: bytes) -> FileEntry | None:
        """See Files."""
        if not path:
            return FileEntry(stat.S_IFDIR | 0o755)
        content = self._contents.get(path)
        return None if content is None else FileEntry(stat.S_IFREG | 0o644, size=len(content))

    def names(self, path: bytes) -> Sequence[bytes]:
        """See Files."""
        return () if path else sorted(self._contents)

    def digest(self, path: bytes) -> str:
        """See Files."""
        return hashlib.sha256(self._contents[path]).hexdigest()

    def copy(self, path: bytes, fd: int) -> None:
        """See Files."""
        with open(fd, "wb", closefd=False) as file:
            file.write(self._contents[path])

    def head(self, path: bytes, count: int) -> bytes:
        """See Files."""
        return self._contents[path][:count]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a COPY or an ADD, expanded."""

    command: str
    sources: tuple[str, ...]
    destination: str
    heredocs: tuple[Heredoc, ...]
    chown: str
    chmod: str
    excludes: tuple[str, ...]
    parents: bool = False
    checksum: str = ""
    link: bool = False

    @classmethod
    def of(cls, instruction: Copy | Add, state: State, escape: str) -> Words:
        """Those of the instruction in this state. Raises: InvalidArgument."""

        def meaning(word: str) -> str:
            return expand(word, state.environment, escape)

        destination = meaning(instruction.destination)
        many = len(instruction.sources) + len(instruction.heredocs) > 1
        if many and not destination.endswith("/"):
            raise InvalidArgument(
                f"When using {instruction.keyword} with more than one source file, the destination must be "
                "a directory and end with a /"
            )
        return cls(
            instruction.keyword,
            tuple(map(meaning, instruction.sources)),
            destination,
            instruction.heredocs,
            meaning(instruction.chown),
            meaning(instruction.chmod),
            tuple(map(meaning, instruction.excludes)),
            isinstance(instruction, Copy) and instruction.parents,
            meaning(instruction.checksum) if isinstance(instruction, Add) else "",
            instruction.link,
        )


class FileSteps:
    """Prepares steps that bring files. Every method that reads files blocks, and is meant for a thread."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers

    def items(self, words: Words, origin: Origin, state: State, base: Files) -> list[Item]:
        """What is copied where. Raises: InvalidArgument in Docker's words."""
        owner = owner_of(words.chown, self._layers.view(state.chain_ids)) if words.chown else None
        if owner is None and origin.is_context:
            owner = _ROOT
        attributes = Attributes(owner, parse_mode(words.chmod) if words.chmod else None)
        written = words.destination
        destination = resolve(base, clean(posixpath.join(state.config.working_dir or "/", written)))
        here = base.find(destination)
        into = written.endswith(("/", "/.")) or written == "." or (here is not None and here.is_directory)
        excluded = _excluder(words.excludes)
        items: list[Item] = []
        for path in words.sources:
            found = find_sources(
                origin.files, path, command=words.command, parents=words.parents, outside=not origin.is_context
            )
            if len(found) > 1 and not written.endswith("/") and has_wildcards(path) and not words.parents:
                raise InvalidArgument(
                    f"When using {words.command} with more than one source file, the destination must be "
                    "a directory and end with a /"
                )
            items += place(
                origin.files,
                found,
                destination,
                into=into,
                attributes=attributes,
                is_excluded=excluded,
                parents=words.parents,
            )
        return items + _documents(words, state, destination, attributes, into=into)

    def copy(
        self,
        words: Words,
        items: Callable[[Files], list[Item]],
        state: State,
        *,
        slot: str,
    ) -> Work:
        """The copy, ready to be made. `items` tells what is copied on top of a base. Raises: as `items`."""
        found = items(self._base(words, state))
        if not found and not words.excludes:
            raise InvalidArgument(
                f"{words.command} failed: no source files were specified",
                fix=f"nothing in the context matches {' or '.join(words.sources)}",
            )
        manifest = Manifest(found, state.time_ns)
        parts = {
            **({"link": "yes"} if words.link else {"base": state.top}),
            "files": manifest.digest,
            "destination": words.destination,
            "directory": state.config.working_dir,
            "time": str(state.time_ns),
        }
        kind = "multi" if len(words.sources) + len(words.heredocs) > 1 else _kind(found)
        owner = f"--chown={words.chown}" if words.chown else ""  # with no space behind it, as Docker's history has it
        told = f"{words.command} {owner}{kind}:{manifest.digest} in {words.destination} "

        inputs = Inputs(parts, manifest.entries)

        async def make(before: Before | None) -> MadeLayer | None:
            same = SameFiles(self._layers.lend(before.chain[-1]), before.inputs, inputs) if before else None
            return await asyncio.to_thread(self._write, state, found, words, same)

        return Work(inputs, slot, f"{words.command} {words.destination}", nop(state, told), make, words.link)

    def directory(self, state: State, path: str, *, slot: str) -> Work:
        """The directory `path` made, where it is not there, as WORKDIR does."""
        parts = {"base": state.top, "workdir": path, "time": str(state.time_ns)}

        def write() -> MadeLayer | None:
            base = self._layers.view(state.chain_ids)
            target = resolve(base, clean(path))
            entry = base.find(target)
            if entry is not None or not target:
                if target and entry is not None and not entry.is_directory:
                    raise InvalidArgument(f"mkdir {path}: not a directory")
                return None

            def make(tree: str, record: Record) -> None:
                self._writing(tree, base, state, record).make_directory(target)

            return self._made(state, make)

        async def make(_before: Before | None) -> MadeLayer | None:
            return await asyncio.to_thread(write)

        return Work(Inputs(parts, {}), slot, f"WORKDIR {path}", nop(state, f"WORKDIR {path}"), make)

    def _base(self, words: Words, state: State) -> Files:
        """What the files are put on: with `--link` nothing, so that no link below is followed."""
        return self._layers.view(() if words.link else state.chain_ids)

    def _write(self, state: State, items: Sequence[Item], words: Words, same: SameFiles | None) -> MadeLayer | None:
        base = self._base(words, state)
        owner = owner_of(words.chown, self._layers.view(state.chain_ids)) if words.chown else _ROOT

        def write(tree: str, record: Record) -> None:
            self._writing(tree, base, state, record, owner, same).write(items)

        return self._made(state, write, is_independent=words.link)

    def _writing(
        self,
        tree: str,
        base: Files,
        state: State,
        record: Record,
        owner: tuple[int, int] = _ROOT,
        same: SameFiles | None = None,
    ) -> LayerWriting:
        return LayerWriting(tree, base, record, owner=owner, latest_ns=state.time_ns, same=same)

    def _made(
        self, state: State, write: Callable[[str, Record], None], *, is_independent: bool = False
    ) -> MadeLayer | None:
        """The layer of the tree that `write` fills."""
        layers = self._layers
        tree = layers.fresh_tree()
        try:
            with layers.recorded() as record:
                write(tree, record)
                return layers.adopt(
                    tree, state.chain_ids, latest_ns=state.time_ns, is_independent=is_independent, record=record
                )
        finally:
            layers.drop_tree(tree)


def _kind(items: Sequence[Item]) -> str:
    return "dir" if items and items[0].entry.is_directory else "file"


def _excluder(patterns: Sequence[str]) -> Callable[[bytes], bool] | None:
    if not patterns:
        return None
    rules = IgnoreRules(patterns)
    return lambda path: rules.excludes(path.decode(errors="surrogateescape"))


def _documents(words: Words, state: State, destination: bytes, attributes: Attributes, *, into: bool) -> list[Item]:
    """The items of what stands in the Dockerfile itself."""
    contents = {}
    for heredoc in words.heredocs:
        text = expand_document(heredoc.content, state.environment) if heredoc.expand else heredoc.content
        contents[heredoc.name.encode()] = text.encode()
    files = TextFiles(contents)
    owned = Attributes(attributes.owner or _ROOT, attributes.mode)
    items: list[Item] = []
    for name in contents:
        items += place(
            files, find_sources(files, name.decode(), command=words.command), destination, into=into, attributes=owned
        )
    return items
