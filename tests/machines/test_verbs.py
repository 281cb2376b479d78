"""Every verb on a container and on a virtual machine that are alike: what is said, and what becomes of them."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from tests.engines.shoald import Shoald
from tests.machines.modes import BOOT_S, start_both, wait_for

# Says which signal has come, by its number; a name would not tell two apart.
SIGNALS = [number for number in range(1, 65) if number not in (9, 17, 19, 32, 33)]
SERVICE = (
    f'for n in {" ".join(map(str, SIGNALS))}; do trap "echo got $n" $n; done; echo up; while :; do sleep 0.1; done'
)


@pytest.fixture(scope="module")
def pair(engine: Shoald) -> Iterator[tuple[str, str]]:
    """A container and a machine that run on, made with the same words."""
    names = start_both(engine, "--label=kind=pair -e A=b --health-cmd=true --health-interval=1s", "sh", "-c", SERVICE)
    for name in names:
        wait_for(lambda name=name: "up" in engine.docker("logs", name).stdout)  # type: ignore[misc]
        healthy = ["inspect", "-f", "{{.State.Health.Status}}", name]
        wait_for(lambda healthy=healthy: engine.ok(*healthy) == "healthy")  # type: ignore[misc]
    yield names
    engine.clear()


def both(engine: Shoald, pair: tuple[str, str], *words: str, input: str | None = None) -> list[tuple[int, str, str]]:
    """(exit code, output, errors) of a command on each; NAME stands for theirs, also in what they say."""
    outcomes = []
    for name in pair:
        done = engine.docker(*(word.replace("NAME", name) for word in words), input=input, timeout_s=BOOT_S)
        id_ = engine.ok("inspect", "-f", "{{.Id}}", name)
        said = [re.sub(f"{id_}|{id_[:12]}", "ID", text).replace(name, "NAME") for text in (done.stdout, done.stderr)]
        outcomes.append((done.returncode, *said))
    return outcomes


VERBS: dict[str, list[str]] = {
    "exec of what is not there": ["exec", "NAME", "nothing-of-this-name"],
    "exec in a directory that is not there": ["exec", "-w", "/nowhere", "NAME", "pwd"],
    "exec as a user that is not there": ["exec", "-u", "nobody-of-this-name", "NAME", "id"],
    "exec as user and group": ["exec", "-u1:2", "-eQ=1", "-w/tmp", "NAME", "sh", "-c", "id; pwd; echo $Q $A"],
    "exec with all rights": ["exec", "--privileged", "NAME", "grep", "Cap", "/proc/self/status"],
    "exec in the background": ["exec", "-d", "NAME", "sh", "-c", "sleep 1"],
    "exec with a terminal": ["exec", "-t", "NAME", "sh", "-c", "tty; echo to-err >&2; stty -a | grep -o '[-]*onlcr'"],
    "exec of a signal": ["exec", "NAME", "sh", "-c", "kill -TERM $$"],
    "top with columns": ["top", "NAME", "-o", "user,comm"],
    "port": ["port", "NAME"],
    "kill with no signal": ["kill", "-s", "NOSIGNAL", "NAME"],
    "start of what runs": ["start", "NAME"],
    "unpause of what runs": ["unpause", "NAME"],
    "remove of what runs": ["rm", "NAME"],
    "update": ["update", "--restart=on-failure:3", "NAME"],
    "cp of what is not there": ["cp", "NAME:/nothing", "-"],
    "cp into what is not there": ["cp", "/etc/hostname", "NAME:/nothing/below"],
    "commit": ["commit", "-m", "words", "-a", "author", "-c", "ENV X=y", "NAME", "committed"],
}  # fmt: skip


@pytest.mark.parametrize("what", VERBS)
def test_verb_on_container_and_machine_says_the_same(engine: Shoald, pair: tuple[str, str], what: str) -> None:
    """Exit code, output and errors."""
    container, machine = both(engine, pair, *VERBS[what])
    if what == "commit":
        container, machine = (
            (code, re.sub("sha256:[0-9a-f]+", "DIGEST", out), err) for code, out, err in (container, machine)
        )
    assert machine == container


def test_every_signal_reaches_the_program(engine: Shoald, pair: tuple[str, str]) -> None:
    """By number, the real-time ones too, in both."""
    for name in pair:
        for number in SIGNALS:
            engine.ok("kill", "-s", str(number), name)
            wait_for(lambda name=name, number=number: f"got {number}\n" in engine.docker("logs", name).stdout)  # type: ignore[misc]


def test_pause_stops_both_and_what_asks_them_is_refused(engine: Shoald, pair: tuple[str, str]) -> None:
    """exec is refused with the same words; the state is shown; nothing runs meanwhile; then it goes on."""
    state = ["inspect", "-f", "{{.State.Status}} {{.State.Running}}", "NAME"]
    frozen = (["pause", "NAME"], state, ["exec", "NAME", "true"], ["pause", "NAME"])
    for verb in (*frozen, ["unpause", "NAME"], state, ["exec", "NAME", "echo", "on"]):
        container, machine = both(engine, pair, *verb)
        assert machine == container, verb


def test_inspect_of_machine_differs_in_what_is_its_own(engine: Shoald, pair: tuple[str, str]) -> None:
    """Isolation, ids (those of running health checks too), addresses and times; no other field."""
    container, machine = (_flat(engine.inspect(name)) for name in pair)
    differing = {key for key in container.keys() | machine.keys() if container.get(key) != machine.get(key)}
    own = r"Id|ExecIDs|Created|Name|Config\.Hostname|(ResolvConf|Hostname|Hosts|Log)Path|HostConfig\.Isolation"
    own += r"|State\.(Pid|StartedAt|Health\.Log.*)|GraphDriver\.Data\..*"
    own += r"|NetworkSettings\..*(Sandbox|Endpoint|Mac|IPAddress|DNSNames).*"
    assert {key for key in differing if not re.fullmatch(own, key)} == set()


def _flat(value: object, name: str = "") -> dict[str, object]:
    if isinstance(value, dict):
        return {key: found for part, inner in value.items() for key, found in _flat(inner, f"{name}.{part}").items()}
    return {name.lstrip("."): value}


def test_stats_have_the_same_fields(engine: Shoald, pair: tuple[str, str]) -> None:
    """Whoever draws them need not know the isolation; the numbers are the machine's."""
    shapes = []
    for name in pair:
        answer = engine.request("GET", f"/containers/{name}/stats?stream=0").json
        assert answer["cpu_stats"]["cpu_usage"]["total_usage"] > 0
        assert answer["memory_stats"]["usage"] > 0
        assert answer["pids_stats"]["current"] > 0
        shapes.append(sorted(_flat(answer)))
    assert [key for key in shapes[0] if "stats.stats" not in key] == [
        key for key in shapes[1] if "stats.stats" not in key
    ]


def test_trees_are_copied_in_and_out(engine: Shoald, pair: tuple[str, str], tmp_path: Path) -> None:
    """A tree with links, modes and owners, as a stream and as files; what comes out is what went in."""
    archive = BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, kind, mode, owner in (
            ("t", tarfile.DIRTYPE, 0o750, 5),
            ("t/f", tarfile.REGTYPE, 0o4755, 7),
            ("t/l", tarfile.SYMTYPE, 0o777, 0),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.uid, member.gid = kind, mode, owner, owner
            member.linkname = "f" if kind == tarfile.SYMTYPE else ""
            member.size = 3 if kind == tarfile.REGTYPE else 0
            tar.addfile(member, BytesIO(b"abc") if member.size else None)
    outcomes = []
    for name in pair:
        done = engine.docker_bytes("cp", "-a", "-", f"{name}:/root", input=archive.getvalue())
        assert done.returncode == 0, done.stderr
        shown = engine.ok("exec", name, "sh", "-c", "cd /root; stat -c '%n %a %u %g %F' t t/f t/l; cat t/l")
        out = engine.docker_bytes("cp", f"{name}:/root/t", "-").stdout
        with tarfile.open(fileobj=BytesIO(out)) as tar:
            members = [(m.name, m.mode, m.uid, m.linkname) for m in tar.getmembers()]
        engine.ok("cp", f"{name}:/root/t", str(tmp_path / name))
        outcomes.append((shown, members, (tmp_path / name / "f").read_bytes()))
    assert outcomes[1] == outcomes[0]
    assert "t/f 4755 7 7 regular file" in outcomes[1][0]


def test_changes_are_told_alike(engine: Shoald, pair: tuple[str, str]) -> None:
    """Added, changed and removed files; directories that were replaced, renamed, or lost all of their content."""
    script = "cd /root; mkdir -p new/sub; echo >new/sub/f; rm /bin/vi; chmod 700 /bin/ls; mv /home /house; "
    script += "ln -s x y; ln /bin/cat hard"
    for name in pair:
        engine.docker("exec", name, "sh", "-c", script)
    container, machine = ([sorted(engine.ok("diff", name).splitlines())] for name in pair)
    assert machine == container
    exports = []
    for name in pair:
        with tarfile.open(fileobj=BytesIO(engine.docker_bytes("export", name).stdout)) as tar:
            exports.append({(m.name, m.mode, m.uid, m.type, m.linkname) for m in tar.getmembers()})
    assert exports[1] == exports[0]


def test_attach_follows_both_and_leaves_them_running(engine: Shoald, pair: tuple[str, str]) -> None:
    """What the program says while one is attached; the client goes, the program stays."""
    for name in pair:
        client = engine.popen("attach", "--no-stdin", "--sig-proxy=false", name)
        try:
            assert client.stdout is not None
            os.set_blocking(client.stdout.fileno(), False)
            seen = b""

            def heard(name: str = name, client: subprocess.Popen[bytes] = client) -> bool:
                nonlocal seen
                engine.ok("kill", "-s", "USR1", name)
                assert client.stdout is not None
                seen += client.stdout.read() or b""
                return b"got 10\n" in seen

            wait_for(heard)
        finally:
            client.kill()
            client.communicate()
        assert engine.ok("inspect", "-f", "{{.State.Running}}", name) == "true"


def test_resize_by_the_api_is_the_guests(engine: Shoald, pair: tuple[str, str]) -> None:
    """An exec's terminal, started detached, has the size that it is given, and its end is told with the code."""
    for name in pair:
        body = {"Cmd": ["sh", "-c", "while [ \"$(stty size)\" != '21 43' ]; do sleep 0.1; done; exit 6"], "Tty": True}
        id_ = engine.request("POST", f"/containers/{name}/exec", body).json["Id"]
        assert engine.request("POST", f"/exec/{id_}/start", {"Detach": True, "Tty": True}).status == 200
        assert engine.request("POST", f"/exec/{id_}/resize?h=21&w=43").status == 200
        wait_for(lambda id_=id_: not engine.request("GET", f"/exec/{id_}/json").json["Running"])  # type: ignore[misc]
        assert engine.request("GET", f"/exec/{id_}/json").json["ExitCode"] == 6
