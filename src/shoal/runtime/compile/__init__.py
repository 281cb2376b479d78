"""From a `Launch` to a `Plan`: the flat list of steps that the container's first process runs. Pure."""
