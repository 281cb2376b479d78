"""The networks that a daemon begins with, and how it makes others."""

from __future__ import annotations

from dataclasses import replace

from shoal.daemon.config import Config
from shoal.engine.database import Database
from shoal.engine.network_catalog import NetworkCatalog
from shoal.network.bridge import BridgeNetwork
from shoal.network.bridge_config import BridgeConfig, Ipv6Config
from shoal.network.bridge_host import BridgeHost
from shoal.network.bridge_options import PoolDefaults, bridge_config
from shoal.network.definition import NetworkDefinition
from shoal.network.driver import LinkedNetwork, NetworkDriver
from shoal.network.ipam6 import unique_local_pool
from shoal.network.parents import Parents
from shoal.network.stacked import StackedNetwork
from shoal.network.stacked_options import stacked_config
from shoal.network.store import NetworkStore
from shoal.network.unrouted import UnroutedNetwork


def network_catalog(config: Config, database: Database) -> NetworkCatalog:
    """The daemon's networks, none of them started. Raises: InvalidArgument for a setting."""
    bridge = BridgeConfig.for_daemon(str(config.exec_root), bip=config.bip, ip_forward=config.ip_forward)
    host_network = UnroutedNetwork("host", database.connection)
    # The daemon's prefix stays as long as its database does, which remembers the networks made of it too.
    pools6 = config.address_pools6 or (unique_local_pool(host_network.inspect().id),)
    defaults = PoolDefaults(config.address_pools, pools6, ip_forward6=config.ip_forward)
    ipv6 = Ipv6Config(config.bridge_address6, pools6, config.ip_forward) if config.ipv6 else None
    bridge = replace(bridge, pools=config.address_pools, ipv6=ipv6)
    if config.bridge:
        bridge = replace(bridge, bridge=config.bridge, adopted=True)
    host = BridgeHost(bridge.table)
    drivers: dict[str, NetworkDriver] = {
        "host": host_network,
        "none": UnroutedNetwork("none", database.connection),
    }
    if config.bridge != "none":
        drivers = {"bridge": BridgeNetwork(bridge, database.connection, host=host), **drivers}

    parents = Parents(bridge.table)

    def make(definition: NetworkDefinition) -> LinkedNetwork:
        if definition.driver in ("macvlan", "ipvlan"):
            stacked = stacked_config(definition, defaults)
            return StackedNetwork(stacked, database.connection, host, parents)
        return BridgeNetwork(bridge_config(definition, bridge.table, defaults), database.connection, host=host)

    return NetworkCatalog(drivers, NetworkStore(database.connection), host, make)
