"""`shoal compare`: what isolates the instances of an application, and what that costs, measured on this machine.

report      figures with raw samples, and what each kind of instance sees and shares     pure
probes      scripts that are run in each instance, by the same busybox
instances   containers, virtual machines, and bare processes of the host
measuring   starts the instances and takes the figures                                    the kernel's own counters
table, page the report for a terminal, and for a browser (plots, stacks)                 pure
"""
