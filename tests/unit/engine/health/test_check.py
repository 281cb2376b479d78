"""Health checks: what is asked for, merged with the image's, made into a command and times."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from shoal.api.container import ContainerConfig, HealthConfig
from shoal.api.image import ImageHealthConfig
from shoal.engine.health.check import check_health_config, health_check, health_warnings, merge_health_config
from shoal.errors import InvalidArgument

S = 1_000_000_000
MS = 1_000_000


def test_health_check_defaults_are_dockers() -> None:
    """Every 30 s, 30 s long, three times; no start period, and 5 s between probes in one."""
    check = health_check(ContainerConfig(healthcheck=HealthConfig(test=["CMD", "curl", "-f", "x"])))
    assert check is not None
    assert check.command == ("curl", "-f", "x")
    assert (check.interval_ns, check.timeout_ns, check.retries) == (30 * S, 30 * S, 3)
    assert (check.start_period_ns, check.start_interval_ns) == (0, 5 * S)


@pytest.mark.parametrize(
    ("shell", "command"), [([], ("/bin/sh", "-c", "a b")), (["/bin/bash", "-ec"], ("/bin/bash", "-ec", "a b"))]
)
def test_health_check_shell_form_has_the_containers_shell(shell: list[str], command: tuple[str, ...]) -> None:
    """CMD-SHELL is run by the container's SHELL, /bin/sh without one."""
    check = health_check(ContainerConfig(healthcheck=HealthConfig(test=["CMD-SHELL", "a b"]), shell=shell))
    assert check is not None
    assert check.command == command


@pytest.mark.parametrize("config", [None, UNSET, HealthConfig(), HealthConfig(test=["NONE"]), HealthConfig(test=["X"])])
def test_health_check_none_where_none_is_to_run(config: HealthConfig | None) -> None:
    """Nothing asked for, nothing left to run, NONE, and a kind that there is not."""
    assert health_check(ContainerConfig(healthcheck=config)) is None


def test_health_warnings_name_an_unknown_kind() -> None:
    """Docker writes it into its own log only; who asked for it should hear of it."""
    assert health_warnings(ContainerConfig(healthcheck=HealthConfig(test=["CMD", "true"]))) == []
    (warning,) = health_warnings(ContainerConfig(healthcheck=HealthConfig(test=["SHELL", "true"])))
    assert "'SHELL'" in warning


def test_health_check_of_a_hostile_image_is_bounded() -> None:
    """An image may say what it likes, the probes are a millisecond apart at least."""
    asked = HealthConfig(test=["CMD", "true"], interval=1, timeout=-5, start_period=-1, retries=-3)
    check = health_check(ContainerConfig(healthcheck=asked))
    assert check is not None
    assert (check.interval_ns, check.timeout_ns, check.start_period_ns, check.retries) == (MS, 30 * S, 0, 3)


def test_health_check_pause_is_shorter_in_the_start_period() -> None:
    """The start interval counts while it is starting within the start period, and then no longer."""
    asked = HealthConfig(test=["CMD", "true"], interval=60 * S, start_period=10 * S, start_interval=2 * S)
    check = health_check(ContainerConfig(healthcheck=asked))
    assert check is not None
    assert check.pause_ns(starting=True, up_ns=S) == 2 * S
    assert check.pause_ns(starting=False, up_ns=S) == 60 * S
    assert check.pause_ns(starting=True, up_ns=10 * S) == 60 * S


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (HealthConfig(interval=MS - 1), "Interval in Healthcheck cannot be less than 1ms"),
        (HealthConfig(timeout=-1), "Timeout in Healthcheck cannot be less than 1ms"),
        (HealthConfig(start_period=1), "StartPeriod in Healthcheck cannot be less than 1ms"),
        (HealthConfig(start_interval=1), "StartInterval in Healthcheck cannot be less than 1ms"),
        (HealthConfig(retries=-1), "Retries in Healthcheck cannot be negative"),
    ],
)
def test_check_health_config_refuses_in_dockers_words(config: HealthConfig, sentence: str) -> None:
    """Each field that makes no sense has its sentence."""
    with pytest.raises(InvalidArgument) as caught:
        check_health_config(config)
    assert caught.value.what == sentence


def test_merge_takes_the_images_fields_where_nothing_was_asked() -> None:
    """Field by field, as Docker does; without an image's check the request stands alone."""
    image = ImageHealthConfig(test=["CMD", "a"], interval=2 * S, retries=9)
    assert merge_health_config(None, None) is UNSET
    assert merge_health_config(UNSET, image) == HealthConfig(test=["CMD", "a"], interval=2 * S, retries=9)
    own = HealthConfig(test=["NONE"], timeout=S)
    assert merge_health_config(own, image) == HealthConfig(test=["NONE"], interval=2 * S, timeout=S, retries=9)
    assert merge_health_config(own, None) == own
