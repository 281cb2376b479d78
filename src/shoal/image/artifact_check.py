"""`shoal fsck` of artifacts: every file held against its digest, and fetched again where it is damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import partial

from shoal.errors import NotFound
from shoal.image.artifacts import Artifact, Artifacts
from shoal.image.fsck import Attempt, Finding, Origin
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


def _problem(artifacts: Artifacts, part: Descriptor) -> str:
    try:
        with open(artifacts.path(part), "rb") as file:
            is_right = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == part.digest
    except FileNotFoundError:
        return f"{part.digest} is missing"
    return "" if is_right else f"{part.digest} was changed"


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
