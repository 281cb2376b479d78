"""Container engines under test: each one started privately, driven the same way, and checked for what it leaves."""
