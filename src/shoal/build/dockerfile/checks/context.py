"""The check of what is copied against what is left out of the context: CopyIgnoredFile."""

from __future__ import annotations

from collections.abc import Iterator

from shoal.build.dockerfile.checks.finding import Finding, finding
from shoal.build.dockerfile.ignore import IgnoreRules
from shoal.build.dockerfile.instructions import Add, Copy, Dockerfile
from shoal.build.dockerfile.paths import clean, has_wildcards


def context_findings(file: Dockerfile, ignored: IgnoreRules) -> Iterator[Finding]:
    """Paths of the context that are copied by name, though a rule leaves them out."""
    for stage in file.stages:
        for instruction in stage.instructions:
            if not isinstance(instruction, Add | Copy) or (isinstance(instruction, Copy) and instruction.from_name):
                continue
            for source in instruction.sources:
                if has_wildcards(source) or "$" in source or "://" in source:
                    continue
                if ignored.excludes(clean(source).lstrip("/")):
                    text = f"{source} is left out of the context by .dockerignore"
                    yield finding(file, "CopyIgnoredFile", instruction, text, at=source)
