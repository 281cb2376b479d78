"""The kernel layer: thin, typed, blocking wrappers around what Linux offers to a container engine.

Every process of shoal uses it, the supervisor and its children included, so these modules import only the few
standard modules of the supervisor's allow-list, declare their C prototypes while they are imported, and
import nothing inside functions. Kernel things keep their kernel names. A refused system call is a
SyscallError.
"""
