"""Snapshots: writable root file systems on top of layers."""
