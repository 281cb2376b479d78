"""top, stats, diff, update, prune and df: what is asked, and what is shown."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.cli.usage import block_bytes, cpu_percent, memory_bytes, network_bytes, usage_row
from shoal.client.document import Document
from tests.unit.cli.invocation import shoal
from tests.unit.client.scripted import answer

ID = "0123456789abcdef"


def _sample(cpu_ns: int, system_ns: int, **memory: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "name": "/web",
        "cpu_stats": {"cpu_usage": {"total_usage": cpu_ns}, "system_cpu_usage": system_ns, "online_cpus": 2},
        "memory_stats": {"usage": 3 << 20, "limit": 64 << 20, **memory},
        "pids_stats": {"current": 4},
        "networks": {"eth0": {"rx_bytes": 1000, "tx_bytes": 10}, "eth1": {"rx_bytes": 500, "tx_bytes": 0}},
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"major": 8, "minor": 0, "op": "Read", "value": 5000},
                {"major": 8, "minor": 0, "op": "write", "value": 700},
                {"major": 8, "minor": 0, "op": "Total", "value": 5700},
            ]
        },
    }


def test_usage_is_computed_from_two_samples() -> None:
    """A quarter of two processors is 50 %; interfaces and devices are added up; droppable cache does not count."""
    before, now = Document(_sample(0, 0)), Document(_sample(250, 1000, stats={"total_inactive_file": 1 << 20}))
    assert cpu_percent(before, now) == 50.0
    assert memory_bytes(now) == 2 << 20
    assert network_bytes(now) == (1500, 10)
    assert block_bytes(now) == (5000, 700)
    assert usage_row(before, now, whole=False) == {
        "Container": ID[:12],
        "ID": ID[:12],
        "Name": "web",
        "CPUPerc": "50.00%",
        "MemUsage": "2MiB / 64MiB",
        "MemPerc": "3.12%",
        "NetIO": "1.5kB / 10B",
        "BlockIO": "5kB / 700B",
        "PIDs": "4",
    }


@pytest.mark.parametrize("stats", [{"inactive_file": 1 << 20}, {"inactive_file": 9 << 20}, {}])
def test_memory_of_version_2_and_odd_counters(stats: dict[str, int]) -> None:
    """The cache of v2 has another name; a cache larger than all memory in use is not believed."""
    expected = {1 << 20: 2 << 20}.get(stats.get("inactive_file", 0), 3 << 20)
    assert memory_bytes(Document(_sample(1, 1, stats=stats))) == expected


def test_cpu_percent_of_a_container_that_does_not_run_is_nothing() -> None:
    """Counters that stand still, or begin anew, are no share."""
    assert cpu_percent(Document({}), Document({})) == 0.0
    assert cpu_percent(Document(_sample(500, 1000)), Document(_sample(10, 2000))) == 0.0


def test_stats_without_stream_shows_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two samples at once each, a second between them, and Docker's table."""
    monkeypatch.setattr("shoal.cli.verbs.stats.time.sleep", lambda _: None)
    containers = answer(200, [{"Id": ID}])
    script = [containers, answer(200, _sample(0, 0)), containers, answer(200, _sample(250, 1000))]
    outcome = shoal("stats", "--no-stream", scripts=[script])
    assert outcome.stdout.splitlines() == [
        "CONTAINER ID   NAME      CPU %     MEM USAGE / LIMIT   MEM %     NET I/O       BLOCK I/O    PIDS",
        "0123456789ab   web       50.00%    3MiB / 64MiB        4.69%     1.5kB / 10B   5kB / 700B   4",
    ]
    assert outcome.requests[1] == f"GET /v1.50/containers/{ID}/stats?stream=0&one-shot=1"


def test_top_passes_options_on_and_pads_the_table() -> None:
    """Words behind the container are those of ps; columns are at least twenty wide."""
    table = {"Titles": ["PID", "CMD"], "Processes": [["1", "sleep 1"], ["2"]]}
    outcome = shoal("top", "web", "-o", "pid,cmd", scripts=[[answer(200, table)]])
    assert outcome.stdout.splitlines() == ["PID                 CMD", "1                   sleep 1", "2".ljust(20)]
    assert outcome.requests == ["GET /v1.50/containers/web/top?ps_args=-o+pid%2Ccmd"]


def test_diff_prints_letters_and_paths() -> None:
    """C, A and D by the API's numbers."""
    changes = [{"Path": "/a", "Kind": 0}, {"Path": "/b", "Kind": 1}, {"Path": "/c", "Kind": 2}]
    assert shoal("diff", "web", scripts=[[answer(200, changes)]]).stdout == "C /a\nA /b\nD /c\n"


def test_update_sends_only_what_was_given() -> None:
    """Flags have the meaning that they have for run; warnings go to stderr, names to stdout."""
    replies = [answer(200, {"Warnings": ["no swap"]}), answer(200, {"Warnings": None})]
    outcome = shoal("update", "-m", "64m", "--restart", "on-failure:3", "a", "b", scripts=[replies])
    assert (outcome.code, outcome.stdout, outcome.stderr) == (0, "a\nb\n", "WARNING: no swap\n")
    body = b'{"Memory": 67108864, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}'
    assert outcome.received[0].body.replace(b" ", b"") == body.replace(b" ", b"")


def test_update_without_flags_is_refused() -> None:
    """Docker's sentence."""
    outcome = shoal("update", "a")
    assert outcome.code == 1
    assert "you must provide one or more flags when using this command" in outcome.stderr


def test_container_prune_asks_first() -> None:
    """No answer is no; yes and -f remove."""
    refused = shoal("container", "prune")
    assert (refused.code, refused.requests) == (1, [])
    assert refused.stdout.startswith("WARNING! This will remove all stopped containers.\n")
    report = answer(200, {"ContainersDeleted": ["aa", "bb"], "SpaceReclaimed": 1234567})
    agreed = shoal("container", "prune", scripts=[[report]], stdin=b"y\n")
    assert agreed.stdout.endswith("Deleted Containers:\naa\nbb\n\nTotal reclaimed space: 1.235MB\n")
    forced = shoal("container", "prune", "-f", "--filter", "until=1h", scripts=[[report]])
    assert forced.requests == ["POST /v1.50/containers/prune?filters=%7B%22until%22%3A%7B%221h%22%3Atrue%7D%7D"]


def test_system_prune_goes_through_everything() -> None:
    """Containers first, since they hold the rest; the space is added up, and told as it is on disk."""
    replies = [
        answer(200, {"Size": 9000}),
        answer(200, {"ContainersDeleted": None, "SpaceReclaimed": 1000}),
        answer(200, {"NetworksDeleted": ["n"]}),
        answer(200, {"VolumesDeleted": ["v"], "SpaceReclaimed": 200}),
        answer(200, {"ImagesDeleted": [{"Untagged": "a:1"}, {"Deleted": "sha256:b"}], "SpaceReclaimed": 30}),
        answer(200, {"CachesDeleted": None, "SpaceReclaimed": 4}),
        answer(200, {"Size": 5000}),
    ]
    outcome = shoal("system", "prune", "-af", "--volumes", scripts=[replies])
    paths = [request.partition("?")[0] for request in outcome.requests]
    kinds = ("containers", "networks", "volumes", "images", "build")
    df = "GET /v1.50/system/df/users"
    assert paths == [df, *(f"POST /v1.50/{kind}/prune" for kind in kinds), df]
    assert outcome.stdout == (
        "Deleted Networks:\nn\n\nDeleted Volumes:\nv\n\n"
        "Deleted Images:\nuntagged: a:1\ndeleted: sha256:b\n\nTotal reclaimed space: 1.234kB\n"
        "On disk: 9kB before, 5kB now\n"
    )


def test_system_df_shows_dockers_table() -> None:
    """What is used and what could be had back, in percent; of an engine that is not shoal no more than that."""
    usage = {
        "LayersSize": 3_000_000,
        "Images": [
            {"Size": 2_000_000, "SharedSize": 0, "Containers": 1},
            {"Size": 1_000_000, "SharedSize": 0, "Containers": 0},
        ],
        "Containers": [{"State": "running", "SizeRw": 100}, {"State": "exited", "SizeRw": 300}],
        "Volumes": [],
        "BuildCache": [],
    }
    assert shoal(
        "system", "df", scripts=[[answer(200, usage), answer(404, {"message": "page not found"})]]
    ).stdout.splitlines() == [
        "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE",
        "Images          2         1         3MB       1MB (33%)",
        "Containers      2         1         400B      300B (75%)",
        "Local Volumes   0         0         0B        0B",
        "Build Cache     0         0         0B        0B",
    ]


def test_system_df_shows_whose_every_byte_is() -> None:
    """A row for each kind of owner, what of it could be had back, and the sum; with -v a row for each owner."""
    users = [
        {"Kind": "image", "Id": "sha256:a", "Names": ["a:1"], "Size": 4000, "Inodes": 1, "InUse": True},
        {"Kind": "image-layer", "Id": "sha256:b", "Names": ["a:1", "b:1"], "Size": 9000, "Inodes": 7, "InUse": False},
        {"Kind": "partial-pull", "Id": "sha256:c", "Names": ["c:1"], "Size": 500, "Inodes": 2, "InUse": False},
        {"Kind": "engine", "Id": "shoal.db", "Names": ["shoal.db"], "Size": 4000, "Inodes": 1, "InUse": True},
    ]
    ledger = {"Size": 17_500, "Inodes": 11, "Users": users}
    summed, listed = (
        shoal("system", "df", *flags, scripts=[[answer(200, {}), answer(200, ledger)]]).stdout.splitlines()
        for flags in ([], ["-v"])
    )
    assert summed[5:] == [
        "",
        "OWNER           FILES     ON DISK   RECLAIMABLE",
        "Images          8         13kB      9kB",
        "Artifacts       0         0B        0B",
        "Containers      0         0B        0B",
        "Local Volumes   0         0B        0B",
        "Build Cache     0         0B        0B",
        "Partial Pulls   2         500B      500B",
        "Engine          1         4kB       0B",
        "Total           11        17.5kB",
    ]
    assert "Images          b          7         9kB       no        a:1, b:1" in listed
    assert listed[-1].split() == ["Total", "11", "17.5kB"]
