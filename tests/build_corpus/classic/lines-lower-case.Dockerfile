from busybox as Base
env a=b
run echo lower > /lower
From base
Label c=d
