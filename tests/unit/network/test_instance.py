"""shoal.network.instance: names that keep daemons and containers apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.network.instance import bridge_name, table_name, veth_name


def test_names_of_the_default_daemon_are_plain() -> None:
    """With a trailing slash as well."""
    assert (bridge_name("/run/shoal"), table_name("/run/shoal/")) == ("shoal0", "shoal")


def test_names_of_another_daemon_carry_its_exec_root() -> None:
    """Stable, distinct, and short enough for an interface."""
    assert bridge_name("/run/a") == table_name("/run/a") == bridge_name("/run/a")
    assert bridge_name("/run/a") != bridge_name("/run/b")
    assert len(bridge_name("/run/a")) == 11


@given(st.text("0123456789abcdef", min_size=64, max_size=64), st.text("0123456789abcdef", min_size=64, max_size=64))
def test_veth_name_fits_an_interface_name(container_id: str, endpoint_id: str) -> None:
    """At most fifteen bytes, beginning with `ve`."""
    name = veth_name(container_id, endpoint_id)
    assert len(name) <= 15
    assert name.startswith("ve")
