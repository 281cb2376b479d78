"""Plans of OCI bundles: whole ones against golden files, and the order that the lifecycle needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shoal.linux.namespaces import CLONE_NEWTIME, CLONE_NEWUSER
from shoal.oci.runtime_spec import decode
from shoal.runtime.compile.bundle import Bundle, compile_bundle, compile_bundle_exec
from shoal.runtime.compile.plan import Plan
from tests.golden import assert_golden
from tests.unit.runtime.plans import V1, V2

GOLDEN = Path(__file__).parent / "golden" / "bundle"
HOOK = {"path": "/bin/hook", "args": ["hook", "it"], "env": ["A=b"], "timeout": 3}
KINDS = ("pid", "network", "ipc", "uts", "mount", "cgroup")
MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]

SPECS: dict[str, dict[str, Any]] = {
    "least": {"linux": {"namespaces": [{"type": "mount"}]}},
    "hooks": {
        "hooks": {name: [HOOK] for name in ("prestart", "createRuntime", "createContainer", "startContainer")},
    },
    "mounts": {
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/tree", "type": "bind", "source": "/src", "options": ["rbind", "rro", "rprivate"]},
            {"destination": "/one", "type": "bind", "source": "/src", "options": ["bind", "ro", "exec", "noatime"]},
            {"destination": "/copy", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "size=1m"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]},
        ],
    },
    "user": {
        "process": {"user": {"uid": 1, "gid": 2, "umask": 63, "additionalGids": [3, 4]}, "oomScoreAdj": 7},
        "linux": {
            "namespaces": [{"type": kind} for kind in (*KINDS, "user", "time")],
            "uidMappings": MAPS,
            "gidMappings": MAPS,
        },
    },
    "joined": {
        "linux": {
            "namespaces": [
                {"type": "mount"},
                {"type": "pid", "path": "/proc/9/ns/pid"},
                {"type": "user", "path": "/proc/9/ns/user"},
                {"type": "network", "path": "/proc/9/ns/net"},
            ],
        },
    },
    "process": {
        "process": {
            "terminal": True,
            "consoleSize": {"height": 3, "width": 4},
            "capabilities": {"bounding": ["CAP_KILL", "CAP_OF_TOMORROW"], "effective": ["CAP_KILL"]},
            "noNewPrivileges": True,
            "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 1}],
            "scheduler": {"policy": "SCHED_BATCH", "nice": 2, "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
            "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 5},
        },
        "hostname": "h",
        "domainname": "d",
        "root": {"readonly": True},
        "linux": {
            "rootfsPropagation": "private",
            "personality": {"domain": "LINUX32"},
            "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]},
            "seccomp": {"defaultAction": "SCMP_ACT_ALLOW"},
            "maskedPaths": ["/proc/keys"],
            "readonlyPaths": ["/proc/sys"],
            "sysctl": {"kernel.shmmax": "1"},
        },
    },
}


def bundle(name: str, **more: bool) -> Bundle:
    """A small bundle with what `SPECS` adds to it."""
    spec: dict[str, Any] = {
        "ociVersion": "1.3.0",
        "process": {"cwd": "/", "args": ["sh"], "env": ["PATH=/bin"]},
        "root": {"path": "rootfs"},
        "linux": {"namespaces": [{"type": kind} for kind in KINDS]},
    }
    for key, value in SPECS[name].items():
        spec[key] = {**spec.get(key, {}), **value} if isinstance(value, dict) else value
    states = {"creating": '{"pid": @PID@, "status": "creating"}', "created": '{"pid": @PID@, "status": "created"}'}
    return Bundle(decode(json.dumps(spec).encode()), "/bundle/rootfs", "/group", states, **more)


def names(plan: Plan) -> list[str]:
    """The plan's steps by name; a barrier by what it waits for."""
    return [step.describe() if step.name == "wait" else step.name for step in plan.steps]


@pytest.mark.parametrize("name", SPECS)
def test_compile_bundle_is_the_golden_one(name: str) -> None:
    """What becomes of a specification's fields changes only on purpose."""
    plan = compile_bundle(bundle(name), V1)
    lines = [f"clone {plan.clone_flags:#x}, join {list(plan.joins)}", *plan.describe()]
    assert_golden(GOLDEN / f"{name}.txt", "\n".join(lines) + "\n")


@pytest.mark.parametrize("host", [V1, V2])
@pytest.mark.parametrize("name", SPECS)
def test_compile_bundle_keeps_the_lifecycles_order(name: str, host: Any) -> None:
    """Mounts, outside hooks, change of root, user, wait for start, filter and program come in this order."""
    order = names(compile_bundle(bundle(name), host))
    hooks, pivot = order.index("until the hooks is ready"), order.index("pivot")
    start = order.index("until the start is ready")
    assert order.index("propagation") < order.index("bundle-root") < hooks < pivot < order.index("set-user") < start
    assert order[-1] == "exec"
    assert all(index < hooks for index, step in enumerate(order) if step in ("mount", "bind-tree", "mount-copy"))
    assert all(index > start for index, step in enumerate(order) if step == "seccomp")
    assert order.index("find-program") < start
    if "hooks" in order:
        inside = [index for index, step in enumerate(order) if step == "hooks"]
        assert hooks < inside[0] < pivot
        assert start < inside[1]


def test_compile_bundle_new_user_namespace_is_mapped_before_anything() -> None:
    """The maps come first, then root of the namespace; limits are left to the runtime, and so is the time namespace."""
    plan = compile_bundle(bundle("user"), V1)
    assert names(plan)[:2] == ["until the maps is ready", "become-root"]
    assert plan.clone_flags & CLONE_NEWUSER
    assert not plan.clone_flags & CLONE_NEWTIME
    assert "rlimits" not in names(plan)
    assert "oom-score" not in names(plan)


def test_compile_bundle_denies_devices_but_the_defaults() -> None:
    """Without a list nothing is allowed but the default devices and the making of nodes."""
    rules = compile_bundle(bundle("least"), V1).resources["devices"]
    assert isinstance(rules, list)
    assert rules[0] == {"allow": False, "access": "rwm"}
    assert {"allow": True, "type": "c", "access": "rwm", "major": 1, "minor": 3} in rules
    assert all(rule["access"] == "m" for rule in rules[1:] if "major" not in rule)


@pytest.mark.parametrize(("field", "step"), [("pivot", "move-root"), ("new_keyring", "keyring")])
def test_compile_bundle_takes_the_flags_of_the_command_line(field: str, step: str) -> None:
    """`--no-pivot` and `--no-new-keyring` change the one step that they are about."""
    given = names(compile_bundle(bundle("least", **{field: False}), V1))
    assert (step in given) == (field == "pivot")


def test_compile_bundle_exec_waits_for_nothing() -> None:
    """A process that joins enters the container first, and has neither hooks nor barriers."""
    plan = compile_bundle_exec(bundle("hooks").spec, V1, flags=CLONE_NEWUSER, cgroup_path="/group", new_keyring=False)
    assert names(plan)[0] == "enter-container"
    assert not any(step in ("hooks", "wait", "keyring") for step in names(plan))
