"""Copies between the user's files and a container's: `shoal cp`."""
