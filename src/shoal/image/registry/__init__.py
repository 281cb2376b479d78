"""Registries: images pulled and pushed by the OCI distribution specification and Docker's schema 2."""
