"""top, stats, diff, update, prune and system df: containers looked at, limited anew and cleared away."""

from __future__ import annotations

import io
import json
import re
import tarfile
import time
from urllib.parse import quote

import pytest

from tests.engines.busybox import BUSYBOX
from tests.engines.engine import Engine

pytestmark = pytest.mark.usefixtures("cli")

MIB = 1 << 20


def idle(engine: Engine, *options: str, name: str = "it") -> str:
    """A detached container that sleeps; returns its name."""
    engine.ok("run", "-d", "--name", name, *options, "busybox", "sleep", "1000")
    return name


def limit(engine: Engine, v1: str, v2: str) -> str:
    """The content of a control file of the container `it`, as it sees it itself."""
    return engine.ok("exec", "it", "sh", "-c", f"cat /sys/fs/cgroup/{v1} 2>/dev/null || cat /sys/fs/cgroup/{v2}")


def test_top_shows_the_containers_processes_and_no_others(engine: Engine) -> None:
    """Host pids in Docker's default columns; exec'd processes too."""
    idle(engine)
    engine.ok("exec", "-d", "it", "sleep", "777")
    deadline = time.monotonic() + 20
    # A detached exec of dockerd's is runc for a moment.
    while "runc init" in (table := engine.ok("top", "it")) and time.monotonic() < deadline:
        time.sleep(0.05)
    lines = table.splitlines()
    assert lines[0].split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert sorted(line.split(None, 7)[7] for line in lines[1:]) == ["sleep 1000", "sleep 777"]
    assert str(dict(engine.inspect("it")["State"])["Pid"]) in {line.split()[1] for line in lines[1:]}  # type: ignore[call-overload]


@pytest.mark.parametrize("arguments", [["-o", "pid,args"], ["-eo", "pid,comm"], ["aux"], ["-efww", "f"]])
def test_top_takes_the_options_of_ps(engine: Engine, arguments: list[str]) -> None:
    """Any form, also those that ps does not combine with a choice of pids."""
    idle(engine)
    lines = engine.ok("top", "it", *arguments).splitlines()
    assert len(lines) == 2
    assert "PID" in lines[0].split()
    assert "sleep" in lines[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-o", "args"], "Couldn't find PID field in ps output"),
        (["-o", "x=PID"], 'specifying "x=PID" is not allowed'),
        (["nonsense"], "ps: error: "),
    ],
)
def test_top_refuses_what_it_cannot_answer(engine: Engine, arguments: list[str], sentence: str) -> None:
    """The reasons, in Docker's words."""
    idle(engine)
    done = engine.docker("top", "it", *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr


def test_top_of_a_container_that_does_not_run_is_a_conflict(engine: Engine) -> None:
    """There is nothing to show."""
    engine.ok("create", "--name", "it", "busybox")
    answer = engine.request("GET", "/containers/it/top")
    assert answer.status in (409, 500)  # Docker 20.10 makes it its own failure
    assert re.search(r"[Cc]ontainer \w{64} is not running", answer.json["message"])


def test_stats_compares_two_samples(engine: Engine) -> None:
    """One answer with the sample of a second before in it, counters that grow, and the limits of the container."""
    engine.ok("run", "-d", "--name", "it", "-m", "64m", "busybox", "sh", "-c", "while :; do :; done")
    got = engine.request("GET", "/containers/it/stats?stream=0").json
    assert (got["name"], len(got["id"])) == ("/it", 64)
    now, before = got["cpu_stats"], got["precpu_stats"]
    assert now["cpu_usage"]["total_usage"] > before["cpu_usage"]["total_usage"] > 0
    assert now["system_cpu_usage"] > before["system_cpu_usage"] > 0
    assert now["online_cpus"] >= 1
    assert got["read"] > got["preread"] > "2"
    assert got["memory_stats"]["limit"] == 64 * MIB
    assert 0 < got["memory_stats"]["usage"] < 64 * MIB
    assert {"total_inactive_file", "inactive_file"} & got["memory_stats"]["stats"].keys()
    assert got["pids_stats"]["current"] >= 1
    assert got["networks"]["eth0"].keys() >= {"rx_bytes", "rx_packets", "tx_bytes", "tx_dropped"}


def test_stats_one_shot_does_not_compare(engine: Engine) -> None:
    """A sample at once; streaming it makes no sense."""
    idle(engine)
    got = engine.request("GET", "/containers/it/stats?stream=0&one-shot=1").json
    assert got["precpu_stats"]["cpu_usage"]["total_usage"] == 0
    assert got["preread"] == "0001-01-01T00:00:00Z"
    refused = engine.request("GET", "/containers/it/stats?one-shot=1")
    assert (refused.status, refused.json["message"]) == (400, "cannot have stream=true and one-shot=true")


def test_stats_streams_a_sample_a_second(engine: Engine) -> None:
    """Each compares with the one before it."""
    idle(engine)
    stream = engine.client.api.stats("it", stream=True, decode=True)
    first, second = next(stream), next(stream)
    stream.close()
    assert second["preread"] == first["read"]
    assert second["precpu_stats"]["cpu_usage"]["total_usage"] == first["cpu_stats"]["cpu_usage"]["total_usage"]


def test_stats_of_a_network_shows_what_is_there(engine: Engine) -> None:
    """A container in the host's network has no counters of its own."""
    idle(engine, "--network", "host")
    assert not engine.request("GET", "/containers/it/stats?stream=0&one-shot=1").json.get("networks")


def test_stats_command_shows_running_containers(engine: Engine) -> None:
    """The table of the docker command, and zeroes for what does not run."""
    idle(engine, "-m", "64m")
    engine.ok("create", "--name", "still", "busybox")
    shown = engine.ok("stats", "--no-stream", "--format", "{{.Name}}|{{.MemUsage}}|{{.PIDs}}")
    assert re.fullmatch(r"it\|[\d.]+KiB / 64MiB\|1", shown)
    assert engine.ok("stats", "--no-stream", "--format", "{{.Name}}|{{.PIDs}}", "still") == "still|0"


def test_diff_tells_what_was_added_changed_and_deleted(engine: Engine) -> None:
    """A, C and D, with the directories that changed for it; nothing for a container that did nothing."""
    idle(engine)
    assert engine.ok("diff", "it") == ""
    script = "echo x > /note; mkdir /d; echo y > /d/e; rm /etc/plain-file; chmod 600 /etc/group; rm -r /www"
    engine.ok("exec", "it", "sh", "-c", script)
    expected = {"A /note", "A /d", "A /d/e", "C /etc", "D /etc/plain-file", "C /etc/group", "D /www"}
    assert set(engine.ok("diff", "it").splitlines()) == expected
    engine.ok("stop", "-t", "0", "it")
    assert set(engine.ok("diff", "it").splitlines()) == expected
    assert engine.request("GET", "/containers/nope/changes").status == 404


def test_diff_shows_mount_points_of_mounts_but_none_of_the_engines(images: Engine) -> None:
    """An image of one program: the files that an engine binds into every container are not the container's changes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo("busybox")
        entry.mode, entry.size = 0o755, BUSYBOX.stat().st_size
        archive.addfile(entry, io.BytesIO(BUSYBOX.read_bytes()))
    assert images.request("POST", "/images/create?fromSrc=-&repo=bare&tag=1", buffer.getvalue()).status == 200
    images.ok("run", "--name", "it", "-v", "/etc:/host", "bare:1", "/busybox", "touch", "/etc/new")
    assert set(images.ok("diff", "it").splitlines()) == {"A /host", "C /etc", "A /etc/new"}


def test_update_changes_the_limits_of_a_running_container(engine: Engine) -> None:
    """In the cgroup at once, and in what inspect shows."""
    idle(engine, "-m", "64m")
    assert engine.ok("update", "-m", "32m", "--pids-limit", "77", "--cpus", "0.5", "it") == "it"
    assert limit(engine, "memory/memory.limit_in_bytes", "memory.max") == str(32 * MIB)
    assert limit(engine, "pids/pids.max", "pids.max") == "77"
    assert limit(engine, "cpu/cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
    engine.ok("update", "-m", "256m", "--memory-swap", "512m", "--cpuset-cpus", "0", "it")
    assert limit(engine, "memory/memory.limit_in_bytes", "memory.max") == str(256 * MIB)
    assert limit(engine, "cpuset/cpuset.cpus", "cpuset.cpus") == "0"
    host = dict(engine.inspect("it")["HostConfig"])  # type: ignore[call-overload]
    assert (host["Memory"], host["PidsLimit"], host["NanoCpus"]) == (256 * MIB, 77, 500_000_000)
    assert host["CpusetCpus"] == "0"


def test_update_of_a_stopped_container_holds_from_its_next_start(engine: Engine) -> None:
    """Limits and restart policy are kept."""
    engine.ok("create", "--name", "it", "-m", "64m", "busybox", "sleep", "1000")
    engine.ok("update", "-m", "32m", "--restart", "on-failure:3", "it")
    engine.ok("start", "it")
    assert limit(engine, "memory/memory.limit_in_bytes", "memory.max") == str(32 * MIB)
    policy = dict(engine.inspect("it")["HostConfig"])["RestartPolicy"]  # type: ignore[call-overload]
    assert policy == {"Name": "on-failure", "MaximumRetryCount": 3}


def test_update_of_the_restart_policy_counts_at_the_next_end(engine: Engine) -> None:
    """A container that was not to be restarted is."""
    script = "trap 'exit 3' TERM; while :; do sleep 0.05; done"
    engine.ok("run", "-d", "--name", "it", "busybox", "sh", "-c", script)
    engine.ok("update", "--restart", "always", "it")
    engine.ok("exec", "it", "kill", "1")
    while engine.inspect("it")["RestartCount"] != 1:
        pass


@pytest.mark.parametrize(
    ("created", "flags", "sentence"),
    [
        ([], ["-m", "64m"], "Memory limit should be smaller than already set memoryswap limit, update the memoryswap"),
        (["--cpus", "1"], ["--cpu-period", "20000"], "CPU Period cannot be updated as NanoCPUs has already been set"),
        (["--rm"], ["--restart", "always"], "Restart policy cannot be updated because AutoRemove is enabled"),
        ([], ["-m", "1m"], "Minimum memory limit allowed is 6MB"),
        ([], ["--restart", "nonsense"], "invalid restart policy"),
        ([], ["--cpuset-cpus", "900"], "Requested CPUs are not available"),
    ],
)
def test_update_refuses_in_dockers_words(engine: Engine, created: list[str], flags: list[str], sentence: str) -> None:
    """And the container keeps what it had."""
    idle(engine, *created)
    before = engine.inspect("it")["HostConfig"]
    done = engine.docker("update", *flags, "it")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert engine.inspect("it")["HostConfig"] == before


def test_container_prune_removes_what_does_not_run(engine: Engine) -> None:
    """Ended and never started containers go, the running and the paused one stay; the space is told."""
    idle(engine)
    idle(engine, name="frozen")
    engine.ok("pause", "frozen")
    ended = engine.ok("run", "-d", "--name", "ended", "busybox", "sh", "-c", "head -c 100000 /dev/zero > /file")
    engine.ok("wait", "ended")
    created = engine.ok("create", "busybox")
    answer = engine.request("POST", "/containers/prune").json
    assert set(answer["ContainersDeleted"]) == {ended, created}
    assert answer["SpaceReclaimed"] == 100_000
    assert set(engine.ok("ps", "-a", "--format", "{{.Names}}").split()) == {"it", "frozen"}
    assert engine.request("POST", "/containers/prune").json == {"ContainersDeleted": None, "SpaceReclaimed": 0}


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        (["until=1h"], {"plain", "kept"}),
        (["until=2090-01-01T00:00:00Z"], set()),
        (["label=keep"], {"plain"}),
        (["label!=keep"], {"kept"}),
        (["label=keep=no"], {"plain", "kept"}),
    ],
)
def test_container_prune_filters_choose(engine: Engine, filters: list[str], left: set[str]) -> None:
    """By age and by label."""
    engine.ok("create", "--name", "plain", "busybox")
    engine.ok("create", "--name", "kept", "--label", "keep=yes", "busybox")
    engine.ok("container", "prune", "-f", *(word for text in filters for word in ("--filter", text)))
    assert set(engine.ok("ps", "-a", "--format", "{{.Names}}").split()) == left


@pytest.mark.parametrize("filters", [{"until": ["1h", "2h"]}, {"nope": ["1"]}, {"until": ["x"]}])
def test_container_prune_refuses_other_filters(engine: Engine, filters: dict[str, list[str]]) -> None:
    """Nothing is removed over a filter that is not understood."""
    engine.ok("create", "--name", "it", "busybox")
    answer = engine.request("POST", f"/containers/prune?filters={quote(json.dumps(filters))}")
    assert answer.status in (400, 500)  # Docker 20.10 takes some for its own failure
    assert engine.ok("ps", "-aq") != ""


def test_system_prune_clears_containers(engine: Engine) -> None:
    """The docker command prunes containers, networks, images and the build cache in turn."""
    created = engine.ok("create", "busybox")
    shown = engine.ok("system", "prune", "-f")
    assert created in shown
    assert "Total reclaimed space: 0B" in shown


def test_system_df_counts_what_is_there(engine: Engine) -> None:
    """Sizes of images and of writable layers, how many use an image, and the space that could be reclaimed."""
    idle(engine)
    engine.ok("run", "--name", "ended", "busybox", "sh", "-c", "head -c 100000 /dev/zero > /file")
    shown = engine.ok("system", "df", "--format", "{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}|{{.Reclaimable}}")
    images, containers, volumes, cache = shown.splitlines()
    assert re.fullmatch(r"Images\|1\|1\|[\d.]+MB\|0B \(0%\)", images)
    assert containers == "Containers|2|1|100kB|100kB (100%)"
    assert (volumes, cache) == ("Local Volumes|0|0|0B|0B", "Build Cache|0|0|0B|0B")
    usage = engine.request("GET", "/v1.41/system/df").json
    (image,) = usage["Images"]
    assert image["Size"] == image["VirtualSize"] == usage["LayersSize"]
    assert (image["SharedSize"], image["Containers"]) == (0, 2)
    assert {entry["Names"][0]: entry.get("SizeRw", 0) for entry in usage["Containers"]} == {"/it": 0, "/ended": 100_000}
    assert "ended" in engine.ok("system", "df", "-v")


def test_events_tell_of_top_update_and_prune(engine: Engine) -> None:
    """Each says what it concerns; a prune how much it gave back."""
    idle(engine)
    engine.ok("top", "it")
    engine.ok("update", "--restart", "no", "it")
    engine.ok("container", "prune", "-f")
    answer = engine.request("GET", f"/events?since=1&until={time.time():.9f}")
    told = [json.loads(line) for line in answer.body.splitlines()]
    last = {event["Action"]: event["Actor"]["Attributes"] for event in told}
    assert last["top"]["name"] == last["update"]["name"] == "it"
    assert last["prune"] == {"reclaimed": "0"}
