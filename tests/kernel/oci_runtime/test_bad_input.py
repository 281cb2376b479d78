"""What the runtime is not to swallow: each is told in a sentence, with an exit code, and leaves nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.kernel.oci_runtime.runtime import Bundle, Runtime, output_of

pytestmark = pytest.mark.root


def put(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """A change of a specification: `value` at `path`; None takes it away."""

    def change(spec: dict[str, Any]) -> None:
        for name in path[:-1]:
            spec = spec.setdefault(name, {})
        if value is None:
            spec.pop(path[-1], None)
        else:
            spec[path[-1]] = value

    return change


MAPS = [{"containerID": 0, "hostID": 0, "size": 1}]
NO_MOUNT = [{"type": "pid"}]
BAD_SPECS = {
    "no-version": (put("ociVersion", value=None), "it has no `ociVersion`"),
    "version-2": (put("ociVersion", value="2.0.0"), "unsupported ociVersion"),
    "version-word": (put("ociVersion", value="one"), "unsupported ociVersion"),
    "version-number": (put("ociVersion", value=1), "Expected `str`, got `int` - at `$.ociVersion`"),
    "no-process": (put("process", value=None), "process property must not be empty"),
    "no-args": (put("process", "args", value=[]), "args must not be empty"),
    "relative-cwd": (put("process", "cwd", value="tmp"), "Cwd must be an absolute path"),
    "no-cwd": (put("process", "cwd", value=None), "missing required field `cwd`"),
    "no-root": (put("root", value=None), "root property must not be empty"),
    "missing-root": (put("root", "path", value="elsewhere"), "no such directory"),
    "uid-word": (put("process", "user", "uid", value="root"), "at `$.process.user.uid`"),
    "uid-too-large": (put("process", "user", "uid", value=2**32), "invalid user or group id"),
    "namespace": (put("linux", "namespaces", value=[{"type": "colour"}]), "invalid namespace type 'colour'"),
    "no-mount-namespace": (put("linux", "namespaces", value=NO_MOUNT), "a container needs a mount namespace"),
    "maps-without-user": (put("linux", "uidMappings", value=MAPS), "need a user namespace"),
    "mount-label": (put("linux", "mountLabel", value="x"), "mountLabel is not supported"),
    "selinux-label": (put("process", "selinuxLabel", value="x"), "selinuxLabel is not supported"),
    "intel-rdt": (put("linux", "intelRdt", value={"closID": "x"}), "intelRdt is not supported"),
    "propagation": (put("linux", "rootfsPropagation", value="loud"), "invalid rootfsPropagation"),
    "personality": (put("linux", "personality", value={"domain": "SOLARIS"}), "invalid personality domain"),
    "scheduler": (put("process", "scheduler", value={"policy": "SCHED_NEVER"}), "invalid scheduler policy"),
    "io-priority": (put("process", "ioPriority", value={"class": "IOPRIO_CLASS_X"}), "invalid ioPriority class"),
    "time-offsets": (put("linux", "timeOffsets", value={"boottime": {"secs": 1}}), "need a new time namespace"),
    "hook-path": (put("hooks", value={"prestart": [{"path": "run"}]}), "invalid hook path"),
    "hook-timeout": (put("hooks", value={"prestart": [{"path": "/x", "timeout": 0}]}), "invalid timeout 0"),
    "rlimit": (put("process", "rlimits", value=[{"type": "RLIMIT_X", "soft": 1, "hard": 1}]), "invalid rlimit type"),
    "mount-source": (
        put("mounts", value=[{"destination": "/x", "type": "bind", "source": "/no/such", "options": ["bind"]}]),
        "no such file or directory",
    ),
    "mount-type": (put("mounts", value=[{"destination": "/x", "type": "nofs"}]), "no such device"),
    "cgroup-path": (put("linux", "cgroupsPath", value="/../up"), "invalid cgroup path"),
    "sysctl": (put("linux", "sysctl", value={"net.no.such": "1"}), "no such file or directory"),
    "program": (put("process", "args", value=["nosuch"]), "executable file not found in $PATH"),
    "directory": (put("process", "args", value=["/etc"]), "is a directory"),
    "not-executable": (put("process", "args", value=["/etc/plain-file"]), "permission denied"),
}


@pytest.mark.parametrize("name", BAD_SPECS)
def test_create_with_a_bad_specification_fails_and_leaves_nothing(runtime: Runtime, box: Bundle, name: str) -> None:
    """Exit code 1, a sentence that says what is wrong, and no container, process, cgroup or mount behind it."""
    change, sentence = BAD_SPECS[name]
    change(box.spec)
    done = runtime.create(box)
    assert (done.returncode, sentence in done.stderr) == (1, True), done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(output_of(runtime.call("list", "--format", "json"))) == []


@pytest.mark.parametrize(
    ("document", "sentence"),
    [("", "truncated"), ("{", "truncated"), ("[]", "Expected `object`"), ("\x00", "")],
)
def test_create_with_a_broken_document_fails(runtime: Runtime, box: Bundle, document: str, sentence: str) -> None:
    """What is no JSON object is no specification."""
    (box.directory / "config.json").write_text(document)
    done = runtime.call("create", "--bundle", str(box.directory), "one")
    assert (done.returncode, "not an OCI runtime specification" in done.stderr) == (1, True)
    assert sentence in done.stderr


def test_create_without_a_bundle_fails(runtime: Runtime, box: Bundle) -> None:
    """A directory without a config.json is no bundle."""
    done = runtime.call("create", "--bundle", str(box.directory), "one")
    assert (done.returncode, "JSON specification file config.json not found" in done.stderr) == (1, True)


@pytest.mark.parametrize("id", ["../up", "a/b", ".", "..", "", "a b", "x" * 2000])
def test_create_with_a_bad_id_fails(runtime: Runtime, box: Bundle, id: str) -> None:
    """An id that could lead out of the root is refused."""
    done = runtime.create(box, id=id)
    assert (done.returncode, "invalid container id" in done.stderr) == (1, True), done.stderr


def test_create_with_a_taken_id_fails(runtime: Runtime, box: Bundle) -> None:
    """The container that has the id stays as it is."""
    assert runtime.create(box).returncode == 0
    again = runtime.create(box)
    assert (again.returncode, "container with given ID already exists" in again.stderr) == (1, True)
    assert runtime.state()["status"] == "created"


@pytest.mark.parametrize("verb", ["start", "state", "kill", "delete", "ps", "pause", "resume", "update", "events"])
def test_unknown_container_is_told(runtime: Runtime, verb: str) -> None:
    """Every verb says so, with exit code 1."""
    done = runtime.call(verb, "nobody")
    assert (done.returncode, "container does not exist" in done.stderr) == (1, True), done.stderr


def test_exec_in_an_unknown_container_ends_with_255(runtime: Runtime) -> None:
    """What could not be started is told apart from a program's own exit code."""
    done = runtime.call("exec", "nobody", "true")
    assert (done.returncode, "container does not exist" in done.stderr) == (255, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("fly",), "unknown command"),
        (("create", "--wings", "x"), "flag provided but not defined: --wings"),
        (("create", "--bundle"), "flag needs an argument"),
        (("create",), "requires a container id"),
        (("state", "a", "b"), "requires exactly 1 argument"),
        (("kill", "one", "NOSIGNAL"), "container does not exist"),
        (("create", "--preserve-fds", "many", "one"), "it is a number"),
        (("create", "--preserve-fds", "3", "one"), "preserved-fd"),
        (("--log-format", "xml", "state", "one"), "invalid log-format"),
    ],
)
def test_bad_command_line_is_told(runtime: Runtime, box: Bundle, words: tuple[str, ...], sentence: str) -> None:
    """Exit code 1, and the words of what is wrong."""
    box.write()
    done = runtime.call(*words, cwd=box.directory)
    assert (done.returncode, sentence in done.stderr) == (1, True), done.stderr


def test_systemd_cgroup_is_refused(runtime: Runtime, box: Bundle) -> None:
    """Whether systemd runs or not, the flag is an error and not another layout in silence."""
    box.write()
    done = runtime.call("create", "--bundle", str(box.directory), "one", options=("--systemd-cgroup",))
    assert (done.returncode, "makes control groups itself" in done.stderr) == (1, True)


def test_signal_that_is_none_is_told(runtime: Runtime, box: Bundle) -> None:
    """An unknown signal is refused before anything is sent."""
    assert runtime.create(box).returncode == 0
    done = runtime.call("kill", "one", "NOSIGNAL")
    assert (done.returncode, "unknown signal" in done.stderr) == (1, True)
    assert runtime.state()["status"] == "created"


def test_errors_go_to_the_log_as_json(runtime: Runtime, box: Bundle) -> None:
    """containerd and conmon take the last error out of the log file."""
    box.process["args"] = ["nosuch"]
    box.write()
    log = box.directory / "log.json"
    options = ("--log", str(log), "--log-format", "json")
    done = runtime.call("create", "--bundle", str(box.directory), "one", options=options)
    entry = json.loads(log.read_text().splitlines()[-1])
    assert (done.returncode, entry["level"]) == (1, "error")
    assert "executable file not found in $PATH" in entry["msg"]
    assert entry["msg"] in done.stderr


def test_damaged_record_is_told_and_deleted_with_force(runtime: Runtime, box: Bundle) -> None:
    """A record that is not what was written harms no other container, and can be got rid of."""
    assert runtime.create(box).returncode == 0
    output_of(runtime.call("delete", "one"))
    (runtime.root / "bad").mkdir()
    (runtime.root / "bad" / "state.json").write_text("{}")
    assert "is damaged" in runtime.call("state", "bad").stderr
    output_of(runtime.call("list"))
    output_of(runtime.call("delete", "--force", "bad"))
    assert not (runtime.root / "bad").exists()
