"""Go templates."""

from __future__ import annotations

import pytest

from shoal.cli.template.evaluate import Template
from shoal.client.document import Json
from shoal.errors import InvalidArgument

VALUE: Json = {
    "Name": "/web",
    "Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "90/tcp": None},
    "Env": ["A=1", "B=2"],
    "State": {"Running": True, "Pid": 7, "Error": ""},
    "Labels": {},
    "Half": 0.5,
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{{.Name}}", "/web"),
        ("a {{ .State.Pid }} b", "a 7 b"),
        ("{{.State.Running}}", "true"),
        ("{{.Env}}", "[A=1 B=2]"),
        ("{{.Labels}}", "map[]"),
        ("{{.Half}}", "0.5"),
        ('{{index .Ports "90/tcp"}}', "<no value>"),
        ("{{json .State}}", '{"Running":true,"Pid":7,"Error":""}'),
        ("{{.State | json}}", '{"Running":true,"Pid":7,"Error":""}'),
        ('{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"),
        ("{{range .Env}}<{{.}}>{{end}}", "<A=1><B=2>"),
        ("{{range $i, $e := .Env}}{{$i}}{{$e}} {{end}}", "0A=1 1B=2 "),
        ("{{range $p, $c := .Ports}}{{$p}}{{range $c}}->{{.HostPort}}{{end}};{{end}}", "80/tcp->8080;90/tcp;"),
        ("{{range .Labels}}x{{else}}none{{end}}", "none"),
        ("{{if .State.Error}}bad{{else}}good{{end}}", "good"),
        ('{{if eq .Name "x" "/web"}}1{{else if .Env}}2{{end}}', "1"),
        ('{{if ne .Name "/web"}}1{{else if .Env}}2{{end}}', "2"),
        ("{{if and .Name .State.Running}}both{{end}}", "both"),
        ("{{if not .State.Error}}fine{{end}}", "fine"),
        ("{{if gt .State.Pid 6}}big{{end}}", "big"),
        ("{{with .State}}{{.Pid}}{{$.Name}}{{end}}", "7/web"),
        ("{{$n := .Name}}{{$n}}{{$n}}", "/web/web"),
        ("{{len .Env}}", "2"),
        ('{{join .Env ","}}', "A=1,B=2"),
        ('{{index (split (index .Env 0) "=") 1}}', "1"),
        ("{{upper .Name}} {{title `abc`}}", "/WEB Abc"),
        ('{{printf "%s-%d" .Name .State.Pid}}', "/web-7"),
        ("{{println .Name}}", "/web\n"),
        ("a  {{- .Name -}}  b", "a/webb"),
        ("{{/* nothing */}}x", "x"),
        ('{{"quoted \\" text"}}', 'quoted " text'),
    ],
)
def test_template_renders_as_go_does(text: str, shown: str) -> None:
    """Each construct that users of Docker's client write."""
    assert Template(text).render(VALUE) == shown


@pytest.mark.parametrize(
    "text",
    ["{{.Name", "{{}}", "{{end}}", "{{if .x}}", "{{bogus .x}}", "{{1 .b}}", "{{(.a}}", "{{|}}", "{{%}}", '{{"a}}'],
)
def test_template_malformed_is_refused(text: str) -> None:
    """The error is told before anything is asked or printed."""
    with pytest.raises(InvalidArgument, match="template parsing error"):
        Template(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{{.Nmae}}", 'map has no entry for key "Nmae"'),
        ("{{.Name.First}}", "can't evaluate field First"),
        ("{{index .Env 9}}", "index out of range: 9"),
        ("{{index .Name .Env}}", "can't index"),
        ("{{range .Name}}x{{end}}", "range can't iterate"),
        ("{{$x}}", "undefined variable"),
        ("{{len}}", "wrong number of args for len"),
        ("{{join .Name 1}}", "wrong type"),
        ("{{lt .Name 1}}", "incompatible types"),
        ('{{index .Ports "90/tcp" 0}}', "can't index"),
    ],
)
def test_template_that_does_not_fit_is_refused(text: str, words: str) -> None:
    """A misspelt field is an error, not an empty column."""
    with pytest.raises(InvalidArgument, match=words):
        Template(text).render(VALUE)
