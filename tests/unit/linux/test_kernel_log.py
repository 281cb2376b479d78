"""The kernel's reports of processes that it killed for want of memory."""

from __future__ import annotations

from shoal.linux.kernel_log import LogRecord, oom_reports

GROUP = "/shoal/" + "a" * 64
PLACE = "nodemask=(null),cpuset=x,mems_allowed=0"
REST = "UID:0 pgtables:80kB oom_score_adj:0"
V1 = f"""\
tail invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
Call Trace:
br0: port 1(ve1) entered forwarding state
memory: usage 20480kB, limit 20480kB, failcnt 7
memory+swap: usage 20480kB, limit 20480kB, failcnt 0
kmem: usage 180kB, limit 9007199254740988kB, failcnt 0
Memory cgroup stats for {GROUP}:
cache 8192
rss 1000
shmem 4096
total_cache 8192
total_rss 20787200
total_shmem 4096
total_swap 0
Tasks state (memory values in pages):
[  17699]     0 17699     5598     5388     5056      332         0    81920        0             0 tail
oom-kill:constraint=CONSTRAINT_MEMCG,{PLACE},oom_memcg={GROUP},task_memcg={GROUP},task=tail,pid=17699,uid=0
Memory cgroup out of memory: Killed process 17699 (tail) total-vm:22392kB, anon-rss:20224kB, file-rss:1328kB,\
 shmem-rss:4kB, {REST}"""
GLOBAL = f"""\
python3 invoked oom-killer: gfp_mask=0x140cca, order=0, oom_score_adj=0
Mem-Info:
oom-kill:constraint=CONSTRAINT_NONE,{PLACE},global_oom,task_memcg={GROUP},task=py,pid=5,uid=0
Out of memory: Killed process 5 (py) total-vm:9kB, anon-rss:8kB, file-rss:0kB, shmem-rss:0kB, {REST}"""


def _records(text: str) -> list[LogRecord]:
    return [LogRecord(number, line) for number, line in enumerate(text.splitlines(), 1)]


def test_oom_report_of_a_container_has_victim_limit_and_counters() -> None:
    """Sizes in bytes, of the cgroup and of the victim; a line of somebody else in between does no harm."""
    (report,) = oom_reports(_records(V1))
    assert (report.group, report.limited, report.name, report.pid) == (GROUP, GROUP, "tail", 17699)
    assert (report.limit, report.usage, report.kernel) == (20480 << 10, 20480 << 10, 180 << 10)
    assert report.counters["total_rss"] == 20787200
    assert (report.anon, report.file, report.shmem) == (20224 << 10, 1328 << 10, 4 << 10)


def test_oom_report_of_the_machine_has_no_limited_cgroup() -> None:
    """Nor has it the counters of the report before it."""
    first, second = oom_reports(_records(f"{V1}\n{GLOBAL}"))
    assert first.limited == GROUP
    assert (second.limited, second.limit, second.counters, second.anon) == ("", 0, {}, 8 << 10)


def test_oom_report_cannot_be_forged_by_the_name_of_a_process() -> None:
    """A name of fifteen characters that looks like a part of a report stays a name."""
    name = ",pid=1,uid=0"
    text = V1.replace("task=tail,", f"task={name},").replace("(tail)", f"({name})")
    (report,) = oom_reports(_records(text))
    assert (report.name, report.pid, report.anon) == (name, 17699, 20224 << 10)
    assert oom_reports(_records("oom-kill:constr invoked oom-killer: gfp_mask=0x0\nrss 5 x\n")) == []


def test_oom_report_that_lost_its_beginning_still_has_its_victim() -> None:
    """The ring buffer has overwritten the first lines: what is left is told."""
    (report,) = oom_reports(_records("\n".join(V1.splitlines()[-2:])))
    assert (report.name, report.limit, report.counters) == ("tail", 0, {})
    assert report.anon == 20224 << 10


def test_oom_report_of_an_older_kernel_has_its_counters_in_one_record() -> None:
    """Escaped line ends within it, the last number maybe cut off; a name with a line end in it forges none."""
    lines = V1.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("Memory cgroup stats"))
    end = lines.index("Tasks state (memory values in pages):")
    stats = "anon 20787200\\x0afile 4096\\x0akernel 180224\\x0apgfault 5"
    (report,) = oom_reports(_records("\n".join([*lines[: begin + 1], stats, *lines[end:]])))
    assert report.counters == {"anon": 20787200, "file": 4096, "kernel": 180224}
    forged = "[  17699]     0 17699     5598     5388     5056 a\\x0aanon 999\\x0ab"
    (report,) = oom_reports(_records("\n".join([lines[0], forged, *lines[end:]])))
    assert report.counters == {}
