"""Names that both sides of a machine know."""

# The virtio-serial port that the line goes through.
PORT = "shoal.line"
# The files that the host shows the guest, by virtiofs: its tag, and where the guest has them.
SHARE_TAG = "share"
SHARE = "/run/share"
# The monitor's door for others on the host, in its network namespace.
HATCH = b"\0shoal-machine"
# Where the guest mounts the container's root.
ROOT = "/run/root"
# What joins a container's interface with its guest, with the interface's number behind it: of no interest to others.
BRIDGE, TAP = "bridge", "tap"
# What a template is, in a directory of its own: how it is made, its memory, its devices' state.
RECIPE, RAM, STATE = "recipe", "ram", "state"
