FROM --platform=nonsense/x/y/z busybox
