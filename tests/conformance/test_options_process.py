"""Options about the process and the engine itself: devices, rights, images, files, streams."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path

import pytest

from tests.conformance.commands import refused, run, run_refused, shown, started
from tests.conformance.differences import sentence
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")

_RIGHTS = "awk '/^(NoNewPrivs|Seccomp):/ {print $2}' /proc/self/status"


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("no-new-privileges", "1 2"),
        ("no-new-privileges:true", "1 2"),
        ("no-new-privileges=false", "0 2"),
        ("seccomp=unconfined", "0 0"),
        ("seccomp:unconfined", "0 0"),
        ("label=disable", "0 2"),
        ("label=type:some_t", "0 2"),
    ],
)
def test_security_options_decide_about_rights(engine: Engine, option: str, expected: str) -> None:
    """The bit against new privileges, the filter; labels mean nothing where the kernel has no SELinux."""
    assert run(engine, "--security-opt", option, script=f"echo $({_RIGHTS})") == expected


def test_security_option_builtin_is_the_default_profile(shoald: Engine) -> None:
    """Also over a daemon's own profile; Docker knows the word since 23."""
    assert run(shoald, "--security-opt", "seccomp=builtin", script=f"echo $({_RIGHTS})") == "0 2"


def test_security_option_systempaths_uncovers_proc(engine: Engine) -> None:
    """Nothing of /proc is masked or read-only."""
    script = "grep -c ' /proc/' /proc/self/mounts || true"
    assert run(engine, "--security-opt", "systempaths=unconfined", script=script) == "0"
    assert int(run(engine, script=script)) > 5


def test_security_option_writable_cgroups(shoald: Engine) -> None:
    """An unprivileged container may make cgroups below its own (Docker 28); a privileged one may be kept from it."""
    script = "awk '$5 ~ \"^/sys/fs/cgroup\" {print substr($6, 1, 2)}' /proc/self/mountinfo | sort -u | tail -n 1"
    assert run(shoald, script=script) == "ro"
    assert run(shoald, "--security-opt", "writable-cgroups=true", script=script) == "rw"
    assert run(shoald, "--privileged", "--security-opt", "writable-cgroups=false", script=script) == "ro"


def test_security_options_are_shown(engine: Engine) -> None:
    """As they were written; a container that shares what labels guard has them off."""
    options = [word for text in ("no-new-privileges", "label=disable") for word in ("--security-opt", text)]
    engine.ok("create", "--name", "box", *options, "--security-opt", "apparmor=unconfined", "busybox")
    expected = ["no-new-privileges", "label=disable", "apparmor=unconfined"]
    assert shown(engine, "box", "{{json .HostConfig.SecurityOpt}}") == expected
    assert engine.ok("inspect", "-f", "{{.AppArmorProfile}}", "box") == "unconfined"
    for name, option in (("all", "--privileged"), ("pids", "--pid=host"), ("ipc", "--ipc=host")):
        engine.ok("create", "--name", name, option, "busybox")
        assert shown(engine, name, "{{json .HostConfig.SecurityOpt}}") == ["label=disable"]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("bogus=1", 'invalid --security-opt 2: "bogus=1"'),
        ("no-new-privileges=maybe", 'invalid --security-opt 2: "no-new-privileges=maybe"'),
        ("systempaths=maybe", 'invalid --security-opt 2: "systempaths=maybe"'),
    ],
)
def test_security_option_that_makes_no_sense_is_refused(engine: Engine, option: str, expected: str) -> None:
    """In Docker's words."""
    assert expected in run_refused(engine, "--security-opt", option)


def test_device_permissions_are_what_was_said(engine: Engine) -> None:
    """Reading is no writing; a rule allows what the container makes itself; directories come with what is in them."""
    script = "head -c 1 /dev/n | wc -c; echo > /dev/n 2>&1 || true; ls -l /dev/n | cut -c 1"
    out = run(engine, "--device", "/dev/zero:/dev/n:r", script=script).splitlines()
    assert out[0] == "1"
    assert out[-1] == "c"
    script = "mknod /n b 7 0; dd if=/n of=/dev/null count=0 2>&1 | tail -n 1"
    assert "not permitted" in run(engine, script=script)
    assert "0+0 records" in run(engine, "--device-cgroup-rule", "b 7:* rmw", script=script)
    assert run(engine, "--device", "/dev/net", script="ls /dev/net") == "tun"
    expected = 'error gathering device information while adding custom device "/dev/nope": no such file or directory'
    assert expected in run_refused(engine, "--device", "/dev/nope")
    assert "not a device node" in run_refused(engine, "--device", "/etc/passwd:/dev/x")


def test_gpus_are_refused_in_dockers_words(engine: Engine) -> None:
    """There is no driver for them."""
    for wanted in ("all", "2", "device=0"):
        assert 'could not select device driver "" with capabilities: [[gpu]]' in run_refused(engine, "--gpus", wanted)


def test_what_the_engine_does_not_have_is_refused(engine: Engine) -> None:
    """Runtimes, quotas, isolation of other systems."""
    for words, key in (
        (("--runtime", "nope"), "runtime-unknown"),
        (("--storage-opt", "size=10G"), "storage-opt"),
    ):
        answer = run_refused(engine, *words)
        assert re.search(sentence(engine, key), answer), answer
    assert "Invalid isolation: \"hyperv\" - linux only supports 'default'" in run_refused(
        engine, "--isolation", "hyperv"
    )
    assert run(engine, "--isolation", "default", script="echo fine") == "fine"


def test_groups_by_name_and_number(engine: Engine) -> None:
    """An unknown name is told."""
    assert run(engine, "--group-add", "extra", "--group-add", "77", script="id -G") == "0 77 2000"
    assert "Unable to find group nope" in run_refused(engine, "--group-add", "nope")


def test_capabilities_by_any_spelling(engine: Engine) -> None:
    """With and without CAP_, in any case; unknown ones are told."""
    script = "grep CapBnd /proc/self/status | cut -f 2"
    both = [
        run(engine, "--cap-drop", "all", "--cap-add", name, script=script) for name in ("net_admin", "CAP_NET_ADMIN")
    ]
    assert both == ["0000000000001000"] * 2
    assert 'invalid CapAdd: unknown capability: "CAP_NOPE"' in run_refused(engine, "--cap-add", "nope")
    assert 'invalid CapDrop: unknown capability: "CAP_NOPE"' in run_refused(engine, "--cap-drop", "nope")


def test_platform_is_that_of_the_image(engine: Engine) -> None:
    """The right one is taken, with and without its variant; another one is not there."""
    assert run(engine, "--platform", "linux/amd64", script="echo fine") == "fine"
    body = {"Image": "busybox"}
    answer = engine.request("POST", "/v1.41/containers/create?platform=linux/s390x", body)
    assert answer.status == 404
    assert re.search(sentence(engine, "platform"), answer.json["message"]), answer.json


def test_pull_policies(engine: Engine) -> None:
    """never does not ask anybody, always does; a wrong word is told."""
    assert "No such image: absent:latest" in refused(engine, "run", "--pull", "never", "absent", "true", code=125)
    assert run(engine, "--pull", "never", script="echo here") == "here"
    assert run(engine, "--pull", "missing", script="echo here") == "here"
    refused(engine, "run", "--pull", "always", "127.0.0.1:1/absent", "true", code=125)


def test_annotations_are_kept(shoald: Engine) -> None:
    """Shown by `inspect` and `ps` (Docker 24)."""
    shoald.ok("create", "--name", "box", "--annotation", "a=b=c", "--annotation", "d=", "busybox")
    assert shown(shoald, "box", "{{json .HostConfig.Annotations}}") == {"a": "b=c", "d": ""}
    (row,) = shoald.request("GET", "/containers/json?all=1").json
    assert row["HostConfig"]["Annotations"] == {"a": "b=c", "d": ""}


def test_cidfile_is_not_overwritten(engine: Engine, tmp_path: Path) -> None:
    """One that is there is another container's."""
    (tmp_path / "cid").write_text("taken")
    answer = refused(engine, "run", "--cidfile", str(tmp_path / "cid"), "busybox", "true", code=125)
    assert "container ID file found" in answer
    assert (tmp_path / "cid").read_text() == "taken"


def test_env_file_and_bare_names(engine: Engine, tmp_path: Path) -> None:
    """-e wins over the file, a bare name that the client lacks takes the variable away, a bad line is told."""
    (tmp_path / "env").write_text("# comment\n\nA=file\nB=file \n  C=c\n")
    out = run(engine, "--env-file", str(tmp_path / "env"), "-e", "A=flag", "-e", "PATH", script='echo "$A|$B|$C"')
    assert out == "flag|file |c"
    (tmp_path / "bad").write_text("A B=1\n")
    assert "contains whitespaces" in run_refused(engine, "--env-file", str(tmp_path / "bad"))


def test_attach_chooses_streams(engine: Engine) -> None:
    """Each alone; without -i there is nothing to read."""
    words = ("busybox", "sh", "-c", "cat; echo out; echo err >&2")
    assert engine.docker("run", "--rm", "-a", "stdout", *words).stdout == "out\n"
    done = engine.docker("run", "--rm", "-a", "stderr", *words)
    assert (done.stdout, done.stderr) == ("", "err\n")
    assert engine.docker("run", "--rm", "-i", "-a", "stdin", "-a", "stdout", *words, input="in\n").stdout == "in\nout\n"


@pytest.mark.parametrize("proxied", [True, False])
def test_sig_proxy_hands_signals_on_or_not(engine: Engine, proxied: bool) -> None:
    """A signal to the command reaches the container's process, unless --sig-proxy=false."""
    script = "trap 'echo heard; exit 3' TERM; echo ready; while :; do sleep 0.1; done"
    options = () if proxied else ("--sig-proxy=false",)
    command = engine.popen("run", "--name", "box", *options, "busybox", "sh", "-c", script)
    try:
        assert command.stdout is not None
        assert command.stdout.readline() == b"ready\n"
        command.send_signal(signal.SIGTERM)
        if proxied:
            assert command.wait(20) == 3
            assert engine.ok("logs", "box").endswith("heard")
        else:
            time.sleep(0.5)  # what must not happen announces nothing
            assert engine.ok("logs", "box") == "ready"
    finally:
        command.kill()
        command.communicate(timeout=10)


def test_read_only_container_keeps_its_mounts_writable(engine: Engine) -> None:
    """Volumes and memory file systems are for writing; the files in /etc are not."""
    script = "touch /v/x /t/x && echo written; touch /etc/hosts 2>&1; touch /x 2>&1; true"
    lines = run(engine, "--read-only", "-v", "/v", "--tmpfs", "/t", script=script).splitlines()
    assert lines[0] == "written"
    assert all("Read-only file system" in line for line in lines[1:])
    assert len(lines) == 3


def test_init_is_in_front_of_the_program(engine: Engine) -> None:
    """--init=false leaves it out."""
    assert run(engine, "--init", script="echo $$") != "1"
    assert run(engine, "--init=false", script="echo $$") == "1"


def test_create_answers_with_what_it_was_told(engine: Engine) -> None:
    """Limits and modes written out, as every client reads them."""
    started(engine, "box", "--oom-score-adj", "5", "--pids-limit", "0", "--memory-swappiness", "-1")
    form = "[{{json .HostConfig.OomScoreAdj}}, {{json .HostConfig.PidsLimit}}, {{json .HostConfig.MemorySwappiness}}]"
    assert shown(engine, "box", form) == [5, None, None]
    assert json.loads(engine.ok("inspect", "-f", "{{json .HostConfig.RestartPolicy}}", "box"))["Name"] == "no"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ({"Tmpfs": {"rel": ""}}, "invalid mount path: 'rel' mount path must be absolute"),
        ({"Tmpfs": {"/": ""}}, "invalid specification: destination can't be '/'"),
        ({"NetworkMode": "container:"}, "Invalid network mode: invalid container format container:<name|id>"),
        ({"PortBindings": {"80/tcp": [{"HostPort": "x"}]}}, 'invalid port specification: "x"'),
        ({"Links": ["a:b:c"]}, "bad format for links: a:b:c"),
        ({"IOMaximumIOps": 5}, "Invalid QoS settings: linux does not support configuration of maximum IOPs"),
        ({"ExtraHosts": ["x:zzz"]}, 'invalid IP address in add-host: "zzz"'),
    ],
)
def test_field_that_makes_no_sense_is_refused(engine: Engine, host: dict[str, object], expected: str) -> None:
    """What no command lets through, told when the container is made."""
    answer = engine.request("POST", "/containers/create", {"Image": "busybox", "HostConfig": host})
    assert answer.status == 400 or engine.name == "dockerd"
    assert expected in answer.json["message"]


def test_field_without_a_meaning_is_warned_of(engine: Engine) -> None:
    """A share of the processor in percent is another system's."""
    answer = engine.request("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"CpuPercent": 4}})
    assert answer.json["Warnings"] == ["linux does not support CPU percent. Percent discarded."]
