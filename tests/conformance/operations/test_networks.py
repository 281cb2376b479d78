"""Networks of a user's own: made, joined, left and removed."""

from __future__ import annotations

from tests.conformance.operations.proofs import Api, proves
from tests.conformance.operations.test_container_lists import make

CREATE, ONE = "/networks/create", "/networks/{id}"


@proves(
    "NetworkCreate",
    "body.Name body.Driver body.Scope body.Internal body.Attachable body.IPAM body.EnableIPv4 body.EnableIPv6"
    " body.Options body.Labels",
    statuses="201 400 403 404",
)
@proves("NetworkDelete", statuses="204")
def test_network_create_fields(api: Api) -> None:
    """Each field is shown again; what is taken, unknown or malformed is refused."""
    pool = {"Subnet": "10.245.0.0/24", "IPRange": "10.245.0.128/25", "Gateway": "10.245.0.1"}
    body = {
        "Name": "net",
        "Driver": "bridge",
        "Scope": "local",
        "Internal": True,
        "Attachable": True,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Config": [pool | {"AuxiliaryAddresses": {"one": "10.245.0.130"}}]},
        "Options": {"com.docker.network.driver.mtu": "1400"},
        "Labels": {"k": "v"},
    }
    id = api.ok("POST", CREATE, body=body)["Id"]
    shown = api.ok("GET", ONE, id)
    assert {field: shown[field] for field in body if field != "IPAM"} == {k: v for k, v in body.items() if k != "IPAM"}
    assert shown["IPAM"]["Config"][0] == body["IPAM"]["Config"][0]  # type: ignore[index]
    assert api.refused("POST", CREATE, body={"Name": "bridge"})[0] == 403
    assert api.refused("POST", CREATE, body={"Name": "two", "IPAM": {"Config": [pool]}})[0] == 403
    assert api.refused("POST", CREATE, body={"Name": "two", "Driver": "nope"})[0] == 404
    assert api.refused("POST", CREATE, body={"Name": "two", "IPAM": {"Config": [{"Subnet": "x"}]}})[0] == 400
    assert api.ask("DELETE", ONE, id).status == 204


@proves("NetworkConnect", "body.Container body.EndpointConfig", statuses="200 400 403 404")
@proves("NetworkDisconnect", "body.Container body.Force", statuses="200 403 404")
def test_network_connect_and_disconnect(api: Api) -> None:
    """A running container comes in with the address it asks for, and goes; who is not in it, or not at all, is told."""
    connect, disconnect = f"{ONE}/connect", f"{ONE}/disconnect"
    api.ok("POST", CREATE, body={"Name": "net", "IPAM": {"Config": [{"Subnet": "10.246.0.0/24"}]}})
    make(api, "it")
    asked = {"IPAMConfig": {"IPv4Address": "10.246.0.9"}, "Aliases": ["other"]}
    assert api.ask("POST", connect, "net", body={"Container": "it", "EndpointConfig": asked}).status == 200
    (inside,) = api.ok("GET", ONE, "net")["Containers"].values()
    assert inside["IPv4Address"] == "10.246.0.9/24"
    assert api.refused("POST", connect, "net", body={"Container": "it"})[0] == 403
    assert api.refused("POST", connect, "host", body={"Container": "it"})[0] == 400
    assert api.refused("POST", connect, "none-such", body={"Container": "it"})[0] == 404
    assert api.ask("POST", disconnect, "net", body={"Container": "it", "Force": True}).status == 200
    assert api.refused("POST", disconnect, "net", body={"Container": "it"})[0] == 403
    assert api.refused("POST", disconnect, "net", body={"Container": "none-such", "Force": True})[0] == 404
    assert api.ask("DELETE", ONE, "net").status == 204
