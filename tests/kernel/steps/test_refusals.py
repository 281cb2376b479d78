"""What cannot be started: which step fails, and the sentence that the docker client reads exit codes from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shoal.api.host_config import HostConfig
from tests.kernel.steps.container import Box

pytestmark = pytest.mark.root


@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("nope", 'exec: "nope": executable file not found in $PATH'),
        ("/nope", 'exec: "/nope": stat /nope: no such file or directory'),
        ("/etc", 'exec: "/etc": is a directory'),
        ("/etc/passwd", 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_start_without_a_program_fails_in_dockers_words(box: Box, command: str, error: str) -> None:
    """127 and 126 at the client come out of these texts."""
    outcome = box.run([command])
    assert (outcome.step, outcome.kind, outcome.error) == ("find-program", "InvalidArgument", error)


def test_start_of_a_program_that_only_a_dropped_capability_opens_fails_at_the_start(box: Box) -> None:
    """root without CAP_DAC_OVERRIDE is kept out of another user's directory: 126 at the client, not 255."""
    private = box.lower / "private"
    private.mkdir(mode=0o700)
    (private / "tool").write_text("#!/bin/sh\necho hello\n")
    (private / "tool").chmod(0o755)
    os.chown(private, 1000, 1000)
    assert box.run(["/private/tool"]).output == "hello\n"
    outcome = box.run(["/private/tool"], host=HostConfig(cap_drop=["ALL"]))
    assert (outcome.step, outcome.error) == ("find-program", 'exec: "/private/tool": permission denied')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("#!/nowhere\n", "exec /bin/script: no such file or directory\n"),
        ("no magic\n", "exec /bin/script: exec format error\n"),
    ],
)
def test_start_of_a_bad_program_ends_in_the_container_with_255(box: Box, content: str, message: str) -> None:
    """What only execve can find out happens in the started container, as with Docker."""
    script = box.lower / "bin/script"
    script.write_text(content)
    script.chmod(0o755)
    outcome = box.run(["script"])
    assert (outcome.output, outcome.code, outcome.step) == (message, 255, "")


@pytest.mark.parametrize(
    ("config", "step", "error"),
    [
        ({"user": "nobody"}, "user", "unable to find user nobody: no matching entries in passwd file"),
        ({"user": "app:none"}, "user", "unable to find group none: no matching entries in group file"),
        ({"working_dir": "/etc/passwd"}, "make-directory", "Cannot mkdir: /etc/passwd is not a directory"),
    ],
)
def test_start_with_a_bad_process_fails_in_dockers_words(
    box: Box, config: dict[str, str], step: str, error: str
) -> None:
    """Unknown users and directories that are files."""
    outcome = box.run(["true"], **config)
    assert (outcome.step, outcome.error) == (step, error)


def test_start_in_a_directory_of_the_host_is_refused(box: Box) -> None:
    """A link through /proc/self/fd to an open directory of the host must not be entered (CVE-2024-21626)."""
    (box.lower / "out").symlink_to("/proc/self/fd/5")
    leaked = [os.open("/", os.O_RDONLY | os.O_DIRECTORY) for _ in range(8)]
    try:
        outcomes = [
            box.run(["ls"], working_dir=path) for path in ("/out", "/proc/self/fd/5", f"/proc/self/fd/{leaked[0]}")
        ]
    finally:
        for fd in leaked:
            os.close(fd)
    assert all(outcome.step in ("chdir", "make-directory") for outcome in outcomes)
    assert all(outcome.output == "" for outcome in outcomes)


@pytest.mark.parametrize(("source", "target"), [("file", "/etc"), ("directory", "/etc/passwd")])
def test_start_with_a_bind_of_the_wrong_kind_asks_dockers_question(
    box: Box, tmp_path: Path, source: str, target: str
) -> None:
    """A file on a directory, or the other way round."""
    (tmp_path / "file").write_text("")
    (tmp_path / "directory").mkdir()
    outcome = box.run(["true"], host=HostConfig(binds=[f"{tmp_path / source}:{target}"]))
    assert outcome.step == "bind"
    assert "not a directory" in outcome.error
    assert outcome.error.endswith(
        "Are you trying to mount a directory onto a file (or vice-versa)? "
        "Check if the specified host path exists and is the expected type"
    )


def test_start_with_a_bind_whose_source_went_away_names_it(box: Box) -> None:
    """It was there at create; the error names both ends."""
    outcome = box.run(["true"], host=HostConfig(binds=["/nowhere/at/all:/x"]))
    assert outcome.error == (
        'error mounting "/nowhere/at/all" to rootfs at "/x": stat /nowhere/at/all: no such file or directory'
    )


@pytest.mark.parametrize("trap", ["fifo", "huge", "directory"])
def test_start_with_a_passwd_that_is_a_trap_fails_and_does_not_hang(box: Box, trap: str) -> None:
    """The image wrote the file: a FIFO blocks for ever, a sparse terabyte eats the memory."""
    passwd = box.lower / "etc/passwd"
    passwd.unlink()
    if trap == "fifo":
        os.mkfifo(passwd)
    elif trap == "directory":
        passwd.mkdir()
    else:
        with open(passwd, "wb") as file:
            file.truncate(1 << 40)
    outcome = box.run(["true"])
    assert (outcome.step, outcome.kind) == ("user", "InvalidArgument")
    assert outcome.error.startswith("unable to read /etc/passwd of the container: it is")


@pytest.mark.parametrize("name", ["etc", "proc", "sys", "dev", "data"])
def test_start_of_an_image_with_links_to_the_host_stays_inside(box: Box, tmp_path: Path, name: str) -> None:
    """A directory that is a link out of the root is resolved inside it: nothing on the host changes."""
    outside = tmp_path / "outside"
    outside.mkdir()
    link = box.lower / name
    if link.is_dir():
        link.rename(box.lower / f"old-{name}")
    link.symlink_to(str(outside))
    source = tmp_path / "source"
    source.mkdir()
    outcome = box.run(["/bin/true"], host=HostConfig(binds=[f"{source}:/data/in"]))
    assert list(outside.iterdir()) == []
    assert outcome.code == 0 or outcome.step


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_start_of_an_image_whose_proc_or_sys_is_a_link_is_refused(box: Box, name: str) -> None:
    """What masks and sysctls rely on must lie on a directory of the image, not where a volume is (CVE-2019-19921)."""
    (box.lower / name).rename(box.lower / "elsewhere")
    (box.lower / name).symlink_to("/elsewhere")
    outcome = box.run(["true"])
    assert (outcome.step, outcome.kind) == ("mount", "InvalidArgument")
    assert "must be mounted on ordinary directory" in outcome.error
