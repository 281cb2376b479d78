"""Image archives: what `docker load` reads and `docker save` writes."""
