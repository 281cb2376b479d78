"""The markers of a log's tag, against what Go's text/template makes of them."""

from __future__ import annotations

import pytest

from shoal.engine.container.log_tag import Value, expand_tag
from shoal.errors import InvalidArgument

FIELDS: dict[str, Value] = {
    "ID": "abcdef",
    "Name": "web",
    "ImageName": "busybox:1",
    "ContainerLabels": {"app": "shop", "b": "2"},
    "ContainerArgs": ["-c", "true"],
}


def expand(template: str) -> str:
    """The tag."""
    return expand_tag(template, FIELDS, lambda: {"KEY": "value"})


@pytest.mark.parametrize(
    ("template", "tag"),
    [
        ("plain", "plain"),
        ("{{.ImageName}}/{{.Name}}/{{.ID}}", "busybox:1/web/abcdef"),
        ("{{ .Name }}", "web"),
        ("{{- .Name -}}", "web"),
        ('{{index .ContainerLabels "app"}}', "shop"),
        ('{{index .ContainerLabels "none"}}', ""),
        ("{{.ContainerLabels.app}}", "shop"),
        ("{{.ContainerLabels.none}}", "<no value>"),
        ("{{(.ExtraAttributes nil).KEY}}", "value"),
        ("{{.Name | upper}}", "WEB"),
        ("{{truncate .ID 3}}", "abc"),
        ("{{json .Name}}", '"web"'),
        ('{{join .ContainerArgs " "}}', "-c true"),
        ("{{.ContainerArgs}}", "[-c true]"),
        ("{{.ContainerLabels}}", "map[app:shop b:2]"),
        ('{{`raw`}}{{"a\\tb"}}', "rawa\tb"),
        ("}} {", "}} {"),
    ],
)
def test_expand_tag_markers_are_replaced(template: str, tag: str) -> None:
    """Fields, functions, pipelines and literals."""
    assert expand(template) == tag


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (
            "{{.Nope}}",
            'template: log-tag:1:2: executing "log-tag" at <.Nope>: can\'t evaluate field Nope in type *logger.Info',
        ),
        ("{{.ID", "template: log-tag:1: unclosed action"),
        ("{{nope .ID}}", 'template: log-tag:1: function "nope" not defined'),
        ("{{}}", "template: log-tag:1: missing value for command"),
        ("{{(.ID}}", "template: log-tag:1: unclosed left paren"),
        ("{{index}}", "template: log-tag:1: error calling index: wrong arguments"),
        ("{{.ID .ID}}", "template: log-tag:1: unexpected <.ID> in operand"),
        ("{{;}}", "template: log-tag:1: unexpected ';' in command"),
    ],
)
def test_expand_tag_bad_is_refused(template: str, sentence: str) -> None:
    """What makes no sense is told, and is never printed half."""
    with pytest.raises(InvalidArgument) as caught:
        expand(template)
    assert caught.value.what == sentence
