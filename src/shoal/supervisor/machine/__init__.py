"""A container in a virtual machine of its own: the process beside QEMU on the host, and the first one in the guest.

 supervisor ── clone ──▶ monitor (steps/machine.py, monitor.py)          guest's process 1 (guest.py)
                          │ starts virtiofsd and QEMU                     │ the supervisor's own code (service.py)
                          │ ◀─ frames over a virtio-serial port (mux) ──▶ │
                          │ the container's streams and signals           │ the container's processes

The monitor is the container's first process on the host: what waits for it, signals it, freezes it or kills it, does so
with the machine. QEMU and virtiofsd are its children in its pid namespace, so the kernel ends them with it.
"""
