"""`shoal fsck` of artifacts: every file held against its digest. A damaged artifact can only be pulled again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from shoal.errors import NotFound
from shoal.image.artifacts import Artifact, Artifacts
from shoal.image.fsck import Finding
from shoal.oci.descriptor import Descriptor


def check_artifacts(artifacts: Artifacts, *, repair: bool) -> Iterator[Finding]:
    """What is wrong with each; with `repair` it is forgotten, and its name told. Raises while iterating: OSError."""
    for artifact in artifacts.all():
        wrong = next((told for part in artifact.parts if (told := _problem(artifacts, part))), "")
        if wrong:
            yield _finding(artifacts, artifact, wrong, repair=repair)


def _problem(artifacts: Artifacts, part: Descriptor) -> str:
    try:
        with open(artifacts.path(part), "rb") as file:
            is_right = f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" == part.digest
    except FileNotFoundError:
        return f"{part.digest} is missing"
    return "" if is_right else f"{part.digest} was changed"


def _finding(artifacts: Artifacts, artifact: Artifact, wrong: str, *, repair: bool) -> Finding:
    name = artifact.reference.familiar()
    hint = "shoal fsck --repair, then pull it again"
    if repair:
        hint = f"shoal pull {name}"
        try:
            artifacts.remove(artifact.reference)
        except NotFound:
            pass  # somebody was quicker
    sentence = f"artifact {name} is damaged: {wrong}"
    return Finding("artifact-damaged", artifact.digest, sentence, hint, is_mended=repair)
