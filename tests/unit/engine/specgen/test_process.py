"""What runs: merging with the image, the environment, the limits."""

from __future__ import annotations

import pytest

from shoal.api.container import ContainerConfig
from shoal.api.host_config import Ulimit
from shoal.api.image import ImageConfig
from shoal.engine.specgen.process import command_line, environment, merge_process, rlimits
from shoal.errors import InvalidArgument
from shoal.oci.runtime_spec import Rlimit

IMAGE = ImageConfig(
    entrypoint=["/entry"],
    cmd=["default"],
    env=["PATH=/image/bin", "LANG=C"],
    user="app",
    working_dir="/srv",
    labels={"from": "image", "both": "image"},
    exposed_ports={"80/tcp": {}},
    stop_signal="SIGQUIT",
)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (ContainerConfig(), ["/entry", "default"]),
        (ContainerConfig(cmd=["other"]), ["/entry", "other"]),
        (ContainerConfig(cmd=[]), ["/entry", "default"]),
        (ContainerConfig(entrypoint=["/mine"]), ["/mine"]),
        (ContainerConfig(entrypoint=["/mine"], cmd=["x"]), ["/mine", "x"]),
        (ContainerConfig(entrypoint=[""], cmd=["sh"]), ["sh"]),
        (ContainerConfig(entrypoint=[], cmd=["sh"]), ["sh"]),
    ],
)
def test_merge_command_line_follows_dockers_table(config: ContainerConfig, expected: list[str]) -> None:
    """A new entrypoint resets the image's command; an empty one resets the entrypoint."""
    merged = merge_process(config, IMAGE)
    assert [*command_line(merged)] == expected


@pytest.mark.parametrize("config", [ContainerConfig(), ContainerConfig(entrypoint=[""])])
def test_merge_nothing_to_run_is_refused(config: ContainerConfig) -> None:
    """An image without a command needs one in the request."""
    with pytest.raises(InvalidArgument, match=r"^no command specified$"):
        merge_process(config, None)


def test_merge_request_wins_field_by_field() -> None:
    """User, directory, labels and stop signal come from the image only where the request is silent."""
    merged = merge_process(ContainerConfig(user="root", labels={"both": "request"}, cmd=["x"]), IMAGE)
    assert (merged.user, merged.working_dir, merged.stop_signal) == ("root", "/srv", "SIGQUIT")
    assert merged.labels == {"from": "image", "both": "request"}
    assert set(merged.exposed_ports) == {"80/tcp"}


def test_merge_leaves_the_request_as_it_was() -> None:
    """The request is kept for inspection, so merging must not change it."""
    request = ContainerConfig(env=["A=1"], cmd=["x"])
    merge_process(request, IMAGE)
    assert request.env == ["A=1"]


def test_environment_order_is_path_hostname_term_then_the_configuration() -> None:
    """`docker run -t -e A=1 IMG env` prints them in this order."""
    config = merge_process(ContainerConfig(env=["A=1"], cmd=["x"], tty=True), ImageConfig(env=["LANG=C"]))
    entries = environment(config, "box")
    assert [entry.partition("=")[0] for entry in entries] == ["PATH", "HOSTNAME", "TERM", "A", "LANG"]


def test_environment_of_the_image_replaces_the_default_path_in_place() -> None:
    """The image's PATH stands where the default stood."""
    entries = environment(ContainerConfig(env=["PATH=/image/bin", "HOSTNAME=mine"]), "box")
    assert entries == ("PATH=/image/bin", "HOSTNAME=mine")


def test_environment_name_without_equals_removes_it() -> None:
    """`-e HOSTNAME` with no such variable at the client means: not at all."""
    assert environment(ContainerConfig(env=["HOSTNAME"]), "box") == (
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    )


def test_rlimits_of_the_request_win_over_the_daemons() -> None:
    """One limit a name, -1 is the kernel's infinity."""
    limits = rlimits([Ulimit(name="nofile", soft=5, hard=-1)], [Ulimit(name="nofile", soft=1, hard=1)])
    assert limits == (Rlimit(type="RLIMIT_NOFILE", soft=5, hard=2**64 - 1),)


@pytest.mark.parametrize(
    "limit", [Ulimit(name="odd", soft=1, hard=1), Ulimit(name="nofile", soft=2, hard=1), Ulimit(name="cpu", soft=-1)]
)
def test_rlimits_that_make_no_sense_are_refused(limit: Ulimit) -> None:
    """An unknown name, or a soft limit above the hard one."""
    with pytest.raises(InvalidArgument, match="ulimit"):
        rlimits([limit], [])


def test_merge_process_image_cannot_say_whom_ports_serve() -> None:
    """Its label that opens ports past the host's firewall is left out; the request's own stays, as others do."""
    image = ImageConfig(labels={"shoal.published-ports": "open", "vendor": "x"})
    asked = ContainerConfig(cmd=["sh"], labels={"shoal.published-ports": "host-firewall"})
    assert merge_process(ContainerConfig(cmd=["sh"]), image).labels == {"vendor": "x"}
    assert merge_process(asked, image).labels == {"vendor": "x", "shoal.published-ports": "host-firewall"}
