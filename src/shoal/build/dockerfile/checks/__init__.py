"""Checks of a Dockerfile that works: what is likely not meant, or will surprise. The rules have Docker's names.

Pure. https://docs.docker.com/reference/build-checks/. `check` runs those that the file does not skip.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from shoal.build.dockerfile.checks.casing import casing_findings
from shoal.build.dockerfile.checks.context import context_findings
from shoal.build.dockerfile.checks.finding import Finding
from shoal.build.dockerfile.checks.stages import stage_findings
from shoal.build.dockerfile.checks.steps import step_findings
from shoal.build.dockerfile.checks.variables import variable_findings
from shoal.build.dockerfile.ignore import IgnoreRules
from shoal.build.dockerfile.instructions import Dockerfile
from shoal.build.dockerfile.problems import DockerfileError, excerpt

__all__ = ["Finding", "check", "refuse_findings"]

# Nobody reads more, and a file may have any number.
_MOST_FINDINGS = 100
_EXPERIMENTAL = frozenset({"CopyIgnoredFile"})


def check(
    file: Dockerfile,
    *,
    base_environments: Mapping[int, Mapping[str, str]] | None = None,
    ignored: IgnoreRules | None = None,
) -> list[Finding]:
    """What the rules find in a file, in the order of its lines; a hundred findings at most.

    `base_environments` are the environments of the base images by the number of their stage; variables are looked at
    only in stages whose base is known. `ignored` are the rules of the context.
    """
    findings = itertools.chain(
        casing_findings(file),
        stage_findings(file),
        step_findings(file),
        variable_findings(file, base_environments or {}),
        context_findings(file, ignored or IgnoreRules(())),
    )
    asked = itertools.islice((finding for finding in findings if _is_asked(file, finding.rule)), _MOST_FINDINGS)
    return sorted(asked, key=lambda finding: (finding.span.first, finding.span.start, finding.rule))


def refuse_findings(file: Dockerfile, findings: Sequence[Finding]) -> None:
    """Nothing, unless the file wants findings to be errors (`# check=error=true`).

    Raises: DockerfileError, for the first of them.
    """
    if findings and file.checks.error:
        rules = ", ".join(dict.fromkeys(finding.rule for finding in findings))
        first = findings[0]
        shown = excerpt(file.name, file.text, first.span, first.text)
        raise DockerfileError(f"lint violation found for rules: {rules}", span=first.span, excerpt=shown)


def _is_asked(file: Dockerfile, rule: str) -> bool:
    if file.checks.skip & {rule, "all"}:
        return False
    return rule not in _EXPERIMENTAL or bool(file.checks.experimental & {rule, "all"})
