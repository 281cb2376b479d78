"""Requests that nobody would write, by the thousand."""
