"""The tests in a guest of their own: Debian's cloud kernel in QEMU, with version 2 of cgroups and nothing else on it.

__main__   `./dev test vm`: what it takes, one run, its results
kernel     Debian's kernel package, unpacked and not installed, and the modules that a boot needs
initramfs  the first file system of a guest, as an archive
root       the guest's Debian, made once
checkout   this checkout and its libraries, as a tar on a disk of the guest's
machine    the QEMU process, its command line and its channels
accelerator  whether KVM boots this kernel here
messages   what host and guest say to each other
guest      the guest's process 1
"""
