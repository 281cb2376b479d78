"""Programs that attackers run in containers: each tries things, and tells what came of each as JSON."""

from __future__ import annotations

# `attempt(name, function)` notes "done", or the name of the error.
FRAME = """
import ctypes, errno, fcntl, json, os, socket, stat, struct, sys, glob
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
told = {}

def attempt(name, function, *arguments):
    try:
        function(*arguments)
        told[name] = "done"
    except OSError as error:
        told[name] = errno.errorcode.get(error.errno, str(error.errno))

def call(number, *arguments):
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    if libc.syscall(ctypes.c_long(number), *words) < 0:
        raise OSError(ctypes.get_errno(), "")

def opened(path, flags):
    os.close(os.open(path, flags))

def written(path, content):
    with open(path, "wb", buffering=0) as file:
        file.write(content)
"""
TELL = "\nprint()\nprint(json.dumps(told))\n"

# Numbers of x86-64, and those of the table that newer architectures share.
_CALLS = """
X86 = os.uname().machine == "x86_64"
def number(x86, other):
    return x86 if X86 else other
text = lambda value: ctypes.c_char_p(value)
space = ctypes.create_string_buffer(256)
CALLS = {
    "bpf": (number(321, 280), 0, space, 48),
    "perf_event_open": (number(298, 241), space, 0, -1, -1, 0),
    "userfaultfd": (number(323, 282), 0),
    "init_module": (number(175, 105), space, 64, text(b"")),
    "finit_module": (number(313, 273), 0, text(b""), 0),
    "delete_module": (number(176, 106), text(b"no-such-module"), 0),
    "kexec_load": (number(246, 104), 0, 0, 0, 0),
    "mount": (number(165, 40), text(b"none"), text(b"/tmp"), text(b"tmpfs"), 0, 0),
    "remount": (number(165, 40), text(b"none"), text(b"/proc/sys"), 0, 32 | 4096, 0),
    "umount": (number(166, 39), text(b"/proc/kcore"), 2),
    "open_tree": (number(428, 428), -100, text(b"/"), 1),
    "fsopen": (number(430, 430), text(b"proc"), 0),
    "pivot_root": (number(155, 41), text(b"/tmp"), text(b"/tmp")),
    "setns": (number(308, 268), 0, 0),
    "unshare-user": (number(272, 97), 0x10000000),
    "unshare-mounts": (number(272, 97), 0x00020000),
    "clone-user": (number(56, 220), 0x10000000 | 17, 0, 0, 0, 0),
    "clone3-user": (number(435, 435), space, 64),
    "add_key": (number(248, 217), text(b"user"), text(b"stolen"), text(b"x"), 1, -3),
    "keyctl": (number(250, 219), 0, -3, 0),
    "request_key": (number(249, 218), text(b"user"), text(b"any"), 0, 0),
    "open_by_handle_at": (number(304, 265), -100, space, 0),
    "syslog": (number(103, 116), 3, space, 200),
    "reboot": (number(169, 142), 0, 0, 0, 0),
    "swapon": (number(167, 224), text(b"/tmp/none"), 0),
    "acct": (number(163, 89), text(b"/tmp/none")),
    "settimeofday": (number(164, 170), space, 0),
    "sethostname": (number(170, 161), text(b"owned"), 5),
    "quotactl": (number(179, 60), 0, text(b"/dev/none"), 0, 0),
    "io_uring_setup": (number(425, 425), 8, space),
}
"""

# What no container does by default; the errors are the filter's or the kernel's, before anything happens.
SYSTEM_CALLS = (
    FRAME
    + _CALLS
    + """
for name, words in CALLS.items():
    if name not in os.environ.get("SKIP", "").split():
        attempt(name, call, *words)
"""
    + TELL
)

# Opened only, never written: where one can be opened, the test has failed, and the machine lives.
WRITES = (
    FRAME
    + """
PATHS = [
    "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/hotplug",
    "/proc/sys/vm/panic_on_oom", "/proc/sys/fs/binfmt_misc/register", "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/kernel/hostname",
    "/proc/sysrq-trigger", "/proc/kcore", "/proc/kmem", "/proc/mem", "/proc/mtrr", "/proc/acpi/wakeup",
    "/sys/kernel/uevent_helper", "/sys/power/state", "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/kernel/security/apparmor/.load", "/sys/firmware/efi/vars", "/sys/kernel/debug/sched_features",
    "/dev/mem", "/dev/kmem", "/dev/kmsg", "/dev/port", "/dev/kvm", "/dev/tty0", "/dev/sda", "/dev/vda", "/dev/loop0",
    "/dev/loop-control", "/dev/fuse", "/dev/net/tun", "/dev/vhost-net", "/dev/cpu/0/msr", "/dev/rtc0", "/dev/uinput",
    *glob.glob("/proc/irq/*/smp_affinity")[:3], *glob.glob("/proc/fs/*/*/*")[:3], *glob.glob("/proc/bus/*/*")[:3],
    *glob.glob("/sys/module/*/parameters/*")[:5], *glob.glob("/sys/class/net/*/address"),
    *glob.glob("/sys/bus/*/drivers_probe")[:3], *glob.glob("/sys/block/*/queue/scheduler")[:3],
    *glob.glob("/sys/devices/system/cpu/cpu*/online")[:2],
]
for name in ("release_agent", "notify_on_release", "cgroup.procs", "tasks", "devices.allow", "memory.*max*",
             "cgroup.subtree_control", "freezer.state", "cgroup.kill"):
    PATHS += glob.glob("/sys/fs/cgroup/**/" + name, recursive=True)
for path in PATHS:
    attempt(path, opened, path, os.O_WRONLY | os.O_NONBLOCK)
for root in ("/proc/1/root", "/proc/self/root", "/proc/thread-self/root", "/proc/1/cwd"):
    attempt(root, opened, root + "/proc/sys/kernel/core_pattern", os.O_WRONLY)
for place in glob.glob("/sys/fs/cgroup/*"):
    if os.path.isdir(place):
        attempt(f"mkdir {place}", os.mkdir, place + "/escape")
"""
    + TELL
)

# Block and character devices of the host: made with the capability that Docker leaves, opened against the cgroup.
DEVICES = (
    FRAME
    + """
numbers = {"mem": ("c", 1, 1), "port": ("c", 1, 4), "kmsg": ("c", 1, 11), "tty0": ("c", 4, 0), "loop": ("b", 7, 0),
           "fuse": ("c", 10, 229), "tun": ("c", 10, 200), "loop-control": ("c", 10, 237), "kvm": ("c", 10, 232)}
with open("/proc/partitions") as table:
    for line in table.read().splitlines()[2:]:
        major, minor, _, name = line.split()
        numbers["disk " + name] = ("b", int(major), int(minor))
for name, (kind, major, minor) in numbers.items():
    path = "/tmp/" + name.replace(" ", "-")
    try:
        os.mknod(path, (stat.S_IFBLK if kind == "b" else stat.S_IFCHR) | 0o666, os.makedev(major, minor))
    except OSError as error:
        told["open " + name] = errno.errorcode[error.errno]
        continue
    attempt("open " + name, opened, path, os.O_RDONLY | os.O_NONBLOCK)
    attempt("write " + name, opened, path, os.O_WRONLY | os.O_NONBLOCK)
"""
    + TELL
)

# Looks at every process that is about to become an exec of this container, as long as the file /tmp/go is there.
WATCH_SETUP = (
    FRAME
    + """
told.update(seen=0)
def comm(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().partition("(")[2].rpartition(")")[0]

def look(pid):
    for name, function in {
        "exe": lambda: os.close(os.open(f"/proc/{pid}/exe", os.O_RDONLY)),
        "exe for writing": lambda: os.close(os.open(f"/proc/{pid}/exe", os.O_WRONLY)),
        "mem": lambda: os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR)),
        "root": lambda: os.listdir(f"/proc/{pid}/root/"),
        "cwd": lambda: os.listdir(f"/proc/{pid}/cwd/"),
        "fd": lambda: os.readlink(f"/proc/{pid}/fd/3"),
        "environ": lambda: open(f"/proc/{pid}/environ", "rb").read(),
    }.items():
        try:
            function()
        except OSError as error:
            continue
        # It counts where the process is still shoal's own.
        if comm(pid).startswith("shoal"):
            told[name] = "done"

print("ready", flush=True)
while not os.path.exists("/tmp/stop"):
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) > 1 and int(pid) != os.getpid():
            try:
                if comm(pid).startswith("shoal"):
                    told["seen"] += 1
                    look(int(pid))
            except OSError:
                pass
"""
    + TELL
)

# A user namespace first, then the cgroup hierarchies from inside it (CVE-2022-0492).
RELEASE_AGENT = (
    FRAME
    + """
attempt("unshare", lambda: call(272 if os.uname().machine == "x86_64" else 97, 0x10000000 | 0x02000000 | 0x00020000))
os.makedirs("/tmp/h", exist_ok=True)
for options in (b"memory", b"rdma", b"devices", b"none,name=escape", b""):
    kind = b"cgroup" if options else b"cgroup2"
    if libc.mount(b"none", b"/tmp/h", kind, 0, options) == 0:
        attempt(f"release_agent {options!r}", opened, "/tmp/h/release_agent", os.O_WRONLY)
        attempt(f"devices.allow {options!r}", written, "/tmp/h/devices.allow", b"c 1:1 rwm")
        libc.umount2(b"/tmp/h", 2)
"""
    + TELL
)

TERMINAL = (
    FRAME
    + """
TIOCSTI, TIOCLINUX, TIOCCONS = 0x5412, 0x541C, 0x541D
told["device"] = str(os.fstat(0).st_dev)
told["console"] = os.popen("ls -l /dev/console").read().strip()
def paste():
    fcntl.ioctl(0, TIOCLINUX, struct.pack("b", 3) + bytes(15))
attempt("TIOCLINUX", paste)
attempt("TIOCCONS", fcntl.ioctl, 0, TIOCCONS)
for path in ("/dev/tty0", "/dev/tty1", "/dev/ttyS0", "/dev/pts/../tty1"):
    attempt("open " + path, opened, path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
"""
    + TELL
)
