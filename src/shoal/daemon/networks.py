"""The networks that a daemon begins with, and how it makes others."""

from __future__ import annotations

from dataclasses import replace

from shoal.daemon.config import Config
from shoal.engine.database import Database
from shoal.engine.network_catalog import NetworkCatalog
from shoal.network.bridge import BridgeConfig, BridgeNetwork
from shoal.network.bridge_host import BridgeHost
from shoal.network.bridge_options import bridge_config
from shoal.network.definition import NetworkDefinition
from shoal.network.driver import LinkedNetwork, NetworkDriver
from shoal.network.parents import Parents
from shoal.network.stacked import StackedNetwork
from shoal.network.stacked_options import stacked_config
from shoal.network.store import NetworkStore
from shoal.network.unrouted import UnroutedNetwork


def network_catalog(config: Config, database: Database) -> NetworkCatalog:
    """The predefined networks and, by their definitions, the users' own."""
    bridge = BridgeConfig.for_daemon(str(config.exec_root), bip=config.bip, ip_forward=config.ip_forward)
    bridge = replace(bridge, pools=config.address_pools)
    if config.bridge:
        bridge = replace(bridge, bridge=config.bridge, adopted=True)
    host = BridgeHost(bridge.table)
    drivers: dict[str, NetworkDriver] = {
        "host": UnroutedNetwork("host", database.connection),
        "none": UnroutedNetwork("none", database.connection),
    }
    if config.bridge != "none":
        drivers = {"bridge": BridgeNetwork(bridge, database.connection, host=host), **drivers}

    parents = Parents(bridge.table)

    def make(definition: NetworkDefinition) -> LinkedNetwork:
        if definition.driver in ("macvlan", "ipvlan"):
            stacked = stacked_config(definition, config.address_pools)
            return StackedNetwork(stacked, database.connection, host, parents)
        made = replace(bridge_config(definition, bridge.table), pools=config.address_pools)
        return BridgeNetwork(made, database.connection, host=host)

    return NetworkCatalog(drivers, NetworkStore(database.connection), host, make)
