"""The configuration of a committed image."""

from __future__ import annotations

from shoal.api.container import ContainerConfig, HealthConfig
from shoal.engine.container.committing import image_config


def test_image_config_is_the_containers_own() -> None:
    """Only what an image has; nothing of the host, and nothing that was not set."""
    container = ContainerConfig(
        hostname="h",
        tty=True,
        image="busybox",
        env=["A=1"],
        cmd=["sh"],
        exposed_ports={"80/tcp": {}},
        labels={"a": "b"},
    )
    made = image_config(container, None)
    assert (made.env, made.cmd, made.exposed_ports, made.labels) == (["A=1"], ["sh"], {"80/tcp": {}}, {"a": "b"})
    assert (made.entrypoint, made.user, made.healthcheck) == (None, "", None)


def test_image_config_asked_for_comes_first() -> None:
    """Lists of names are joined, single values replaced, and a new entry point drops the old command."""
    container = ContainerConfig(
        env=["A=1", "B=2"], cmd=["old"], user="app", working_dir="/w", healthcheck=HealthConfig(test=["NONE"])
    )
    made = image_config(container, ContainerConfig(env=["A=9"], entrypoint=["new"], working_dir="/v"))
    assert (made.env, made.entrypoint, made.cmd) == (["A=9", "B=2"], ["new"], None)
    assert (made.user, made.working_dir) == ("app", "/v")
    assert made.healthcheck is not None
    assert made.healthcheck.test == ["NONE"]
