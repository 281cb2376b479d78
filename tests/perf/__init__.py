"""The benchmark: shoal beside whichever of dockerd and Podman is installed. `./dev bench` runs it."""
