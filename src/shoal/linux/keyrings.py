"""Kernel keyrings. Used by the child that becomes a container's process. keyrings(7), session-keyring(7)."""

from __future__ import annotations

from shoal.linux.libc import SYS_keyctl, syscall

# include/uapi/linux/keyctl.h
KEYCTL_JOIN_SESSION_KEYRING = 1


def join_new_session_keyring() -> None:
    """Puts this process into a new, empty session keyring without a name. keyctl(2).

    Raises: SyscallError (ENOSYS: a kernel without keys, EDQUOT: the user has too many).
    """
    syscall(SYS_keyctl, "keyctl", "KEYCTL_JOIN_SESSION_KEYRING", KEYCTL_JOIN_SESSION_KEYRING, 0)
