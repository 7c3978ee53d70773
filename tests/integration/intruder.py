#!/usr/bin/python3
"""What a user of the machine who is nobody to Halo tries, as that user.

    intruder.py look RUN STATE FILE...   reads, writes, connects, signals and traces what it can find; a line for each success
    intruder.py harm KIND SOCKET         does that to a socket for as long as it lives; a line "begun" when it has begun
    intruder.py ask SOCKET               what the daemon answers to {"get": "status"}
"""
import ctypes
import fcntl
import mmap
import os
import pathlib
import resource
import socket
import struct
import sys

GREETING = bytes([0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1]) + b"NULL".ljust(20, b"\0") + bytes(32)
_READY = bytes([5]) + b"READY" + bytes([11]) + b"Socket-Type" + bytes([0, 0, 0, 6]) + b"DEALER"
READY = bytes([0x04, len(_READY)]) + _READY


def tell(*words):
    print(*words, flush=True)


def connect(path):
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.connect(path)
    return peer


def files_below(*roots):
    for root in roots:
        path = pathlib.Path(root)
        yield path
        try:
            if path.is_dir():
                yield from files_below(*path.iterdir())
        except PermissionError:
            pass


def look(run, state, files):
    libc = ctypes.CDLL(None, use_errno=True)
    for path in files_below(run, state, *files):
        name = str(path)
        try:
            if path.is_socket():
                connect(name)
                tell("connected", name)
                continue
            if path.is_dir():
                (path / "planted").touch()
                tell("planted", name)
                continue
        except OSError:
            continue
        for mode, what in (("rb", "read"), ("ab", "wrote")):
            try:
                open(name, mode).close()
                tell(what, name)
            except OSError:
                pass
    for path in files_below("/dev/shm"):
        if path.is_file():
            tell("found", path)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            continue
        if name not in ("ringd", "cpgd", "quorumd", "cmapd", "haloctl"):
            continue
        for part in ("mem", "environ", "maps", "fd/3"):
            try:
                open(f"/proc/{pid}/{part}", "rb").close()
                tell("opened", f"/proc/{name}/{part}")
            except OSError:
                pass
        try:
            os.kill(int(pid), 0)
            tell("signalled", name)
        except OSError:
            pass
        if libc.ptrace(16, int(pid), 0, 0) == 0:  # PTRACE_ATTACH
            tell("traced", name)
    tell("looked")


def connections(path):
    """As many as there can be, silent."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    held = []
    while len(held) < 5000:
        try:
            held.append(connect(path))
        except BlockingIOError:
            pass
    tell("begun")
    while True:  # Who is turned away comes again.
        for index, peer in enumerate(held):
            try:
                if peer.recv(1 << 16, socket.MSG_DONTWAIT):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            peer.close()
            held[index] = connect(path)


def flood(path):
    """Frames without end, and nothing is read."""
    begun = False
    while True:
        try:
            peer = connect(path)
            peer.sendall(GREETING + READY)
            while True:
                peer.sendall((bytes([0, 200]) + os.urandom(200)) * 300)
                begun = begun or tell("begun") is None
        except OSError:
            begun = begun or tell("begun") is None


def half_frames(path):
    """Long messages that never end, on many connections."""
    held = []
    for _ in range(300):
        peer = connect(path)
        peer.setblocking(False)
        try:
            peer.send(GREETING + READY + bytes([2]) + (1 << 20).to_bytes(8, "big") + bytes(1 << 19))
        except OSError:
            pass
        held.append(peer)
    tell("begun")
    while True:
        for peer in held:
            try:
                peer.send(bytes(4096))
            except OSError:
                pass


def wrong_lengths(path):
    """Lengths beyond all bounds, commands that are none, bits that are reserved."""
    frames = [bytes([2]) + b"\xff" * 8, bytes([6]) + b"\xff" * 8, bytes([4, 255]) + bytes(255), bytes([0xF8, 1, 0]),
              bytes([2]) + (21 << 20).to_bytes(8, "big"), bytes([1, 0]), bytes([4, 6, 5]) + b"READY"]
    number = 0
    while True:
        try:
            peer = connect(path)
            peer.sendall(GREETING[:number % 65] if number % 3 == 0 else GREETING + READY + frames[number % len(frames)])
            peer.close()
        except OSError:
            pass
        number += 1
        if number == 100:
            tell("begun")


def frame(body):
    return (bytes([0, len(body)]) if len(body) < 256 else bytes([2]) + len(body).to_bytes(8, "big")) + body


def sessions(path):
    """Sessions as many as there can be, as one who may have them: each asks and sends without end, against all windows, and
    reads nothing. docs/wire-format-session.md, docs/wire-format-cpg.md"""
    name, pid = pathlib.Path(path).name, os.getpid().to_bytes(4, "little")
    if name == "cpg":
        hello = frame(bytes([1, 1]) + bytes(8) + pid + bytes(8) + bytes([0, 0, 0]))
        more = [frame(bytes([6, 1]) + struct.pack("<QIBBQ", n, 9, 0, 0, 50_000) + bytes(50_000)) for n in range(1, 4)]
    else:
        service = {"cmap": 0, "cfg": 1, "quorum": 3, "votequorum": 5}[name]
        hello = frame(bytes([1, 1, service]) + bytes(8) + pid)
        more = [frame(bytes([3, 1]) + n.to_bytes(8, "little") + os.urandom(n % 40)) for n in range(1, 40)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    held, number = {}, 0
    while True:
        index = number % 2000
        try:
            if index not in held:
                held[index] = connect(path)
                held[index].setblocking(False)
                join = frame(bytes([2, 1]) + struct.pack("<IIH", 1, 9, 8) + b"group%03d" % (index // 20)) if name == "cpg" else b""
                held[index].send(GREETING + READY + hello + join)
            held[index].send(more[number // 2000 % len(more)])
        except BlockingIOError:
            pass
        except OSError:
            if index in held:
                held.pop(index).close()
        number += 1
        if number == 1000:
            tell("begun")


def area_of(path):
    """A session as the library's, alone in a group: its two connections, and the descriptor of the memory through which
    the first of its own long messages comes. Nothing: this user has as many as he may."""
    ready = bytes([0x04, len(_READY) + 21]) + _READY + bytes([15]) + b"X-Halo-Features" + bytes([0, 0, 0, 1]) + b"3"
    pid = os.getpid().to_bytes(4, "little")
    control, events = connect(path), connect(path)
    for peer in (control, events):
        peer.settimeout(20)
    control.sendall(GREETING + ready + frame(bytes([1, 1]) + bytes(8) + pid + bytes(8) + bytes([0, 0, 1])))
    heard = b""
    while (at := heard.find(bytes([0, 31, 0x81, 1]))) < 0 or len(heard) < at + 33:
        got = control.recv(4096)
        if not got:
            raise ConnectionError
        heard += got
    session = heard[at + 4:at + 12]
    events.sendall(GREETING + ready + frame(bytes([9, 1]) + session + bytes(8)))
    control.sendall(frame(bytes([2, 1]) + struct.pack("<IIH", 1, 9, 8) + os.urandom(8)) + long_message(1))
    while True:
        got, ancillary, _, _ = events.recvmsg(1 << 16, socket.CMSG_LEN(4))
        if not got:
            raise ConnectionError
        if ancillary:
            return control, events, struct.unpack("i", ancillary[0][2])[0]
        if len(got) > 5000:
            return control, events, None


def long_message(number):
    return frame(bytes([6, 1]) + struct.pack("<QIBBQ", number, 9, 0, 0, 50_000) + bytes(50_000))


def abuse(file):
    """What works of it."""
    libc = ctypes.CDLL(None, use_errno=True)
    size = os.fstat(file).st_size
    again = f"/proc/self/fd/{file}"

    def write_mapped():
        with mmap.mmap(file, size) as memory:
            memory[0] = 1

    def punch():
        if libc.fallocate(file, 3, ctypes.c_long(0), ctypes.c_long(65536)) != 0:
            raise OSError

    for what in (lambda: os.ftruncate(file, 0), lambda: os.ftruncate(file, 2 * size), lambda: os.pwrite(file, b"x", 0),
                 lambda: os.pwrite(os.open(again, os.O_RDWR), b"x", 0), write_mapped, punch,
                 lambda: fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)):
        try:
            what()
            return True
        except OSError:
            pass
    return False


def areas(path):
    """Memory that cpgd shares: written, resized and punched; acknowledged wrongly or never, while messages come."""
    held, number, abused, begun = [], 0, 0, False
    while True:
        try:
            control, events, file = area_of(path)
            if file is not None:
                abused += 1
                if abuse(file):
                    tell("the memory can be changed")
                os.close(file)
            for message in range(2, 60):
                control.setblocking(False)
                control.send(long_message(message))
            # One event was not yet, and all that are.
            ack = struct.pack("<Q", (1 << 64) - 1 if number % 3 == 0 else number % 40)
            (control if number % 2 else events).send(frame(bytes([7, 1]) + ack))
            held.append((control, events))
        except OSError:
            pass
        if len(held) > 100:
            for peer in held.pop(number % 100):
                peer.close()
        number += 1
        if not begun and number >= 20 and abused >= 4:
            begun = tell("begun") is None


def ask(path):
    import zmq  # The only one that needs it.
    peer = zmq.Context().socket(zmq.DEALER)
    peer.connect("ipc://" + path)
    peer.send(b'{"get": "status"}')
    tell(peer.recv().decode() if peer.poll(10_000) else "no answer")
    os._exit(0)


def ask_without_reading(path):
    """Questions to a status socket without end; no answer is read."""
    import zmq
    context = zmq.Context()
    peers = []
    for _ in range(20):
        peers.append(context.socket(zmq.DEALER))
        peers[-1].rcvhwm = peers[-1].sndhwm = 10
        peers[-1].connect("ipc://" + path)
    number = 0
    while True:
        for peer in peers:
            if peer.poll(0, zmq.POLLOUT):
                peer.send(b'{"get": "counters"}' if number % 2 else b"{" * 4000)
            number += 1
            if number == 2000:
                tell("begun")


if __name__ == "__main__":
    if sys.argv[1] == "look":
        look(sys.argv[2], sys.argv[3], sys.argv[4:])
    elif sys.argv[1] == "ask":
        ask(sys.argv[2])
    else:
        {"connections": connections, "flood": flood, "half-frames": half_frames, "wrong-lengths": wrong_lengths,
         "sessions": sessions, "areas": areas, "ask-without-reading": ask_without_reading}[sys.argv[2]](sys.argv[3])
