"""`shoal demo`: what a container is, shown on the reader's own machine with a private engine and real images.

The host is left as it was: the engine has its own data and run directories, its own socket, its own bridge and
firewall table, and all of it is gone at the end, which the last step proves.
"""
