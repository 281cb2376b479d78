"""`shoal-runtime`: the command line of an OCI runtime, over the same launch plans and steps as the engine.

containerd, dockerd, Podman and conmon call it as they call runc: each call is one short process, and what it must
remember is in a directory below `--root`. OCI runtime-spec v1.3.

    shoal-runtime create            container                            shoal-runtime start
      │ clone3 ───────────────────────▶│ mounts                             │
      │ ◀───────────── waiting "hooks" │                                    │
      │ prestart, createRuntime        │                                    │
      │ go ───────────────────────────▶│ createContainer, pivot_root, user  │
      │ ◀───────────── waiting "start" │                                    │
      │ state, pid file                │                                    │
      │ go "listen", ends              │ listens on ROOT/ID/start           │
                                       │ ◀──────────────────────────  start │
                                       │ startContainer, execve             │
                                       │ ──────── error, or end of file ───▶│ poststart
"""
