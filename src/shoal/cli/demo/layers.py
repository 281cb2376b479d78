"""Step 3 of the demo: layers, what containers add on disk, and the changes of one."""

from __future__ import annotations

from shoal.cli.demo import archives, measures
from shoal.cli.demo.stage import Stage, Started
from shoal.cli.quantities import decimal_size
from shoal.client.capture import exec_captured
from shoal.client.client import Client

CROWD = 10

_CHANGES_MADE = "echo hello > /root/note && echo changed >> /etc/issue && rm /etc/debian_version"
_CHANGES_SEEN = {"A /root/note", "C /etc/issue", "D /etc/debian_version"}


def show_layers(stage: Stage) -> list[Started]:
    """Step 3. The ten containers that it started go on, for the next step."""
    narration, data = stage.narration, stage.engine.data_root
    narration.step(3, "Layers: one image, many containers")
    narration.explain(
        "An image is a stack of read-only layers. A container puts one thin layer on top, which takes its changes; "
        "everything below is shared, however many containers there are."
    )
    _show_stack(stage)
    images = measures.disk_bytes(data)
    crowd = [_idle(stage, 1)]
    one = measures.disk_bytes(data) - images
    crowd += [_idle(stage, number) for number in range(2, CROWD + 1)]
    ten = measures.disk_bytes(data) - images
    narration.figure("disk, all images", f"{decimal_size(images)}, shared layers counted once")
    narration.figure("disk, one container", f"{decimal_size(one)} more")
    narration.figure("disk, ten containers", f"{decimal_size(ten)} more")
    narration.promise("ten containers together add less than a hundredth of what the image takes", ten < images / 100)
    _show_changes(stage)
    return crowd


def _idle(stage: Stage, number: int) -> Started:
    return stage.run(f"idle-{number}", archives.DEBIAN_IMAGE, command=["sleep", "infinity"])


def _show_stack(stage: Stage) -> None:
    images = stage.client.images
    base = images.inspect(archives.DEBIAN_IMAGE).texts("RootFS", "Layers")
    web = images.inspect(archives.WEB_IMAGE).texts("RootFS", "Layers")
    # The history is newest first, and here has one step for each layer.
    sizes = [step.number("Size") for step in reversed(images.history(archives.WEB_IMAGE))]
    for digest, size in zip(web, sizes, strict=False):
        whose = f"{archives.DEBIAN_IMAGE} and web" if digest in base else "web alone"
        name = f"layer {digest.removeprefix('sha256:')[:12]}"
        stage.narration.figure(name, f"{decimal_size(size)}, of {whose}")
    shares = len(base) == 1 and len(web) == 2 and web[0] == base[0]
    stage.narration.promise("web is Debian's layer and one more", shares)


def _show_changes(stage: Stage) -> None:
    made = exec_captured(stage.client, "idle-1", ["/bin/sh", "-c", _CHANGES_MADE])
    changes = changed_paths(stage.client, "idle-1")
    stage.narration.figure("changed in idle-1", "A added, C changed, D deleted:")
    stage.narration.listing(changes)
    # The directories of the changed files count as changed too.
    seen = {change for change in changes if change not in ("C /etc", "C /root")}
    kept = made.exit_code == 0 and seen == _CHANGES_SEEN
    stage.narration.promise("these are exactly the three changes that were made in it", kept)


def changed_paths(client: Client, ref: str) -> list[str]:
    """`A /path`, `C /path` and `D /path` lines for what differs from the image."""
    return [f"{'CAD'[change.number('Kind')]} {change.text('Path')}" for change in client.containers.changes(ref)]
