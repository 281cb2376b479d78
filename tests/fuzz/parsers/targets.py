"""What is fuzzed: each target takes any bytes, and either reads them or refuses them with InvalidArgument."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

import zstandard

from shoal.build.dockerfile.checks import check
from shoal.build.dockerfile.checks.variables import words_of
from shoal.build.dockerfile.expansion import expand, expand_words
from shoal.build.dockerfile.heredocs import script_of
from shoal.build.dockerfile.ignore import IgnoreRules
from shoal.build.dockerfile.instructions import Run
from shoal.build.dockerfile.mounts import mounts_of
from shoal.build.dockerfile.parser import parse
from shoal.errors import InvalidArgument
from shoal.image.entry_names import clean_name
from shoal.image.registry.challenges import parse_challenges
from shoal.image.registry.credentials import decode_credentials
from shoal.image.registry.manifests import decode_index, decode_manifest, encode_manifest, kind_of
from shoal.image.tar.compression import decompressed
from shoal.image.tar.reader import TarReader
from shoal.oci.descriptor import MEDIA_INDEX, MEDIA_MANIFEST
from shoal.oci.digest import parse_digest
from shoal.oci.image_spec import decode_image
from shoal.oci.platform import Platform
from shoal.oci.reference import Reference, parse_any
from tests.engines.bad_registry import CONFIG, LAYER, digest_of, layer_tar

_ENVIRONMENT = {"x": "a/b.c", "empty": ""}
_DOCKERFILE = rb"""# escape=\
# check=skip=x;error=true
ARG v=1
FROM --platform=$BUILDPLATFORM busybox:${v:-2} AS base
ENV a="$x" b='c' d=${x##*/} e=${x//b/\/} f=${x:?no}
RUN --mount=type=cache,target=/c,mode=0700 --network=none a \
  # comment
  b
RUN <<-EOF cat <<'B'
	$x
	EOF
B
COPY --from=base --chmod=u+x --exclude=*.c ["a", "/b/"]
HEALTHCHECK --interval=1m CMD ["x"]
EXPOSE 80-82/udp ${x}
ONBUILD RUN x
"""
_PIECES_MAX = 64  # of what a stream inflates to: a bomb is not to be waited for
_DIGEST = digest_of(b"")
_MANIFEST = {
    "schemaVersion": 2,
    "mediaType": MEDIA_MANIFEST,
    "config": {"mediaType": CONFIG, "digest": _DIGEST, "size": 2},
    "layers": [{"mediaType": LAYER + "+gzip", "digest": _DIGEST, "size": 9}],
}
_INDEX = {
    "schemaVersion": 2,
    "mediaType": MEDIA_INDEX,
    "manifests": [
        {
            "mediaType": MEDIA_MANIFEST,
            "digest": _DIGEST,
            "size": 7,
            "platform": {"os": "linux", "architecture": "arm", "variant": "v7"},
        }
    ],
}
_IMAGE = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2024-01-02T03:04:05.678Z",
    "config": {"Cmd": ["sh"], "Env": ["A=b"], "Labels": {"l": "m"}, "ExposedPorts": {"80/tcp": {}}},
    "rootfs": {"type": "layers", "diff_ids": [_DIGEST]},
    "history": [{"created_by": "x", "empty_layer": True}],
}


class Target(NamedTuple):
    """A reader, and input that it takes, to begin with."""

    read: Callable[[bytes], object]
    seeds: tuple[bytes, ...]


def _chunks(data: bytes) -> Iterator[bytes]:
    """The data in pieces, whose size is its first byte."""
    size = data[0] + 1
    return (data[at : at + size] for at in range(1, len(data), size))


def read_tar(data: bytes) -> None:
    """Every entry, with its data or without, and nothing lost on the way."""
    tapped = told = 0

    def tap(piece: bytes | memoryview) -> None:
        nonlocal tapped
        tapped += len(piece)

    if not data:
        return
    reader = TarReader(_chunks(data), tap=tap)
    for number, entry in enumerate(reader):
        with suppress(InvalidArgument):
            assert b".." not in clean_name(entry.name).split(b"/")
        if number % 2:
            told += sum(len(piece) for piece in reader.data())
    reader.drain()
    assert tapped + told == len(data) - 1


def read_manifest(data: bytes) -> None:
    """A manifest, whose parts can be written again, or an index."""
    kind = kind_of(data, MEDIA_MANIFEST)
    if kind == MEDIA_INDEX:
        decode_index(data)
        return
    manifest = decode_manifest(data)
    again = decode_manifest(encode_manifest(manifest.config, manifest.layers))
    assert [layer.digest for layer in again.layers] == [layer.digest for layer in manifest.layers]
    assert all(parse_digest(layer.digest) and layer.size >= 0 for layer in manifest.layers)


def read_reference(data: bytes) -> None:
    """A name, which means the same once it is normalised, and leads to no other path."""
    text = data.decode("utf-8", "surrogateescape")
    parse_any(text)
    reference = Reference.parse(text)
    assert Reference.parse(reference.normalised()) == reference
    assert Reference.parse(reference.familiar()) == reference
    assert ".." not in reference.path.split("/")
    assert not {" ", "?", "#", "%", "\n"} & set(reference.normalised())


def read_compressed(data: bytes) -> None:
    """What a stream inflates to, up to a point."""
    if data:
        for _ in islice(decompressed(_chunks(data)), _PIECES_MAX):
            pass


def read_image(data: bytes) -> None:
    """An image's configuration."""
    decode_image(data)


def read_challenges(data: bytes) -> None:
    """The header of a 401, which is nobody's to fail on."""
    for challenge in parse_challenges(data.decode("latin-1")):
        assert challenge.scheme == challenge.scheme.lower()


def read_credentials(data: bytes) -> None:
    """A client's header, which is nobody's to fail on either."""
    decode_credentials(data.decode("latin-1"))


def read_platform(data: bytes) -> None:
    """A platform, which is the same once it is written out."""
    platform = Platform.parse(data.decode("utf-8", "replace"), host=Platform("linux", "amd64"))
    assert Platform.parse(str(platform), host=Platform("linux", "amd64")) == platform


def _json(*documents: Mapping[str, object]) -> tuple[bytes, ...]:
    return tuple(json.dumps(document).encode() for document in documents)


_TAR = layer_tar("directory/file", b"data" * 200)


def read_dockerfile(data: bytes) -> None:
    """A Dockerfile, its checks, and what its words mean."""
    file = parse(data.decode(errors="surrogateescape"))
    check(file, base_environments={stage.index: _ENVIRONMENT for stage in file.stages})
    for stage in file.stages:
        for instruction in stage.instructions:
            for word in words_of(instruction):
                expand(word, _ENVIRONMENT, file.escape)
                expand_words(word, _ENVIRONMENT, file.escape)
            if isinstance(instruction, Run):
                mounts_of(instruction, lambda word: expand(word, _ENVIRONMENT))
                if instruction.command.is_shell:
                    script_of(instruction)


def read_ignore_rules(data: bytes) -> None:
    """The rules of a .dockerignore, and a path held against them: the first line of `data`."""
    path, _, rules = data.decode(errors="surrogateescape").partition("\n")
    parsed = IgnoreRules.parse(rules)
    parsed.excludes(path)
    parsed.may_return_below(path)


TARGETS: dict[str, Target] = {
    "dockerfile": Target(read_dockerfile, (_DOCKERFILE,)),
    "dockerignore": Target(read_ignore_rules, (b"a/b.c\n# c\n**/*.c\n!a/[a-c]?.c\n/x/../y/**\n",)),
    "tar": Target(read_tar, (b"\xff" + _TAR, b"\x07" + _TAR + layer_tar("n" * 200, b""))),
    "manifest": Target(read_manifest, _json(_MANIFEST, _INDEX)),
    "reference": Target(read_reference, (b"busybox", b"quay.io:443/a/b_c:1.2@" + _DIGEST.encode(), b"[::1]:5000/x")),
    "compressed": Target(
        read_compressed,
        tuple(
            b"\x20" + pack(_TAR)
            for pack in (gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress)
        ),
    ),
    "image": Target(read_image, _json(_IMAGE)),
    "challenges": Target(read_challenges, (b'Bearer realm="https://a/t",service=b, Basic realm="x\\"y"',)),
    "credentials": Target(read_credentials, (b"eyJ1c2VybmFtZSI6ImFubiIsInBhc3N3b3JkIjoicHcifQ==",)),
    "platform": Target(read_platform, (b"linux/arm/v7", b"linux")),
}


def feed(target: Target, data: bytes) -> None:
    """Give the target `data`. Raises: whatever is neither success nor InvalidArgument."""
    with suppress(InvalidArgument):
        target.read(data)
