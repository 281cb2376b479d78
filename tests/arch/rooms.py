"""The rooms of shoal, from the front doors down to the pure data, and what each may reach."""

LEVELS = {
    "aio": 7,
    "cli": 7,
    "daemon": 7,
    "sync": 7,  # derived from aio
    "oci_runtime": 7,
    "client": 6,
    "server": 6,
    "engine": 5,
    "build": 4,
    "image": 4,
    "logs": 4,
    "network": 4,
    "runtime": 4,
    "volume": 4,
    "supervisor": 3,
    "linux": 2,
    "api": 1,
    "oci": 1,
    "errors": 0,
    "": 0,  # `shoal` itself: the version
}

# Rooms whose reach is narrower than "everything below".
NARROW = {
    "aio": {"client", "api"},
    "sync": {"client", "api"},
    "cli": {"client", "api", "oci", "linux", "build"},  # of build: which files a context leaves out
    "oci_runtime": {"runtime", "supervisor", "linux", "oci"},
    "client": {"api", "oci", "linux"},
    "supervisor": {"linux"},
    "linux": set(),
    "api": set(),
    "oci": set(),
}
