"""Bad input: Docker's sentence, status and exit code, and nothing left behind."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conformance.differences import sentence
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")


def refused(engine: Engine, *args: str, code: int = 125) -> str:
    """What a docker command that must fail says on stderr; asserts its exit code."""
    done = engine.docker(*args)
    assert done.returncode == code, f"{args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stderr


def containers(engine: Engine) -> str:
    """The ids of all containers that exist."""
    return engine.ok("ps", "-aq")


def test_run_image_missing_is_said_with_its_name(engine: Engine) -> None:
    """An image that is not here, when pulling is not wanted."""
    err = refused(engine, "run", "--pull", "never", "no-such-image:9")
    assert "No such image: no-such-image:9" in err
    assert containers(engine) == ""


@pytest.mark.parametrize("reference", ["UPPER", "a:b:c", "-x", "a b", "a@sha256:12"])
def test_create_bad_reference_is_refused(engine: Engine, reference: str) -> None:
    """A name that no image can have is an invalid reference format, by the API itself too."""
    answer = engine.request("POST", "/containers/create", {"Image": reference})
    assert answer.status == 400
    assert "invalid reference format" in answer.message


@pytest.mark.parametrize("name", ["a", "-x", "a b", "ä1", "a/b", "_x"])
def test_create_bad_name_is_refused(engine: Engine, name: str) -> None:
    """A container's name has at least two characters of a small set."""
    err = refused(engine, "create", "--name", name, "busybox", code=1)
    assert f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed" in err


def test_create_taken_name_is_a_conflict(engine: Engine) -> None:
    """The sentence names who has it."""
    identifier = engine.ok("create", "--name", "taken", "busybox")
    err = refused(engine, "run", "--name", "taken", "busybox")
    expected = (
        f'Conflict. The container name "/taken" is already in use by container "{identifier}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
    assert expected in err
    answer = engine.request("POST", "/containers/create?name=taken", {"Image": "busybox"})
    assert (answer.status, answer.message) == (409, expected)


def test_run_port_taken_by_a_container(engine: Engine) -> None:
    """A host port that another container has: exit code 125, and the container stays as created."""
    port = engine.free_port()
    engine.ok("run", "-d", "-p", f"{port}:80", "busybox", "sleep", "1000")
    err = refused(engine, "run", "--name", "second", "-p", f"{port}:80", "busybox", "true")
    assert f"Bind for 0.0.0.0:{port} failed: port is already allocated" in err
    assert engine.ok("inspect", "-f", "{{.State.Status}}", "second") == "created"


def test_run_port_taken_by_a_process(engine: Engine) -> None:
    """A host port that a process of the host listens on."""
    with engine.listen() as taken:
        port = taken.getsockname()[1]
        err = refused(engine, "run", "-p", f"{port}:80", "busybox", "true")
    assert "address already in use" in err
    assert str(port) in err


def test_run_port_is_free_again_after_failure(engine: Engine) -> None:
    """A start that failed holds no port."""
    port = engine.free_port()
    refused(engine, "run", "-p", f"{port}:80", "busybox", "no-such-program", code=127)
    engine.ok("run", "--rm", "-p", f"{port}:80", "busybox", "true")
    engine.listen(port).close()


@pytest.mark.parametrize("user", ["nobody-here", "app:no-such-group"])
def test_run_unknown_user_or_group_is_refused(engine: Engine, user: str) -> None:
    """A name that the image's files do not have."""
    kind, name = ("group", "no-such-group") if ":" in user else ("user", "nobody-here")
    err = refused(engine, "run", "--rm", "-u", user, "busybox", "true")
    assert (
        f"unable to find {kind} {name}: no matching entries in {'group' if kind == 'group' else 'passwd'} file" in err
    )


def test_run_workdir_that_is_a_file_is_refused(engine: Engine) -> None:
    """A working directory that cannot be one."""
    err = refused(engine, "run", "--rm", "-w", "/etc/passwd", "busybox", "true")
    assert re.search("not a directory", err, re.IGNORECASE)


def test_run_workdir_must_be_absolute(engine: Engine) -> None:
    """A relative working directory is not one."""
    err = refused(engine, "run", "--rm", "-w", "some/where", "busybox", "true")
    assert "the working directory 'some/where' is invalid, it needs to be an absolute path" in err


def test_exec_workdir_missing_is_refused(engine: Engine) -> None:
    """exec makes no directory: Docker's words for the failed chdir, exit code 126 or 127."""
    engine.ok("run", "-d", "--name", "idle", "busybox", "sleep", "1000")
    done = engine.docker("exec", "-w", "/no/such/dir", "idle", "true")
    assert done.returncode in {126, 127}
    assert re.search(r'chdir to cwd \("/no/such/dir"\)', done.stdout + done.stderr)


def test_run_mount_source_missing_is_refused(engine: Engine) -> None:
    """--mount does not make the source."""
    err = refused(engine, "run", "--rm", "--mount", "type=bind,source=/no/such/source,target=/x", "busybox", "true")
    assert 'invalid mount config for type "bind": bind source path does not exist: /no/such/source' in err
    assert containers(engine) == ""


def test_run_volume_onto_the_root_is_refused(engine: Engine, tmp_path: Path) -> None:
    """The root directory is no place for a volume, and a destination is absolute."""
    err = refused(engine, "run", "--rm", "-v", f"{tmp_path}:/", "busybox", "true")
    assert "invalid volume specification" in err
    assert "destination can't be '/'" in err
    err = refused(engine, "run", "--rm", "-v", f"{tmp_path}:relative", "busybox", "true")
    assert "invalid mount path: 'relative' mount path must be absolute" in err


def test_run_volume_twice_at_one_place_is_refused(engine: Engine, tmp_path: Path) -> None:
    """Two mounts at the same point contradict each other."""
    volume = f"{tmp_path}:/data"
    err = refused(
        engine, "run", "--rm", "-v", volume, "--mount", f"type=bind,source={tmp_path},target=/data", "busybox"
    )
    assert "Duplicate mount point: /data" in err


def test_run_mount_file_onto_a_directory_is_refused(engine: Engine, tmp_path: Path) -> None:
    """A file cannot be bound over a directory: an error of the start, with the path in it."""
    (tmp_path / "file").write_text("x")
    err = refused(engine, "run", "--rm", "-v", f"{tmp_path}/file:/etc", "busybox", "true")
    assert "not a directory" in err.lower()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--memory", "1m"], "Minimum memory limit allowed is 6MB"),
        (["--cpus", "1000"], r"range of CPUs is from 0.01 to \d+\.00, as there are only \d+ CPUs available"),
        (["--memory", "8m", "--memory-swap", "7m"], "Minimum memoryswap limit should be larger than memory limit"),
        (["--memory-swap", "7m"], "You should always set the Memory limit when using Memoryswap limit, see usage"),
        (["--cpu-period", "10", "--cpu-quota", "5000"], "CPU cfs period can not be less than 1ms .* or larger than 1s"),
        (["--cpu-quota", "10"], "CPU cfs quota can not be less than 1ms"),
        (["--cpuset-cpus", "777"], "Requested CPUs are not available - requested 777, available: "),
        (["--cpuset-cpus", "x"], "Invalid value x for cpuset cpus"),
        (
            ["--memory-reservation", "1g", "--memory", "10m"],
            "Minimum memory limit can not be less than memory reservation",
        ),
        (["--oom-score-adj", "2000"], r"Invalid value 2000, range for oom score adj is \[-1000, 1000\]"),
        (["--cap-add", "NO_SUCH"], 'invalid CapAdd: unknown capability: "CAP_NO_SUCH"'),
        (["--security-opt", "nonsense"], 'invalid --security-opt: "nonsense"'),
        (["--isolation", "nonsense"], "invalid isolation:? .?nonsense"),
        (["--runtime", "nonsense"], "nonsense"),
        (["--network", "no-such-network"], "network no-such-network not found"),
        (["--ipc", "nonsense"], "nonsense"),
        (["--restart", "nonsense"], "invalid restart policy"),
        (["--log-opt", "nonsense=1"], "unknown log opt 'nonsense' for json-file log driver"),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, list) else "",
)
def test_run_option_out_of_range_is_refused(engine: Engine, options: list[str], expected: str) -> None:
    """Values that mean nothing, or more than the machine has, are refused with Docker's words."""
    err = refused(engine, "run", *options, "busybox", "true")
    assert re.search(expected, err, re.IGNORECASE), err


def test_plugins_that_there_are_not_are_told(engine: Engine) -> None:
    """Of volumes and of logs, by every way to name one. All at once: dockerd looks for each of them for 15 seconds."""
    log_driver, volume_driver = "error looking up logging plugin {0}: ", "error looking up volume plugin {0}: "
    create = ["create", "--pull", "never"]  # else the docker command takes dockerd's 404 for a missing image
    cases = [
        ("nope1", log_driver, [*create, "--log-driver", "nope1", "busybox"]),
        ("nope2", f"create vol: {volume_driver}", ["volume", "create", "-d", "nope2", "vol"]),
        ("nope3", volume_driver, [*create, "--volume-driver", "nope3", "-v", "named:/d", "busybox"]),
        ("nope4", volume_driver, [*create, "--mount", "src=other,dst=/d,volume-driver=nope4", "busybox"]),
    ]

    def status_of_create() -> int:
        body = {"Image": "busybox", "HostConfig": {"LogConfig": {"Type": "nope5"}}}
        return engine.request("POST", "/containers/create", body).status

    with ThreadPoolExecutor() as pool:
        status = pool.submit(status_of_create)
        answers = pool.map(lambda case: engine.docker(*case[2]), cases)
        for done, (name, looked_up, _) in zip(answers, cases, strict=True):
            assert done.returncode != 0
            assert f'{looked_up.format(name)}plugin "{name}" not found' in done.stderr
        assert status.result() == 400
    assert containers(engine) == engine.ok("volume", "ls", "-q") == ""


def test_run_device_missing_on_the_host_is_refused(engine: Engine) -> None:
    """A device that the host does not have: an error of the start, with its path."""
    done = engine.docker("run", "--device", "/no/such/device", "busybox", "true")
    assert done.returncode in {125, 127}
    expected = (
        'error gathering device information while adding custom device "/no/such/device": no such file or directory'
    )
    assert expected in done.stderr


def test_unknown_container_is_said_by_every_verb(engine: Engine) -> None:
    """No such container, whatever is asked of it, with exit code 1."""
    for verb in (["start"], ["stop"], ["kill"], ["rm"], ["logs"], ["wait"], ["restart"], ["attach"], ["pause"]):
        assert "No such container: no-such" in refused(engine, *verb, "no-such", code=1)
    assert "No such container: no-such" in refused(engine, "exec", "no-such", "true", code=1)
    assert "no-such" in refused(engine, "inspect", "no-such", code=1)
    assert "No such container: no-such" in refused(engine, "rename", "no-such", "other", code=1)


def test_kill_and_exec_of_a_stopped_container_are_refused(engine: Engine) -> None:
    """What needs a running program says that there is none."""
    identifier = engine.ok("create", "--name", "idle", "busybox")
    assert sentence(engine, "not-running").format(id=identifier) in refused(engine, "exec", "idle", "true", code=1)
    assert f"{identifier} is not running" in refused(engine, "kill", "idle", code=1)
    answer = engine.request("POST", "/containers/idle/kill")
    assert answer.status == 409
    assert answer.message.startswith(sentence(engine, "kill-failed").format(name="idle"))


def test_kill_of_an_unknown_container_says_what_was_tried(engine: Engine) -> None:
    """The sentence begins with the name that the client gave."""
    answer = engine.request("POST", "/containers/no-such/kill")
    assert answer.status == 404
    expected = sentence(engine, "kill-failed").format(name="no-such") + "No such container: no-such"
    assert answer.message == expected


def test_events_since_after_until_is_refused(engine: Engine) -> None:
    """A time that ends before it begins is a mistake, not an empty answer."""
    answer = engine.request("GET", "/events?since=2&until=1")
    assert (answer.status, answer.message) == (400, "`since` time (2) cannot be after `until` time (1)")


def test_kill_with_an_unknown_signal_is_refused(engine: Engine) -> None:
    """A name that is no signal."""
    engine.ok("run", "-d", "--name", "idle", "busybox", "sleep", "1000")
    assert "Invalid signal: NOPE" in refused(engine, "kill", "-s", "NOPE", "idle", code=1)


def test_rm_of_a_running_container_is_refused(engine: Engine) -> None:
    """A running container goes only with -f."""
    identifier = engine.ok("run", "-d", "--name", "idle", "busybox", "sleep", "1000")
    err = refused(engine, "rm", "idle", code=1)
    assert re.search(sentence(engine, "rm-running").format(id=identifier), err)
    engine.ok("rm", "-f", "idle")


def test_short_id_that_is_ambiguous_is_refused(engine: Engine) -> None:
    """A prefix of several ids names none of them; a prefix of one names it."""
    ids = [engine.ok("create", "busybox") for _ in range(17)]
    first = [identifier[0] for identifier in ids]
    twice = next(char for char in first if first.count(char) > 1)
    answer = engine.request("GET", f"/containers/{twice}/json")
    assert answer.status >= 400
    assert "multiple ids found with provided prefix" in answer.message.lower()
    assert engine.ok("inspect", "-f", "{{.Id}}", ids[0][:20]) == ids[0]


def test_login_to_a_registry_that_does_not_answer_is_refused(engine: Engine) -> None:
    """A sentence that names the registry, and no password stored as if it had been good."""
    done = engine.docker("login", "-u", "me", "--password-stdin", "127.0.0.1:1", input="secret")
    assert done.returncode == 1
    assert 'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused' in done.stderr
    assert "Succeeded" not in done.stdout
