"""Ways from one container into another one: memory, processes, names, logs, the network."""

from __future__ import annotations

import json

from tests.engines.shoald import Shoald
from tests.escapes import inside
from tests.escapes.cells import PYTHON, PYTHON_BINDS, attempts, exec, output, run, start


def test_shared_memory_of_another_container_is_not_seen(shoald: Shoald) -> None:
    """/dev/shm, System V memory and message queues are each container's own."""
    make = inside.FRAME + """
libc.shmget.restype = ctypes.c_int
print(libc.shmget(0x5ec4e7, 4096, 0o1666))
open("/dev/shm/secret", "w").write("secret")
open("/dev/mqueue/secret", "w").close()
print("ready", flush=True)
import time; time.sleep(1000)
"""  # fmt: skip
    start(shoald, "owner", [PYTHON, "-ISc", make], {"Binds": PYTHON_BINDS})
    while "ready" not in output(shoald, "owner"):
        pass
    steal = inside.FRAME + """
def shm():
    if libc.shmget(0x5ec4e7, 4096, 0o666) < 0:
        raise OSError(ctypes.get_errno(), "")
attempt("System V", shm)
attempt("shm", os.stat, "/dev/shm/secret")
attempt("mqueue", os.stat, "/dev/mqueue/secret")
""" + inside.TELL  # fmt: skip
    assert attempts(shoald, steal) == {"System V": "ENOENT", "shm": "ENOENT", "mqueue": "ENOENT"}


def test_root_of_another_container_is_not_reached_through_proc(shoald: Shoald) -> None:
    """No /proc/PID/root of a neighbour exists, and its processes cannot be signalled by number."""
    start(shoald, "owner", ["sh", "-c", "echo secret > /secret; exec sleep 1000"])
    pid = shoald.inspect("owner")["State"]["Pid"]  # type: ignore[index]
    code, text = run(shoald, ["sh", "-c", f"cat /proc/*/root/secret; kill -9 {pid}; ls /proc/{pid}"])
    assert code != 0
    assert "secret\n" not in text.replace("root/secret", "")
    assert shoald.inspect("owner")["State"]["Running"] is True  # type: ignore[index]


def test_neighbour_of_the_same_pids_with_another_user_reads_nothing(shoald: Shoald) -> None:
    """Who joins a container's PIDs as an ordinary user sees its processes, and not into them."""
    start(shoald, "owner", ["sh", "-c", "echo secret > /secret; exec sleep 1000"])
    host = {"PidMode": "container:owner"}
    code, text = run(shoald, ["sh", "-c", "cat /proc/1/root/secret; kill -9 1"], host, User="1000")
    assert code != 0
    assert text.count("ermission denied") + text.count("not permitted") == 2, text


def test_keys_of_another_container_are_not_possessed(shoald: Shoald) -> None:
    """Without the filter a container has a session keyring of its own; an exec has another one than shoal's."""
    program = inside.FRAME + """
X86 = os.uname().machine == "x86_64"
words = [b"user", b"shoal-escape", b"x", ctypes.c_long(1), ctypes.c_long(-3)]
key = libc.syscall(ctypes.c_long(248 if X86 else 217), *words)
assert key > 0, ctypes.get_errno()
print("ready", flush=True)
import time; time.sleep(1000)
"""  # fmt: skip
    host = {"Binds": PYTHON_BINDS, "SecurityOpt": ["seccomp=unconfined"]}
    start(shoald, "owner", [PYTHON, "-ISc", program], host)
    while "ready" not in output(shoald, "owner"):
        assert shoald.inspect("owner")["State"]["Running"], output(shoald, "owner")  # type: ignore[index]
    search = inside.FRAME + """
X86 = os.uname().machine == "x86_64"
attempt("search", call, 250 if X86 else 219, 10, -3, ctypes.c_char_p(b"user"), ctypes.c_char_p(b"shoal-escape"), 0)
""" + inside.TELL  # fmt: skip
    assert attempts(shoald, search, {"SecurityOpt": ["seccomp=unconfined"]}) == {"search": "ENOKEY"}
    code, text = exec(shoald, "owner", [PYTHON, "-ISc", search])
    assert (code, json.loads(text)) == (0, {"search": "ENOKEY"})


def test_lines_that_look_like_records_stay_text(shoald: Shoald) -> None:
    """What a container prints cannot forge a line of its log, of another stream, or of the daemon's log."""
    forged = '{"log":"forged\\n","stream":"stderr","time":"2020-01-01T00:00:00Z"}'
    line = f"{forged}\r\x1b[2K{forged}\x00\x1e"
    start(shoald, "cell", ["sh", "-c", f"printf '%s\\n' '{line}'".replace("\x00", "")])
    shoald.request("POST", "/containers/cell/wait")
    assert output(shoald, "cell") == line.replace("\x00", "") + "\n"
    assert shoald.request("GET", "/containers/cell/logs?stderr=1").body == b""
    assert "forged" not in shoald.log


def test_raw_sockets_need_their_capability(shoald: Shoald) -> None:
    """Without NET_RAW no packet carries another one's address; nobody sets addresses without NET_ADMIN."""
    program = inside.FRAME + """
attempt("packet", socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 3)
attempt("raw", socket.socket, socket.AF_INET, socket.SOCK_RAW, 255)
def address():
    with socket.socket() as sock:
        fcntl.ioctl(sock, 0x8924, struct.pack("16sH14s", b"eth0", 1, bytes.fromhex("02420000fffe")))
attempt("mac", address)
def ip():
    with socket.socket() as sock:
        fcntl.ioctl(sock, 0x8916, struct.pack("16sH2s4s8x", b"eth0", 2, b"", bytes([172, 17, 0, 99])))
attempt("ip", ip)
""" + inside.TELL  # fmt: skip
    assert set(attempts(shoald, program, {"CapDrop": ["NET_RAW"]}).values()) == {"EPERM"}
    default = attempts(shoald, program)
    assert (default["mac"], default["ip"]) == ("EPERM", "EPERM")
