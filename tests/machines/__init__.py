"""Containers in virtual machines, at length: each option and verb in both modes, restarts, kills, Compose.

`./dev test machines` runs them, where QEMU is installed: a start takes seconds where every instruction is emulated, so
what the ordinary tests have of it is a few long-lived machines (tests/conformance/test_isolation_vm.py).
"""
