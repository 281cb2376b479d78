"""What is inside a container: its processes, files, use of resources; and execs."""

from __future__ import annotations

import io
import tarfile
from typing import Any

from shoal.api.stdcopy import StdcopyDecoder
from tests.conformance.operations.proofs import Api, proves
from tests.conformance.operations.test_container_lists import make, ready

TOP = "/containers/{id}/top"


def archive(**files: bytes) -> bytes:
    """A tar of these files."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.uid = len(content), 77
            tar.addfile(entry, io.BytesIO(content))
    return whole.getvalue()


@proves("ContainerTop", "ps_args", statuses="200 404")
@proves("ContainerChanges", statuses="200 404")
@proves("ContainerExport", statuses="200 404")
@proves("ContainerStats", "stream one-shot", statuses="200 404")
def test_looks_inside(api: Api) -> None:
    """Processes in the columns that are asked for, the file that was made, the whole root, and a sample of use."""
    make(api, "it", "sh", "-c", "echo x > /made; exec sleep 1000")
    ready(api, lambda: api.ok("GET", TOP, "it", ps_args="-o pid,args")["Processes"][0][1] == "sleep 1000")
    assert api.ok("GET", TOP, "it", ps_args="-o pid,args")["Titles"] == ["PID", "COMMAND"]
    assert {"Path": "/made", "Kind": 1} in api.ok("GET", "/containers/{id}/changes", "it")
    exported = api.ask("GET", "/containers/{id}/export", "it")
    with tarfile.open(fileobj=io.BytesIO(exported.body)) as tar:
        assert "made" in tar.getnames()
    sample = api.ok("GET", "/containers/{id}/stats", "it", stream=False, one_shot=True)
    assert sample["memory_stats"]["usage"] > 0
    for noun in ("top", "changes", "export", "stats"):
        assert api.refused("GET", f"/containers/{{id}}/{noun}", "none")[0] == 404


@proves("ContainerArchiveInfo", "path", statuses="200 400 404")
@proves("ContainerArchive", "path", statuses="200 400 404")
@proves("PutContainerArchive", "path noOverwriteDirNonDir copyUIDGID body", statuses="200 400 403 404")
def test_archives_in_and_out(api: Api) -> None:
    """What goes in comes out; owners as asked; a directory is not replaced by a file; a read-only root is none's."""
    template = "/containers/{id}/archive"
    make(api, "it", HostConfig={"Tmpfs": {"/run": ""}})
    tar = {"Content-Type": "application/x-tar"}
    put = {"path": "/tmp", "copyUIDGID": True, "body": archive(motd=b"hello"), "headers": tar}
    assert api.ask("PUT", template, "it", **put).status == 200
    got = api.ask("GET", template, "it", path="/tmp/motd")
    with tarfile.open(fileobj=io.BytesIO(got.body)) as read:
        (entry,) = read.getmembers()
        assert (entry.name, entry.uid, entry.size) == ("motd", 77, 5)
    assert api.ask("HEAD", template, "it", path="/tmp/motd").headers["x-docker-container-path-stat"]
    over = {"path": "/", "noOverwriteDirNonDir": True, "body": archive(tmp=b"no directory"), "headers": tar}
    assert api.refused("PUT", template, "it", **over)[0] == 400
    make(api, "locked", HostConfig={"ReadonlyRootfs": True})
    assert api.refused("PUT", template, "locked", **put)[0] == 403
    assert api.refused("PUT", template, "none", **put)[0] == 404
    assert api.refused("GET", template, "it", path="/nothing")[0] == 404
    assert api.refused("GET", template, "it")[0] == 400
    assert api.ask("HEAD", template, "it", path="/nothing").status == 404
    assert api.ask("HEAD", template, "it").status == 400


EXEC = "/containers/{id}/exec"


def run(api: Api, start: dict[str, Any], **config: Any) -> tuple[bytes, dict[str, Any]]:
    """The output of an exec, and its inspection at its end."""
    id = api.ok("POST", EXEC, "it", body=config)["Id"]
    told = api.ask("POST", "/exec/{id}/start", id, body=start)
    assert told.status == 200
    ready(api, lambda: not api.ok("GET", "/exec/{id}/json", id)["Running"])
    return told.body, dict(api.ok("GET", "/exec/{id}/json", id))


@proves(
    "ContainerExec",
    "body.AttachStdin body.AttachStdout body.AttachStderr body.ConsoleSize body.DetachKeys body.Tty body.Env body.Cmd "
    "body.Privileged body.User body.WorkingDir",
    statuses="201 404 409",
)
@proves("ExecStart", "body.Detach body.Tty body.ConsoleSize", statuses="200 404 409")
@proves("ExecInspect", statuses="200 404")
def test_exec_fields(api: Api) -> None:
    """Each field shows in what the process is, and in the inspection."""
    make(api, "it")
    script = "id -u; id -g; pwd; echo $A; echo err >&2; exit 7"
    said, shown = run(
        api,
        {"Detach": False},
        Cmd=["sh", "-c", script],
        AttachStdout=True,
        AttachStderr=False,
        User="1000:50",
        WorkingDir="/tmp",
        Env=["A=b"],
        DetachKeys="ctrl-a",
    )
    assert b"".join(data for _, data in StdcopyDecoder().feed(said)) == b"1000\n50\n/tmp\nb\n"
    assert shown["ExitCode"] == 7
    assert shown["ProcessConfig"]["user"] == "1000:50"
    assert shown["DetachKeys"] == "AQ=="
    assert (shown["OpenStdout"], shown["OpenStderr"]) == (True, False)
    capabilities = ["sh", "-c", "grep CapEff /proc/self/status"]
    (plain, _), (mighty, told) = (
        run(api, {}, Cmd=capabilities, AttachStdout=True, Privileged=privileged) for privileged in (False, True)
    )
    assert int(mighty.split()[-1], 16) > int(plain.split()[-1], 16)
    assert told["ProcessConfig"]["privileged"] is True
    terminal = {"Tty": True, "AttachStdin": True, "AttachStdout": True, "Cmd": ["stty", "size"]}
    assert run(api, {"Tty": True}, **terminal, ConsoleSize=[12, 34])[0] == b"12 34\r\n"
    assert run(api, {"Tty": True, "ConsoleSize": [13, 35]}, **terminal)[0] == b"13 35\r\n"
    assert run(api, {"Detach": True}, Cmd=["sh", "-c", "exit 9"])[1]["ExitCode"] == 9
    again = (("POST", "/exec/{id}/start"), shown["ID"], {"Detach": True})
    assert api.refused(*again[0], again[1], body=again[2])[0] == 409
    assert api.refused("POST", "/exec/{id}/start", "none", body={})[0] == 404
    assert api.refused("GET", "/exec/{id}/json", "none")[0] == 404
    assert api.refused("POST", EXEC, "none", body={"Cmd": ["true"]})[0] == 404
    api.ok("POST", "/containers/{id}/pause", "it")
    assert api.refused("POST", EXEC, "it", body={"Cmd": ["true"]})[0] == 409


@proves("ExecResize", "h w", statuses="200 400 404")
def test_exec_resize(api: Api) -> None:
    """The program sees the size; a size that is none is a bad request."""
    make(api, "it")
    script = "while [ \"$(stty size)\" != '33 77' ]; do sleep 0.05; done"
    id = api.ok("POST", EXEC, "it", body={"Cmd": ["sh", "-c", script], "Tty": True})["Id"]
    api.ok("POST", "/exec/{id}/start", id, body={"Detach": True, "Tty": True})
    assert api.refused("POST", "/exec/{id}/resize", id, h="x", w=1)[0] == 400
    assert api.ask("POST", "/exec/{id}/resize", id, h=33, w=77).status == 200
    ready(api, lambda: not api.ok("GET", "/exec/{id}/json", id)["Running"])
    assert api.refused("POST", "/exec/{id}/resize", "none", h=1, w=1)[0] == 404


def test_exec_ids_are_those_that_wait_or_run(api: Api) -> None:
    """One that was never started is listed until its container's run is over; one that ended is not."""
    make(api, "it", HostConfig={"Init": True})
    waiting = api.ok("POST", EXEC, "it", body={"Cmd": ["true"]})["Id"]
    _, ended = run(api, {"Detach": True}, Cmd=["true"])
    listed = api.ok("GET", "/containers/{id}/json", "it")["ExecIDs"]
    assert (waiting in listed, ended["ID"] in listed) == (True, False)
    api.ok("POST", "/containers/{id}/restart", "it")
    assert api.ok("GET", "/containers/{id}/json", "it")["ExecIDs"] is None
    assert api.refused("GET", "/exec/{id}/json", waiting)[0] == 404
