"""The checks of a Dockerfile."""

from __future__ import annotations

import pytest

from shoal.build.dockerfile.checks import check, refuse_findings
from shoal.build.dockerfile.ignore import IgnoreRules
from shoal.build.dockerfile.parser import parse
from shoal.build.dockerfile.problems import DockerfileError


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("FROM a AS Name", "StageNameCasing", 1),
        ("FROM a as name", "FromAsCasing", 1),
        ("from a AS name", "FromAsCasing", 1),
        ("FROM a\nRUN x \\\n\n y", "NoEmptyContinuation", 3),
        ("FROM a\nRun x", "ConsistentInstructionCasing", 2),
        ("FROM a\nrun x\nCOPY a b", "ConsistentInstructionCasing", 2),
        ("FROM a AS x\nFROM b AS x", "DuplicateStageName", 2),
        ("FROM a AS scratch", "ReservedStageName", 1),
        ("FROM a AS context", "ReservedStageName", 1),
        ("FROM a\nCMD x", "JSONArgsRecommended", 2),
        ("FROM a\nENTRYPOINT x", "JSONArgsRecommended", 2),
        ("FROM a\nMAINTAINER me", "MaintainerDeprecated", 2),
        ("FROM $x", "UndefinedArgInFrom", 1),
        ("FROM --platform=$BUILDPLATFROM a", "UndefinedArgInFrom", 1),
        ("ARG v\nFROM a:$v", "InvalidDefaultArgInFrom", 2),
        ("FROM a\nWORKDIR x", "WorkdirRelativePath", 2),
        ("FROM scratch\nCOPY $src /", "UndefinedVar", 2),
        ("FROM scratch AS a\nENV src=1\nFROM a\nWORKDIR /$source", "UndefinedVar", 4),
        ('FROM a\nCMD ["a"]\nCMD ["b"]', "MultipleInstructionsDisallowed", 2),
        ("FROM a\nHEALTHCHECK NONE\nHEALTHCHECK CMD x", "MultipleInstructionsDisallowed", 2),
        ("FROM a\nENV x y", "LegacyKeyValueFormat", 2),
        ("FROM a\nLABEL x y", "LegacyKeyValueFormat", 2),
        ("FROM --platform=$TARGETPLATFORM a", "RedundantTargetPlatform", 1),
        ("FROM --platform=linux/arm64 a", "FromPlatformFlagConstDisallowed", 1),
        ("FROM a\nARG a DB_PASSWORD", "SecretsUsedInArgOrEnv", 2),
        ("FROM a\nENV GITHUB_TOKEN=x", "SecretsUsedInArgOrEnv", 2),
        ("ARG api_key\nFROM a", "SecretsUsedInArgOrEnv", 1),
        ("FROM a\nEXPOSE 80/TCP", "ExposeProtoCasing", 2),
        ("FROM a\nEXPOSE 80:80", "ExposeInvalidFormat", 2),
        ("# check=experimental=all\nFROM a\nCOPY ./secret x", "CopyIgnoredFile", 3),
    ],
)
def test_check_finds_what_the_rule_is_about(text: str, rule: str, line: int) -> None:
    """Each rule finds its mistake and nothing else, at its place, and is silent when it is skipped."""
    ignored = IgnoreRules.parse("secret")
    found = check(parse(text), ignored=ignored)
    assert [(entry.rule, entry.span.first) for entry in found] == [(rule, line)]
    directive = f"# check=experimental=all;skip={rule}\n"
    assert check(parse(directive + text.removeprefix("# check=experimental=all\n")), ignored=ignored) == []
    assert check(parse("# check=skip=all\n" + text.removeprefix("# check=experimental=all\n")), ignored=ignored) == []


@pytest.mark.parametrize(
    "text",
    [
        "FROM a AS name\nRUN x\n",
        "from a as name\nrun x\n",
        'FROM a\nSHELL ["/bin/bash", "-c"]\nCMD x\n',
        "ARG v=1\nFROM a:$v\n",
        "FROM --platform=$BUILDPLATFORM a\n",
        "FROM --platform=linux/arm64 a AS for-arm64\n",
        "FROM a\nWORKDIR /x\nWORKDIR y\n",
        "FROM a AS b\nWORKDIR /x\nFROM b\nWORKDIR y\n",
        "FROM a\nCOPY $unknown /\n",
        "FROM scratch\nARG a\nENV b=$a PATH=$PATH:/x\nCOPY $a $b ${c:-d} /\n",
        'FROM a\nCMD ["a"]\nFROM b\nCMD ["b"]\n',
        "FROM a\nENV PUBLIC_KEY=x KEYBOARD=x AUTHOR=x\n",
        "FROM a\nEXPOSE 80/tcp ${port:-80}\n",
        "FROM a\nCOPY secret x\n",
    ],
)
def test_check_is_silent_where_nothing_is_wrong(text: str) -> None:
    """What is as it should be raises no warning."""
    assert check(parse(text), ignored=IgnoreRules.parse("secret")) == []


def test_check_points_to_the_word_and_says_what_is_near() -> None:
    """A finding has the place of the variable, and the name that is probably meant."""
    (found,) = check(parse("FROM scratch\nARG VERSION\nCOPY \\\n  app-$VERSOIN /\n"))
    assert found.text == "nothing sets VERSOIN; did you mean VERSION?"
    assert (found.span.first, found.span.start, found.span.end) == (4, 6, 14)


def test_check_knows_the_environment_of_a_base_image() -> None:
    """With the base's environment told, variables are looked at in its stages too."""
    file = parse("FROM python\nCOPY $PYTHON_VERSION $OTHER /\n")
    assert check(file) == []
    (found,) = check(file, base_environments={0: {"PYTHON_VERSION": "3"}})
    assert found.text == "nothing sets OTHER"


def test_refuse_findings_only_where_the_file_wants_it() -> None:
    """With `error=true` a finding ends the build, and points to its place."""
    plain = parse("FROM a\nMAINTAINER me\n")
    refuse_findings(plain, check(plain))
    strict = parse("# check=error=true\nFROM a\nMAINTAINER me\n")
    with pytest.raises(DockerfileError) as refused:
        refuse_findings(strict, check(strict))
    assert refused.value.what == "lint violation found for rules: MaintainerDeprecated"
    assert "> 3 | MAINTAINER me" in refused.value.excerpt
    skipping = parse("# check=skip=MaintainerDeprecated;error=true\nFROM a\nMAINTAINER me\n")
    refuse_findings(skipping, check(skipping))


def test_check_of_a_file_of_any_size_ends() -> None:
    """Stages on stages, and more findings than anybody reads, are no trouble."""
    chain = "FROM scratch AS a0\n" + "".join(f"FROM a{number} AS a{number + 1}\n" for number in range(999))
    assert check(parse(chain + "WORKDIR x\n"))[0].rule == "WorkdirRelativePath"
    assert len(check(parse("FROM scratch\nENV " + " ".join(f"a{number}=$b{number}" for number in range(5000))))) == 100
