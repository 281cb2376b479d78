"""`shoal fsck` of what is kept as it came: files of artifacts and compressed layers, held against their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import partial

from shoal.errors import NotFound
from shoal.image.artifacts import Artifact, Artifacts
from shoal.image.fsck import Attempt, Finding, Origin
from shoal.image.kept_blobs import KeptBlobs
from shoal.oci.descriptor import Descriptor
from shoal.oci.digest import parse_digest


def check_artifacts(artifacts: Artifacts, *, repair: bool, origin: Origin | None) -> Iterator[Finding]:
    """What is wrong with each. With `repair` it is fetched again from `origin`; else forgotten, and its name told.

    Raises while iterating: OSError.
    """
    for artifact in artifacts.all():
        wrong = {part.digest: told for part in artifact.parts if (told := _problem(artifacts, part))}
        if not wrong:
            continue
        sentence = f"artifact {artifact.reference.familiar()} is damaged: {next(iter(wrong.values()))}"
        if not repair:
            hint = "shoal fsck --repair, which fetches it again"
            yield Finding("artifact-damaged", artifact.digest, sentence, hint, is_mended=False)
            continue
        attempt = Attempt.of(partial(_fetch, artifacts, artifact, wrong, origin))
        if attempt.hint or not attempt.failure:
            told = f"{sentence}{attempt.failure or '; it was fetched again'}"
            is_mended = not attempt.failure
            yield Finding("artifact-damaged", artifact.digest, told, attempt.hint, is_mended=is_mended)
        else:
            yield _given_up(artifacts, artifact, f"{sentence}{attempt.failure}")


def check_blobs(blobs: KeptBlobs, *, repair: bool) -> Iterator[Finding]:
    """Which compressed layers are damaged; with `repair` they are dropped. Raises while iterating: OSError."""
    for blob in blobs.all():
        if blobs.find(blob.chain_id, blob.digest) is None or not (wrong := _wrong(blob.path, blob.digest)):
            continue
        if repair:
            blobs.forget(blob.chain_id)
        told = f"compressed layer {blob.digest} {wrong}" + ("; it is dropped, as its files are here" * repair)
        yield Finding("blob-damaged", blob.digest, told, "" if repair else "shoal fsck --repair", is_mended=repair)


def _problem(artifacts: Artifacts, part: Descriptor) -> str:
    wrong = _wrong(artifacts.path(part), part.digest)
    return f"{part.digest} {wrong}" if wrong else ""


def _wrong(path: str, digest: str) -> str:
    """What is wrong with the file of this digest, "" if nothing is."""
    algorithm = digest.partition(":")[0]
    try:
        with open(path, "rb") as file:
            is_right = f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}" == digest
    except FileNotFoundError:
        return "is missing"
    return "" if is_right else "was changed"


def _fetch(artifacts: Artifacts, artifact: Artifact, wrong: Collection[str], origin: Origin | None) -> None:
    """Get the damaged parts again. Raises: ShoalError, OSError."""
    if origin is None:
        raise NotFound("no registry is asked")
    for part in artifact.parts:
        if part.digest in wrong:
            with origin.blob(artifact.reference, part) as path:
                artifacts.restore(parse_digest(part.digest), path)


def _given_up(artifacts: Artifacts, artifact: Artifact, sentence: str) -> Finding:
    with suppress(NotFound):  # somebody was quicker
        artifacts.remove(artifact.reference)
    hint = f"shoal pull {artifact.reference.familiar()}"
    return Finding("artifact-damaged", artifact.digest, f"{sentence}; it is removed", hint, is_mended=True)
